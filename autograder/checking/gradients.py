"""Gradients, compared with central differences of the oracle.

A random direction in each tensor is enough: two gradients that differ also differ along it. Steps of 1e-6 in float64
are right to about 1e-9; the float32 of a submission is right to 2e-6 of the gradient's norm, measured on whole
models. A gradient that is stopped anywhere, even on one value in ten thousand, is off by more than 1e-4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from autograder.checking.comparisons import Floats, expect_array, fail, require, rounded
from autograder.checking.remote import Layer
from autograder.checking.variables import Positions, Variables

TOLERANCE = 2e-5
"""Relative to the gradient's norm; see above."""
STEP = 1e-6
SMALLEST_NORM = 1e-1
"""Gradients that are smaller are compared as if they had this norm: float32 knows no better. Right ones of norm 0.01
were off by 2.1e-5 of it in one draw of thirteen of the whole model; one that is stopped is off by all of it."""
DRAWS = 3
"""A ReLU whose input is nearly 0 may have another side in float32, once in some thousand draws; never in three."""
CANDIDATES, LOOSEST, ROUNDINGS = 2, 1e-4, 32
"""A normalisation blows up the rounding of tokens whose features are nearly equal: right gradients of the whole model
were off by 1e-4 in one draw of a hundred. So the slopes are taken again with all numbers moved by a rounding of
float32. Of two draws of inputs that one counts which moves less, and 32 times what it moves is allowed, up to half
of what the smallest mistake does: each step of a submission rounds, and right gradients were off by 26 times that."""

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
        training: Whether it is asked in training; None asks without a phase.
    """

    layer: Layer
    function: Function
    trained: tuple[Positions, ...] = ()
    values: Floats = field(default_factory=lambda: np.zeros(0))
    read: Positions | None = None
    training: bool | None = None

    @classmethod
    def of(
        cls,
        variables: Variables,
        values: Floats,
        function: Function,
        read: Positions | None = None,
        training: bool | None = None,
    ) -> Subject:
        """Return a layer whose `variables` hold `values`."""
        chosen = zip(variables.positions, variables.trainable, strict=True)
        trained = tuple(places for places, trainable in chosen if trainable)
        return cls(variables.layer, function, trained, values, read, training)


def expect_gradients(subject: Subject, shapes: Sequence[Sequence[int]], rng: np.random.Generator) -> None:
    """End the check unless the gradients by the inputs and by all trainable variables are right.

    Args:
        subject: The layer and its oracle.
        shapes: Of the layer's inputs, batch included; the values are drawn.
        rng: Draws inputs, cotangent and directions.
    """
    expect_nothing_beside(subject.layer)
    agree = False
    for _ in range(DRAWS):
        agree = agree or _agree(subject, _draw_probe(subject, shapes, rng))
    require(
        agree,
        "The gradients are not those of the output: something on the way stops or changes them, such as "
        "tf.stop_gradient, or a detour through NumPy.",
    )


def expect_nothing_beside(layer: Layer) -> None:
    """End the check if beside its gradients something else has a part in its training: a penalty, or a constraint."""
    found = layer.describe()
    require(found.penalty == 0, "Something adds a penalty to every loss; nobody asked for one.")
    require(
        not found.constrained,
        "Some weights have a constraint, which changes them after each step of the training; nobody asked for one.",
    )


@dataclass(frozen=True)
class _Probe:
    """Where gradients are compared.

    Attributes:
        inputs: Of the layer, as float32.
        cotangent: What the output is weighted with.
        directions: One in each input and in each trainable variable.
        slopes: Of the weighted sum of the oracle's output, along each of them.
        moved: By how much a rounding of all numbers moves these.
    """

    inputs: list[Floats]
    cotangent: Floats
    directions: list[Floats]
    slopes: Floats
    moved: Floats


def _draw_probe(subject: Subject, shapes: Sequence[Sequence[int]], rng: np.random.Generator) -> _Probe:
    """Return that of a few draws which rounding moves least."""
    probes = [_draw_one_probe(subject, shapes, rng) for _ in range(CANDIDATES)]
    return min(probes, key=lambda probe: float((probe.moved / np.maximum(SMALLEST_NORM, np.abs(probe.slopes))).max()))


def _draw_one_probe(subject: Subject, shapes: Sequence[Sequence[int]], rng: np.random.Generator) -> _Probe:
    inputs = [rng.normal(size=shape).astype(np.float32) for shape in shapes]
    points: list[Floats] = [np.asarray(array, np.float64) for array in inputs]
    points += [subject.values[places] for places in subject.trained]
    cotangent = np.asarray(rng.normal(size=_output(subject, points, len(inputs)).shape), np.float32)
    directions: list[Floats] = [np.asarray(rng.normal(size=point.shape)) for point in points]
    slopes = _slopes(subject, points, cotangent, directions)
    elsewhere = [rounded(point, rng) for point in points]
    moved = np.abs(_slopes(subject, elsewhere, cotangent, directions) - slopes)
    return _Probe(inputs, cotangent, directions, slopes, moved)


def _slopes(subject: Subject, points: Sequence[Floats], cotangent: Floats, directions: Sequence[Floats]) -> Floats:
    """Return the slopes of the weighted sum of the oracle's output at a point, along a direction in each tensor."""
    inputs = len(points) - len(subject.trained)
    slopes = []
    for number, direction in enumerate(directions):
        ends = [
            _output(subject, [*points[:number], points[number] + step, *points[number + 1 :]], inputs)
            for step in _steps(direction)
        ]
        slopes.append(((ends[0] - ends[1]) * cotangent).sum() / (2 * STEP))
    return np.array(slopes)


