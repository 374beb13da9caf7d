"""What the student process observes from outside while a student's function trains a model."""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import tf_keras as keras


@contextmanager
def observed_calls(names: dict[str, Any], watched: str | None) -> Iterator[list[dict[str, Any]]]:
    """Note the arguments of every call of one of these functions in the block, as far as they are plain values."""
    seen: list[dict[str, Any]] = []
    original = names.get(watched or "")
    if not callable(original):
        yield seen
        return

    @functools.wraps(original)
    def noted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with suppress(TypeError, ValueError):  # what does not fit, the function itself will refuse
            bound = inspect.signature(original).bind(*args, **kwargs)
            bound.apply_defaults()
            plain = {name: str(one) if isinstance(one, Path) else one for name, one in bound.arguments.items()}
            seen.append({name: one for name, one in plain.items() if isinstance(one, (bool, int, float, str))})
        return original(*args, **kwargs)

    names[str(watched)] = noted
    try:
        yield seen
    finally:
        names[str(watched)] = original


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
