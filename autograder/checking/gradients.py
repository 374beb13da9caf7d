"""Gradients, compared with central differences of the oracle.

A random direction in each tensor is enough: two gradients that differ also differ along it. Steps of 1e-6 in float64
are right to about 1e-9; the float32 of a submission is right to 2e-6 of the gradient's norm, measured on whole
models. A gradient that is stopped anywhere, even on one value in ten thousand, is off by more than 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autograder.checking.comparisons import Floats, expect_array, fail, require
from autograder.checking.remote import Layer
from autograder.checking.variables import Positions, Variables

TOLERANCE = 2e-5
"""Relative to the gradient's norm; see above."""
STEP = 1e-6
SMALLEST_NORM = 1e-1
"""Gradients that are smaller are compared as if they had this norm: float32 knows no better. Right ones of norm 0.01
were off by 2.1e-5 of it in one draw of thirteen of the whole model; one that is stopped is off by all of it."""
DRAWS = 2
"""A ReLU whose input is nearly 0 may have another side in float32, once in some thousand draws; never in two."""

Function = Callable[[Sequence[Floats], Floats], Floats]
"""Returns the oracle's output, given the inputs and the values of all variables."""


@dataclass(frozen=True)
class Subject:
    """Whose gradients are compared.

    Attributes:
        layer: With all variables set.
        function: The oracle.
        trained: Where the values of each trainable variable stand.
        values: What all variables hold.
        read: Positions that the oracle depends on; gradients by other variables are not looked at.
    """

    layer: Layer
    function: Function
    trained: tuple[Positions, ...] = ()
    values: Floats = field(default_factory=lambda: np.zeros(0))
    read: Positions | None = None

    @classmethod
    def of(cls, variables: Variables, values: Floats, function: Function, read: Positions | None = None) -> Subject:
        """Return a layer whose `variables` hold `values`."""
        chosen = zip(variables.positions, variables.trainable, strict=True)
        trained = tuple(places for places, trainable in chosen if trainable)
        return cls(variables.layer, function, trained, values, read)


def expect_gradients(subject: Subject, shapes: Sequence[Sequence[int]], rng: np.random.Generator) -> None:
    """End the check unless the gradients by the inputs and by all trainable variables are right.

    Args:
        subject: The layer and its oracle.
        shapes: Of the layer's inputs, batch included; the values are drawn.
        rng: Draws inputs, cotangent and directions.
    """
    expect_no_penalty(subject.layer)
    agree = False
    for _ in range(DRAWS):
        inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
        agree = agree or _agree(subject, inputs, rng)
    require(
        agree,
        "The gradients are not those of the output: something on the way stops or changes them, such as "
        "tf.stop_gradient, or a detour through NumPy.",
    )


def expect_no_penalty(layer: Layer) -> None:
    """End the check if the layer adds something to every loss, such as a regulariser's penalty."""
    require(layer.penalty() == 0, "Something adds a penalty to every loss; nobody asked for one.")


def _agree(subject: Subject, inputs: Sequence[Floats], rng: np.random.Generator) -> bool:
    points: list[Floats] = [np.asarray(array, np.float64) for array in inputs]
    points += [subject.values[places] for places in subject.trained]

    def output(points: Sequence[Floats]) -> Floats:
        values = subject.values.copy()
        for places, point in zip(subject.trained, points[len(inputs) :], strict=True):
            values[places] = point
        return subject.function(points[: len(inputs)], values)

    cotangent = np.asarray(rng.normal(size=output(points).shape), np.float32)
    gradients = _ask(subject, inputs, cotangent)
    for number, (got, point) in enumerate(zip(gradients, points, strict=True)):
        if number >= len(inputs) and not _is_read(subject, subject.trained[number - len(inputs)]):
            continue
        gradient = np.asarray(expect_array(got, point.shape, "A gradient"), np.float64)
        direction: Floats = np.asarray(rng.normal(size=point.shape))
        ends = [output([*points[:number], point + step, *points[number + 1 :]]) for step in _steps(direction)]
        slope = ((ends[0] - ends[1]) * cotangent).sum() / (2 * STEP)
        if relative_error(gradient, direction, slope) > TOLERANCE:
            return False
    return True


def relative_error(gradient: Floats, direction: Floats, slope: float) -> float:
    """Return by how much a gradient misses the slope along a direction, relative to its norm."""
    return abs(slope - float((gradient * direction).sum())) / max(SMALLEST_NORM, float(np.linalg.norm(gradient)))


def _steps(direction: Floats) -> tuple[Floats, Floats]:
    return STEP * direction, -STEP * direction


def _ask(subject: Subject, inputs: Sequence[Floats], cotangent: Floats) -> list[object]:
    """Return the submission's gradients, all of which exist."""
    of_inputs, of_weights = subject.layer.gradients(*inputs, cotangent=cotangent)
    if len(of_inputs) != len(inputs) or len(of_weights) != len(subject.trained):
        fail("The gradients could not be read: they are not one for each input and each trainable weight.")
    dead = sum(1 for gradient in of_weights if gradient is None or not np.any(gradient))
    require(dead == 0, f"{dead} of {len(of_weights)} weights get no gradient: they have no effect on the output.")
    stopped = any(gradient is None for gradient in of_inputs)
    require(not stopped, "No gradient comes back to the input: something on the way stops it.")
    return [*of_inputs, *of_weights]


def _is_read(subject: Subject, places: Positions) -> bool:
    return subject.read is None or bool(np.isin(places, subject.read).all())
