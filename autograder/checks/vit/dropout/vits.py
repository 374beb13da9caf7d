"""Dropout in a whole model: all that its two rates can do to one image's logits, as far as a single block is alive.

All other blocks are silent, and so are most units of that one and of the head: few masks are left.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograder.checking.comparisons import Floats, agrees, rounded
from autograder.checking.dropout import Kept, Outcomes, all_masks, kept_factors, split_masks
from autograder.checking.readings import positions_in, values_at
from autograder.checking.variables import without
from autograder.checks.vit.dropout.networks import ask_in_training, fault_in
from autograder.checks.vit.oracles.vision_transformer import (
    Vit,
    block,
    dense,
    encode_patches,
    extract_patches,
    mlp,
)
from autograder.checks.vit.readings.blocks import unsure
from autograder.checks.vit.readings.vits import ReadVit
from autograder.errors import CheckFailed

TOLERANCE, CLEAR = 1e-5, 2e-6
"""The two normalisations and the head leave little of the attention's rate in the logits, but float32 leaves more."""
FAR = 10 * TOLERANCE
"""By how much half of the outcomes must differ from those of a slightly lower rate of the block's dropout."""
SHOWN = 0.15
"""In which share of the outcomes each unit must matter, at least."""
LOUD = 10.0
"""How much larger the head's first layer is made, so that the class token matters beside the biases."""
BESIDE = 4.0
"""How much larger what goes into the mlp is made, so that it matters beside what the mlp adds."""
ABOVE = 10.0
"""How much larger the biases of the mlp's first layer are made, so that no unit of it falls silent."""
TRIES = 50
ALIVE = (2, 1, 2, 2, 2)
"""Units that are left: of what the attention returns, of the mlp's two layers, and of the head's."""
TIMES = tuple(itertools.product((1, 2), (1, 0, 2)))
"""Dropouts in a row that may follow the last layer of the mlp, and that of the head."""


@dataclass(frozen=True)
class VitInTraining:
    """What a model with a single block alive did in training with many copies of one image.

    Attributes:
        number: Of the block.
        tokens: What the blocks get, `(1, tokens, model_dim)`.
        weights: What the variables hold.
        samples: `(calls, samples, classes)`.
    """

    number: int
    tokens: Floats
    weights: Vit
    samples: Floats

    @property
    def never(self) -> bool:
        """Whether nothing was dropped."""
        calm = _logits(self.tokens, self.weights, self.number, _Factors.none(self.weights))
        return agrees(self.samples, np.broadcast_to(calm, self.samples.shape))

    def faults(self, rates: tuple[float, float]) -> Iterator[CheckFailed | None]:
        """Yield what is wrong with each way in which dropout of these rates explains the samples."""
        return (fault_in(layers, shares) for layers, shares in self._explanations(rates))

    def has_any_of(self, rates: Iterable[tuple[float, float]]) -> bool:
        """Whether dropout of any of these pairs of rates explains the samples."""
        return any(True for pair in rates for _ in self._explanations(pair))

    def _explanations(self, rates: tuple[float, float]) -> Iterator[tuple[list[Kept], list[float]]]:
        """Yield what was kept of each layer, and how often a unit of it should be."""
        in_block, in_head = (1 - rate for rate in rates)
        for times in TIMES:
            widths, factors = _widths(times), _Factors.of(self.weights, rates, times)
            logits = _logits(self.tokens, self.weights, self.number, factors)
            kept = Outcomes(logits, all_masks(sum(widths))).decode(self.samples, TOLERANCE)
            if kept is not None:
                shares = [in_block, in_block, in_block ** times[0], in_head, in_head ** times[1]]
                dropped = [(layer, share) for layer, share in zip(kept.split(widths), shares, strict=True) if share < 1]
                yield [layer for layer, _ in dropped], [share for _, share in dropped]


def vit_in_training(
    model: ReadVit, number: int, rates: tuple[float, float], samples: int, rng: np.random.Generator
) -> VitInTraining:
    """Ask for samples in training.

    Args:
        model: As it was read.
        number: Of the block that is alive.
        rates: What is expected, in block and head.
        samples: In all.
        rng: Draws weights and the image.
    """
    for _ in range(TRIES):
        values, image = _loud(model, number, rng), model.sizes.draw_images(rng, batch=1)
        weights = values_at(model.places, values)
        tokens = encode_patches(extract_patches(image, model.sizes.patch_size), weights.encoder)
        if _is_telling(tokens, weights, number, rates, rng):
            break
    model.variables.set(values)
    logits = ask_in_training(model.layer, image, samples, (model.sizes.classes,))
    return VitInTraining(number, tokens, weights, logits)


