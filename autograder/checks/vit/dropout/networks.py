"""Dropout in an mlp: which units its outputs in training kept, and what is wrong with that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import Floats, agrees, expect_array, fail
from autograder.checking.dropout import (
    Kept,
    Outcomes,
    all_masks,
    is_as_frequent,
    is_independent,
    kept_factors,
    split_masks,
)
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.remote import Layer
from autograder.errors import CheckFailed

ALWAYS_ON = Mistake("dropout_always_on", "Two calls in inference differ: your dropout is active outside training too.")
NEVER_ON = Mistake(
    "dropout_never_on",
    "In training the output is the same as in inference: your dropout is never active. (Inside a model of tf_keras, a "
    "dropout of tf.keras never is.)",
)
OTHER_RATE = Mistake("dropout_rate_ignored", "Your dropout has another rate than the one that is asked for.")
RATE_OF_ZERO = Mistake(
    "dropout_rate_of_zero",
    "With a rate of 0 nothing may be dropped in training, and yours drops something. Does `or` put another rate in its "
    "place?",
)
AT_THE_END_ONLY = Mistake(
    "dropout_at_the_end_only",
    "Dropout follows only the last of your dense layers. Each of them is followed by one: is it within the loop?",
)
SHARED_MASKS = (
    "Your dropout drops the same units of several tokens, samples or calls, or all units of a token at once. Each unit "
    "falls by itself, each time."
)
RATES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Rates that are tried where dropout has not the one that is asked for."""

CALLS = 2
"""In training: a mask that is drawn once and for all is no dropout."""


