"""Read a submission's transformer block: which of its variables are which parameter.

With all weights of the attention set to 0, what remains tells the order of the vectors (scales, offsets, a bias), the
non-linearity and the epsilons of the normalisations; with all weights set, only the attention is left to be read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.comparisons import FLOAT32_TOLERANCE, Floats, agrees, fail, require
from autograder.checking.mistakes import Mistake
from autograder.checking.readings import values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Positions, Variables, without
from autograder.checks.vit.dropout.networks import ALWAYS_ON
from autograder.checks.vit.mistakes.blocks import OF_BLOCKS, BlockOracle
from autograder.checks.vit.oracles.vision_transformer import Block, Dense, Mlp, Norm, block
from autograder.checks.vit.readings.block_parts import (
    BlockSizes,
    Parts,
    blame_for_shapes,
    sorted_by_discovery,
    sorted_by_shape,
)
from autograder.checks.vit.readings.heads import has_known_layout
from autograder.checks.vit.readings.networks import DRAWS, MISSES, accepted_activations, calm_output
from autograder.errors import CheckFailed

BATCH = 3

Order = tuple[int, ...]
"""Where scale, offset, the mlp's bias, scale and offset stand among a block's vectors."""
LARGEST_EPSILON = 5e-3
"""Of a normalisation: 1e-3 is Keras' default, and averaging in place of adding makes it four times as large."""
NO_BLOCK = (
    "The output is not that of attention, residual, normalisation, mlp, residual, normalisation, in that order, with "
    "the heads and widths that are asked for."
)
NO_ATTENTION_READ = (
    "Your block is right as long as nothing comes from its attention, but not with it. Look at what the attention gets "
    "and at what becomes of its output."
)
STABLE = 2e-6
"""A fifth of the tolerance: what the epsilons may do to an output as far as they are unknown."""
UNSURE = 3e-7
"""How well the epsilons are known from answers in float32."""
NEAR = 0.1
"""Candidates that miss by more than this part, with a middling epsilon, are not worth fitting an epsilon for."""
FITS = 6


@dataclass(frozen=True)
class ReadBlock:
    """A submission's block as it was read.

    Attributes:
        variables: Of the model.
        places: Where its parameters stand, its non-linearity and epsilons.
        sizes: What its weights have; other heads or widths than those that were asked for are for one check.
        oracle: What explains its answers: a block, or the same with `mistake`.
        mistake: What was recognised.
        always_on: Whether its dropout is active in inference, so that a model of rate 0 was read.
        unread: Why no more could be read than what is left when nothing comes from the attention; None if all was.
    """

    variables: Variables
    places: Block
    sizes: BlockSizes
    oracle: BlockOracle = block
    mistake: Mistake | None = None
    always_on: bool = False
    unread: CheckFailed | None = None

    @property
    def layer(self) -> Layer:
        """The model itself."""
        return self.variables.layer

    def draw(self, rng: np.random.Generator) -> tuple[Floats, Floats]:
        """Return tokens and set values under which the output does not hang on what is unknown of the epsilons."""
        for _ in range(DRAWS):
            x, values = draw_tokens(rng, self.sizes), self.variables.draw(rng)
            weights = values_at(self.places, values)
            if agrees(self.oracle(x, unsure(weights)), self.oracle(x, weights), STABLE):
                break
        self.variables.set(values)
        return x, values

    def in_another(self, layer: Layer) -> ReadBlock:
        """Return the same reading of another block of the submission's, which must have the same variables."""
        variables = Variables(layer)
        require(variables.shapes == self.variables.shapes, "The block has other weights with another dropout_rate.")
        return replace(self, variables=variables)


def read_block(student: Student, sizes: BlockSizes, rate: float, rng: np.random.Generator) -> ReadBlock:
    """Find out how a submission's block is to be read.

    Args:
        student: The submission.
        sizes: Of the block.
        rate: Of its dropout.
        rng: Draws tokens and weights.

    Raises:
        CheckFailed: If it is no block, right or with a mistake that we know, not even without its attention.
    """
    try:
        return _read_model(student, sizes.model(student, rate), sizes, rng)
    except CheckFailed as failed:
        if failed.misconception != ALWAYS_ON.slug:
            raise
    return replace(_read_model(student, sizes.model(student, 0.0), sizes, rng), always_on=True)


