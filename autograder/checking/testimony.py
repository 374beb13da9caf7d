"""What a student process says about itself, read into frozen records before a check sees it.

Whatever does not fit is refused here, with one sentence: a size below zero or beyond bounds, text where a number
belongs, a number that is not finite, an index of nothing. Checks so meet records that hold what their types say.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import msgspec
import numpy as np

from autograder import wire
from autograder.errors import MalformedReply

UNREADABLE_ANSWER = "Your code's answer could not be read."
MOST_VARIABLES = 4096
"""Variables of one layer or model, and layers in it; the largest model of a course has some hundred."""
MOST_SCALARS = 1_000_000
"""Values in the variables of a layer that a check draws weights for."""
MOST_EVENTS = 10_000

Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 40)]
Shape = Annotated[tuple[Size, ...], msgspec.Meta(max_length=wire.MAX_RANK)]
Finite = Annotated[float, msgspec.Meta(ge=-1e30, le=1e30)]
Words = Annotated[str, msgspec.Meta(max_length=4096)]
_Several = Annotated[tuple[Any, ...], msgspec.Meta(min_length=1, max_length=MOST_VARIABLES)]
Gradients = Annotated[tuple[np.ndarray[Any, Any] | None, ...], msgspec.Meta(max_length=MOST_VARIABLES)]

_Record = TypeVar("_Record")


class Weight(msgspec.Struct, frozen=True):
    """One variable of a layer or model."""

    name: Words
    shape: Shape
    trainable: bool

    @property
    def size(self) -> int:
        """Number of its values."""
        return math.prod(self.shape)


class LayerRow(msgspec.Struct, frozen=True):
    """One layer of a model, or inside another layer.

    Attributes:
        kind: Name of its class.
        weights: Indices into the list of all weights.
    """

    kind: Words = msgspec.field(name="class")
    ref: wire.Ref
    weights: Annotated[tuple[Size, ...], msgspec.Meta(max_length=MOST_VARIABLES)]
    rate: Finite | None = None
    epsilon: Finite | None = None
    axis: Finite | None = None
    units: Finite | None = None

    @property
    def settings(self) -> Mapping[str, float]:
        """The plain numbers that it has."""
        found = {"rate": self.rate, "epsilon": self.epsilon, "axis": self.axis, "units": self.units}
        return {name: value for name, value in found.items() if value is not None}


class Description(msgspec.Struct, frozen=True):
    """The weights of a layer or model, and the layers in it.

    Attributes:
        penalty: What it adds to every loss, such as that of a regulariser.
        constrained: Whether some weights are kept within bounds after each step.
    """

    weights: Annotated[tuple[Weight, ...], msgspec.Meta(max_length=MOST_VARIABLES)]
    layers: Annotated[tuple[LayerRow, ...], msgspec.Meta(max_length=MOST_VARIABLES)]
    penalty: Finite = 0.0
    constrained: bool = False

    def __post_init__(self) -> None:
        """Refuse layers with weights that are not in the list."""
        if any(index >= len(self.weights) for layer in self.layers for index in layer.weights):
            raise ValueError("a layer has a weight that its model does not have")


class GradientsFound(msgspec.Struct, frozen=True):
    """Gradients by the inputs and by the trainable weights; None where there is none."""

    inputs: Gradients
    weights: Gradients


class Counts(msgspec.Struct, frozen=True):
    """How many parameters a model has."""

    total: Size
    trainable: Size


Curve = tuple[float | None, ...]
"""A number for each epoch; None where it is not finite."""


class TrainOutcome(msgspec.Struct, frozen=True):
    """What was observed of a training.

    Attributes:
        history: The curves that were returned, by name; None if no history was. What is no curve is left out.
        events: The order in which `fit`, the inner function that was asked for and the carbon tracker's
            `epoch_start`, `epoch_end` and `stop` began and ended, as in `"fit begins"`.
        saved: Paths of files with weights that were written, from the working folder.
    """

    history: Mapping[str, Curve] | None
    events: tuple[str, ...]
    saved: tuple[str, ...]


class _TrainAnswer(msgspec.Struct, frozen=True):
    """A training's outcome as it crosses the wall."""

    history: dict[str, Any] | None
    events: Annotated[tuple[Words, ...], msgspec.Meta(max_length=MOST_EVENTS)]
    saved: Annotated[tuple[Words, ...], msgspec.Meta(max_length=MOST_EVENTS)]


def read(answer: object, kind: type[_Record]) -> _Record:
    """Return an answer as a record.

    Args:
        answer: What came, as plain Python.
        kind: The record's type.

    Raises:
        MalformedReply: If it is anything else.
    """
    try:
        return msgspec.convert(answer, kind)
    except (msgspec.ValidationError, AttributeError) as error:  # it asks an array for keys
        raise MalformedReply(UNREADABLE_ANSWER) from error


def read_arrays(answer: object) -> tuple[np.ndarray[Any, Any], ...]:
    """Return an answer as one array or more; an array without axes comes as a number.

    Raises:
        MalformedReply: If it is anything else.
    """
    values = read(answer, _Several)
    if not all(isinstance(value, (np.ndarray, int, float)) for value in values):
        raise MalformedReply(UNREADABLE_ANSWER)
    return tuple(np.asarray(value) for value in values)


def read_training(answer: object) -> TrainOutcome:
    """Return what was observed of a training; a curve that cannot be read is left out.

    Raises:
        MalformedReply: If it is no such outcome.
    """
    raw = read(answer, _TrainAnswer)
    history = None if raw.history is None else {name: _curve(values) for name, values in raw.history.items()}
    return TrainOutcome(
        history=None if history is None else {name: curve for name, curve in history.items() if curve is not None},
        events=raw.events,
        saved=raw.saved,
    )


def _curve(values: object) -> Curve | None:
    if not isinstance(values, tuple) or len(values) > MOST_EVENTS:
        return None
    if not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        return None
    return tuple(float(value) if math.isfinite(value) else None for value in values)
