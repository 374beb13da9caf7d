"""The ways to read a whole Vision Transformer's variables, before it is asked which of them is the right one.

Encoder and block are read by themselves first. In the model, their variables stand together and in the same order, so
that only the head is left to be read. A model may also be made of blocks of its own: then their variables are sorted by
shape, and the model is asked with all of its attention silent, which leaves few ways to read the rest.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autograder.checking.comparisons import Floats
from autograder.checking.readings import ABSENT, all_readings, moved_to, values_at
from autograder.checking.remote import Student
from autograder.checking.variables import Positions, Variables, without
from autograder.checks.vit.oracles.vision_transformer import (
    ACTIVATIONS,
    Activation,
    Block,
    Dense,
    Encoder,
    Mlp,
    Projections,
    Vit,
    relu,
    vit,
)
from autograder.checks.vit.readings.block_parts import BlockSizes, Parts, sorted_by_shape
from autograder.checks.vit.readings.blocks import USUAL_ORDERS, ReadBlock, read_block, skeletons, with_epsilons
from autograder.checks.vit.readings.encoders import ReadEncoder, encoder_candidates, read_encoder
from autograder.checks.vit.readings.joined import dealt
from autograder.checks.vit.readings.networks import calm_output, dense_layers, inner_activations
from autograder.errors import CheckFailed, StudentFault

BATCH = 6
USUAL_EPSILONS = (1e-6, 1e-5, 1e-3)
"""Of normalisations in blocks that cannot be read by themselves: those of the paper, of PyTorch and of Keras."""
OF_ENCODER = (4, 3, 2, 5)
"""How many variables an encoder may have, the usual case first: a kernel, a bias, the class token, the positions."""
ROUGH, NEAR = 0.3, 1e-3
"""How far logits may be off, relatively, as long as the epsilon is not known, and as soon as it is."""
SILENT_DRAWS = 3
MOST_OF_A_BLOCK, MOST_DEALS = 32, 256
"""Variables of a block, and ways to deal a model's, that are tried: a matrix for each head, kind by kind, has fewer."""

Deal = list[Parts]
"""The parts of each block."""


