"""Variables that hold several parameters, and models that make their blocks' variables kind by kind."""

from __future__ import annotations

import numpy as np

from autograder.checking.variables import Positions
from autograder.checks.vit.readings.joined import dealt, pair_in, taken_apart

ALIKE = [np.arange(start, start + 2) for start in range(0, 16, 2)]
"""Eight vectors, as two blocks of two normalisations have."""


def starts(hands: list[list[Positions]]) -> list[list[int]]:
    return [[int(places[0]) for places in hand] for hand in hands]


def test_arrays_that_share_a_variable_follow_each_other_or_take_turns() -> None:
    found = [[part.tolist() for part in parts] for parts in taken_apart(np.arange(4), 2)]
    assert found == [[[0, 1], [2, 3]], [[0, 2], [1, 3]]]
    assert list(taken_apart(np.arange(5), 2)) == []


def test_a_scale_and_its_offset_may_be_rows_or_columns() -> None:
    rows = np.arange(6).reshape(2, 3)
    for pair in (pair_in(rows, 3), pair_in(rows.T, 3)):
        assert [vector.tolist() for vector in pair] == [[0, 1, 2], [3, 4, 5]]
    assert len(pair_in(np.arange(6), 3)) == 1


def test_blocks_get_their_variables_together_or_kind_by_kind() -> None:
    found = [starts(hands) for hands in dealt(ALIKE, 2)]
    assert found[0] == [[0, 2, 4, 6], [8, 10, 12, 14]]
    assert [[0, 2, 8, 10], [4, 6, 12, 14]] in found  # a list of each normalisation
    assert [[0, 4, 8, 12], [2, 6, 10, 14]] in found  # a list of each scale, and so on
    assert len(found) == len({str(hands) for hands in found}) == 8
    assert len(list(dealt(ALIKE, 1))) == 1


def test_variables_that_blocks_cannot_share_are_not_dealt() -> None:
    assert list(dealt([*ALIKE, np.arange(3)], 2)) == []
    assert list(dealt([np.arange(3), *ALIKE[:2], np.arange(3)], 2)) == []
