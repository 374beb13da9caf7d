"""The right answers, in NumPy and float64, written from the papers' equations.

Axis names as everywhere in the course: batch, queries, keys, tokens, patches, heads, head_dim, model_dim, patch_dim.
`...` stands for any number of leading axes. The records hold the parameters of each part; a reading (see
`autograder.checking.readings`) is such a record of positions.

Factors named `keep` stand for dropout: what a layer returns is multiplied by them. They are 1 in inference.

Reference: Vaswani et al. 2017, "Attention Is All You Need"; Dosovitskiy et al. 2021, "An Image is Worth
16x16 Words"; Ba et al. 2016, "Layer Normalization"; Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import erf

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Array = np.ndarray[Any, np.dtype[Any]]
"""Of a record: numbers, or in a reading their positions."""
Keep = Floats | float
Attend = Callable[[Floats, Floats, Floats], tuple[Floats, Floats]]
Activation = Callable[[Floats], Floats]


# Attention -----------------------------------------------------------------------------------------------------------


def softmax(logits: Floats, axis: int | tuple[int, ...] = -1) -> Floats:
    """Return exp(logits) normalised along `axis`, without overflow."""
    powers = np.exp(logits - logits.max(axis=axis, keepdims=True))
    return powers / powers.sum(axis=axis, keepdims=True)


def swap(array: Floats) -> Floats:
    """Return the array with its last two axes exchanged."""
    return np.swapaxes(array, -1, -2)


def attention(q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats]:
    """Return output and weights of scaled dot-product attention (Vaswani et al., eq. 1).

    Args:
        q: Queries `(..., queries, head_dim)`.
        k: Keys `(..., keys, head_dim)`.
        v: Values `(..., keys, value_dim)`.

    Returns:
        Output `(..., queries, value_dim)` and weights `(..., queries, keys)`.
    """
    weights = softmax(q @ swap(k) / np.sqrt(q.shape[-1]))
    return weights @ v, weights


@dataclass(frozen=True)
class Projections:
    """Weights of multi-head attention, one matrix a head, whatever layout they came in.

    Attributes:
        query: `(heads, model_dim, head_dim)`.
        key: `(heads, model_dim, head_dim)`.
        value: `(heads, value_dim, head_dim)`.
        output: `(heads, head_dim, output_dim)`.
    """

    query: Array
    key: Array
    value: Array
    output: Array


def project(x: Floats, weights: Floats) -> Floats:
    """Return `(..., heads, tokens, head_dim)` from x `(..., tokens, dim)` and weights `(heads, dim, head_dim)`."""
    return x[..., None, :, :] @ weights


def merge(heads: Floats, output: Floats) -> Floats:
    """Concatenate heads `(..., heads, tokens, head_dim)` per token and project (Vaswani et al., section 3.2.2).

    The product of the concatenated heads with WO is the sum over heads of each head's product with its rows of WO.
    """
    return (heads @ output).sum(axis=-3)  # (..., tokens, output_dim)


def multi_head_attention(
    q: Floats, k: Floats, v: Floats, w: Projections, attend: Attend = attention
) -> tuple[Floats, Floats]:
    """Return output `(..., queries, output_dim)` and weights `(..., heads, queries, keys)`."""
    heads, weights = attend(project(q, w.query), project(k, w.key), project(v, w.value))
    return merge(heads, w.output), weights


# The transformer encoder layer ---------------------------------------------------------------------------------------


def relu(x: Floats) -> Floats:
    """Return the positive part."""
    return np.maximum(x, 0.0)


def gelu(x: Floats) -> Floats:
    """Return x Φ(x), with Φ the normal distribution function."""
    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def gelu_tanh(x: Floats) -> Floats:
    """Return the usual approximation of GELU by a hyperbolic tangent."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


ACTIVATIONS: Sequence[Activation] = (relu, gelu, gelu_tanh)
"""The non-linearities that are accepted, the cheapest first."""


@dataclass(frozen=True)
class Dense:
    """A dense layer: kernel `(..., in, out)` and bias `(out,)`."""

    kernel: Array
    bias: Array


def dense(x: Floats, w: Dense) -> Floats:
    """Return `(..., out)` from x `(..., in)`."""
    return x @ w.kernel + w.bias


@dataclass(frozen=True)
class Mlp:
    """Dense layers in turn.

    Attributes:
        layers: Each of them.
        activations: What follows each layer; None where nothing does, as after the last one.
    """

    layers: tuple[Dense, ...]
    activations: tuple[Activation | None, ...]


def mlp(x: Floats, w: Mlp, keep: Sequence[Keep] | None = None) -> Floats:
    """Return `(..., out)` from x `(..., in)`.

    Args:
        x: Features.
        w: The layers.
        keep: Dropout's factors after each layer's non-linearity.
    """
    for number, (layer, activation) in enumerate(zip(w.layers, w.activations, strict=True)):
        x = dense(x, layer)
        x = x if activation is None else activation(x)
        if keep is not None:
            x = x * keep[number]
    return x