def ask_in_training(layer: Layer, one: Floats, samples: int, shape: Sequence[int]) -> Floats:
    """Return outputs in training of two calls, `(calls, samples, ...)`, for many samples of one input.

    Args:
        layer: The model.
        one: The input, as a batch of one.
        samples: In all.
        shape: Of one output.
    """
    x = np.broadcast_to(one, (samples // CALLS, *one.shape[1:]))
    calls = [expect_array(layer(x, training=True), (len(x), *shape), "The output in training") for _ in range(CALLS)]
    return np.stack(calls)


def expect_nothing_dropped(layer: Layer, x: Floats) -> None:
    """End the check if what was made with a rate of 0 answers otherwise in training than in inference.

    Args:
        layer: A layer or a model, with any weights.
        x: Its input, of so many samples that no dropout spares all of them.
    """
    right = layer(x)
    if isinstance(right, np.ndarray) and np.isfinite(right).all() and not agrees(layer(x, training=True), right):
        blame(RATE_OF_ZERO)


def blame_for_dropout(
    mistake: Mistake | None, has_other_rate: Callable[[], bool], elsewhere: str, other_rate: Mistake = OTHER_RATE
) -> NoReturn:
    """End the check: dropout of the right rate does not explain what was seen.

    Args:
        mistake: What was recognised in inference: it may hide where dropout acts, so nothing is said of dropout then.
        has_other_rate: Whether dropout of another rate does.
        elsewhere: What to say if it does not.
        other_rate: What to say if it does.
    """
    if mistake is not None:
        blame(mistake)
    if has_other_rate():
        blame(other_rate)
    fail(elsewhere)


@dataclass(frozen=True)
class NetworkDropout:
    """How dropout was found to act after the layers of an mlp.

    Attributes:
        layers: Which units were kept, by layer.
        times: Dropouts in a row after the last layer.
    """

    layers: list[Kept]
    times: int


@dataclass(frozen=True)
class NetworkInTraining:
    """What an mlp, or a block in which all else is silent, did in training with many samples of one input.

    Attributes:
        samples: `(calls, samples, ..., features)`.
        widths: Of the mlp's layers.
        accepted: How many dropouts may follow the last layer.
        run: Returns the right outputs `(outcomes, ..., features)`, given the factors of each layer
            `(outcomes, width)`.
    """

    samples: Floats
    widths: Sequence[int]
    accepted: Sequence[int]
    run: Callable[[list[Floats]], Floats]

    def expect_dropout(self, rate: float, mistake: Mistake | None, elsewhere: str) -> None:
        """End the check unless dropout of this rate acts after the layers; for the rest see `blame_for_dropout`."""
        calm = self.run([np.ones((1, width)) for width in self.widths])
        if agrees(self.samples, np.broadcast_to(calm, self.samples.shape)):
            blame(mistake or NEVER_ON)  # a mistake may hide that dropout acts
        found = self._explanations(rate)
        if not found:
            if mistake is None and self._is_dropped_at_the_end_only(rate):
                blame(AT_THE_END_ONLY)
            blame_for_dropout(mistake, lambda: any(map(self._explanations, RATES)), elsewhere)
        faults = [fault_in(dropped.layers, shares_of(dropped, self.widths, rate)) for dropped in found]
        if faults[0] is not None and all(faults):
            if mistake is not None:  # such as a non-linearity that hides which units fell
                blame(mistake)
            raise faults[0]

    def _explanations(self, rate: float) -> list[NetworkDropout]:
        """Return how dropout of this rate explains the samples; nothing if it does not.

        There are two ways where a normalisation hides how often in a row a unit was scaled up.
        """
        found = []
        for times in self.accepted:
            outcomes, dropped = self._outcomes(rate, times)
            kept = outcomes.decode(self.samples)
            if kept is not None:
                found.append(NetworkDropout(kept.split(dropped), times))
        return found

    def _is_dropped_at_the_end_only(self, rate: float) -> bool:
        """Whether dropout after the last layer alone explains the samples."""
        *inner, last = self.widths
        masks = all_masks(last)
        factors = [*(np.ones((len(masks), width)) for width in inner), kept_factors(masks, rate)]
        return Outcomes(self.run(factors), masks).decode(self.samples) is not None

    def _outcomes(self, rate: float, times: int) -> tuple[Outcomes, list[int]]:
        """Return all that dropout can do, so often after the last layer, and the widths of the layers it follows."""
        dropped = list(self.widths) if times else list(self.widths[:-1])
        return Outcomes(self.run(network_factors(self.widths, rate, times)), all_masks(sum(dropped))), dropped


def network_factors(widths: Sequence[int], rate: float, times: int) -> list[Floats]:
    """Return what each layer's units are multiplied by, `(outcomes, width)`, for each way to drop some of them all.

    Args:
        widths: Of the layers.
        rate: Of the dropout.
        times: Dropouts in a row after the last layer; 0 for none.
    """
    dropped = list(widths) if times else list(widths[:-1])
    masks = split_masks(all_masks(sum(dropped)), dropped)
    factors = [kept_factors(mask, rate) for mask in masks[: len(widths) - 1]]
    last = kept_factors(masks[-1], rate, times) if times else np.ones((len(masks[0]), widths[-1]))
    return [*factors, last]


def fault_in(layers: Sequence[Kept], shares: Sequence[float]) -> CheckFailed | None:
    """Return what is wrong with the units that were kept, by layer; None if nothing is.

    Args:
        layers: Which units were kept.
        shares: How often a unit of each layer is kept.
    """
    for kept, share in zip(layers, shares, strict=False):
        if not is_independent(kept):  # before frequencies, which shared masks make uncertain
            return CheckFailed(SHARED_MASKS)
        if not is_as_frequent(kept.units[kept.shown], share):
            return CheckFailed(OTHER_RATE.sentence, OTHER_RATE.slug)
    return None


def expect_frequencies(layers: Sequence[Kept], shares: Sequence[float]) -> None:
    """End the check if something is wrong with the units that were kept; see `fault_in`."""
    fault = fault_in(layers, shares)
    if fault is not None:
        raise fault


def shares_of(found: NetworkDropout, widths: Sequence[int], rate: float) -> list[float]:
    """Return how often a unit of each layer is kept."""
    return [*[1 - rate for _ in widths[:-1]], (1 - rate) ** found.times]
