"""Readings: which variable of a submission is which parameter of the definition.

A reading is the oracle's own record of parameters with *positions* in place of values: where each parameter's values
stand in the vector of all variables. The grader sets random values; a reading holds if the oracle, given the values at
its positions, answers as the submission does. By accident that happens in float32 with no reading that is wrong in
any parameter, and a record that holds has also proved how many weights the submission has, and of which shape.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import numpy as np

from autograder.checking.comparisons import FLOAT32_TOLERANCE, Floats, close
from autograder.checking.variables import Positions

Record = TypeVar("Record")
"""A dataclass of arrays, of further such records, and of choices that are no weights, such as an activation."""


def values_at(places: Record, values: Floats) -> Record:
    """Return a record of positions as the record of the values that stand there; choices stay as they are."""
    read: Any = _read(places, values)
    return read  # type: ignore[no-any-return]


def _read(part: Any, values: Floats) -> Any:  # noqa: ANN401 - a record or any part of one
    if isinstance(part, np.ndarray):
        return values[part]
    if isinstance(part, tuple):
        return tuple(_read(item, values) for item in part)
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{field.name: _read(getattr(part, field.name), values) for field in fields(part)})
    return part


def positions_in(places: object) -> Positions:
    """Return all positions of a record, in one row."""
    return np.concatenate([np.zeros(0, np.intp), *(array.ravel() for array in _arrays(places))])


def _arrays(part: object) -> Iterator[Positions]:
    if isinstance(part, np.ndarray):
        yield part
    elif isinstance(part, tuple):
        for item in part:
            yield from _arrays(item)
    elif is_dataclass(part) and not isinstance(part, type):
        for field in fields(part):
            yield from _arrays(getattr(part, field.name))


def first_reading(
    candidates: Iterable[Record],
    values: Floats,
    oracle: Callable[[Record], Floats],
    got: Floats,
    tolerance: float = FLOAT32_TOLERANCE,
) -> Record | None:
    """Return the first candidate under which the oracle answers as the submission did.

    Args:
        candidates: Records of positions, the natural ones first.
        values: What all variables were set to.
        oracle: Returns the definition's answer, given a record of values.
        got: What the submission answered.
        tolerance: See `close`.
    """
    with np.errstate(all="ignore"):  # wrong candidates may overflow
        for places in candidates:
            if close(got, oracle(values_at(places, values)), tolerance):
                return places
    return None
