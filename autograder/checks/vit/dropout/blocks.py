"""Dropout in a transformer block: one of its two branches is silent, so that what the other one drops can be seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.checking.comparisons import Floats, agrees
from autograder.checking.dropout import Kept, Outcomes, all_masks, kept_factors
from autograder.checking.readings import positions_in, values_at
from autograder.checking.variables import without
from autograder.checks.vit.dropout.networks import RATES, NetworkInTraining, ask_in_training, network_factors
from autograder.checks.vit.oracles.vision_transformer import Block
from autograder.checks.vit.readings.blocks import ReadBlock, draw_tokens, unsure
from autograder.checks.vit.readings.networks import enliven

CLEAR = 2e-5
"""A fifth of dropout's tolerance: what the epsilons may do to an outcome as far as they are unknown."""
LOUD = 3.0
"""How much larger the attention is made: a unit that is kept alone should outweigh the epsilon."""
TRIES = 100


@dataclass(frozen=True)
class AttentionInTraining:
    """What a block whose mlp is silent did in training with many samples of the same tokens.

    Attributes:
        samples: `(calls, samples, tokens, model_dim)`.
        run: Returns the right outputs `(outcomes, tokens, model_dim)`, given factors `(outcomes, 1, model_dim)` of what
            the attention returns.
    """

    samples: Floats
    run: Callable[[Floats], Floats]

    def kept(self, rate: float) -> Kept | None:
        """Return which units of the attention were kept if its dropout has this rate; None if that explains nothing."""
        masks = all_masks(self.samples.shape[-1])
        outcomes = self.run(kept_factors(masks, rate)[:, None])
        if agrees(outcomes, np.broadcast_to(outcomes[:1], outcomes.shape)):  # a mistake hides what the attention does
            return None
        everything = self.run(np.ones((1, 1, masks.shape[1])))
        if agrees(self.samples, np.broadcast_to(everything, self.samples.shape)):
            return Kept(np.ones(self.samples.shape, bool), np.ones(self.samples.shape, bool))
        return Outcomes(outcomes, masks).decode(self.samples)

    def has_other_rate(self) -> bool:
        """Whether dropout of any rate explains the samples."""
        return any(self.kept(rate) is not None for rate in RATES)


def attention_in_training(block: ReadBlock, rate: float, samples: int, rng: np.random.Generator) -> AttentionInTraining:
    """Ask for samples in training; the rate is what is expected."""
    factors = kept_factors(all_masks(block.sizes.model_dim), rate)[:, None]

    def draw() -> Floats:
        values = without(block.variables.draw(rng), positions_in(block.places.network.layers[-1]))
        values[block.places.attention.output] *= LOUD
        return values

    x, weights = _set_clear(block, draw, lambda x, w: block.oracle(x, w, factors), rng)
    asked = ask_in_training(block.layer, x, samples, x.shape[1:])
    return AttentionInTraining(asked, lambda keep: block.oracle(x, weights, keep))


def network_in_training(block: ReadBlock, rate: float, samples: int, rng: np.random.Generator) -> NetworkInTraining:
    """Ask for samples in training; the rate is what is expected."""
    widths = [layer.bias.size for layer in block.places.network.layers]
    factors = [factor[:, None] for factor in network_factors(widths, rate, 1)]

    def draw() -> Floats:
        values = enliven(block.variables.draw(rng), block.places.network, rng, masked=True)
        return without(values, positions_in(block.places.attention))

    x, weights = _set_clear(block, draw, lambda x, w: block.oracle(x, w, 1.0, factors), rng)
    asked = ask_in_training(block.layer, x, samples, x.shape[1:])
    return NetworkInTraining(
        asked, widths, (1, 2), lambda keep: block.oracle(x, weights, 1.0, [factor[:, None] for factor in keep])
    )


def _set_clear(
    block: ReadBlock,
    draw: Callable[[], Floats],
    outcomes: Callable[[Floats, Block], Floats],
    rng: np.random.Generator,
) -> tuple[Floats, Block]:
    """Set drawn values under which no outcome hangs on an epsilon, and return tokens and weights.

    It does where features are nearly equal: a normalisation blows up the little that then tells them apart.
    """
    for _ in range(TRIES):
        x, values = draw_tokens(rng, block.sizes, batch=1), draw()
        weights = values_at(block.places, values)
        if agrees(outcomes(x, unsure(weights)), outcomes(x, weights), CLEAR):
            break
    block.variables.set(values)
    return x, weights
