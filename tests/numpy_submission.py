"""A submission in NumPy: the lab's parts in several right styles, in float32, with dropout in training."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from autograder import wire
from autograder.checking.comparisons import Floats
from autograder.checking.readings import values_at
from autograder.checking.remote import Layer, Student
from autograder.checks.vit.oracles.vision_transformer import (
    Activation,
    Block,
    Dense,
    Encoder,
    Keep,
    Mlp,
    Norm,
    Projections,
    Vit,
    block,
    dense,
    encode_patches,
    extract_patches,
    gelu,
    gelu_tanh,
    mlp,
    relu,
)
from autograder.checks.vit.readings.encoders import EncoderOracle
from tests.numpy_layers import NumpyLayer

Drop = Callable[[float, Sequence[int]], Keep]
"""Returns what dropout of a rate multiplies an array of some shape by: 1 in inference."""


@dataclass(frozen=True)
class Style:
    """How a submission writes its parts.

    Attributes:
        activation: Between dense layers.
        last: After an mlp's last one.
        epsilon: Of the normalisations.
        order: Of a block's variables.
        three_axes: Whether the projections have an axis for the heads.
        joined: Whether queries, keys and values share a variable, and so do a scale and its offset.
        by_kind: Whether the model makes all parts of one kind before those of the next one.
        again: Whether the block drops units once more after the mlp did.
        rate: Of the dropout in the model's blocks, whatever is asked for.
        token_last: Whether the class token comes last.
        attends: What its block computes.
        encodes: What its encoder computes.
    """

    activation: Activation = relu
    last: Activation | None = None
    epsilon: float = 1e-6
    order: str = "attention first network second"
    three_axes: bool = False
    joined: bool = False
    by_kind: bool = False
    again: bool = False
    rate: float | None = None
    token_last: bool = False
    attends: Callable[..., Floats] = block
    encodes: EncoderOracle = encode_patches


STYLES = {
    "plain": Style(),
    "gelu": Style(activation=gelu, epsilon=1e-3, again=True, three_axes=True, order="first second attention network"),
    "gelu by tanh": Style(activation=gelu_tanh, last=relu, epsilon=1e-5, order="attention network first second"),
    "averages": Style(activation=relu, last=gelu, epsilon=4e-3, token_last=True, again=True),
    "joined": Style(activation=gelu, epsilon=1e-5, joined=True, by_kind=True),
}


class _Variables:
    """Gives positions to one variable after the other."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self._next = 0

    def add(self, *shape: int) -> Any:
        self.shapes.append(shape)
        start, self._next = self._next, self._next + int(np.prod(shape))
        return np.arange(start, self._next).reshape(shape)

    def dense(self, before: int, after: int) -> Dense:
        return Dense(self.add(before, after), self.add(after))

    def network(self, style: Style, widths: Sequence[int]) -> Mlp:
        layers = [self.dense(before, after) for before, after in pairwise(widths)]
        return Mlp(tuple(layers), (style.activation,) * (len(layers) - 1) + (style.last,))

    def blocks(self, style: Style, count: int, heads: int, dim: int, units: Sequence[int]) -> list[Block]:
        parts: list[dict[str, Any]] = [{} for _ in range(count)]
        places = [(number, name) for number in range(count) for name in style.order.split()]
        for number, name in sorted(places, key=lambda place: style.by_kind and style.order.index(place[1])):
            parts[number][name] = self._part(name, style, heads, [dim, *units])
        return [Block(**part) for part in parts]

    def _part(self, name: str, style: Style, heads: int, widths: Sequence[int]) -> Any:
        if name == "attention":
            return self._attention(style, heads, widths[0])
        if name == "network":
            return self.network(style, widths)
        scale, offset = self.add(2, widths[0]) if style.joined else (self.add(widths[0]), self.add(widths[0]))
        return Norm(scale, offset, style.epsilon)

    def _attention(self, style: Style, heads: int, dim: int) -> Projections:
        if style.joined:
            inward = self.add(dim, 3 * heads * dim).reshape(dim, 3, heads, dim).transpose(1, 2, 0, 3)
        elif style.three_axes:
            inward = [self.add(heads, dim, dim) for _ in range(3)]
        else:
            inward = [self.add(dim, heads * dim).reshape(dim, heads, dim).transpose(1, 0, 2) for _ in range(3)]
        return Projections(inward[0], inward[1], inward[2], self.add(heads * dim, dim).reshape(heads, dim, dim))

    def encoder(self, style: Style, patches: int, patch_dim: int, dim: int) -> Encoder:
        projection, token = self.dense(patch_dim, dim), self.add(1, 1, dim).reshape(dim)
        return Encoder(projection, token, self.add(patches + 1, dim), style.token_last)


class _Model(NumpyLayer):
    """A layer that may drop units in training.

    Args:
        shapes: Of the variables.
        function: Called with inputs, the vector of all variables, and what drops units.
        rng: Draws masks.
    """

    def __init__(
        self, shapes: Sequence[tuple[int, ...]], function: Callable[..., Floats], rng: np.random.Generator
    ) -> None:
        super().__init__(shapes, lambda *given: function(*given, lambda rate, shape: 1.0))
        self._in_training, self._rng = function, rng

    def __call__(self, *inputs: Floats, training: bool | None = None) -> Any:
        """Return the output."""
        if not training:
            return super().__call__(*inputs).astype(np.float32)
        output = self._in_training(*(array.astype(np.float32) for array in inputs), self._values, self._drop)
        return output.astype(np.float32)

    def _drop(self, rate: float, shape: Sequence[int]) -> Keep:
        return (self._rng.random(shape) >= rate) / (1 - rate)


