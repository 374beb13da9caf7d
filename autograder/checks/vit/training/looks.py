"""What a model has looked at besides its training, as its tape tells: which points, with which weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checks.vit.oracles.vision_transformer import Floats
from autograder.checks.vit.training.rigged_training import LabelledPoints

EXACT_ROW = 2e-3
"""Of a logit. Those of a model trained in float32 are right to 1e-4; from one epoch to the next, some logit of a set
changes by 0.2 or more."""


@dataclass(frozen=True)
class Looks:
    """Answers that a model gave in inference, in their order.

    Attributes:
        logits: Of one sample in each row, `(samples, classes)`.
    """

    logits: Floats

    @classmethod
    def on(cls, tape: Floats) -> Looks:
        """Return those that a tape holds, `(rows, 1 + classes)`: a 1 and logits, or zeros."""
        return cls(tape[tape[:, 0] == 1, 1:])

    def at(self, points: LabelledPoints, weights: Floats) -> int:
        """Return how often all of these points were seen with these weights.

        Points that are alike must each have been seen.
        """
        right = points.logits(weights)
        seen = _alike(self.logits, right, EXACT_ROW)
        needed = _alike(right, right, EXACT_ROW / 2)  # no rounding makes it more than was seen
        return int((seen // needed).min())


def _alike(rows: Floats, points: Floats, distance: float) -> np.ndarray[Any, np.dtype[np.integer[Any]]]:
    """Return how many rows are as close as this, in each column, to each of these points, `(points,)`."""
    row, point = np.nonzero(np.abs(rows[:, None, 0] - points[:, 0]) <= distance)
    alike = (np.abs(rows[row] - points[point]) <= distance).all(axis=-1)
    return np.bincount(point[alike], minlength=len(points))
