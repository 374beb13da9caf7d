"""Records of positions, and the vector of all variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checking.readings import first_reading, positions_in, values_at
from autograder.checking.variables import Variables
from tests.numpy_layers import NumpyLayer


@dataclass(frozen=True)
class Pair:
    """Two arrays, or further records."""

    first: Any
    second: Any
    name: str = "plain"


def test_a_record_of_positions_becomes_one_of_values() -> None:
    places = Pair(np.array([[2, 0]]), (Pair(np.array(1), np.array([1, 2])),))
    read = values_at(places, np.array([10.0, 11.0, 12.0]))
    assert read.first.tolist() == [[12, 10]]
    assert (read.second[0].first, read.second[0].second.tolist(), read.name) == (11, [11, 12], "plain")
    assert sorted(positions_in(places)) == [0, 1, 1, 2, 2]


def test_the_first_candidate_that_explains_the_answer_is_taken() -> None:
    values = np.array([1.0, 2.0, 3.0])
    candidates = [Pair(np.array([0]), np.array([place])) for place in (0, 1, 2)]
    found = first_reading(candidates, values, lambda pair: pair.first + pair.second, np.array([3.0]))
    assert found is candidates[1]
    assert first_reading(candidates, values, lambda pair: pair.first * 9, np.array([3.0])) is None


def test_variables_are_set_in_their_own_shapes() -> None:
    seen: list[Any] = []

    class Listening(NumpyLayer):
        def set_weights(self, arrays: Any) -> None:
            seen.extend(array.shape for array in arrays)

    variables = Variables(Listening([(2, 3), (), (4, 1)], np.add))
    variables.set(variables.draw(np.random.default_rng(1)))
    assert seen == [(2, 3), (), (4, 1)]
    assert variables.size == 11
