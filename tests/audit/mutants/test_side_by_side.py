"""Differences between what was seen of right work and of a change, and which of them are free."""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
import pytest

from autograder.audit.mutants.freedoms import Compared, freedom_of
from autograder.audit.mutants.side_by_side import Difference, Gap, Looks, Unseen, differences, gap_between
from autograder.audit.mutants.vit.freedoms import FREEDOMS

ARRAY = np.arange(6.0, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize(
    ("right", "changed", "words"),
    [
        (ARRAY, ARRAY * (1 + 1e-6), ""),
        (ARRAY, ARRAY + 0.5, "off by 0.1 of the largest value"),
        (ARRAY, ARRAY.T, "shape (3, 2) for (2, 3)"),
        (ARRAY, ARRAY.astype(np.float64), "float64 for float32"),
        (ARRAY, ARRAY * np.nan, "off by inf"),
        (("tuple", ARRAY), ("list", ARRAY), "list for tuple"),
        (("tuple", ARRAY), ("tuple", ARRAY, ARRAY), "3 values for 2"),
        ({"epochs": 3}, {"epochs": 4}, "epochs: 4 for 3"),
        (("tuple", 0.5, 0.25, 0.25), ("tuple", 0.501, 0.5, 0.25), "0.5 for 0.25"),
        (True, 1, "1 for True"),
        (0.5, 0.5 + 1e-9, ""),
        ({"raises": "ValueError"}, ARRAY, "an array (2, 3) for raises ValueError"),
    ],
)
def test_values_are_compared(right: object, changed: object, words: str) -> None:
    gap = gap_between(right, changed)
    assert gap.words.startswith(words) if gap is not None else words == ""
    assert (gap is None) == (words == "")


def dropped(rate: float, seed: int, *, together: bool = False, noise: bool = False) -> dict[str, Any]:
    """Samples of three units, of which each is dropped at a rate."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> Any:
        factors = 1 + rate * rng.normal(size=shape) if noise else (rng.random(shape) >= rate) / (1 - rate)
        return np.array([1.0, 2.0, -3.0]) * factors

    few = np.repeat(draw(6, 1, 3), 4, axis=1) if together else draw(6, 4, 3)
    return {"many": draw(4096, 3), "few": few}


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        (dropped(0.3, 2), ""),
        (dropped(0.4, 2), "another distribution"),
        (dropped(0.0, 2), "drawn once for several items"),
        (dropped(0.3, 2, together=True), "drawn once for several items"),
        (dropped(0.3, 2, noise=True), "values in training come again"),
    ],
)
def test_random_outputs_are_compared_as_distributions(changed: dict[str, Any], words: str) -> None:
    gap = gap_between(dropped(0.3, 1), changed)
    assert gap.words.startswith(words) if gap is not None else words == ""
    assert (gap is None) == (words == "")


def test_what_raises_as_a_whole_is_one_difference() -> None:
    raised = Unseen("raises TypeError")
    assert differences({"output": ARRAY}, raised) == (Difference(None, Gap("raises TypeError", is_failure=True)),)
    assert differences(raised, Unseen("raises TypeError")) == ()
    assert differences({"output": ARRAY}, {"output": ARRAY}) == ()
    stopped = {"raises": "ValueError"}
    assert differences({"output": stopped}, {"output": ARRAY}) == ()  # nothing says what is right there
    assert [found.aspect for found in differences({"output": ARRAY}, {"output": stopped})] == ["output"]


def freedom(task: str, found: dict[str, float], ways: Looks | None = None) -> str:
    """The rule by which differences, each with how far it is off, are free."""
    rows = tuple(Difference(aspect, Gap("other", off)) for aspect, off in found.items())
    changed = {"block: output": ARRAY}
    return freedom_of(Compared(task, rows, changed, lambda call: ways or {}, lambda call: changed), FREEDOMS)


def test_freedoms_of_the_lab() -> None:
    assert freedom("mlp", {"initial values": inf}) == "initial values"
    assert freedom("transformer_block", {"block: output": 0.0004}) == "epsilon"
    assert freedom("transformer_block", {"block: output": 0.4}, {"a": 1}) == ""
    assert freedom("transformer_block", {"block: output": 0.4}, {"block: output": ARRAY})
    assert freedom("mlp", {"initial values": inf, "defaults": inf}, {"a": 1}) == ""
    assert freedom("attention", {"initial values": inf}) == ""
