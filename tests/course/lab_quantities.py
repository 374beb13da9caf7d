"""Quantities that the lab's texts state, each computed from definitions or from the notebook's own code."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from carbontracker import constants
from sklearn.datasets import load_digits

from autograder.course.cells import load_cells, text_of

ROOT = Path(__file__).parents[2]
PIXELS, PATCH, IMAGES, BATCH, EPOCHS, RUNS_EPOCHS = 224, 16, 7_500, 64, 30, 30
PRINTED_KWH, PRINTED_GRAMS, PRINTED_MINUTES = 0.0628, 2.56, 45
"""What a student's tracker printed for the small ViT."""
ASSUMED_WATTS = 45


@functools.cache
def regression() -> dict[str, Any]:
    """The variables of the notebook's cell on kernel regression."""
    (cell,) = (text for text in map(text_of, _cells()) if "def nadaraya_watson" in text)
    names: dict[str, Any] = {"np": np}
    exec(cell, names)  # noqa: S102 - our own notebook
    return names


def _cells() -> list[dict[str, Any]]:
    return load_cells((ROOT / "source/vit/vit.ipynb").read_bytes())


def keys_heard(sigma: float) -> float:
    weights = regression()["regressions"][sigma][1]
    return float(np.median(1 / (weights**2).sum(axis=-1)))


def smallest_prediction(sigma: float) -> float:
    return float(regression()["regressions"][sigma][0].min())


def largest_prediction(sigma: float) -> float:
    return float(regression()["regressions"][sigma][0].max())


def mean_of_values() -> float:
    return float(regression()["y_values"].mean())


def best_sigma() -> float:
    names = regression()
    truth = names["true_function"](names["x_queries"])
    return float(min(names["sigmas"], key=lambda sigma: np.mean((names["regressions"][sigma][0] - truth) ** 2)))


def _regress(kernel: str, sigma: float) -> tuple[Any, Any]:
    """Predictions and weights of one of the notebook's kernels."""
    names = regression()
    with np.errstate(invalid="ignore"):
        result: tuple[Any, Any] = names["nadaraya_watson"](
            names["x_queries"], names["x_keys"], names["y_values"], names[kernel], sigma
        )
    return result


def squared_error(kernel: str, sigma: float) -> float:
    names = regression()
    predictions, _ = _regress(kernel, sigma)
    return float(np.mean((predictions - names["true_function"](names["x_queries"])) ** 2))


def keys_heard_by(kernel: str) -> float:
    """Keys that a query hears at a width of 1."""
    _, weights = _regress(kernel, 1.0)
    return float(np.median(1 / (weights**2).sum(axis=-1)))


def queries_without_a_key(sigma: float) -> float:
    predictions, _ = _regress("boxcar", sigma)
    return float(np.isnan(predictions).sum())


def largest_weight(head_dim: int, scaled: bool) -> float:
    """The largest weight in the plot of scaled and unscaled attention; its narrow head is drawn first."""
    rng = np.random.default_rng(3)
    for width in (4, 1024):
        query, keys = (rng.normal(size=(number, width)) for number in (1, 8))
        if width == head_dim:
            scores = query @ keys.T / (width**0.5 if scaled else 1)
            return float(1 / np.exp(scores - scores.max()).sum())
    raise ValueError(head_dim)


def score_variance(head_dim: int, scaled: bool) -> float:
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 20_000, head_dim))
    return float(((query * key).sum(axis=-1) / (head_dim**0.5 if scaled else 1)).var())


def sine_similarity(distance: int) -> float:
    positions = 27, 27 + distance
    frequencies = 10_000 ** (-np.arange(0, 64, 2) / 64)
    first, second = (np.concatenate([np.sin(p * frequencies), np.cos(p * frequencies)]) for p in positions)
    return float(first @ second / np.linalg.norm(first) / np.linalg.norm(second))


def sine_similarity_beyond(distance: int) -> float:
    """The largest similarity to position 27 of an 8 by 8 grid's positions that are farther away than this."""
    farther = [position - 27 for position in range(64) if abs(position - 27) > distance]
    return max(map(sine_similarity, farther))


def pixels_as_tokens(side: int) -> float:
    return float(side**2)


def weights_per_head(tokens: int) -> float:
    return float(tokens**2)


