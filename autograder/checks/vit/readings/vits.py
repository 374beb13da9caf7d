"""Read a submission's whole Vision Transformer: which of its variables are which parameter.

What the variables may be is told by `model_candidates`; which of that they are, by the model's answers.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import Floats, agrees, fail, require, rounded
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.readings import all_readings, values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Variables
from autograder.checks.vit.dropout.networks import ALWAYS_ON
from autograder.checks.vit.mistakes.vits import FLATTENED, OF_MODELS, VitOracle
from autograder.checks.vit.oracles.vision_transformer import (
    Vit,
    dense_parameters,
    vit,
    vit_parameters,
)
from autograder.checks.vit.readings.counting import UNSEEN
from autograder.checks.vit.readings.model_candidates import BATCH, VitSizes, model_candidates
from autograder.checks.vit.readings.networks import DRAWS, MISSES, calm_output, enliven
from autograder.errors import CheckFailed

RANDOM = (
    "Two calls in inference differ, even where both dropout rates are 0: something else in your model is left to "
    "chance outside training, such as an augmentation of the images."
)
STABLE = 2e-6
"""A fifth of the tolerance: what rounding may do to the definition."""


@dataclass(frozen=True)
class ReadVit:
    """A submission's model as it was read.

    Attributes:
        variables: Of the model.
        places: Where its parameters stand, with all choices.
        sizes: Of the model.
        oracle: What explains its answers: the definition, or the same with `mistake`.
        mistake: What was recognised.
    """

    variables: Variables
    places: Vit
    sizes: VitSizes
    oracle: VitOracle = vit
    mistake: Mistake | None = None

    @property
    def layer(self) -> Layer:
        """The model itself."""
        return self.variables.layer

    def right(self, images: Floats, values: Floats) -> Floats:
        """Return the logits for these images when the variables hold these values."""
        return self.oracle(images, values_at(self.places, values), self.sizes.patch_size)

    def draw(self, rng: np.random.Generator, batch: int = BATCH) -> tuple[Floats, Floats]:
        """Return images and set weights for which the definition itself is stable in float32."""
        for _ in range(DRAWS):
            images, values = self.sizes.draw_images(rng, batch), self.variables.draw(rng)
            if self._is_stable(images, values, rng):
                break
        self.variables.set(values)
        return images, values

    def _is_stable(self, images: Floats, values: Floats, rng: np.random.Generator) -> bool:
        """Whether rounding stays small: nearly equal features of a token, seldom as they are, blow it up."""
        right = self.right(images.astype(np.float64), values)
        return agrees(self.right(rounded(images, rng), rounded(values, rng)), right, STABLE)

    def lively(self, rng: np.random.Generator, *, masked: bool) -> Floats:
        """Return values under which no unit of any mlp is silent, and the definition is stable; see `enliven`."""
        for _ in range(DRAWS):
            values = self.variables.draw(rng)
            for network in (*(layer.network for layer in self.places.blocks), self.places.head):
                values = enliven(values, network, rng, masked=masked)
            if self._is_stable(self.sizes.draw_images(rng), values, rng):
                break
        return values


def read_vit(student: Student, sizes: VitSizes, rates: tuple[float, float], rng: np.random.Generator) -> ReadVit:
    """Find out how a submission's model is to be read.

    Args:
        student: The submission.
        sizes: Of the model.
        rates: Of dropout in the blocks and in the head.
        rng: Draws images and weights.

    Raises:
        CheckFailed: If it is no Vision Transformer, right or with a mistake that we know.
    """
    variables = Variables(student.layer("create_vit_classifier", **sizes.settings(*rates)))
    candidates = model_candidates(student, variables, sizes, rng)
    misses = 0
    for _ in range(DRAWS):
        values, images = variables.draw(rng), sizes.draw_images(rng)
        variables.set(values)
        logits = _calm_logits(student, variables, sizes, images)
        fits = _fits(candidates, values, images, sizes.patch_size, logits)
        fit = next((fit for fit in fits if fit.readings), None)
        if fit is None:
            misses += 1
        elif fit.is_certain:
            return ReadVit(variables, fit.readings[0], sizes, fit.oracle, fit.mistake)
        if misses == MISSES:
            break
    _explain(variables, sizes, logits)


@dataclass(frozen=True)
class _Fit:
    """The readings under which one oracle gives a model's logits."""

    oracle: VitOracle
    mistake: Mistake | None
    readings: list[Vit]

    @property
    def is_certain(self) -> bool:
        """Whether it needs no other weights: silent units make non-linearities agree, and right readings with them."""
        return len(self.readings) == 1 or self.mistake is not None


def _fits(candidates: Sequence[Vit], values: Floats, images: Floats, patch_size: int, logits: Floats) -> Iterator[_Fit]:
    """Yield for each oracle, the right one first, the readings under which it gives these logits."""

    def logits_by(oracle: VitOracle, weights: Vit) -> Floats:
        return oracle(images, weights, patch_size)

    for oracle, mistake in _oracles():
        readings = all_readings(candidates, values, functools.partial(logits_by, oracle), logits)
        yield _Fit(oracle, mistake, list(readings))


def _calm_logits(student: Student, variables: Variables, sizes: VitSizes, images: Floats) -> Floats:
    """Return the logits in inference, the same each time; a dropout is only blamed if without one they are."""
    try:
        return calm_output(variables.layer, images, (BATCH, sizes.classes))
    except CheckFailed as failed:
        if failed.misconception == ALWAYS_ON.slug:
            without_dropout = student.layer("create_vit_classifier", **sizes.settings())
            same = np.array_equal(without_dropout(images), without_dropout(images))
            require(same, RANDOM)
        raise


def _oracles() -> Iterator[tuple[VitOracle, Mistake | None]]:
    yield vit, None
    for mistake in OF_MODELS:
        yield mistake, mistake


def _explain(variables: Variables, sizes: VitSizes, logits: Floats) -> NoReturn:
    """End the check with the best reason why the model cannot be read."""
    if ((sizes.patches + 1) * sizes.model_dim, sizes.head[0]) in variables.shapes:
        blame(FLATTENED)
    right = vit_parameters(sizes.settings())
    if variables.size != right:
        lost, blocks = right - variables.size, sizes.layers
        hint = "Compare the model's summary part by part: encoder, blocks, head."
        if lost == dense_parameters(sizes.head[-1], sizes.classes):
            hint = "The last dense layer has as many as are missing."
        elif lost > 0 and blocks > 1 and lost % blocks == 0:
            hint = f"Perhaps each of the {blocks} blocks lacks {lost // blocks:,}: compare the parts of one block."
        fail(
            f"Expected {right:,} parameters for a small model; got {variables.size:,}. {hint}"
            + (f" {UNSEEN}" if lost > 0 else ""),
            "wrong_parameter_count",
        )
    require(bool(logits.any()), "The output: all values are zero.", "only_zeros")
    fail(
        "The logits are not those of patches, tokens, blocks, the class token, the mlp of the head and a last dense "
        "layer. Nothing else belongs in the model, and the head's non-linearity stands between all of its layers."
    )
