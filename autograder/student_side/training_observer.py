"""What the student process observes from outside while a student's function trains a model."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@contextmanager
def observed_evaluations() -> Iterator[list[dict[str, float]]]:
    """Note what every `model.evaluate` in the block returned, but for `fit`'s own."""
    seen: list[dict[str, float]] = []
    original = keras.Model.evaluate

    @functools.wraps(original)
    def evaluate(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = original(self, *args, **kwargs)
        if "_use_cached_eval_dataset" not in kwargs:
            values = result.values() if isinstance(result, dict) else np.atleast_1d(result)
            seen.append({name: float(value) for name, value in zip(self.metrics_names, values, strict=False)})
        return result

    keras.Model.evaluate = evaluate
    try:
        yield seen
    finally:
        keras.Model.evaluate = original


@contextmanager
def observed_events() -> Iterator[list[str]]:
    """Note the order in which training and a carbon tracker begin and end in the block."""
    seen: list[str] = []
    tracker = getattr(sys.modules.get("carbontracker.tracker"), "CarbonTracker", None)
    with ExitStack() as restored:
        _note_calls(keras.Model, "fit", seen, restored)
        for name in ("epoch_start", "epoch_end", "stop") if tracker else ():
            _note_calls(tracker, name, seen, restored)
        yield seen


@contextmanager
def traced_once() -> Iterator[None]:
    """Make the variables of optimizer and metrics before `fit` in the block.

    Made by the first training step, as usual, they have TensorFlow trace that step twice, which takes longer than a
    small training itself.
    """
    original = keras.Model.fit

    @functools.wraps(original)
    def fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with suppress(Exception):  # what does not fit here, fit makes itself, or says what is wrong
            _make_variables(self, y)
        return original(self, x, y, *args, **kwargs)

    keras.Model.fit = fit
    try:
        yield
    finally:
        keras.Model.fit = original


def _make_variables(model: Any, labels: Any) -> None:  # noqa: ANN401 - a compiled model, arrays
    if model.run_eagerly or len(model.outputs) != 1 or labels is None:
        return
    (output,) = model.outputs
    answer = tf.zeros((1, *output.shape[1:]), output.dtype)
    model.optimizer.build(model.trainable_variables)
    model.compiled_loss.build(answer)
    model.compiled_metrics.build(answer, tf.convert_to_tensor(labels[:1]))


def _note_calls(owner: Any, name: str, seen: list[str], restored: ExitStack) -> None:  # noqa: ANN401 - a class
    original = getattr(owner, name)

    @functools.wraps(original)
    def noted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        seen.append(f"{name} begins")
        result = original(*args, **kwargs)
        seen.append(f"{name} ends")
        return result

    setattr(owner, name, noted)
    restored.callback(setattr, owner, name, original)
