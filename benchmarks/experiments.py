"""Whether the lab's experiments show what they should, over five seeds: `python -m benchmarks.experiments [NAME...]`.

`EXPECTATIONS` was written down before anything was measured. Each is an inequality with a margin between two figures of
one experiment, and must hold for every seed. Prints a table, and processor seconds of each experiment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Figures = Mapping[str, float]
"""What one run of an experiment measured, by name."""


@dataclass(frozen=True)
class Expectation:
    """An inequality that an experiment must show: larger - smaller >= margin.

    Attributes:
        experiment: Name of the experiment.
        says: What the inequality means.
        larger: A figure of the experiment by name, or a number.
        smaller: Another one.
        margin: By how much they differ at least.
    """

    experiment: str
    says: str
    larger: str | float
    smaller: str | float
    margin: float

    def excess(self, figures: Figures) -> float:
        """Return by how much the two differ more than they must; negative if the inequality fails."""
        larger, smaller = (figures[side] if isinstance(side, str) else side for side in (self.larger, self.smaller))
        return larger - smaller - self.margin


EXPECTATIONS = (
    Expectation("kernels", "dot products of unit vectors give the Gaussian's curve", 0.1, "unit, distance", 0.0),
    Expectation("kernels", "dot products of raw numbers do not", "raw, error", "gaussian, error", 5.0),
    Expectation("maps", "attention of the untrained stand-in is nearly even", 1.5, "stand-in, largest x tokens", 0.0),
    Expectation("maps", "rollout of the trained model prefers ink", "rollout on ink", "patches with ink", 0.03),
    Expectation("shuffled", "positions help on whole images", "with, whole", "without, whole", 0.25),
    Expectation("shuffled", "with positions, order matters", "with, whole", "with, shuffled", 0.4),
    Expectation("shuffled", "without positions it does not", 0.01, "without, change", 0.0),
    Expectation("data", "with the fewest images the CNN is ahead", "CNN, fewest", "ViT, fewest", 0.15),
    Expectation("data", "the ViT gains by data", "ViT, most", "ViT, fewest", 0.25),
    Expectation("data", "the gap closes", "gap, fewest", "gap, most", 0.05),
    Expectation("warm_up", "a warm-up rescues a deep post-norm model", "with, test", "without, test", 0.15),
    Expectation("augmentation", "it helps on shifted images", "with, shifted", "without, shifted", 0.1),
    Expectation("augmentation", "it narrows the gap from training to test", "without, gap", "with, gap", 0.02),
    Expectation("reversal", "attention solves it", "attention, accuracy", 0.95, 0.0),
    Expectation("reversal", "a mean cannot", 0.4, "mean, accuracy", 0.0),
    Expectation("reversal", "the weight lies on the mirrored position", "attention, on mirror", 0.8, 0.0),
    Expectation("depth", "post-norm: little gradient reaches the first layer", 0.5, "post, first / last", 0.0),
    Expectation("depth", "pre-norm: nearly all of it does", "pre, first / last", 0.8, 0.0),
    Expectation("causal", "no weight on later tokens", 1e-6, "weight on later tokens", 0.0),
    Expectation("causal", "what lies in the past is still solved", "second half, accuracy", 0.95, 0.0),
    Expectation("causal", "what lies in the future cannot be", 0.25, "first half, accuracy", 0.0),
)
