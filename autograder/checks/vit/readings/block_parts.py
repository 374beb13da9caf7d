"""Sort the variables of a transformer block by their shapes, before anything is asked of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.mistakes import blame
from autograder.checking.readings import moved_to
from autograder.checking.remote import Layer, Student, node
from autograder.checking.variables import Positions, Variables, is_vector
from autograder.checks.vit.mistakes.blocks import NO_ATTENTION, NO_MLP, NORM_MISSING, NORM_OVER_OTHER_AXIS
from autograder.checks.vit.oracles.vision_transformer import Dense, Projections
from autograder.checks.vit.readings.heads import SMALL_EQUAL, discover_heads
from autograder.checks.vit.readings.joined import pair_in
from autograder.checks.vit.readings.layouts import Sizes, projections


@dataclass(frozen=True)
class BlockSizes:
    """Sizes of a block; all different, so that no axis is mistaken for another.

    Attributes:
        tokens: Of a sequence.
        model_dim: Features of each.
        heads: Of the attention.
        hidden: Width of the mlp's first layer.
        between: Widths of further layers before its last; none where a block is read.
    """

    tokens: int
    model_dim: int
    heads: int
    hidden: int
    between: tuple[int, ...] = ()

    @property
    def widths(self) -> list[int]:
        """Of the mlp's layers."""
        return [self.hidden, *self.between, self.model_dim]

    @property
    def of_heads(self) -> Sizes:
        """Sizes of its attention."""
        return Sizes(self.heads, self.model_dim, self.model_dim, self.model_dim)

    def model(self, student: Student, *rate: float, on: Sequence[int] = (0,)) -> Layer:
        """Return the submission's block of these sizes as a model, the last one of several.

        Args:
            student: The submission.
            rate: Of dropout; without one, the block's own default holds.
            on: What each block is called on: 0 for the tokens that come in, then the number of an earlier block.
        """
        nodes = [node("transformerBlock", [number], self.heads, self.model_dim, self.widths, *rate) for number in on]
        return student.model([(self.tokens, self.model_dim)], *nodes)


@dataclass(frozen=True)
class Parts:
    """Variables sorted by shape.

    Attributes:
        attention: All positions of the attention.
        projections: The ways to read them.
        vectors: With a value for each feature: scales, offsets, and the mlp's second bias.
        first: The mlp's first layer.
        kernel: The kernel of the mlp's second layer.
        sizes: What they have.
    """

    attention: Positions
    projections: list[Projections]
    vectors: list[Positions]
    first: Dense
    kernel: Positions
    sizes: BlockSizes


def sorted_by_shape(variables: Sequence[Positions], sizes: BlockSizes) -> Parts | None:
    """Return the variables by their shapes, which tell heads and widths; None if they are not those of a block.

    Nor are they where the attention's layout has to be discovered.
    """
    variables = _with_pairs_apart(variables, sizes)
    matrices = [places for places in variables if not is_vector(places)]
    hidden = _hidden_of(variables, sizes)
    for shape in ((sizes.model_dim, hidden), (hidden, sizes.model_dim)):  # the mlp comes after the attention
        last = max((place for place, matrix in enumerate(matrices) if _shape(matrix) == shape), default=None)
        if last is None:
            return None
        del matrices[last]
    heads, rest = divmod(sum(places.size for places in matrices), 4 * sizes.model_dim**2)
    if rest or not heads:
        return None
    found = replace(sizes, heads=heads)
    readings = list(projections(matrices, found.of_heads))
    return _rest_of(variables, readings, matrices, found) if readings else None


def _with_pairs_apart(variables: Sequence[Positions], sizes: BlockSizes) -> list[Positions]:
    """Return the variables, with a vector of its own for each scale and each offset of a normalisation."""
    return [vector for places in variables for vector in pair_in(places, sizes.model_dim)]


def _shape(places: Positions) -> tuple[int, ...]:
    return tuple(size for size in places.shape if size != 1)


def _hidden_of(variables: Sequence[Positions], sizes: BlockSizes) -> int:
    """Return the width of the mlp's first layer, as its bias shows it; 0 if there is none."""
    lengths = [places.size for places in variables if is_vector(places) and places.size != sizes.model_dim]
    return lengths[0] if len(lengths) == 1 else 0


def sorted_by_discovery(
    student: Student, variables: Variables, sizes: BlockSizes, rng: np.random.Generator
) -> Parts | None:
    """Return the variables where those of the attention are of a layout that has to be discovered.

    That takes a question for each weight. A wrong attention is none of a small size, either, which is found out sooner.
    """
    student.once(discover_heads, SMALL_EQUAL, rng)
    heads = student.once(discover_heads, sizes.of_heads, rng)
    shapes, count = heads.variables.shapes, len(heads.variables.shapes)
    starts = [start for start in range(len(variables.shapes)) if variables.shapes[start : start + count] == shapes]
    if not starts:
        return None
    attention = list(variables.positions[starts[0] : starts[0] + count])
    row = np.concatenate([places.ravel() for places in attention])
    return _rest_of(_with_pairs_apart(variables.positions, sizes), [moved_to(heads.places, row)], attention, sizes)


def _rest_of(
    variables: Sequence[Positions], readings: list[Projections], attention: list[Positions], sizes: BlockSizes
) -> Parts | None:
    """Return all parts, given the attention's; None if the others are not those of an mlp and two normalisations."""
    taken = np.concatenate([places.ravel() for places in attention])
    others = [places for places in variables if not np.isin(places, taken).any()]
    vectors = [places.reshape(-1) for places in others if is_vector(places) and places.size == sizes.model_dim]
    biases = [places.reshape(-1) for places in others if is_vector(places) and places.size != sizes.model_dim]
    kernels = [places for places in others if not is_vector(places)]
    if (len(vectors), len(biases), len(kernels)) != (5, 1, 2):
        return None
    found = replace(sizes, hidden=biases[0].size)
    into, out = (found.model_dim, found.hidden), (found.hidden, found.model_dim)
    first, second = (places.reshape(_shape(places)) for places in kernels)
    if (first.shape, second.shape) == (out, into):
        first, second = second, first
    if (first.shape, second.shape) != (into, out):
        return None
    return Parts(taken, readings, vectors, Dense(first, biases[0]), second, found)


def blame_for_shapes(variables: Sequence[Positions], sizes: BlockSizes) -> None:
    """Name what the weights' shapes show to be missing."""
    d, tokens = sizes.model_dim, sizes.tokens
    variables = _with_pairs_apart(variables, sizes)
    shapes = [_shape(places) for places in variables]
    if not shapes:
        blame(NO_ATTENTION)
    if (tokens,) in shapes or (tokens, d) in shapes or (1, tokens, d) in shapes:
        blame(NORM_OVER_OTHER_AXIS)
    if shapes.count((d,)) <= 3:
        blame(NORM_MISSING)
    if not _hidden_of(variables, sizes):
        blame(NO_MLP)
    if len([shape for shape in shapes if len(shape) > 1]) <= 3:
        blame(NO_ATTENTION)