def _output(subject: Subject, points: Sequence[Floats], inputs: int) -> Floats:
    """Return the oracle's output for so many inputs, followed by the values of the trainable variables."""
    values = subject.values.copy()
    for places, point in zip(subject.trained, points[inputs:], strict=True):
        values[places] = point
    return subject.function(points[:inputs], values)


def _agree(subject: Subject, probe: _Probe) -> bool:
    found = _ask(subject, probe.inputs, probe.cotangent)
    gradients = [
        np.asarray(expect_array(got, direction.shape, "A gradient"), np.float64)
        for got, direction in zip(found, probe.directions, strict=True)
    ]
    read = [True] * len(probe.inputs) + [_is_read(subject, places) for places in subject.trained]
    norms = [max(SMALLEST_NORM, float(np.linalg.norm(gradient))) for gradient in gradients]
    limit = min(LOOSEST, max(TOLERANCE, ROUNDINGS * float((probe.moved / norms).max())))
    compared = zip(gradients, probe.directions, probe.slopes, strict=True)
    errors = [relative_error(gradient, direction, slope) for gradient, direction, slope in compared]
    return all(error <= limit for error, counts in zip(errors, read, strict=True) if counts)


def relative_error(gradient: Floats, direction: Floats, slope: float) -> float:
    """Return by how much a gradient misses the slope along a direction, relative to its norm."""
    return abs(slope - float((gradient * direction).sum())) / max(SMALLEST_NORM, float(np.linalg.norm(gradient)))


def _steps(direction: Floats) -> tuple[Floats, Floats]:
    return STEP * direction, -STEP * direction


def _ask(subject: Subject, inputs: Sequence[Floats], cotangent: Floats) -> list[object]:
    """Return the submission's gradients, all of which exist."""
    of_inputs, of_weights = subject.layer.gradients(*inputs, cotangent=cotangent, training=subject.training)
    if len(of_inputs) != len(inputs) or len(of_weights) != len(subject.trained):
        fail("The gradients could not be read: they are not one for each input and each trainable weight.")
    dead = sum(1 for gradient in of_weights if gradient is None or not np.any(gradient))
    require(dead == 0, f"{dead} of {len(of_weights)} weights get no gradient: they have no effect on the output.")
    stopped = any(gradient is None for gradient in of_inputs)
    require(
        not stopped,
        "No gradient comes back to the input: something on the way stops it, as NumPy and `tf.stop_gradient` do.",
    )
    return [*of_inputs, *of_weights]


def _is_read(subject: Subject, places: Positions) -> bool:
    return subject.read is None or bool(np.isin(places, subject.read).all())
