"""The names and folders that code finds in Jupyter, as far as they work without a person, a screen or a network."""

from __future__ import annotations

import builtins
import os
import shutil
import signal
import sys
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import IPython
import IPython.display
import matplotlib
from IPython.display import DisplayHandle
from matplotlib import pyplot

FOLDER = "notebook"
"""Name of the working folder below the scratch folder."""
_LOADED_IN_JUPYTER = "IPython.core.magics.namespace"
_SHOW = IPython.display.display


class Interrupted(KeyboardInterrupt):
    """A cell ran longer than it may. No `except Exception` of a student's stops it."""


class _Shell:
    """Takes the place of IPython's shell: few magics do anything, and of the shell's commands only `mkdir`."""

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.user_ns = vars(sys.modules["__main__"])

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None

    def run_line_magic(self, name: str, line: str, *options: object, **more: object) -> str | None:
        """Run a magic of one line, if it is one that other cells can count on."""
        words = [word for word in line.split() if not word.startswith("-")]
        if name == "run" and words:
            path = Path(words[0] if words[0].endswith((".py", ".ipy")) else f"{words[0]}.py")
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), self.user_ns)  # noqa: S102 - the purpose
        elif name == "cd" and words:
            os.chdir(words[0])
        elif name == "pwd":
            return str(Path.cwd())
        elif name in ("env", "set_env") and words:
            variable, _, value = line.partition("=") if "=" in line else line.partition(" ")
            os.environ[variable.strip()] = value.strip()
        return None

    def system(self, command: str) -> None:
        """Make folders, if that is what a shell's command asks for."""
        words = command.split()
        if words[:1] == ["mkdir"]:
            for folder in (word for word in words[1:] if not word.startswith("-")):
                Path(folder).mkdir(parents=True, exist_ok=True)

    def getoutput(self, command: str) -> list[str]:
        """Return the lines that a shell's command prints: none, since there is no shell."""
        return []

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """Write the cell into a file, if that is what it asks for."""
        words = line.split()
        if name == "writefile" and words:
            with Path(words[-1]).open("a" if "-a" in words[:-1] else "w", encoding="utf-8") as file:
                file.write(cell)


def offer_names() -> None:
    """Give modules and cells the names that IPython adds to Python's own, and take from them what needs a person."""
    offered: dict[str, Any] = {"display": _display, "get_ipython": _Shell, "input": _refuse_input}
    vars(builtins).update(offered)
    IPython.display.display = _display
    # Keras raises where a program for drawing models is missing; where this module is loaded, as in Jupyter, it prints.
    sys.modules.setdefault(_LOADED_IN_JUPYTER, types.ModuleType(_LOADED_IN_JUPYTER))
    for module, name in ((matplotlib, "use"), (pyplot, "switch_backend")):
        setattr(module, name, _without_a_screen(getattr(module, name)))


def as_in_jupyter(names: dict[str, Any]) -> None:
    """Let `from IPython import get_ipython` give code the shell that there is: outside Jupyter IPython has none."""
    if names.get("get_ipython") is IPython.get_ipython:
        names["get_ipython"] = _Shell


def _without_a_screen(choose: Callable[..., None]) -> Callable[..., None]:
    """Return Matplotlib's choice of a backend as one that cannot fail."""

    def chosen(backend: str, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Matplotlib's own
        with suppress(ImportError):  # a window needs a screen; pictures are drawn without one
            choose(backend, *args, **kwargs)

    return chosen


def _display(*objects: object, display_id: object = None, **options: object) -> DisplayHandle | None:
    """Print objects, as IPython does where nobody looks; what is updated later gets its handle."""
    _SHOW(*objects, **options)
    return None if display_id is None else DisplayHandle(None if display_id is True else display_id)


def enter_working_folder(submission: str, scratch: str) -> str:
    """Go to a folder that holds a copy of all files that were handed in, and where code may write; return it."""
    folder = Path(scratch) / FOLDER
    with suppress(OSError, shutil.Error):  # what could be copied is there
        shutil.copytree(submission, folder, copy_function=shutil.copyfile)
    folder.mkdir(exist_ok=True)
    os.chdir(folder)
    return str(folder)


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
