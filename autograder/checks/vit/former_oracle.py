"""The right answers, in NumPy and float64, written from the papers' equations.

Axis names as everywhere in the course: batch, queries, keys, tokens, patches, heads, head_dim, model_dim.

Reference: Vaswani et al. 2017, "Attention Is All You Need"; Dosovitskiy et al. 2021, "An Image is Worth
16x16 Words"; Ba et al. 2016, "Layer Normalization"; Hendrycks and Gimpel 2016, "Gaussian Error Linear Units".
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]
Layer = Callable[[Floats], Floats]


def softmax(logits: Floats, axis: int = -1) -> Floats:
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


def wrong_attention(q: Floats, k: Floats, v: Floats) -> dict[str, tuple[Floats, Floats]]:
    """Return misconception to output and weights, for the mistakes that keep the shapes."""
    d, logits = q.shape[-1], q @ swap(k)
    wrong = {
        "unscaled": softmax(logits),
        "scaled_by_d": softmax(logits / d),
        "scale_inverted": softmax(logits * np.sqrt(d)),
        "scaled_by_wrong_size": softmax(logits / np.sqrt(k.shape[-2])),
        "scaled_by_value_size": softmax(logits / np.sqrt(v.shape[-1])),
        "softmax_over_queries": softmax(logits / np.sqrt(d), axis=-2),
        "softmax_missing": logits / np.sqrt(d),
        "scaled_after_softmax": softmax(logits) / np.sqrt(d),
    }
    if len(q.shape) > 2:
        wrong["softmax_over_batch"] = softmax(logits / np.sqrt(d), axis=0)
    return {slug: (weights @ v, weights) for slug, weights in wrong.items()}


@dataclass(frozen=True)
class Projections:
    """Weights of multi-head attention, one matrix a head, whatever layout they came in.

    Attributes:
        query: `(heads, model_dim, head_dim)`.
        key: `(heads, model_dim, head_dim)`.
        value: `(heads, value_dim, head_dim)`.
        output: `(heads, head_dim, output_dim)`.
    """

    query: Floats
    key: Floats
    value: Floats
    output: Floats


def project(x: Floats, weights: Floats) -> Floats:
    """Return `(batch, heads, tokens, head_dim)` from x `(batch, tokens, dim)` and weights `(heads, dim, head_dim)`."""
    return np.einsum("btd,hdp->bhtp", x, weights)


def merge(heads: Floats, output: Floats) -> Floats:
    """Concatenate heads `(batch, heads, tokens, head_dim)` per token and project (Vaswani et al., section 3.2.2)."""
    return np.einsum("bhtp,hpo->bto", heads, output)


def multi_head_attention(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
    """Return output `(batch, queries, output_dim)` and weights `(batch, heads, queries, keys)`."""
    heads, weights = attention(project(q, w.query), project(k, w.key), project(v, w.value))
    return merge(heads, w.output), weights


def wrong_multi_head_attention(q: Floats, k: Floats, v: Floats, w: Projections) -> dict[str, Floats]:
    """Return misconception to output, for the mistakes that keep the shapes."""
    queries, keys, values = project(q, w.query), project(k, w.key), project(v, w.value)
    heads, _ = attention(queries, keys, values)  # (batch, heads, queries, head_dim)
    batch, count, tokens, width = heads.shape
    stacked = w.output.reshape(count * width, -1)  # (heads * head_dim, output_dim)
    wrong: dict[str, Floats] = {"heads_not_merged": heads.reshape(batch, tokens, count * width) @ stacked}
    scale = np.sqrt(width)
    for slug, factor in (("unscaled", scale), ("scaled_by_d", 1 / scale), ("scale_inverted", scale * scale)):
        wrong[slug] = merge(attention(queries * factor, keys, values)[0], w.output)
    for slug, size in (("scaled_by_model_size", q.shape[-1]), ("scaled_by_shared_size", width / count)):
        wrong[slug] = merge(attention(queries * scale / np.sqrt(size), keys, values)[0], w.output)
    over_queries = softmax(queries @ swap(keys) / scale, axis=-2) @ values
    wrong["softmax_over_queries"] = merge(over_queries, w.output)
    if k.shape == v.shape and w.key.shape == w.value.shape:
        wrong["values_from_keys"] = merge(attention(queries, keys, project(k, w.value))[0], w.output)
        wrong["key_projection_for_values"] = merge(attention(queries, keys, project(v, w.key))[0], w.output)
    wrong["query_projection_reused"] = merge(attention(queries, project(k, w.query), values)[0], w.output)
    return wrong


def relu(x: Floats) -> Floats:
    """Return the positive part."""
    return np.maximum(x, 0.0)


def gelu(x: Floats) -> Floats:
    """Return x Φ(x), with Φ the normal distribution function."""
    return 0.5 * x * (1 + _erf(x / np.sqrt(2)))


def gelu_tanh(x: Floats) -> Floats:
    """Return the usual approximation of GELU by a hyperbolic tangent."""
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def identity(x: Floats) -> Floats:
    """Return x."""
    return x


ACTIVATIONS: Sequence[Callable[[Floats], Floats]] = (relu, gelu, gelu_tanh)


def mlp(
    x: Floats, layers: Sequence[tuple[Floats, Floats]], hidden: Callable[[Floats], Floats], *, last: bool
) -> Floats:
    """Return dense layers in turn, with `hidden` after each but the last, or after the last too.

    Args:
        x: `(..., width)`.
        layers: Kernel `(in, out)` and bias `(out,)` of each.
        hidden: The non-linearity.
        last: Whether it follows the last layer too.
    """
    for number, (kernel, bias) in enumerate(layers, start=1):
        x = x @ kernel + bias
        if number < len(layers) or last:
            x = hidden(x)
    return x


def mlp_variants(x: Floats, layers: Sequence[tuple[Floats, Floats]]) -> list[Floats]:
    """Return every accepted output: ReLU or GELU, with or without one after the last layer."""
    return [mlp(x, layers, hidden, last=last) for hidden in ACTIVATIONS for last in (False, True)]


def layer_norm(x: Floats, scale: Floats, offset: Floats) -> Floats:
    """Normalise each token over its features (Ba et al. 2016), without an epsilon: checks make it negligible."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1, keepdims=True))
    return centred / np.where(spread > 0, spread, 1) * scale + offset  # equal features, as after a ReLU, stay at 0