class _EncoderLayer(_Model):
    """A patch encoder that is built by the first patches it gets."""

    def __init__(self, build: Callable[[int], tuple[Sequence[tuple[int, ...]], Callable[..., Floats]]]) -> None:
        super().__init__((), lambda patches, values, drop: patches, np.random.default_rng(0))
        self._build = build

    def __call__(self, *inputs: Floats, training: bool | None = None) -> Any:
        """Return the tokens."""
        if not self._shapes:
            shapes, encode = self._build(inputs[0].shape[-1])
            super().__init__(shapes, encode, np.random.default_rng(0))
        return super().__call__(*inputs, training=training)


class NumpySubmission(Student):
    """Answers as a submission in this style does.

    Args:
        style: How it writes its parts.
        seed: Of the masks in training.
    """

    def __init__(self, style: Style, seed: int) -> None:
        super().__init__(self._no_question, self._no_question, 1.0)
        self._style, self._rng = style, np.random.default_rng((seed, 1))

    def _no_question(self, *_: object) -> Any:
        raise AssertionError("what stands here has no process to ask")

    def model(self, inputs: Sequence[Sequence[int | None]], *nodes: wire.Node) -> Layer:
        """Return a model of one part."""
        width = int(inputs[0][-1] or 0)
        if nodes[0].name == "mlp":
            return self._networks(width, _chain_to_the_last(nodes))
        given = _given(nodes[0])
        if nodes[0].name == "PatchEncoder":
            return _Model(*self._encoder(width, *given), self._rng)
        return self._blocks(len(nodes), *given)

    def layer(self, name: str, *args: Any, **kwargs: Any) -> Layer:
        """Return a layer, or the whole model."""
        if name == "create_vit_classifier":
            return self._vit(kwargs)
        return _EncoderLayer(lambda width: self._encoder(width, *args))

    def _networks(self, width: int, chain: Sequence[wire.Node]) -> Layer:
        """Return a model of one mlp after the other."""
        variables, places, rates = _Variables(), [], []
        for units, rate in map(_given, chain):
            places.append(variables.network(self._style, [width, *units]))
            rates.append(rate)
            width = units[-1]

        def run(x: Floats, values: Floats, drop: Drop) -> Floats:
            for part, rate in zip(places, rates, strict=True):
                weights = values_at(part, values)
                x = mlp(x, weights, [drop(rate, (*x.shape[:-1], layer.bias.size)) for layer in weights.layers])
            return x

        return _Model(variables.shapes, run, self._rng)

    def _blocks(self, count: int, heads: int, dim: int, units: Sequence[int], rate: float = 0.1) -> Layer:
        variables = _Variables()
        blocks = [variables.blocks(self._style, 1, heads, dim, units)[0] for _ in range(count)]

        def run(x: Floats, values: Floats, drop: Drop) -> Floats:
            for places in blocks:
                x = self._run_block(x, values_at(places, values), rate, drop)
            return x

        return _Model(variables.shapes, run, self._rng)

    def _run_block(self, x: Floats, weights: Block, rate: float, drop: Drop) -> Floats:
        inside = [drop(rate, (*x.shape[:-1], layer.bias.size)) for layer in weights.network.layers[:-1]]
        last = drop(rate, x.shape) * (drop(rate, x.shape) if self._style.again else 1.0)
        return self._style.attends(x, weights, drop(rate, x.shape), [*inside, last])

    def _encoder(
        self, width: int, patches: int = 4, dim: int = 768
    ) -> tuple[Sequence[tuple[int, ...]], Callable[..., Floats]]:
        variables = _Variables()
        places, encode = variables.encoder(self._style, patches, width, dim), self._style.encodes
        return variables.shapes, lambda x, values, drop: encode(x, values_at(places, values))

    def _vit(self, settings: Mapping[str, Any]) -> Layer:
        side, _, channels = settings["input_shape"]
        size, dim, head = settings["patch_size"], settings["msa_proj_dim"], settings["mlp_classification_head_units"]
        patches, rate = (side // size) ** 2, settings["mlp_classification_head_dropout_rate"]
        of_blocks = settings["msa_dropout_rate"] if self._style.rate is None else self._style.rate
        variables = _Variables()
        encoder = variables.encoder(self._style, patches, size**2 * channels, dim)
        layers, heads = settings["transformer_layers"], settings["num_heads"]
        blocks = variables.blocks(self._style, layers, heads, dim, [2 * dim, dim])
        network = variables.network(self._style, [dim, *head])
        places = Vit(encoder, tuple(blocks), network, variables.dense(head[-1], settings["num_classes"]))

        def run(images: Floats, values: Floats, drop: Drop) -> Floats:
            weights = values_at(places, values)
            tokens = encode_patches(extract_patches(images, size), weights.encoder)
            for part in weights.blocks:
                tokens = self._run_block(tokens, part, of_blocks, drop)
            features = mlp(
                tokens[:, -1 if self._style.token_last else 0],
                weights.head,
                [drop(rate, (len(images), width)) for width in head],
            )
            return dense(features, weights.logits)

        return _Model(variables.shapes, run, self._rng)


def _chain_to_the_last(nodes: Sequence[wire.Node]) -> list[wire.Node]:
    """Return the last node and those that lead to it, first things first. Each takes one tensor."""
    chain, place = [], len(nodes)
    while place > 0:
        chain.append(nodes[place - 1])
        place = nodes[place - 1].inputs[0]
    return chain[::-1]


def _given(node: wire.Node) -> list[Any]:
    return [_plain(value) for value in [*node.args, *(node.init or ())]]


def _plain(value: wire.Value) -> Any:
    plain = wire.from_value(value)
    return list(plain) if isinstance(plain, tuple) else plain
