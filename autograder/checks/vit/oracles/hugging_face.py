"""The right answer of a pretrained Vision Transformer, in NumPy and float64.

Written from the papers' equations; only the order and names of the weights are those of `transformers`.

Reference: Dosovitskiy et al. 2021, equations 1 to 4 (pre-norm); Vaswani et al. 2017, section 3.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from autograder.checks.vit.oracles.vision_transformer import Floats, attention, extract_patches, gelu, layer_norm

Weights = Mapping[str, Floats]
Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Shapes = Mapping[str, tuple[int, ...]]

PRECISION = 22  # bits of Pillow's weights


@dataclass(frozen=True)
class PretrainedSizes:
    """Sizes of a pretrained model.

    Attributes:
        side: Pixels of an image's side.
        patch: Pixels of a patch's side.
        width: Features of a token.
        hidden: Units of a layer's mlp.
        layers: Encoder layers.
        classes: Of the classifier.
    """

    side: int
    patch: int
    width: int
    hidden: int
    layers: int
    classes: int


def shapes(sizes: PretrainedSizes) -> Shapes:
    """Return the shape of every weight by `short_name`."""
    side, patch, width, hidden = sizes.side, sizes.patch, sizes.width, sizes.hidden
    layers, classes = sizes.layers, sizes.classes
    found: dict[str, tuple[int, ...]] = {
        "embeddings/cls_token": (1, 1, width),
        "embeddings/position_embeddings": (1, (side // patch) ** 2 + 1, width),
        "embeddings/patch_embeddings/projection/kernel": (patch, patch, 3, width),
        "embeddings/patch_embeddings/projection/bias": (width,),
        "classifier/kernel": (width, classes),
        "classifier/bias": (classes,),
    }
    dense = {f"attention/{name}": (width, width) for name in ("query", "key", "value", "output/dense")}
    dense |= {"intermediate/dense": (width, hidden), "output/dense": (hidden, width)}
    for layer in range(layers):
        for name, (before, after) in dense.items():
            found |= {f"{layer}/{name}/kernel": (before, after), f"{layer}/{name}/bias": (after,)}
    norms = [f"{layer}/layernorm_{when}" for layer in range(layers) for when in ("before", "after")]
    for norm in [*norms, "layernorm"]:
        found |= {f"{norm}/gamma": (width,), f"{norm}/beta": (width,)}
    return found


def resized(image: Pixels, height: int, width: int) -> Pixels:
    """Return an image in another size as Pillow makes it: a triangle over all pixels that a new one covers.

    Pillow computes in integers, first along the rows, then along the columns; so do we, to the last bit, since a
    pixel that is rounded another way can change a probability by 0.002. float64 holds these integers exactly, and
    multiplies matrices of them much faster.

    Of images that are much higher than wide (such as 64 by 45), Pillow 13 resizes the columns first: not so here.

    Args:
        image: uint8 `(height, width, channels)`.
        height: The new one.
        width: The new one.
    """
    across = _weighted(image.swapaxes(0, 1), width).swapaxes(0, 1)  # (old height, width, channels)
    return _weighted(across, height)


def _weighted(image: Pixels, after: int) -> Pixels:
    """Return an image with another length of its first axis."""
    before = len(image)
    reach = max(before / after, 1.0)
    centres = (np.arange(after) + 0.5) * before / after
    distance = np.abs(np.arange(before) + 0.5 - centres[:, None]) / reach
    triangles = np.maximum(1 - distance, 0)  # (after, before)
    weights = np.floor(triangles / triangles.sum(axis=1, keepdims=True) * 2**PRECISION + 0.5)
    sums = np.tensordot(weights, image.astype(float), axes=1)
    return np.clip(np.floor(sums / 2**PRECISION + 0.5), 0, 255).astype(np.uint8)


def short_name(name: str) -> str:
    """Return a variable's name without the model's own prefix and the number at its end."""
    inner = name.partition("/")[2].removeprefix("vit/").removesuffix(":0")
    return inner.replace("encoder/layer_._", "").replace("attention/attention", "attention")


def logits(weights: Weights, pixels: Floats, heads: int) -> Floats:
    """Return the classifier's output for one image.

    Args:
        weights: By `short_name`.
        pixels: `(side, side, channels)`, normalised as the model expects.
        heads: Number of attention heads.

    Returns:
        One number for each class, `(classes,)`.
    """
    tokens = _embed(weights, pixels)
    for layer in _layers(weights):
        tokens = _encode(layer, tokens, heads)
    first = layer_norm(tokens, weights["layernorm/gamma"], weights["layernorm/beta"])[0]
    return _dense(weights, "classifier", first)


def _embed(weights: Weights, pixels: Floats) -> Floats:
    """Return class token and projected patches with their positions, `(tokens, model_dim)`."""
    kernel = weights["embeddings/patch_embeddings/projection/kernel"]  # (size, size, channels, model_dim)
    patches = extract_patches(pixels[None], len(kernel))[0] @ kernel.reshape(-1, kernel.shape[-1])
    patches = patches + weights["embeddings/patch_embeddings/projection/bias"]
    tokens = np.concatenate([weights["embeddings/cls_token"][0], patches])
    return tokens + weights["embeddings/position_embeddings"][0]


def _layers(weights: Weights) -> Iterator[Weights]:
    """Return the weights of one encoder layer after another."""
    number = 0
    while any(name.startswith(f"{number}/") for name in weights):
        yield {name.removeprefix(f"{number}/"): one for name, one in weights.items() if name.startswith(f"{number}/")}
        number += 1


def _encode(weights: Weights, tokens: Floats, heads: int) -> Floats:
    """Return the tokens after one pre-norm encoder layer, `(tokens, model_dim)`."""
    before = layer_norm(tokens, weights["layernorm_before/gamma"], weights["layernorm_before/beta"])
    q, k, v = (
        _dense(weights, f"attention/{name}", before).reshape(len(tokens), heads, -1).swapaxes(0, 1)
        for name in ("query", "key", "value")
    )
    attended, _ = attention(q, k, v)  # (heads, tokens, head_dim)
    merged = attended.swapaxes(0, 1).reshape(len(tokens), -1)
    tokens = tokens + _dense(weights, "attention/output/dense", merged)
    after = layer_norm(tokens, weights["layernorm_after/gamma"], weights["layernorm_after/beta"])
    hidden = gelu(_dense(weights, "intermediate/dense", after))
    return tokens + _dense(weights, "output/dense", hidden)


def _dense(weights: Weights, name: str, x: Floats) -> Floats:
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]
