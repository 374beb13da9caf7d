"""What the student process observes from outside while a student's function trains a model."""

from __future__ import annotations

import functools
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import tf_keras as keras

WEIGHTS = (".h5", ".hdf5", ".index", ".keras", ".npy", ".npz", ".pb", ".pickle", ".pkl")
"""How names of files end that weights are saved in."""


@contextmanager
def observed_files() -> Iterator[list[str]]:
    """Note which files with weights are written in the block, by their paths from the working folder."""
    seen: list[str] = []
    before = _weights_files()
    yield seen
    seen.extend(path for path, state in _weights_files().items() if before.get(path) != state)


def _weights_files() -> dict[str, tuple[int, int]]:
    """Return time and size of each file with weights, but for those in temporary folders."""
    found = {}
    for path in Path().rglob("*"):
        if path.suffix in WEIGHTS and not path.parts[0].startswith(tempfile.gettempprefix()):
            with suppress(OSError):  # it is gone again
                found[str(path)] = (path.stat().st_mtime_ns, path.stat().st_size)
    return found


@contextmanager
def observed_events(names: dict[str, Any], inner: str | None = None) -> Iterator[list[str]]:
    """Note the order in which training and a carbon tracker begin and end in the block.

    Args:
        names: The notebook's.
        inner: A function among them that is noted, too, if it is there.
    """
    seen: list[str] = []
    tracker = getattr(sys.modules.get("carbontracker.tracker"), "CarbonTracker", None)
    with ExitStack() as restored:
        _note_calls(keras.Model, "fit", seen, restored)
        for name in ("epoch_start", "epoch_end", "stop") if tracker else ():
            _note_calls(tracker, name, seen, restored)
        if inner is not None and callable(names.get(inner)):
            restored.callback(names.__setitem__, inner, names[inner])
            names[inner] = _noted(names[inner], inner, seen)
        yield seen


def _note_calls(owner: Any, name: str, seen: list[str], restored: ExitStack) -> None:  # noqa: ANN401 - a class
    original = getattr(owner, name)
    setattr(owner, name, _noted(original, name, seen))
    restored.callback(setattr, owner, name, original)


def _noted(function: Callable[..., Any], name: str, seen: list[str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def noted(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        seen.append(f"{name} begins")
        result = function(*args, **kwargs)
        seen.append(f"{name} ends")
        return result

    return noted
