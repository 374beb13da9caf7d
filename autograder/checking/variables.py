"""A layer's variables as one vector: drawn, set and read by the grader, whatever their shapes are."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograder.checking.comparisons import Floats, expect_array, fail
from autograder.checking.remote import Layer

Positions = np.ndarray[Any, np.dtype[np.intp]]
"""Places in the vector of all variables, in the shape of what stands there."""


class Variables:
    """All variables of a layer, one after the other in a single vector.

    Args:
        layer: Built already.

    Attributes:
        layer: The layer.
        shapes: Shape of each variable, in Keras' order.
        trainable: Whether each is trained.
        positions: For each variable, where its values stand in the vector, in the variable's own shape.
        size: Length of the vector.

    Raises:
        CheckFailed: If there are absurdly many.
    """

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        found = layer.weights()  # no more than memory can hold, whatever the submission says
        self.shapes = tuple(variable.shape for variable in found)
        self.trainable = tuple(variable.trainable for variable in found)
        sizes = [math.prod(shape) for shape in self.shapes]
        self.size = sum(sizes)
        starts = np.cumsum([0, *sizes])
        self.positions: tuple[Positions, ...] = tuple(
            np.arange(start, start + size).reshape(shape)
            for start, size, shape in zip(starts, sizes, self.shapes, strict=False)
        )

    def draw(self, rng: np.random.Generator) -> Floats:
        """Return random values: matrices that keep the scale of what they multiply, vectors of a size near 1."""
        values = np.empty(self.size)
        for places in self.positions:
            if is_vector(places):
                values[places] = rng.uniform(0.5, 1.5, places.shape) * rng.choice([-1, 1], places.shape)
            else:
                values[places] = rng.normal(size=places.shape) / math.sqrt(places.shape[-2])
        return values.astype(np.float32).astype(np.float64)

    def set(self, values: Floats) -> None:
        """Assign all variables."""
        self.layer.set_weights([values[places] for places in self.positions])

    def now(self, what: str) -> Floats:
        """Return the values that all variables have now.

        Args:
            what: What messages call the layer, such as `trained model`.

        Raises:
            CheckFailed: If they are not those that were found.
        """
        values = self.layer.get_weights()
        if len(values) != len(self.shapes):
            fail(f"The {what} no longer has the weights that it had before.")
        pairs = zip(values, self.shapes, strict=True)
        arrays = [expect_array(value, shape, f"A weight of the {what}") for value, shape in pairs]
        return np.concatenate([array.ravel() for array in arrays]).astype(float)


def without(values: Floats, places: Positions) -> Floats:
    """Return the values of all variables with those at some places 0."""
    values = values.copy()
    values[places] = 0.0
    return values


def is_vector(places: Positions) -> bool:
    """Whether a variable has at most one axis that is longer than 1."""
    return places.size == max(places.shape, default=1)
