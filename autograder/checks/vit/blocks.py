"""Read a submission's transformer block: which of its variables are which parameter.

With all weights of the attention set to 0, what remains tells the order of the vectors (scales, offsets, a bias), the
non-linearity and the epsilons of the normalisations; with all weights set, only the attention is left to be read.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.comparisons import Floats, close, fail, require
from autograder.checking.mistakes import Mistake
from autograder.checking.readings import positions_in, values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Variables
from autograder.checks.vit.block_mistakes import OF_BLOCKS, BlockOracle
from autograder.checks.vit.block_parts import BlockSizes, Parts, blame_for_shapes, sorted_by_discovery, sorted_by_shape
from autograder.checks.vit.heads import has_known_layout
from autograder.checks.vit.networks import ALWAYS_ON, DRAWS, STYLES, calm_output
from autograder.checks.vit.oracle import Block, Dense, Mlp, Norm, block
from autograder.errors import CheckFailed

BATCH = 3

LARGEST_EPSILON = 5e-3
"""Of a normalisation: 1e-3 is Keras' default, and averaging in place of adding makes it four times as large."""
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
    """

    variables: Variables
    places: Block
    sizes: BlockSizes
    oracle: BlockOracle = block
    mistake: Mistake | None = None
    always_on: bool = False

    @property
    def layer(self) -> Layer:
        """The model itself."""
        return self.variables.layer

    def in_another(self, layer: Layer) -> ReadBlock:
        """Return the same reading of another block of the submission's, which must have the same variables."""
        variables = Variables(layer)
        require(variables.shapes == self.variables.shapes, "The block has other weights with another dropout_rate.")
        return replace(self, variables=variables)

    def silenced(self, values: Floats, part: object) -> Floats:
        """Return values with one part of the record, such as `places.attention`, at 0, and set them."""
        values = values.copy()
        values[positions_in(part)] = 0.0
        self.variables.set(values)
        return values


def read_block(student: Student, sizes: BlockSizes, rate: float, rng: np.random.Generator) -> ReadBlock:
    """Find out how a submission's block is to be read.

    Args:
        student: The submission.
        sizes: Of the block.
        rate: Of its dropout.
        rng: Draws tokens and weights.

    Raises:
        CheckFailed: If it is no block, right or with a mistake that we know.
    """
    try:
        return _read_model(student, sizes.model(student, rate), sizes, rng)
    except CheckFailed as failed:
        if failed.misconception != ALWAYS_ON.slug:
            raise
    return replace(_read_model(student, sizes.model(student, 0.0), sizes, rng), always_on=True)


def _read_model(student: Student, model: Layer, sizes: BlockSizes, rng: np.random.Generator) -> ReadBlock:
    variables = Variables(model)
    parts = sorted_by_shape(variables, sizes)
    found = _read(variables, parts, rng) if parts else None
    if found is None:
        require(bool(np.any(model(draw_tokens(rng, sizes)))), "The output: all values are zero.", "only_zeros")
        if not has_known_layout(student, sizes.of_heads, rng):
            parts = sorted_by_discovery(student, variables, sizes, rng)
        found = _read(variables, parts, rng) if parts else None  # or the first draw was a bad one
    if found is not None:
        return found
    blame_for_shapes(variables, sizes)
    fail(
        "The output is not that of attention, residual, normalisation, mlp, residual, normalisation, in that order, "
        "with the heads and widths that are asked for."
    )


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
    silent = values.copy()
    silent[parts.attention] = 0.0
    variables.set(silent)
    calm = calm_output(variables.layer, x, x.shape)
    variables.set(values)
    output = calm_output(variables.layer, x, x.shape)
    for oracle, mistake in _oracles():
        for skeletons in _skeletons(parts, usual=mistake is not None):
            fits = []
            for skeleton in skeletons:
                fitted = _fit_epsilons(oracle, skeleton, silent, x, calm)
                for reading in parts.projections if fitted else ():
                    whole = _fit_epsilons(oracle, replace(skeleton, attention=reading), values, x, output)
                    if whole is not None:
                        fits.append(ReadBlock(variables, whole, parts.sizes, oracle, mistake))
                        break
            if fits:  # more than one where all units are silent, so that non-linearities agree
                return fits
    return []


def _oracles() -> Iterator[tuple[BlockOracle, Mistake | None]]:
    yield block, None
    for mistake in OF_BLOCKS:
        yield mistake, mistake


def _skeletons(parts: Parts, *, usual: bool) -> Iterator[list[Block]]:
    """Yield the ways to read all but the attention, the usual orders of the vectors first or alone, in every style."""
    orders = list(_USUAL_ORDERS)
    if not usual:
        orders += [order for order in itertools.permutations(range(5)) if order not in _USUAL_ORDERS]
    for order in orders:
        scale, offset, bias, second_scale, second_offset = (parts.vectors[place] for place in order)
        layers = (parts.first, Dense(parts.kernel, bias))
        yield [
            Block(
                attention=parts.projections[0],
                first=Norm(scale, offset),
                network=Mlp(layers, activation, last),
                second=Norm(second_scale, second_offset),
            )
            for activation, last in STYLES
        ]


_USUAL_ORDERS: tuple[tuple[int, ...], ...] = (
    (0, 1, 2, 3, 4), (0, 1, 4, 2, 3), (1, 2, 0, 3, 4), (3, 4, 2, 0, 1), (2, 3, 4, 0, 1), (3, 4, 0, 1, 2),
)  # fmt: skip
"""Where scale, offset, the mlp's bias, scale and offset stand: as they are used first, then any in which a scale stands
beside its offset."""


def _fit_epsilons(oracle: BlockOracle, places: Block, values: Floats, x: Floats, got: Floats) -> Block | None:
    """Return the record with the epsilons of the submission's normalisations, by least squares; None if none fit."""
    weights = values_at(places, values)

    def predict(epsilons: Floats) -> Floats:
        return oracle(x, _with_epsilons(weights, epsilons))

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
        return _with_epsilons(places, epsilons) if close(got, predict(epsilons)) else None


def _with_epsilons(record: Block, epsilons: Floats) -> Block:
    first, second = (float(epsilon) for epsilon in epsilons)
    return replace(record, first=replace(record.first, epsilon=first), second=replace(record.second, epsilon=second))