@dataclass(frozen=True)
class VitSizes:
    """Sizes of a model; all different, so that no axis is mistaken for another."""

    side: int
    channels: int
    patch_size: int
    model_dim: int
    heads: int
    layers: int
    head: tuple[int, ...]
    classes: int

    @property
    def patches(self) -> int:
        """Patches of an image."""
        return (self.side // self.patch_size) ** 2

    @property
    def patch_dim(self) -> int:
        """Numbers in a patch."""
        return self.patch_size**2 * self.channels

    @property
    def of_block(self) -> BlockSizes:
        """Sizes of its blocks."""
        return BlockSizes(self.patches + 1, self.model_dim, self.heads, 2 * self.model_dim)

    def settings(self, attention_rate: float = 0.0, head_rate: float = 0.0) -> dict[str, object]:
        """Return the arguments of `create_vit_classifier`."""
        return {
            "input_shape": (self.side, self.side, self.channels),
            "num_classes": self.classes,
            "patch_size": self.patch_size,
            "embedding_proj_dim": self.model_dim,
            "num_heads": self.heads,
            "msa_proj_dim": self.model_dim,
            "transformer_layers": self.layers,
            "msa_dropout_rate": attention_rate,
            "mlp_classification_head_units": list(self.head),
            "mlp_classification_head_dropout_rate": head_rate,
        }

    def draw_images(self, rng: np.random.Generator, batch: int = BATCH) -> Floats:
        """Return images as float32."""
        return rng.normal(size=(batch, self.side, self.side, self.channels)).astype(np.float32)


def model_candidates(student: Student, variables: Variables, sizes: VitSizes, rng: np.random.Generator) -> list[Vit]:
    """Return the ways to read a model, given how its parts are read.

    Args:
        student: The submission.
        variables: Of its model.
        sizes: Of the model.
        rng: Draws what the parts are asked.

    Raises:
        CheckFailed: If the block is none by itself.
    """
    head = _head(variables, sizes)
    if head is None:
        return []
    one_block = student.once(_block_alone, sizes.of_block, rng)
    if isinstance(one_block, CheckFailed):
        raise one_block
    others = _before_head(variables, head)
    runs = _runs(others, one_block.variables.shapes)
    if len(runs) != sizes.layers:
        return _with_blocks_of_its_own(student, variables, sizes, head, rng)
    blocks = tuple(moved_to(one_block.places, np.concatenate([places.ravel() for places in run])) for run in runs)
    used = np.concatenate([places.ravel() for run in runs for places in run])
    rest = [places for places in others if not np.isin(places, used).any()]
    return [
        Vit(encoder, blocks, Mlp(head[:-1], activations), head[-1])
        for encoder in _encoders(student, rest, sizes, rng)
        for activations in _head_activations(len(head) - 1)
    ]


def _head_activations(layers: int) -> list[tuple[Activation | None, ...]]:
    """Return the non-linearities that may follow so many layers of the head.

    After the last one there may be none, one, or the same twice: the mlp's own and that of the head.
    """
    twice = [_twice(activation) for activation in ACTIVATIONS if activation is not relu]
    return [(*inner, last) for inner in inner_activations(layers) for last in (None, *ACTIVATIONS, *twice)]


def _twice(activation: Activation) -> Activation:
    return lambda x: activation(activation(x))


def _head(variables: Variables, sizes: VitSizes) -> tuple[Dense, ...] | None:
    try:
        return dense_layers(variables.positions, (sizes.model_dim, *sizes.head, sizes.classes))
    except CheckFailed:
        return None


def _before_head(variables: Variables, head: Sequence[Dense]) -> list[Positions]:
    taken = np.concatenate([places.ravel() for layer in head for places in (layer.kernel, layer.bias)])
    return [places for places in variables.positions if not np.isin(places, taken).any()]


def _block_alone(student: Student, sizes: BlockSizes, rng: np.random.Generator) -> ReadBlock | CheckFailed:
    try:
        found = read_block(student, sizes, 0.0, rng)
    except CheckFailed as failed:
        return failed
    return found.unread or found


def _runs(variables: Sequence[Positions], shapes: tuple[tuple[int, ...], ...]) -> list[list[Positions]]:
    """Return neighbouring variables that have these shapes, in this order, as often as there are some."""
    runs, start = [], 0
    while start + len(shapes) <= len(variables):
        run = list(variables[start : start + len(shapes)])
        found = tuple(places.shape for places in run) == shapes
        if found:
            runs.append(run)
        start += len(shapes) if found else 1
    return runs


def _with_blocks_of_its_own(
    student: Student, variables: Variables, sizes: VitSizes, head: Sequence[Dense], rng: np.random.Generator
) -> list[Vit]:
    """Return the ways to read a model whose blocks have other variables than `transformerBlock` makes.

    With the attention of all blocks at 0, the model's answer leaves few ways to read the rest; each may stand beside
    every reading of the attention.
    """
    for of_encoder, of_blocks in _encoder_apart(_before_head(variables, head), sizes):
        candidates = []
        for deals in _equal_parts(of_blocks, sizes):
            models = [
                Vit(encoder, blocks, Mlp(tuple(head[:-1]), activations), head[-1])
                for encoder in _encoders(student, of_encoder, sizes, rng)
                for blocks in zip(*map(_silent_blocks, deals[0]), strict=True)
                for activations in _head_activations(len(head) - 1)
            ]
            attention = np.concatenate([part.attention for part in deals[0]])
            candidates += [
                replace(model, blocks=tuple(map(_attending, model.blocks, attentions)))
                for model in _right_without_attention(variables, models, attention, sizes, rng)
                for parts in deals
                for attentions in zip(*(part.projections for part in parts), strict=True)
            ]
        if candidates:
            return candidates
    return []


def _encoder_apart(variables: list[Positions], sizes: VitSizes) -> Iterator[tuple[list[Positions], list[Positions]]]:
    """Yield the ways to take the encoder's variables out of a model's: the first ones, or those that shapes tell.

    A bias stands beside its kernel. A class token that is the model's own stands first, else beside the positions.
    """
    for count in OF_ENCODER:
        yield variables[:count], variables[count:]
    width, number_of = sizes.model_dim, {places.size: number for number, places in enumerate(variables)}
    kernel, table = (number_of.get(rows * width) for rows in (sizes.patch_dim, sizes.patches + 1))
    if kernel is None or table is None:
        return
    for bias, token in itertools.product((kernel + 1, kernel - 1), (0, table - 1, table + 1)):
        chosen = {kernel, table, bias, token}
        of_encoder = [variables[number] for number in sorted(chosen) if 0 <= number < len(variables)]
        if len(of_encoder) == 4 and max(chosen) >= 4:
            yield of_encoder, [places for number, places in enumerate(variables) if number not in chosen]


def _right_without_attention(
    variables: Variables, models: list[Vit], attention: Positions, sizes: VitSizes, rng: np.random.Generator
) -> list[Vit]:
    """Return the readings that hold as long as the attention is 0, each with the best of the usual epsilons.

    The class token then meets no other token: its logits are those of a single vector, which a wrong reading may come
    near in one draw.
    """
    for number in range(SILENT_DRAWS):
        if models:
            values, images = without(variables.draw(rng), attention), sizes.draw_images(rng)
            variables.set(values)
            logits = calm_output(variables.layer, images, (BATCH, sizes.classes))
            answer = partial(vit, images, patch_size=sizes.patch_size)
            found = list(all_readings(models, values, answer, logits, NEAR if number else ROUGH))
            models = found if number else [_with_best_epsilon(model, values, answer, logits) for model in found]
    return models


def _equal_parts(variables: Sequence[Positions], sizes: VitSizes) -> list[list[Deal]]:
    """Return the ways to deal variables to blocks of these sizes, those together that differ in the attention alone."""
    deals: dict[bytes, list[Deal]] = {}
    if len(variables) > sizes.layers * MOST_OF_A_BLOCK:
        return []
    for runs in itertools.islice(dealt(variables, sizes.layers), MOST_DEALS):
        found = [sorted_by_shape(run, sizes.of_block) for run in runs]
        parts = [part for part in found if part is not None and part.sizes == sizes.of_block]
        if len(parts) == sizes.layers:
            vectors = np.concatenate([vector for part in parts for vector in part.vectors])
            deals.setdefault(vectors.tobytes(), []).append(parts)
    return list(deals.values())


def _silent_blocks(parts: Parts) -> list[Block]:
    """Return the usual ways to read a block, but for its attention, in an order that is the same for all blocks."""
    return [block for row in skeletons(parts, USUAL_ORDERS) for block in row if _is_usual(block.network.activations)]


def _is_usual(activations: tuple[Activation | None, ...]) -> bool:
    """Whether all non-linearities are of one kind, the last one too if there is one."""
    return len({kind for kind in activations if kind is not None}) <= 1


def _with_best_epsilon(model: Vit, values: Floats, answer: Callable[[Vit], Floats], logits: Floats) -> Vit:
    """Return a reading with the usual epsilon under which it comes closest to these logits."""

    def misses(epsilon: float) -> float:
        return float(np.abs(answer(values_at(_with_epsilon(model, epsilon), values)) - logits).max())

    return _with_epsilon(model, min(USUAL_EPSILONS, key=misses))


def _with_epsilon(model: Vit, epsilon: float) -> Vit:
    return replace(model, blocks=tuple(with_epsilons(block, np.full(2, epsilon)) for block in model.blocks))


def _attending(block: Block, attention: Projections) -> Block:
    return replace(block, attention=attention)


def _encoders(
    student: Student, variables: Sequence[Positions], sizes: VitSizes, rng: np.random.Generator
) -> list[Encoder]:
    """Return the ways to read the encoder: as it is read alone, else by the shapes of its variables."""
    tokens, patch_dim, width = sizes.patches + 1, sizes.patch_dim, sizes.model_dim
    alone = student.once(_encoder_alone, sizes, rng)
    if alone is not None and alone.variables.shapes == tuple(places.shape for places in variables):
        return [moved_to(alone.places, np.concatenate([places.ravel() for places in variables]))]
    by_shape = encoder_candidates(variables, tokens, patch_dim, width)
    if by_shape or len(variables) != 2:
        return by_shape
    projection = dense_layers(variables, (patch_dim, width))[0]  # patches without a class token and positions
    return [Encoder(projection, np.full(width, ABSENT), np.full((tokens, width), ABSENT))]


def _encoder_alone(student: Student, sizes: VitSizes, rng: np.random.Generator) -> ReadEncoder | None:
    try:
        layer = student.layer("PatchEncoder", sizes.patches, sizes.model_dim)
        patches = rng.normal(size=(BATCH, sizes.patches, sizes.patch_dim)).astype(np.float32)
        layer(patches)
        return read_encoder(layer, patches, sizes.model_dim, rng)
    except StudentFault:  # another task is about it
        return None
