"""Whether the lab's experiments show what they should, over five seeds: `python -m benchmarks.experiments [NAME...]`.

`EXPECTATIONS` was written down before anything was measured. Each is an inequality with a margin between two figures of
one experiment, and must hold for every seed. Prints a table, and processor seconds of each experiment.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.measuring import QUIET, ROOT, machine, say, table

SEEDS = range(5)
Tensor = Any
Module = Any
Figures = Mapping[str, float]
"""What one run of an experiment measured, by name."""


@dataclass(frozen=True)
class Expectation:
    """An inequality that an experiment must show: larger - smaller >= margin.

    Attributes:
        experiment: Name of the experiment.
        says: What the inequality means.
        larger: A figure of the experiment by name, or a number.
        smaller: Another one.
        margin: By how much they differ at least.
    """

    experiment: str
    says: str
    larger: str | float
    smaller: str | float
    margin: float

    def excess(self, figures: Figures) -> float:
        """Return by how much the two differ more than they must; negative if the inequality fails."""
        larger, smaller = (figures[side] if isinstance(side, str) else side for side in (self.larger, self.smaller))
        return larger - smaller - self.margin


EXPECTATIONS = (
    Expectation("kernels", "dot products of unit vectors give the Gaussian's curve", 0.1, "unit, distance", 0.0),
    Expectation("kernels", "dot products of raw numbers do not", "raw, error", "gaussian, error", 5.0),
    Expectation("maps", "attention of the untrained stand-in is nearly even", 1.5, "stand-in, largest x tokens", 0.0),
    Expectation("maps", "rollout of the trained model prefers ink", "rollout on ink", "patches with ink", 0.03),
    Expectation("shuffled", "positions help on whole images", "with, whole", "without, whole", 0.25),
    Expectation("shuffled", "with positions, order matters", "with, whole", "with, shuffled", 0.4),
    Expectation("shuffled", "without positions it does not", 0.01, "without, change", 0.0),
    Expectation("data", "with the fewest images the CNN is ahead", "CNN, fewest", "ViT, fewest", 0.15),
    Expectation("data", "the ViT gains by data", "ViT, most", "ViT, fewest", 0.25),
    Expectation("data", "the gap closes", "gap, fewest", "gap, most", 0.05),
    Expectation("warm_up", "a warm-up rescues a deep post-norm model", "with, test", "without, test", 0.15),
    Expectation("augmentation", "it helps on shifted images", "with, shifted", "without, shifted", 0.1),
    Expectation("augmentation", "it narrows the gap from training to test", "without, gap", "with, gap", 0.02),
    Expectation("reversal", "attention solves it", "attention, accuracy", 0.95, 0.0),
    Expectation("reversal", "a mean cannot", 0.4, "mean, accuracy", 0.0),
    Expectation("reversal", "the weight lies on the mirrored position", "attention, on mirror", 0.8, 0.0),
    Expectation("depth", "past the sublayers, post-norm passes on little gradient", 0.1, "post, past", 0.0),
    Expectation("depth", "past the sublayers, pre-norm passes on all of it", "pre, past", 0.99, 0.0),
    Expectation("depth", "by all ways it does not vanish in post-norm, either", "post, all", 0.3, 0.0),
    Expectation("causal", "no weight on later tokens", 1e-6, "weight on later tokens", 0.0),
    Expectation("causal", "what lies in the past is still solved", "second half, accuracy", 0.95, 0.0),
    Expectation("causal", "what lies in the future cannot be", 0.25, "first half, accuracy", 0.0),
)


def lab(name: str) -> Module:
    """Return a module of the solved lab."""
    folder = str(ROOT / "solutions" / "vit")
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return importlib.import_module(name)


def digits(seed: int, side: int = 16) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return digits as the quick profile trains on them, another split for each seed, and 299 to test on."""
    (images, labels), (test, test_labels), _ = lab("lab_tools").load_images("digits", seed=seed)
    sets = [pixels.astype("float32") / 127.5 - 1 for pixels in (images[:1123], test)]
    small, small_test = [lab("experiments").smaller(pixels) if side == 16 else pixels for pixels in sets]
    return (small, labels[:1123]), (small_test, test_labels)


