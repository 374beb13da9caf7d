"""Dropout as a finite set of outcomes, and one frequency.

Dropout multiplies each unit by 0 or by 1 / (1 - rate). Few units have few masks, so the grader lists every output that
training can give: where dropout stands and its rate are then exact, as right as float32 is (4e-7; the tolerance is
1e-4, and dropout in another place, of another kind or rate is off by more than 2e-3). Only how often a unit falls is
statistical: it is wrong beyond 5 standard errors. In 300 samples a rate of 0.4 in place of 0.3 is more than 6 away,
one mask shared by all samples more than 14; a right one gets beyond 5 once in two million draws. Samples come from two
calls, since a mask that is the same in each call is wrong as well.
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
class Kept:
    """Which units samples were found to keep.

    Attributes:
        units: Whether each was kept, `(calls, samples, ..., units)`.
        shown: Of the same shape: where that can be seen at all. What a unit does is hidden where all units that it goes
            to were dropped, for example.
    """

    units: Masks
    shown: Masks

    @property
    def share(self) -> float:
        """How often units were kept, of those that are shown; 1 if none are."""
        return float(self.units[self.shown].mean()) if self.shown.any() else 1.0

    def split(self, sizes: Sequence[int]) -> list[Kept]:
        """Return the same for each of several layers."""
        ends = np.cumsum(sizes)[:-1]
        parts = zip(np.split(self.units, ends, axis=-1), np.split(self.shown, ends, axis=-1), strict=True)
        return [Kept(units, shown) for units, shown in parts]


@dataclass(frozen=True)
class Outcomes:
    """All outputs that training can give for a single input.

    Attributes:
        values: `(outcomes, ..., features)`, of one sample.
        masks: `(outcomes, units)`: what each of them keeps.
    """

    values: Floats
    masks: Masks

    def decode(self, samples: Floats, tolerance: float = TOLERANCE) -> Kept | None:
        """Return which units each sample kept; None if a sample is none of the outcomes.

        Args:
            samples: `(calls, samples, ..., features)`, in training, all of the same input. Any axes between samples and
                features, such as tokens, have masks of their own.
            tolerance: See `TOLERANCE`.
        """
        limit = tolerance * max(1.0, float(np.abs(samples).max()))
        share = np.empty((*samples.shape[:-1], self.masks.shape[1]))  # of the outcomes that fit, those that keep a unit
        for place in np.ndindex(*samples.shape[2:-1]):
            own = samples[(slice(None), slice(None), *place)]  # (calls, samples, features)
            outcomes = self.values[(slice(None), *place)]  # (outcomes, features)
            fits = np.abs(own[:, :, None] - outcomes).max(axis=-1) <= limit  # (calls, samples, outcomes)
            if not fits.any(axis=-1).all():  # NaN, too, is none of them
                return None
            share[(slice(None), slice(None), *place)] = fits @ self.masks.astype(float) / fits.sum(-1, keepdims=True)
        return Kept(share > 0.5, (share == 0) | (share == 1))


def is_as_frequent(kept: Masks, share: float) -> bool:
    """Whether units are kept as often as `share` says, within `STANDARD_ERRORS`."""
    return frequency_errors(kept, share) <= STANDARD_ERRORS


def frequency_errors(kept: Masks, share: float) -> float:
    """Return how many standard errors lie between how often units are kept and `share`, which is neither 0 nor 1."""
    return _errors(kept, share)


def is_independent(kept: Kept) -> bool:
    """Whether neighbours along each axis, units included, agree as often as independent ones do.

    How often units are kept at all is another question: here that counts which was seen.
    """
    return max(independence_errors(kept)) <= STANDARD_ERRORS


def independence_errors(kept: Kept) -> list[float]:
    """Return for each axis by how many standard errors neighbours agree more or less often than they should."""
    errors = [0.0]
    if kept.share in (0.0, 1.0):  # all agree, as they must
        return errors
    agreeing = kept.share**2 + (1 - kept.share) ** 2
    for axis in range(kept.units.ndim):
        pairs = kept.units.shape[axis] // 2
        places = [range(start, 2 * pairs, 2) for start in (0, 1)]
        first, second = (kept.units.take(place, axis=axis) for place in places)
        both = np.logical_and(*(kept.shown.take(place, axis=axis) for place in places))
        errors.append(_errors((first == second)[both], agreeing))
    return errors


def _errors(happened: Masks, share: float) -> float:
    """Return how many standard errors lie between how often something happened and `share`."""
    spread = math.sqrt(max(1, happened.size) * share * (1 - share))
    return abs(float(happened.sum()) - happened.size * share) / spread
