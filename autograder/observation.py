"""What the student process observes from outside while a student's function trains a model."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
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