def kernels(seed: int) -> Figures:
    """Kernel regression with distances, with dot products of unit vectors, and with products of raw numbers."""
    rng = np.random.default_rng(seed)
    keys = np.sort(rng.uniform(0, 10, size=50))
    values = 2 * np.sin(keys) + keys + rng.normal(size=50)
    queries = np.linspace(0, 10, 70)
    truth = 2 * np.sin(queries) + queries

    def regress(scores: Tensor) -> Tensor:
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return weights / weights.sum(axis=-1, keepdims=True) @ values

    def on_circle(x: Tensor) -> Tensor:
        angle = x * np.pi / 20
        return np.stack([np.cos(angle), np.sin(angle)], axis=-1)

    sigma = 0.5
    gaussian = regress(-((queries[:, None] - keys) ** 2) / (2 * sigma**2))
    unit = regress(on_circle(queries) @ on_circle(keys).T / (sigma * np.pi / 20) ** 2)
    raw = regress(queries[:, None] * keys / sigma**2)
    return {
        "unit, distance": float(np.mean(np.abs(unit - gaussian))),
        "gaussian, error": float(np.mean((gaussian - truth) ** 2)),
        "raw, error": float(np.mean((raw - truth) ** 2)),
    }


def maps(seed: int) -> Figures:
    """Attention of the untrained stand-in over a photograph, and of a small ViT over 32 test digits."""
    tools, module = lab("lab_tools"), lab("experiments")
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        processor, tiny = tools.load_pretrained_vit(tools.save_tiny_vit(folder, seed=seed))
    inputs = processor(images=tools.load_photo("china"), return_tensors="tf")
    untrained = [np.asarray(weights) for weights in tiny(**inputs, output_attentions=True).attentions]

    training, (images, _) = digits(seed, side=32)
    model = lab("utilities").create_vit_classifier(input_shape=images.shape[1:], num_classes=10, **module.SMALL_VIT)
    module.prepare(model)
    module.fit_steps(model, training, steps=400, seed=seed)
    layers = tools.attention_of_layers(model, images[:32])
    on_ink, ink = [], []
    for number, image in enumerate(images[:32]):
        patches = image.reshape(8, 4, 8, 4, 3).mean(axis=(1, 3, 4)).ravel()
        rollout = module.attention_rollout([weights[number] for weights in layers])[0, 1:]
        has_ink = patches > patches.mean()
        on_ink.append(rollout[has_ink].sum() / rollout.sum())
        ink.append(has_ink.mean())
    return {
        "stand-in, largest x tokens": max(float(weights.max()) * weights.shape[-1] for weights in untrained),
        "rollout on ink": float(np.mean(on_ink)),
        "patches with ink": float(np.mean(ink)),
    }


def shuffled(seed: int) -> Figures:
    """A ViT with and without positions, on whole images and on images with shuffled patches."""
    training, test = digits(seed)
    found = lab("experiments").compare_positions(lab("utilities").create_vit_classifier, training, test, seed=seed)
    figures = {f"{name.split()[0]}, {which}": value for name, both in found.items() for which, value in both.items()}
    return figures | {"without, change": abs(figures["without, whole"] - figures["without, shuffled"])}


def data(seed: int) -> Figures:
    """ViT and CNN on few images and on all."""
    training, test = digits(seed)
    module = lab("experiments")
    builders = module.vit_and_cnn(lab("utilities").create_vit_classifier)
    _, accuracies = module.compare_numbers_of_images(builders, training, test, seed=seed)
    figures = {f"{name}, fewest": values[0] for name, values in accuracies.items()}
    figures |= {f"{name}, most": values[-1] for name, values in accuracies.items()}
    return figures | {
        f"gap, {which}": figures[f"CNN, {which}"] - figures[f"ViT, {which}"] for which in ("fewest", "most")
    }


def warm_up(seed: int) -> Figures:
    """A deep post-norm ViT with and without a warm-up of the learning rate."""
    training, test = digits(seed)
    found = lab("experiments").compare_warm_up(lab("utilities").create_vit_classifier, training, test, seed=seed)
    return {f"{name.split()[0]}, test": accuracy for name, (_, accuracy) in found.items()}