@dataclass(frozen=True)
class Norm:
    """A layer normalisation: scale and offset `(model_dim,)`, and what keeps the division from failing."""

    scale: Array
    offset: Array
    epsilon: float = 0.0


def layer_norm(x: Floats, scale: Floats, offset: Floats, epsilon: float = 0.0) -> Floats:
    """Normalise each token over its features (Ba et al. 2016, eq. 3 and 4).

    Args:
        x: Tokens `(..., model_dim)`.
        scale: `(model_dim,)`.
        offset: `(model_dim,)`.
        epsilon: Added to the variance. Without it, equal features, as after a ReLU, become 0.
    """
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True) + epsilon)
    return centred / np.where(spread > 0, spread, 1) * scale + offset


def normalise(x: Floats, w: Norm) -> Floats:
    """Normalise each token `(..., model_dim)` over its features."""
    return layer_norm(x, w.scale, w.offset, w.epsilon)


@dataclass(frozen=True)
class Block:
    """A transformer encoder layer."""

    attention: Projections
    first: Norm
    network: Mlp
    second: Norm


def block(x: Floats, w: Block, attended_keep: Keep = 1.0, network_keep: Sequence[Keep] | None = None) -> Floats:
    """Return LayerNorm(x + Sublayer(x)) for attention, then for the mlp (Vaswani et al., section 3.1).

    Args:
        x: Tokens `(..., tokens, model_dim)`.
        w: Parameters.
        attended_keep: Dropout's factors on what the attention returns.
        network_keep: Dropout's factors after each layer of the mlp.
    """
    attended, _ = multi_head_attention(x, x, x, w.attention)
    x = normalise(x + attended * attended_keep, w.first)
    return normalise(x + mlp(x, w.network, network_keep), w.second)


# From images to logits -----------------------------------------------------------------------------------------------


def extract_patches(images: Floats, size: int) -> Floats:
    """Return `(batch, patches, patch_dim)`: row by row, inside a patch row, column, channel."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, size * size * channels)


@dataclass(frozen=True)
class Encoder:
    """What turns patches into tokens.

    Attributes:
        projection: Kernel `(patch_dim, model_dim)` and bias.
        token: The class token, `(model_dim,)`.
        positions: One row for each token, in their order, `(patches + 1, model_dim)`.
        token_last: Whether the class token comes last.
    """

    projection: Dense
    token: Array
    positions: Array
    token_last: bool = False


def encode_patches(patches: Floats, w: Encoder) -> Floats:
    """Return `(batch, patches + 1, model_dim)` from `(batch, patches, patch_dim)` (Dosovitskiy et al., eq. 1)."""
    projected = dense(patches, w.projection)
    token = np.broadcast_to(w.token, (len(patches), 1, w.token.shape[-1]))
    tokens = [projected, token] if w.token_last else [token, projected]
    return np.concatenate(tokens, axis=1) + w.positions


@dataclass(frozen=True)
class Vit:
    """A Vision Transformer.

    Attributes:
        encoder: Patches to tokens.
        blocks: In turn.
        head: On the class token.
        logits: The last dense layer.
    """

    encoder: Encoder
    blocks: tuple[Block, ...]
    head: Mlp
    logits: Dense


def vit(
    images: Floats, w: Vit, patch_size: int, attended_keep: Keep = 1.0, head_keep: Sequence[Keep] | None = None
) -> Floats:
    """Return logits `(batch, classes)` (Dosovitskiy et al., eq. 1 to 4, with post-norm layers and an mlp as head)."""
    tokens = encode_patches(extract_patches(images, patch_size), w.encoder)
    for layer in w.blocks:
        tokens = block(tokens, layer, attended_keep)
    class_token = tokens[..., -1 if w.encoder.token_last else 0, :]  # (batch, model_dim)
    return dense(mlp(class_token, w.head, head_keep), w.logits)


def vit_parameters(settings: Mapping[str, Any]) -> int:
    """Return the number of parameters of the lab's Vision Transformer, counted part by part.

    Args:
        settings: The arguments of `create_vit_classifier`.
    """
    (side, _, channels), patch_size = settings["input_shape"], settings["patch_size"]
    width, d = settings["embedding_proj_dim"], settings["msa_proj_dim"]
    patches = (side // patch_size) ** 2
    encoder = dense_parameters(patch_size**2 * channels, width) + (1 + patches + 1) * width
    layer = 4 * settings["num_heads"] * d * d + 2 * (2 * d) + dense_parameters(d, 2 * d) + dense_parameters(2 * d, d)
    widths = [width, *settings["mlp_classification_head_units"], settings["num_classes"]]
    head = sum(dense_parameters(before, after) for before, after in itertools.pairwise(widths))
    return int(encoder + settings["transformer_layers"] * layer + head)


def dense_parameters(before: int, after: int) -> int:
    """Return the number of parameters of one dense layer with bias."""
    return before * after + after
