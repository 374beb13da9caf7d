"""Dropout as a finite set of outcomes, and one frequency.

Dropout multiplies each unit by 0 or by 1 / (1 - rate). Few units have few masks, so the grader lists every output that
training can give: where dropout stands and its rate are then exact, as right as float32 is (4e-7; the tolerance is
1e-4, and dropout in another place, of another kind or rate is off by more than 2e-3). Only how often a unit falls is
statistical: it is wrong beyond 5 standard errors. In 300 samples a rate of 0.4 in place of 0.3 is more than 6 away,
one mask shared by all samples more than 14; a right one gets beyond 5 once in two million draws.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checking.comparisons import Floats

TOLERANCE = 1e-4
"""Relative to the largest sample; see above."""
STANDARD_ERRORS = 5.0

Masks = np.ndarray[Any, np.dtype[np.bool_]]


def all_masks(units: int) -> Masks:
    """Return `(2 ** units, units)`: every way to keep some of them."""
    return ((np.arange(2**units)[:, None] >> np.arange(units)) & 1).astype(bool)


def split_masks(masks: Masks, sizes: Sequence[int]) -> list[Masks]:
    """Return the masks of several layers, given those of all their units together."""
    return np.split(masks, np.cumsum(sizes)[:-1], axis=1)


def kept_factors(masks: Masks, rate: float, times: int = 1) -> Floats:
    """Return what units are multiplied by: 0, or 1 / (1 - rate) for each of `times` dropouts in a row."""
    return masks / (1.0 - rate) ** times


@dataclass(frozen=True)
class Outcomes:
    """All outputs that training can give for a single input.

    Attributes:
        values: `(outcomes, ..., features)`, of one sample.
        masks: `(outcomes, units)`: what each of them keeps.
    """

    values: Floats
    masks: Masks

    def decode(self, samples: Floats) -> Masks | None:
        """Return which units each sample kept; None if a sample is none of the outcomes.

        Args:
            samples: `(samples, ..., features)`, in training, all of the same input. Any axes between the first and the
                last, such as tokens, have masks of their own.

        Returns:
            `(samples, ..., units)`.
        """
        places = samples.shape[1:-1]
        limit = TOLERANCE * max(1.0, float(np.abs(samples).max()))
        kept = np.empty((*samples.shape[:-1], self.masks.shape[1]), bool)
        for place in np.ndindex(*places):
            own = samples[(slice(None), *place)]  # (samples, features)
            outcomes = self.values[(slice(None), *place)]  # (outcomes, features)
            apart = np.abs(own[:, None] - outcomes[None]).max(axis=-1)
            if not (apart.min(axis=1) <= limit).all():  # NaN, too, is none of them
                return None
            kept[(slice(None), *place)] = self.masks[apart.argmin(axis=1)]
        return kept


def is_as_frequent(kept: Masks, share: float) -> bool:
    """Whether units are kept as often as `share` says, within `STANDARD_ERRORS`."""
    return frequency_errors(kept, share) <= STANDARD_ERRORS


def frequency_errors(kept: Masks, share: float) -> float:
    """Return how many standard errors lie between how often units are kept and `share`, which is neither 0 nor 1."""
    spread = math.sqrt(max(1, kept.size) * share * (1 - share))
    return abs(float(kept.sum()) - kept.size * share) / spread


def is_independent(kept: Masks, shown: Masks, share: float) -> bool:
    """Whether neighbours along each axis, units included, agree as often as independent ones do.

    Args:
        kept: `(samples, ..., units)`.
        shown: `(samples, ...)`: where the mask can be seen at all.
        share: How often a unit is kept.
    """
    return max(independence_errors(kept, shown, share)) <= STANDARD_ERRORS


def independence_errors(kept: Masks, shown: Masks, share: float) -> list[float]:
    """Return for each axis how many standard errors lie between how often neighbours agree and how often they should.

    For the arguments see `is_independent`.
    """
    agreeing = share**2 + (1 - share) ** 2
    seen = np.broadcast_to(shown[..., None], kept.shape)
    errors = []
    for axis in range(kept.ndim):
        pairs = kept.shape[axis] // 2
        places = [range(start, 2 * pairs, 2) for start in (0, 1)]
        first, second = (kept.take(place, axis=axis) for place in places)
        both = np.logical_and(*(seen.take(place, axis=axis) for place in places))
        errors.append(frequency_errors((first == second)[both], agreeing))
    return errors
