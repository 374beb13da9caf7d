"""Layers in NumPy that answer as a submission's do, in float32, with variables in any layout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from autograder.checking.comparisons import Floats
from autograder.checking.remote import Layer
from autograder.checking.testimony import MOST_SCALARS, Description, Weight

Function = Callable[..., Any]
"""Returns the output for the inputs, then for the vector of all variables."""


class NumpyLayer(Layer):
    """A layer whose variables have these shapes and whose output is a function of inputs and variables.

    Args:
        shapes: Of the variables.
        function: Called with float32 inputs and with the variables as one float32 vector.
        gradients: The function whose gradients the layer reports, if they are not its own.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], function: Function, gradients: Function | None = None
    ) -> None:
        self._shapes, self._function, self._differentiated = shapes, function, gradients or function
        self._values = np.random.default_rng(0).normal(size=sum(self._sizes)).astype(np.float32)

    @property
    def _sizes(self) -> list[int]:
        return [int(np.prod(shape)) for shape in self._shapes]

    def weights(self, most: int = MOST_SCALARS) -> tuple[Weight, ...]:
        """Return the variables, all of them trainable."""
        return tuple(Weight(f"w{number}", shape, True) for number, shape in enumerate(self._shapes))

    def describe(self) -> Description:
        """Return its weights: nothing is added to a loss, and nothing is constrained."""
        return Description(self.weights(), ())

    def get_weights(self) -> tuple[Any, ...]:
        """Return the values of all variables: before the first assignment, those that the layer was made with."""
        return self._split(self._values)

    def set_weights(self, arrays: Sequence[Floats]) -> None:
        """Assign all variables."""
        self._values = np.concatenate([np.zeros(0), *(array.ravel() for array in arrays)]).astype(np.float32)

    def __call__(self, *inputs: Floats, training: bool | None = None) -> Any:
        """Return the output."""
        return self._function(*(array.astype(np.float32) for array in inputs), self._values)

    def gradients(
        self, *inputs: Floats, cotangent: Floats, training: bool | None = None
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return numerical gradients, entry by entry."""
        points = [array.astype(np.float64) for array in (*inputs, self._values)]
        found = [self._gradient(points, number, cotangent) for number in range(len(points))]
        return tuple(found[:-1]), self._split(found[-1])

    def _split(self, vector: Floats) -> tuple[Floats, ...]:
        """Return the vector of all variables as one array for each of them."""
        parts = np.split(vector, np.cumsum(self._sizes)[:-1])
        return tuple(part.reshape(shape) for part, shape in zip(parts, self._shapes, strict=False))

    def _gradient(self, points: Sequence[Floats], number: int, cotangent: Floats) -> Floats:
        gradient = np.zeros(points[number].shape)
        for place in np.ndindex(gradient.shape):
            ends = []
            for step in (1e-6, -1e-6):
                moved = points[number].copy()
                moved[place] += step
                ends.append((self._differentiated(*points[:number], moved, *points[number + 1 :]) * cotangent).sum())
            gradient[place] = (ends[0] - ends[1]) / 2e-6
        return gradient