def patches(side: int, patch: int) -> float:
    return float((side // patch) ** 2)


def patch_numbers(patch: int, channels: int) -> float:
    return float(patch**2 * channels)


def lab_attention(width: int, heads: int) -> float:
    return 4.0 * heads * width**2


def layers_in_millions(layer: str, layers: int, *sizes: int) -> float:
    """Parameters of one kind of layer over all layers, in millions."""
    kinds: dict[str, Callable[..., float]] = {"lab": lab_attention, "shared": shared_attention, "mlp": lab_mlp}
    return layers * kinds[layer](*sizes) / 1e6


def head_parameters(width: int, hidden: int, classes: int) -> float:
    return float((width + 1) * hidden + (hidden + 1) * classes)


def shared_width(width: int, heads: int) -> float:
    return width / heads


def shared_attention(width: int) -> float:
    return 4.0 * width**2


def lab_mlp(width: int, hidden: int) -> float:
    return float((width + 1) * hidden + (hidden + 1) * width)


def lab_parameters(width: int, heads: int, layers: int, tokens: int, patch_dim: int, head: int) -> float:
    """By the recipe that section 9 gives: attention, normalisations, Dense layers, class token, positions."""
    layer = lab_attention(width, heads) + 2 * 2 * width + lab_mlp(width, 2 * width)
    encoder = (patch_dim + 1) * width + width + tokens * width
    return encoder + layers * layer + head_parameters(width, head, 10)


def cnn_parameters() -> float:
    convolutions = sum(9 * inputs * outputs + outputs for inputs, outputs in ((3, 32), (32, 64), (64, 128)))
    return float(convolutions + (4 * 4 * 128 + 1) * 128 + (128 + 1) * 10)


def paper_parameters(classes: int = 0) -> float:
    """ViT-Base, with the head for so many classes."""
    width, hidden, tokens = 768, 4 * 768, 197
    layer = 4 * (width + 1) * width + lab_mlp(width, hidden) + 2 * 2 * width
    return float(
        (PATCH**2 * 3 + 1) * width + (1 + tokens) * width + 12 * layer + 2 * width + (classes and (width + 1) * classes)
    )


def t5_small_parameters() -> float:
    width, feed_forward, words, layers = 512, 2048, 32_128, 6
    attention, mlp = 4 * width**2, 2 * width * feed_forward
    encoder = layers * (attention + mlp + 2 * width)
    decoder = layers * (2 * attention + mlp + 3 * width)
    return float(words * width + encoder + decoder + 2 * (32 * 8 + width))


def megabytes(parameters: Callable[[], float]) -> float:
    return 4 * parameters() / 1e6


def vit_download() -> float:
    return megabytes(lambda: paper_parameters(1000))


def t5_download() -> float:
    return megabytes(t5_small_parameters)


def vit_multiplications(width: int, heads: int, layers: int, side: int, patch: int, head: int) -> float:
    """Multiplications for one image, norms and softmax left out."""
    tokens = (side // patch) ** 2 + 1
    projections = tokens * 4 * heads * width**2
    attention = 2 * heads * tokens**2 * width
    mlp = tokens * 2 * width * 2 * width
    return float(
        (tokens - 1) * patch**2 * 3 * width + layers * (projections + attention + mlp) + width * head + head * 10
    )


def cnn_multiplications() -> float:
    convolutions = sum(
        side**2 * 9 * inputs * outputs for side, inputs, outputs in ((32, 3, 32), (16, 32, 64), (8, 64, 128))
    )
    return float(convolutions + 4 * 4 * 128 * 128 + 128 * 10)


def projections_over_scores(tokens: int, width: int) -> float:
    return 4 * tokens * width**2 / (2 * tokens**2 * width)


def post_norm_shrinks(sublayers: int) -> float:
    return 2 ** (sublayers / 2)


def query_variance(heads: int, initialiser: str) -> float:
    """Variance of a query's features for inputs of variance 1, all sizes equal."""
    return 1.0 if initialiser == "lecun" else 2 / (1 + heads)


def glorot_too_small(heads: int) -> float:
    return 1 / query_variance(heads, "glorot")


def projected_patch(patch: int = 4, width: int = 32) -> float:
    """Standard deviation of a feature of a digit's patch after a new Dense layer (Glorot's weights)."""
    inputs = patch**2 * 3
    return float((inputs * 2 / (inputs + width) * np.mean((load_digits().images / 8 - 1) ** 2)) ** 0.5)


def position_ratio() -> float:
    """How much larger a projected patch is than positions drawn evenly between -0.05 and 0.05."""
    return projected_patch() / (0.05 / 3**0.5)


def position_part() -> float:
    """How large positions with the solution's standard deviation are beside a projected patch."""
    return 0.5 / projected_patch()


def steps_per_epoch() -> float:
    return float(-(-IMAGES // BATCH))


def large_model_minutes() -> float:
    return EPOCHS * steps_per_epoch() * 0.118 / 60


def small_model_minutes() -> float:
    return EPOCHS * steps_per_epoch() * 0.017 / 60


def assumed_watts() -> float:
    """Mean power in section 11's table where none is measured."""
    return ASSUMED_WATTS * world_pue()


def assumed_kwh(seconds: float) -> float:
    return assumed_watts() * seconds / 3.6e6


def assumed_grams(seconds: float) -> float:
    return assumed_kwh(seconds) * world_intensity()


def printed_watts() -> float:
    return PRINTED_KWH / (PRINTED_MINUTES / 60) * 1000


def true_seconds() -> float:
    return PRINTED_MINUTES * 60 / RUNS_EPOCHS


def true_kwh() -> float:
    return PRINTED_KWH / RUNS_EPOCHS


def true_grams() -> float:
    return PRINTED_GRAMS / RUNS_EPOCHS


def world_pue() -> float:
    return float(constants.PUE_2023)


def world_intensity() -> float:
    return float(constants.WORLD_AVG_CARBON_INTENSITY)


def cifar_training_images() -> float:
    return 10_000 * 3 / 4


def digits_to_train_on(part: int = 1) -> float:
    """Digits in the quick profile's training set, or in a part of it: tests get 2 of 12, validation a quarter."""
    train = round(digits() * 10 / 12)
    return float((train - -(-train // 4)) // part)


def digits_to_test_on() -> float:
    return digits() - round(digits() * 10 / 12)


def digits() -> float:
    return float(len(load_digits().images))
