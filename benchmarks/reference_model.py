"""Compare the lab's Vision Transformer with the same model built on Keras' own attention layer.

`python -m benchmarks.reference_model [--rounds 5] [--json FILE]`

The solution's `create_vit_classifier` makes both models. In one of them the solution's `MultiHeadAttention` is replaced
by `tf_keras.layers.MultiHeadAttention` with equal widths: each head as wide as a token, keys and values alike, no
biases, the same output. Both have as many parameters and get the same images and labels. The forward pass is a compiled
function, the training step is `train_on_batch`. Rounds alternate between the two; medians count.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
import types
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autograder.course.assignment import MODULE
from benchmarks.measuring import QUIET, ROOT, machine, median, say, table, write_figures

os.environ.update(QUIET)  # before TensorFlow is imported

import numpy as np
import tensorflow as tf
import tf_keras as keras

VIT = {
    "input_shape": (32, 32, 3), "num_classes": 10, "num_heads": 4, "transformer_layers": 3, "msa_dropout_rate": 0.1,
}  # fmt: skip
QUICK = VIT | {
    "patch_size": 8, "embedding_proj_dim": 64, "msa_proj_dim": 64, "mlp_classification_head_units": [128],
    "mlp_classification_head_dropout_rate": 0.2,
}  # fmt: skip
SMALL = VIT | {
    "patch_size": 16, "embedding_proj_dim": 512, "msa_proj_dim": 512, "mlp_classification_head_units": [2048],
    "mlp_classification_head_dropout_rate": 0.5,
}  # fmt: skip
OURS, KERAS = "the lab's", "Keras'"
CALLS_IN_ROUND = 0.3
"""About how many seconds one model is called in a round."""


@dataclass(frozen=True)
class Size:
    """One configuration that is measured."""

    name: str
    settings: dict[str, object]
    batch: int


SIZES = (
    Size("quick profile's small model, 64 wide", QUICK, 64),
    Size("full profile's small model, 512 wide", SMALL, 64),
)


@dataclass(frozen=True)
class Compared:
    """Milliseconds of one call of each model, medians over the rounds.

    Attributes:
        lab: The lab's model, on the clock.
        keras: The model with Keras' attention, on the clock.
        ratio: The lab's by Keras', the median of the rounds' own ratios: at most 1 is as fast.
        cpu_ratio: The same of the cpu time of all threads, which depends less on what else the machine does.
    """

    size: str
    batch: int
    work: str
    lab: float
    keras: float
    ratio: float
    cpu_ratio: float


class KerasAttention(keras.layers.Layer):  # type: ignore[misc]
    """Keras' attention layer, made and called as the lab's."""

    def __init__(self, n_heads: int, proj_size: int, dk: int, dv: int) -> None:
        super().__init__()
        self.attention = keras.layers.MultiHeadAttention(
            n_heads, key_dim=proj_size, value_dim=proj_size, use_bias=False, output_shape=(proj_size,)
        )

    def call(self, queries: tf.Tensor, keys: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        """Attend: (batch, queries, proj_size)."""
        return self.attention(queries, values, keys)


def make_model(settings: dict[str, object], *, own_attention: bool) -> Any:  # noqa: ANN401 - a keras.Model
    """Return the solution's model, with its own attention layer or with Keras' in its place, compiled."""
    solution = types.ModuleType(MODULE)
    path = ROOT / "solutions" / "vit" / f"{MODULE}.py"
    sys.path.append(str(path.parent))  # it imports the given modules beside it
    exec(compile(path.read_bytes(), str(path), "exec"), solution.__dict__)  # noqa: S102 - our own text
    if not own_attention:
        solution.__dict__["MultiHeadAttention"] = KerasAttention
    model = solution.create_vit_classifier(**settings)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-4), loss=loss, metrics=["accuracy"])
    return model


def forward_of(model: Any, images: tf.Tensor, _labels: tf.Tensor) -> Callable[[], object]:  # noqa: ANN401
    """Return one compiled forward pass."""
    compiled = tf.function(lambda x: model(x, training=False))
    return lambda: compiled(images).numpy()


def training_of(model: Any, images: tf.Tensor, labels: tf.Tensor) -> Callable[[], object]:  # noqa: ANN401
    """Return one training step."""
    return lambda: model.train_on_batch(images, labels)


WORK = {"forward": forward_of, "training step": training_of}


def compare(size: Size, rounds: int) -> list[Compared]:
    """Measure forward pass and training step of both models.

    Raises:
        SystemExit: If the models differ in their number of parameters.
    """
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(-1, 1, size=(size.batch, 32, 32, 3)).astype("float32"))
    labels = tf.constant(rng.integers(0, 10, size=size.batch))
    models = {
        OURS: make_model(size.settings, own_attention=True),
        KERAS: make_model(size.settings, own_attention=False),
    }
    if len({model.count_params() for model in models.values()}) != 1:
        raise SystemExit(f"{size.name}: the two models differ in their number of parameters.")
    found = []
    for name, make in WORK.items():
        calls = {whose: make(model, images, labels) for whose, model in models.items()}
        times = alternate(calls, rounds)
        pairs = list(zip(times[OURS], times[KERAS], strict=True))
        ratios = (median(ours[clock] / theirs[clock] for ours, theirs in pairs) for clock in (0, 1))
        lab, theirs = (median(1e3 * wall for wall, _ in times[whose]) for whose in (OURS, KERAS))
        found.append(Compared(size.name, size.batch, name, lab, theirs, *ratios))
    return found


def alternate(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Return the seconds of a call of each, on the clock and of cpu, for each round; who begins changes."""
    for call in calls.values():
        call()  # compiles
    once = max(_per_call(call, 2)[0] for call in calls.values())
    number = max(1, round(CALLS_IN_ROUND / once))
    times: dict[str, list[tuple[float, float]]] = {whose: [] for whose in calls}
    for place in range(rounds):
        for whose in sorted(calls, reverse=bool(place % 2)):
            times[whose].append(_per_call(calls[whose], number))
    return times


def _per_call(call: Callable[[], object], number: int) -> tuple[float, float]:
    """Return the least seconds of some calls, on the clock and of cpu: what disturbs a call only makes it slower."""
    spent = []
    for _ in range(number):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        spent.append((time.perf_counter() - wall, time.process_time() - cpu))
    return min(wall for wall, _ in spent), min(cpu for _, cpu in spent)


def rendered(found: Sequence[Compared]) -> str:
    """Return the table."""
    rows = [
        (
            f"{compared.size}, batch {compared.batch}: {compared.work}",
            *(f"{x:.2f}" for x in (compared.lab, compared.keras, compared.ratio, compared.cpu_ratio)),
        )
        for compared in found
    ]
    return table(("model and work", "lab ms", "Keras ms", "ratio", "ratio of cpu"), rows)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reference_model", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    found = [compared for size in SIZES for compared in compare(size, options.rounds)]
    say(rendered(found))
    write_figures(options.json, {"machine": machine(), "compared": [asdict(compared) for compared in found]})


if __name__ == "__main__":
    main()
