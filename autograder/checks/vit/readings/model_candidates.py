"""The ways to read a whole Vision Transformer's variables, before it is asked which of them is the right one.

Encoder and block are read by themselves first. In the model, their variables stand together and in the same order, so
that only the head is left to be read. A model may also be made of blocks of its own: then their variables are sorted by
shape, and the model is asked with all of its attention silent, which leaves few ways to read the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autograder.checking.comparisons import Floats
from autograder.checking.readings import ABSENT, all_readings, moved_to, values_at
from autograder.checking.remote import Student
from autograder.checking.variables import Positions, Variables, without
from autograder.checks.vit.oracles.vision_transformer import (
    Block,
    Dense,
    Encoder,
    Mlp,
    Projections,
    Vit,
    vit,
)
from autograder.checks.vit.readings.block_parts import BlockSizes, Parts, sorted_by_shape
from autograder.checks.vit.readings.blocks import USUAL_ORDERS, ReadBlock, read_block, skeletons, with_epsilons
from autograder.checks.vit.readings.encoders import ReadEncoder, encoder_candidates, read_encoder
from autograder.checks.vit.readings.networks import STYLES, calm_output, dense_layers
from autograder.errors import CheckFailed, StudentFault

BATCH = 6
USUAL_EPSILONS = (1e-6, 1e-5, 1e-3)
"""Of normalisations in blocks that cannot be read by themselves: those of the paper, of PyTorch and of Keras."""
OF_ENCODER = (4, 3, 2, 5)
"""How many variables an encoder may have, the usual case first: a kernel, a bias, the class token, the positions."""
ROUGH = 0.02
"""How far logits may be off, relatively, as long as the epsilon is not known."""
USUAL_STYLES = tuple((activation, last) for activation, last in STYLES if last in (None, activation))


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
        Vit(encoder, blocks, Mlp(head[:-1], activation, last), head[-1])
        for encoder in _encoders(student, rest, sizes, rng)
        for activation, last in STYLES
    ]


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
    others = _before_head(variables, head)
    for of_encoder in OF_ENCODER:
        parts = _equal_parts(others[of_encoder:], sizes)
        if not parts:
            continue
        values = without(variables.draw(rng), np.concatenate([part.attention for part in parts]))
        images = sizes.draw_images(rng)
        variables.set(values)
        logits = calm_output(variables.layer, images, (BATCH, sizes.classes))
        models = [
            Vit(encoder, blocks, Mlp(tuple(head[:-1]), activation, last), head[-1])
            for encoder in _encoders(student, others[:of_encoder], sizes, rng)
            for blocks in zip(*map(_silent_blocks, parts), strict=True)
            for activation, last in USUAL_STYLES
        ]
        answer = partial(vit, images, patch_size=sizes.patch_size)
        found = [
            _with_best_epsilon(model, values, answer, logits)
            for model in all_readings(models, values, answer, logits, ROUGH)
        ]
        return [
            replace(model, blocks=tuple(map(_attending, model.blocks, attentions)))
            for model in found
            for attentions in zip(*(part.projections for part in parts), strict=True)
        ]
    return []


def _equal_parts(variables: Sequence[Positions], sizes: VitSizes) -> list[Parts]:
    """Return the parts of blocks of the right sizes, one after the other; none if the variables are none."""
    count, rest = divmod(len(variables), sizes.layers)
    if rest or not count:
        return []
    runs = [variables[start : start + count] for start in range(0, len(variables), count)]
    found = [sorted_by_shape(run, sizes.of_block) for run in runs]
    parts = [part for part in found if part is not None and part.sizes == sizes.of_block]
    return parts if len(parts) == sizes.layers else []


def _silent_blocks(parts: Parts) -> list[Block]:
    """Return the usual ways to read a block, but for its attention, in an order that is the same for all blocks."""
    return [
        block
        for row in skeletons(parts, USUAL_ORDERS)
        for block in row
        if (block.network.activation, block.network.last) in USUAL_STYLES
    ]


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