def augmentation(seed: int) -> Figures:
    """A ViT with and without shifted training images."""
    (images, labels), test = digits(seed)
    few = images[: len(images) // 4], labels[: len(images) // 4]
    found = lab("experiments").compare_augmentation(lab("utilities").create_vit_classifier, few, test, seed=seed)
    figures = {}
    for name, accuracies in found.items():
        figures[f"{name.split()[0]}, shifted"] = accuracies["test, shifted"]
        figures[f"{name.split()[0]}, gap"] = accuracies["training"] - accuracies["test"]
        figures[f"{name.split()[0]}, test"] = accuracies["test"]
    return figures


def mean_of_values(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Attention that gives every key the same weight."""
    import tensorflow as tf

    weights = tf.ones((tf.shape(q)[0], tf.shape(q)[1], tf.shape(k)[1])) / tf.cast(tf.shape(k)[1], tf.float32)
    return weights @ v, weights


def causal_attention(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Attention to earlier keys only."""
    import tensorflow as tf

    scores = tf.matmul(q, k, transpose_b=True) / q.shape[-1] ** 0.5
    allowed = tf.linalg.band_part(tf.ones_like(scores), -1, 0) > 0
    weights = tf.nn.softmax(tf.where(allowed, scores, -1e9))
    return weights @ v, weights


def reversal(seed: int) -> Figures:
    """A sequence to reverse: attention against a mean."""
    train = lab("experiments").train_reversal
    accuracies, weights = train(lab("utilities").scaled_dot_product_attention, seed=seed)
    mean, _ = train(mean_of_values, seed=seed)
    return {
        "attention, accuracy": float(accuracies.mean()),
        "mean, accuracy": float(mean.mean()),
        "attention, on mirror": float(np.mean(weights[:, ::-1].diagonal())),
    }


def causal(seed: int) -> Figures:
    """The same sequence with a causal mask."""
    accuracies, weights = lab("experiments").train_reversal(causal_attention, seed=seed)
    half = len(accuracies) // 2
    return {
        "weight on later tokens": float(np.triu(weights, 1).max()),
        "first half, accuracy": float(accuracies[:half].max()),
        "second half, accuracy": float(accuracies[half:].min()),
    }


def depth(seed: int) -> Figures:
    """Gradients of twelve layers, post-norm and pre-norm."""
    import tf_keras as keras

    def post_norm(x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return keras.layers.LayerNormalization()(x + sublayer(x))

    def pre_norm(x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        return x + sublayer(keras.layers.LayerNormalization()(x))

    figures: dict[str, float] = {}
    for name, frame in (("post", post_norm), ("pre", pre_norm)):
        utilities = lab("utilities")
        found = lab("experiments").gradients_by_layer(frame, utilities.MultiHeadAttention, utilities.mlp, seed=seed)
        figures |= {f"{name}, {way.split()[0]}": float(norms[0]) for way, norms in found.items()}
    return figures


EXPERIMENTS: dict[str, Callable[[int], Figures]] = {
    function.__name__: function
    for function in (kernels, maps, shuffled, data, warm_up, augmentation, reversal, depth, causal)
}


def rows_of(name: str, runs: list[Figures]) -> list[tuple[object, ...]]:
    """Return a row for each expectation of an experiment."""
    rows: list[tuple[object, ...]] = []
    for expectation in EXPECTATIONS:
        if expectation.experiment == name:
            excesses = [expectation.excess(figures) for figures in runs]
            held = sum(excess >= 0 for excess in excesses)
            sides = f"{expectation.larger} - {expectation.smaller}"
            rows.append(
                (name, expectation.says, sides, expectation.margin, f"{min(excesses):.3f}", f"{held}/{len(runs)}")
            )
    return rows


def main() -> None:
    """Measure, and print a table."""
    os.environ.update(QUIET)
    names = sys.argv[1:] or list(EXPERIMENTS)
    rows: list[tuple[object, ...]] = []
    for name in names:
        started = time.process_time()
        runs = [EXPERIMENTS[name](seed) for seed in SEEDS]
        spent = (time.process_time() - started) / len(SEEDS)
        say(f"{name}: {spent:.1f} cpu s a run")
        for figures in runs:
            say("   " + ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))
        rows += rows_of(name, runs)
    say(table(("experiment", "says", "larger - smaller", "margin", "least excess", "held"), rows))
    say(json.dumps(machine()))


if __name__ == "__main__":
    main()
