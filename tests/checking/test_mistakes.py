"""Mistakes are recognised by what they give; one that overflows recognises nothing and raises nothing."""

from __future__ import annotations

import numpy as np
import pytest

from autograder.checking.mistakes import Mistake, answers

DOUBLED = Mistake("doubled", "Twice as much.", lambda x: 2 * x)
OVERFLOWS = Mistake("overflows", "Far too much.", lambda x: np.exp(x))
LARGE = np.array([1.0, 1e4])


def test_what_a_mistake_gives_is_recognised() -> None:
    assert DOUBLED.gives((2 * LARGE).astype(np.float32), LARGE)
    assert not DOUBLED.gives(LARGE, LARGE)


@pytest.mark.parametrize("answer", [LARGE, np.exp(np.array([1.0, np.inf])), np.array([np.e, np.inf]), None])
def test_a_mistake_that_overflows_gives_nothing(answer: object) -> None:
    assert not OVERFLOWS.gives(answer, LARGE)
    assert np.isinf(answers(LARGE, [OVERFLOWS], LARGE).wrong["overflows"]).any()


def test_a_mistake_without_an_oracle_is_an_error_of_the_check() -> None:
    with pytest.raises(ValueError, match="no oracle"):
        Mistake("shows_otherwise", "It shows in another way.").gives(LARGE)
