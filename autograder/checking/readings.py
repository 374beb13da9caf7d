"""Readings: which variable of a submission is which parameter of the definition.

A reading is the oracle's own record of parameters with *positions* in place of values: where each parameter's values
stand in the vector of all variables. The grader sets random values; a reading holds if the oracle, given the values at
its positions, answers as the submission does. By accident that happens in float32 with no reading that is wrong in
any parameter, and a record that holds has also proved how many weights the submission has, and of which shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from autograder.checking.comparisons import FLOAT32_TOLERANCE, Floats, agrees
from autograder.checking.variables import Positions

Record = TypeVar("Record")
"""A dataclass of arrays, of further such records, and of choices that are no weights, such as an activation."""

ABSENT = -1
"""The position of what a submission lacks: its value is 0."""


def values_at(places: Record, values: Floats) -> Record:
    """Return a record of positions as the record of the values that stand there; choices stay as they are."""
    padded = np.concatenate([values, np.zeros(1, values.dtype)])  # at ABSENT, the last position
    read: Any = _map(places, lambda part: padded[part])
    return read  # type: ignore[no-any-return]


def moved_to(places: Record, positions: Positions) -> Record:
    """Return a record for a larger vector, in which what stood at 0, 1, 2 … stands at these positions."""
    padded = np.append(positions, ABSENT)
    moved: Any = _map(places, lambda part: padded[part])
    return moved  # type: ignore[no-any-return]


def _map(part: Any, change: Callable[[Positions], Any]) -> Any:  # noqa: ANN401 - a record or any part of one
    if isinstance(part, np.ndarray):
        return change(part)
    if isinstance(part, tuple):
        return tuple(_map(item, change) for item in part)
    names = _fields_of(part)
    return type(part)(**{name: _map(getattr(part, name), change) for name in names}) if names else part


def _fields_of(part: object) -> tuple[str, ...]:
    """Return the names of a record's fields; none of anything else."""
    return tuple(field.name for field in fields(part)) if is_dataclass(part) else ()


def positions_in(places: object) -> Positions:
    """Return all positions of a record that are not absent, in one row."""
    positions: Positions = np.concatenate([np.zeros(0, np.intp), *(array.ravel() for array in _arrays(places))])
    there: Positions = positions[positions != ABSENT]
    return there


def _arrays(part: object) -> Iterator[Positions]:
    if isinstance(part, np.ndarray):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from _arrays(item)
    else:
        for name in _fields_of(part):
            yield from _arrays(getattr(part, name))


def first_reading(
    candidates: Iterable[Record],
    values: Floats,
    oracle: Callable[[Record], Floats],
    got: Floats,
    tolerance: float = FLOAT32_TOLERANCE,
) -> Record | None:
    """Return the first candidate under which the oracle answers as the submission did; None if there is none.

    Args:
        candidates: Records of positions, the natural ones first.
        values: What all variables were set to.
        oracle: Returns the definition's answer, given a record of values.
        got: What the submission answered.
        tolerance: See `agrees`.
    """
    return next(all_readings(candidates, values, oracle, got, tolerance), None)


def all_readings(
    candidates: Iterable[Record],
    values: Floats,
    oracle: Callable[[Record], Floats],
    got: Floats,
    tolerance: float = FLOAT32_TOLERANCE,
) -> Iterator[Record]:
    """Yield the candidates under which the oracle answers as the submission did; for arguments see `first_reading`.

    Two styles may agree in one draw, such as two non-linearities whose units are all silent: then others are drawn.
    """
    with np.errstate(all="ignore"):  # wrong candidates may overflow
        for places in candidates:
            if agrees(got, oracle(values_at(places, values)), tolerance):
                yield places
