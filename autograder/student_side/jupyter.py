"""The names and folders that code finds in Jupyter, as far as they work without a person, a screen or a network."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import IPython.display
import matplotlib

FOLDER = "notebook"
"""Name of the working folder below the scratch folder."""


class Interrupted(KeyboardInterrupt):
    """A cell ran longer than it may. No `except Exception` of a student's stops it."""


class _NoShell:
    """Takes the place of IPython's shell: magics and shell commands that were left in a cell do nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def offer_names() -> None:
    """Give modules and cells the names that IPython adds to Python's own, and take from them what needs a person."""
    offered: dict[str, Any] = {"display": IPython.display.display, "get_ipython": _NoShell, "input": _refuse_input}
    vars(builtins).update(offered)
    chosen = matplotlib.use

    def use(backend: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Matplotlib's own
        with suppress(ImportError):  # a window needs a screen; pictures are drawn without one
            chosen(backend, *args, **kwargs)

    matplotlib.use = use


def enter_working_folder(submission: str, scratch: str) -> None:
    """Go to a folder that holds a copy of all files that were handed in, and where code may write."""
    folder = Path(scratch) / FOLDER
    with suppress(OSError, shutil.Error):  # what could be copied is there
        shutil.copytree(submission, folder, copy_function=shutil.copyfile)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)


@contextmanager
def interrupted_after(seconds: float) -> Iterator[None]:
    """Interrupt the block after some time; 0 lets it run.

    Raises:
        Interrupted: In the block. A library that computes for long without running Python is interrupted later.
    """
    if not seconds:
        yield
        return
    before = signal.signal(signal.SIGALRM, _interrupt)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    raise Interrupted


def _refuse_input(*prompt: object) -> NoReturn:
    raise EOFError("input() waits for somebody to type, and nobody does while your work is graded")