def wrong_blocks(
    x: Floats, attend: Layer, networks: Sequence[Layer], norms: tuple[Layer, Layer]
) -> Iterator[tuple[str, Floats]]:
    """Yield misconception and output, for the mistakes that keep parts and shapes."""
    first, second = norms
    attended, normed = attend(x), first(x)
    middle = first(x + attended)
    pre = x + attend(normed)
    yield "no_mlp", second(middle)
    for network in networks:
        yield "pre_norm", pre + network(second(pre))
        yield "no_attention", second(first(x) + network(first(x)))
        yield "no_attention_residual", second(first(attended) + network(first(attended)))
        yield "no_mlp_residual", second(network(middle))
        yield "residual_from_input", second(x + network(middle))
        yield "mlp_of_input", second(middle + network(x))
        yield "no_first_norm", second(x + attended + network(x + attended))
        yield "no_second_norm", middle + network(middle)
        yield "residual_before_norm_of_sublayer", middle + second(network(middle))
        yield "norm_before_residual", x + first(attended) + second(network(x + first(attended)))


def extract_patches(images: Floats, size: int) -> Floats:
    """Return `(batch, patches, size * size * channels)`: row by row, inside a patch row, column, channel."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid.transpose(0, 1, 3, 2, 4, 5).reshape(batch, -1, size * size * channels)


def wrong_patches(images: Floats, size: int) -> Mapping[str, Floats]:
    """Return misconception to patches, for the mistakes that keep the shape."""
    batch, height, width, channels = images.shape
    rows, columns = height // size, width // size
    grid = images.reshape(batch, rows, size, columns, size, channels)
    shape = (batch, rows * columns, size * size * channels)
    return {
        "patches_by_columns": grid.transpose(0, 3, 1, 2, 4, 5).reshape(shape),
        "pixels_by_columns": grid.transpose(0, 1, 3, 4, 2, 5).reshape(shape),
        "channels_before_pixels": grid.transpose(0, 1, 3, 5, 2, 4).reshape(shape),
        "image_only_reshaped": images.reshape(shape),
        "pixels_spread_by_rates": dilated_patches(images, size).reshape(shape),
        "grid_axes_not_moved": grid.reshape(shape),
    }


def dilated_patches(images: Floats, size: int) -> Floats:
    """Return what patches hold whose pixels are `size` apart, with zeros around the image: `rates` and SAME padding.

    Returns:
        `(batch, rows, columns, size, size, channels)`.
    """
    steps, before = np.arange(images.shape[1] // size), (size - 1) ** 2 // 2
    padded = np.pad(images, ((0, 0), (before, size**2), (before, size**2), (0, 0)))
    places = size * (steps[:, None] + np.arange(size))  # (rows, pixels)
    return padded[:, places][:, :, :, places].transpose(0, 1, 3, 2, 4, 5)


def vit_parameters(
    *,
    input_shape: tuple[int, int, int],
    num_classes: int,
    patch_size: int,
    embedding_proj_dim: int,
    num_heads: int,
    msa_proj_dim: int,
    transformer_layers: int,
    mlp_classification_head_units: Sequence[int],
    **_dropout: float,
) -> int:
    """Return the number of parameters of the lab's Vision Transformer, counted part by part."""
    patches = (input_shape[0] // patch_size) ** 2
    patch_dim, d = patch_size**2 * input_shape[2], msa_proj_dim
    encoder = dense(patch_dim, embedding_proj_dim) + embedding_proj_dim + (patches + 1) * embedding_proj_dim
    block = 4 * num_heads * d * d + 2 * (2 * d) + dense(d, 2 * d) + dense(2 * d, d)
    widths = [embedding_proj_dim, *mlp_classification_head_units, num_classes]
    head = sum(dense(before, after) for before, after in itertools.pairwise(widths))
    return encoder + transformer_layers * block + head


def dense(before: int, after: int) -> int:
    """Return the parameters of one dense layer with bias."""
    return before * after + after


def cross_entropy(logits: Floats, labels: np.ndarray[Any, Any]) -> float:
    """Return the mean over samples of -log softmax(logits)[label]."""
    chosen = softmax(logits)[np.arange(len(labels)), labels]
    return float(-np.log(chosen).mean())


def cross_entropy_of_probabilities(values: Floats, labels: np.ndarray[Any, Any]) -> float:
    """Return what Keras' loss gives when it takes the values for probabilities: clipped, normalised, -log."""
    clipped = np.clip(values, 1e-7, 1 - 1e-7)
    chosen = clipped[np.arange(len(labels)), labels] / clipped.sum(axis=-1)
    return float(-np.log(chosen).mean())


_erf = np.vectorize(math.erf, otypes=[float])