def _read_model(student: Student, model: Layer, sizes: BlockSizes, rng: np.random.Generator) -> ReadBlock:
    variables = Variables(model)
    parts = sorted_by_shape(variables.positions, sizes)
    found = _read(variables, parts, rng) if parts else None
    if found is None:
        require(bool(np.any(model(draw_tokens(rng, sizes)))), "The output: all values are zero.", "only_zeros")
        if not has_known_layout(student, sizes.of_heads, rng):
            parts = sorted_by_discovery(student, variables, sizes, rng)
        found = _read(variables, parts, rng) if parts else None  # or the first draw was a bad one
    if found is not None:
        return found
    half = _read_without_attention(variables, parts, rng) if parts else None
    if half is not None:
        return half
    blame_for_shapes(variables.positions, sizes)
    fail(NO_BLOCK)


def draw_tokens(rng: np.random.Generator, sizes: BlockSizes, batch: int = BATCH) -> Floats:
    """Return tokens as float32, none of which has nearly equal features: a normalisation would blow up its rounding."""
    while True:
        x = rng.normal(size=(batch, sizes.tokens, sizes.model_dim)).astype(np.float32)
        if x.var(axis=-1).min() > 0.1:
            return x


def _read(variables: Variables, parts: Parts, rng: np.random.Generator) -> ReadBlock | None:
    """Return how the block is to be read; None if no reading fits, or if several do in all of a few draws."""
    for _ in range(DRAWS):
        fits = _read_once(variables, parts, rng)
        if len(fits) <= 1:
            break
    return fits[0] if len(fits) == 1 else None


def _read_once(variables: Variables, parts: Parts, rng: np.random.Generator) -> list[ReadBlock]:
    x, values = draw_tokens(rng, parts.sizes), variables.draw(rng)
    silent = _Asked.of(variables, without(values, parts.attention), x)
    whole = _Asked.of(variables, values, x)
    for oracle, mistake in _oracles():
        orders = _orders(parts, silent) if mistake is None else USUAL_ORDERS
        for styles in skeletons(parts, orders):
            fits = []
            for skeleton in styles:
                fitted = _fit_epsilons(oracle, skeleton, silent)
                for reading in parts.projections if fitted else ():
                    places = _fit_epsilons(oracle, replace(skeleton, attention=reading), whole)
                    if places is not None:
                        fits.append(ReadBlock(variables, places, parts.sizes, oracle, mistake))
                        break
            if fits:  # more than one where all units are silent, so that non-linearities agree
                return fits
    return []


def _read_without_attention(variables: Variables, parts: Parts, rng: np.random.Generator) -> ReadBlock | None:
    """Return how the block is to be read as long as nothing comes from its attention; None if no reading fits."""
    misses = 0
    for _ in range(DRAWS):
        x, values = draw_tokens(rng, parts.sizes), without(variables.draw(rng), parts.attention)
        silent = _Asked.of(variables, values, x)
        misses += 1
        for styles in skeletons(parts, _orders(parts, silent)):
            fits = [places for skeleton in styles if (places := _fit_epsilons(block, skeleton, silent)) is not None]
            if len(fits) == 1:
                return ReadBlock(variables, fits[0], parts.sizes, unread=CheckFailed(NO_ATTENTION_READ))
            misses = 0 if fits else misses
        if misses == MISSES:
            break
    return None


@dataclass(frozen=True)
class _Asked:
    """What a block answered: values of its variables, tokens, and the output."""

    values: Floats
    x: Floats
    output: Floats

    @classmethod
    def of(cls, variables: Variables, values: Floats, x: Floats) -> _Asked:
        """Ask a block with these values and tokens."""
        variables.set(values)
        return cls(values, x, calm_output(variables.layer, x, x.shape))