def _loud(model: ReadVit, number: int, rng: np.random.Generator) -> Floats:
    """Return values that leave few units of one block alive, and under which the class token matters to each logit."""
    values, places = model.lively(rng, masked=True), model.places
    first = places.head.layers[0]
    values[first.kernel] *= LOUD
    values[first.bias] += LOUD  # so that no unit falls silent
    for other, part in enumerate(places.blocks):
        if other != number:
            values = without(values, positions_in((part.attention.output, part.network.layers[-1])))
    alive = places.blocks[number]
    attention, (before, second) = alive.attention, alive.network.layers
    values[alive.first.scale] *= BESIDE
    values[alive.first.offset] *= BESIDE
    values[before.bias] += ABOVE
    of_attention, of_first, of_second, *of_head = ALIVE
    below = (*places.head.layers[1:], places.logits)
    dead = (
        attention.output[..., of_attention:],
        second.kernel[of_first:],
        second.kernel[:, of_second:],
        second.bias[of_second:],
        *(layer.kernel[units:] for units, layer in zip(of_head, below, strict=True)),
    )
    return without(values, positions_in(dead))


def _is_telling(
    tokens: Floats, weights: Vit, number: int, rates: tuple[float, float], rng: np.random.Generator
) -> bool:
    """Whether the outcomes hang on every unit and on the block's rate, and not on the normalisations' epsilons."""
    in_block, in_head = rates
    unsure_weights = replace(weights, blocks=tuple(unsure(part) for part in weights.blocks))
    factors = _Factors.of(weights, rates, TIMES[0])
    seen = factors.keep_all_of_head
    right, lower, nearly = (
        _logits(given, held, number, _Factors.of(weights, (rate, in_head), TIMES[0]))
        for given, held, rate in (
            (tokens, weights, in_block),
            (tokens, weights, 0.75 * in_block),
            (rounded(tokens, rng), unsure_weights, in_block),
        )
    )
    far = FAR * np.abs(right).max()
    units = all_masks(sum(_widths(TIMES[0]))).T  # in which outcomes each is kept; the others are the same without it
    shown = [(np.abs(right[kept] - right[~kept]).max(axis=-1) > far).mean() for kept in units]
    is_of_rate = (np.abs(lower - right)[seen].max(axis=-1) > far).mean() > 0.5
    return bool(min(shown) > SHOWN and is_of_rate) and agrees(nearly, right, CLEAR)


def _widths(times: tuple[int, int]) -> list[int]:
    """Return the numbers of units that are alive and may fall."""
    return [*ALIVE[:-1], ALIVE[-1] if times[1] else 0]


@dataclass(frozen=True)
class _Factors:
    """What units are multiplied by in each outcome.

    Attributes:
        attended: What the attention returns, `(outcomes, 1, model_dim)`.
        network: Units of the mlp's layers, `(outcomes, 1, width)`.
        head: Units of the head's layers, `(outcomes, width)`.
    """

    attended: Floats
    network: Sequence[Floats]
    head: Sequence[Floats]

    @classmethod
    def of(cls, weights: Vit, rates: tuple[float, float], times: tuple[int, int]) -> _Factors:
        """Return those of each way to drop some of the units that are alive."""
        in_block, in_head = rates
        rate_of_each, dropouts = (in_block, in_block, in_block, in_head, in_head), (1, 1, times[0], 1, times[1])
        widths = _widths(times)
        masks = split_masks(all_masks(sum(widths)), widths)
        parts = [
            kept_factors(mask, rate, often) for mask, rate, often in zip(masks, rate_of_each, dropouts, strict=True)
        ]
        return cls._filled(weights, parts)

    @property
    def keep_all_of_head(self) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """In which outcomes no unit of the head falls."""
        return np.all([(factor > 0).all(axis=-1) for factor in self.head], axis=0)

    @classmethod
    def none(cls, weights: Vit) -> _Factors:
        """Return those of the one outcome in which nothing is dropped."""
        return cls._filled(weights, [np.ones((1, 0)) for _ in ALIVE])

    @classmethod
    def _filled(cls, weights: Vit, parts: Sequence[Floats]) -> _Factors:
        """Return factors of all units, those that are not alive included."""
        layers = (*weights.blocks[0].network.layers, *weights.head.layers)
        widths = [weights.blocks[0].network.layers[-1].bias.size, *(layer.bias.size for layer in layers)]
        attended, *others = (
            np.concatenate([part, np.ones((len(part), width - part.shape[1]))], axis=1)
            for part, width in zip(parts, widths, strict=True)
        )
        return cls(attended[:, None], [factor[:, None] for factor in others[:2]], others[2:])


def _logits(tokens: Floats, weights: Vit, number: int, factors: _Factors) -> Floats:
    """Return the logits for each outcome, `(outcomes, classes)`.

    Only the class token's masks matter, since the blocks that follow are silent: they mix no tokens.
    """
    place = -1 if weights.encoder.token_last else 0
    for other, part in enumerate(weights.blocks):
        if other == number:
            changed = block(tokens, part, factors.attended, factors.network)  # (outcomes, tokens, model_dim)
            tokens = changed[:, [place]]
        else:
            tokens = block(tokens, part)
    return dense(mlp(tokens[:, place], weights.head, factors.head), weights.logits)
