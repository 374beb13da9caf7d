"""Dropout in a whole model: one that is small enough to list all that its two rates can do to one image's logits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.comparisons import Floats, agrees
from autograder.checking.dropout import Kept, Masks, Outcomes, all_masks, kept_factors, split_masks
from autograder.checking.readings import positions_in, values_at
from autograder.checking.variables import without
from autograder.checks.vit.dropout.networks import ask_in_training
from autograder.checks.vit.oracles.vision_transformer import Vit, vit
from autograder.checks.vit.readings.blocks import unsure
from autograder.checks.vit.readings.vits import ReadVit

TOLERANCE, CLEAR = 1e-5, 2e-6
"""The two normalisations and the head leave little of the attention's rate in the logits, but float32 leaves more."""
FAR = 10 * TOLERANCE
"""By how much half of the outcomes must differ from those of a slightly lower rate of the attention's dropout."""
LOUD = 10.0
"""How much larger the head's first layer is made, so that the class token matters beside the biases."""
TRIES = 50


@dataclass(frozen=True)
class VitDropout:
    """How dropout was found to act.

    Attributes:
        layers: What was kept of the attention's output, then of the head's layers.
        times: Dropouts in a row after the head's last layer.
    """

    layers: list[Kept]
    times: int


@dataclass(frozen=True)
class VitInTraining:
    """What a model of one block, whose mlp is silent, did in training with many copies of one image.

    Attributes:
        model: As it was read.
        image: As a batch of one.
        weights: What its variables hold.
        samples: `(calls, samples, classes)`.
    """

    model: ReadVit
    image: Floats
    weights: Vit
    samples: Floats

    @property
    def never(self) -> bool:
        """Whether nothing was dropped."""
        calm = self.model.oracle(self.image, self.weights, self.model.sizes.patch_size)
        return agrees(self.samples, np.broadcast_to(calm, self.samples.shape))

    def dropped(self, attention_rate: float, head_rate: float) -> VitDropout | None:
        """Return how dropout of these rates explains the samples; None if it does not."""
        for times in (0, 1, 2):
            widths, masks = _masks(self.model, times)
            values = _outcomes(self.model, self.image, self.weights, (attention_rate, head_rate), times)
            kept = Outcomes(values, masks).decode(self.samples, TOLERANCE)
            if kept is not None:
                return VitDropout(kept.split(widths), times)
        return None

    def has_any_of(self, rates: Iterable[tuple[float, float]]) -> bool:
        """Whether dropout of any of these pairs of rates explains the samples."""
        return any(self.dropped(*pair) is not None for pair in rates)


def vit_in_training(
    model: ReadVit, rates: tuple[float, float], samples: int, rng: np.random.Generator
) -> VitInTraining:
    """Ask for samples in training; the rates, of attention and head, are what is expected."""
    for _ in range(TRIES):
        values, image = _loud(model, rng), model.sizes.draw_images(rng, batch=1)
        weights = values_at(model.places, values)
        if _is_telling(model, image, weights, rates):
            break
    model.variables.set(values)
    logits = ask_in_training(model.layer, image, samples, (model.sizes.classes,))
    return VitInTraining(model, image, weights, logits)


def _loud(model: ReadVit, rng: np.random.Generator) -> Floats:
    """Return values that silence the mlp of the block, and under which the class token matters to each logit."""
    values, first = model.lively(rng, masked=True), model.places.head.layers[0]
    values[first.kernel] *= LOUD
    values[first.bias] += LOUD  # so that no unit falls silent
    return without(values, positions_in(model.places.blocks[0].network.layers[-1]))


def _is_telling(model: ReadVit, image: Floats, weights: Vit, rates: tuple[float, float]) -> bool:
    """Whether the outcomes hang on the attention's rate, and not on the epsilons of the normalisations."""
    attention_rate, head_rate = rates
    right, lower, nearly = (
        _outcomes(model, image, held, (rate, head_rate), 1)
        for held, rate in (
            (weights, attention_rate),
            (weights, 0.75 * attention_rate),
            (replace(weights, blocks=tuple(unsure(part) for part in weights.blocks)), attention_rate),
        )
    )
    far = np.abs(lower - right).max(axis=-1) > FAR * np.abs(right).max()
    return bool(far.mean() > 0.5) and agrees(nearly, right, CLEAR)


def _masks(model: ReadVit, times: int) -> tuple[list[int], Masks]:
    """Return the widths of what is dropped, and all ways to drop some of it; see `VitDropout`."""
    head = list(model.sizes.head) if times else list(model.sizes.head[:-1])
    widths = [model.sizes.model_dim, *head]
    return widths, all_masks(sum(widths))


def _outcomes(model: ReadVit, image: Floats, weights: Vit, rates: tuple[float, float], times: int) -> Floats:
    """Return the logits for every way to drop some units, `(outcomes, classes)`.

    With the mlp of the one block silent, only the class token's mask in the attention matters.
    """
    (attention_rate, head_rate), (widths, masks) = rates, _masks(model, times)
    attended, *head = split_masks(masks, widths)
    factors: list[Floats | float] = [kept_factors(head[0], head_rate)]
    factors.append(kept_factors(head[1], head_rate, times) if times else 1.0)
    images = np.broadcast_to(image, (len(masks), *image.shape[1:]))
    keep = kept_factors(attended, attention_rate)[:, None]  # (outcomes, 1, model_dim)
    return vit(images, weights, model.sizes.patch_size, keep, factors)