def _oracles() -> Iterator[tuple[BlockOracle, Mistake | None]]:
    yield block, None
    for mistake in OF_BLOCKS:
        yield mistake, mistake


def skeletons(parts: Parts, orders: Iterable[Order]) -> Iterator[list[Block]]:
    """Yield the ways to read all but the attention, with the vectors in these orders, each in every style."""
    for order in orders:
        scale, offset, bias, second_scale, second_offset = (parts.vectors[place] for place in order)
        layers = (parts.first, Dense(parts.kernel, bias))
        yield [
            Block(
                attention=parts.projections[0],
                first=Norm(scale, offset),
                network=Mlp(layers, activations),
                second=Norm(second_scale, second_offset),
            )
            for activations in accepted_activations(len(layers))
        ]


def _orders(parts: Parts, asked: _Asked) -> list[Order]:
    """Return the orders in which the vectors may stand, the usual ones first.

    A block ends in a normalisation. Without its scale and offset, the features of each token have mean 0, whatever
    came before and whatever its epsilon is: that tells which two vectors they are.
    """
    last = {
        (scale, offset)
        for scale, offset in itertools.permutations(range(5), 2)
        if _may_end_in(asked, parts.vectors[scale], parts.vectors[offset])
    }
    orders = dict.fromkeys([*USUAL_ORDERS, *itertools.permutations(range(5))])
    return [order for order in orders if order[3:] in last]


def _may_end_in(asked: _Asked, scale: Positions, offset: Positions) -> bool:
    """Whether an output within the tolerance of this one may come out of a normalisation with these vectors."""
    scales, offsets = asked.values[scale], asked.values[offset]
    bound = 2 * FLOAT32_TOLERANCE * max(1.0, float(np.abs(asked.output).max()))
    sums = ((asked.output - offsets) / scales).sum(axis=-1)  # (batch, tokens)
    return bool((np.abs(sums) <= bound * np.sum(1 / np.abs(scales))).all())


USUAL_ORDERS: tuple[Order, ...] = (
    (0, 1, 2, 3, 4), (0, 1, 4, 2, 3), (1, 2, 0, 3, 4), (3, 4, 2, 0, 1), (2, 3, 4, 0, 1), (3, 4, 0, 1, 2),
)  # fmt: skip
"""As they are used first, then any in which a scale stands beside its offset."""


def _fit_epsilons(oracle: BlockOracle, places: Block, asked: _Asked) -> Block | None:
    """Return the record with the epsilons of the submission's normalisations, by least squares; None if none fit."""
    weights, got = values_at(places, asked.values), asked.output

    def predict(epsilons: Floats) -> Floats:
        return oracle(asked.x, with_epsilons(weights, epsilons))

    scale = max(1.0, float(np.abs(got).max()))
    starts = [np.full(2, epsilon) for epsilon in (1e-6, 1e-3)]
    with np.errstate(all="ignore"):
        misses = [float(np.abs(predict(start) - got).max()) for start in starts]
        if not min(misses) < NEAR * scale:
            return None
        epsilons = starts[int(np.argmin(misses))]
        for _ in range(FITS):
            there = predict(epsilons)
            slopes = [(predict(epsilons + step) - there).ravel() / 1e-7 for step in 1e-7 * np.eye(2)]
            change = np.linalg.lstsq(np.stack(slopes, axis=1), (got - there).ravel(), rcond=None)[0]
            epsilons = np.clip(epsilons + change, 0.0, LARGEST_EPSILON)
        return with_epsilons(places, epsilons) if agrees(got, predict(epsilons)) else None


def with_epsilons(record: Block, epsilons: Floats) -> Block:
    """Return a block whose two normalisations have these epsilons."""
    first, second = (float(epsilon) for epsilon in epsilons)
    return replace(record, first=replace(record.first, epsilon=first), second=replace(record.second, epsilon=second))


def unsure(weights: Block) -> Block:
    """Return a block with epsilons that are as far off as a reading's may be."""
    return with_epsilons(weights, np.array([weights.first.epsilon, weights.second.epsilon]) + UNSURE)
