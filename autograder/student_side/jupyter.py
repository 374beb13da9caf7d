"""The names and folders that code finds in Jupyter, as far as they work without a person, a screen or a network."""

from __future__ import annotations

import builtins
import errno
import functools
import json
import os
import re
import shutil
import signal
import subprocess
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
import tensorflow as tf
import tf_keras as keras
from IPython.core.inputtransformer2 import TransformerManager
from IPython.display import DisplayHandle
from matplotlib import pyplot

FOLDER = "notebook"
"""Name of the working folder below the scratch folder."""
NOT_FOUND = 127
"""What a shell returns for a command that is not there."""
_NAME_IN_COMMAND = re.compile(r"\{(\w+)\}|\$(\w+)")
NO_PROGRAMS = "No other program can be started where work is graded"
_MACHINE_SETTINGS = (
    (tf.config, "set_logical_device_configuration"),
    (tf.config, "set_visible_devices"),
    (tf.config.experimental, "set_memory_growth"),
    (tf.config.experimental, "set_virtual_device_configuration"),
    (tf.config.experimental, "set_visible_devices"),
    (tf.config.threading, "set_inter_op_parallelism_threads"),
    (tf.config.threading, "set_intra_op_parallelism_threads"),
)
"""What TensorFlow refuses once it has started: in a notebook it comes first, and here TensorFlow has started before."""
_PRECISION_SETTINGS = (
    (keras.backend, "set_floatx"),
    (keras.mixed_precision, "set_global_policy"),
)
"""Half precision is faster on some GPUs, and less exact than what an answer is compared with."""
_LOADED_IN_JUPYTER = "IPython.core.magics.namespace"
_SHOW = IPython.display.display


RunText = Callable[[str | bytes, str, dict[str, Any]], object]
"""Runs a text, which is that of a file, in a namespace."""


class Interrupted(KeyboardInterrupt):
    """A cell ran longer than it may. No `except Exception` of a student's stops it."""


class _Shell:
    """Takes the place of IPython's shell: few magics do anything, and of the shell's commands only `mkdir`."""

    run_text: RunText

    def __init__(self) -> None:
        self.config: dict[str, Any] = {}
        self.user_ns = vars(sys.modules["__main__"])

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None

    def run_line_magic(self, name: str, line: str, *options: object, **more: object) -> str | None:
        """Run a magic of one line, if it is one that other cells can count on."""
        words = [word for word in line.split() if not word.startswith("-")]
        if name == "run" and words:
            file = Path(words[0] if words[0].endswith((".py", ".ipy", ".ipynb")) else f"{words[0]}.py")
            for text in _texts_in(file):
                self.run_text(text, str(file.absolute()), self.user_ns)
        elif name == "cd" and words:
            os.chdir(words[0])
        elif name == "pwd":
            return str(Path.cwd())
        elif name == "mkdir":
            _run_command(f"mkdir {line}")
        elif name in ("env", "set_env") and words:
            variable, _, value = line.partition("=") if "=" in line else line.partition(" ")
            os.environ[variable.strip()] = value.strip()
        return None

    def system(self, command: str) -> None:
        """Do what a shell's command asks for, if it makes folders or unpacks an archive."""
        caller = sys._getframe(1)
        names = {**caller.f_globals, **caller.f_locals}
        _run_command(_NAME_IN_COMMAND.sub(lambda found: str(names.get(found[1] or found[2], found[0])), command))

    def getoutput(self, command: str) -> list[str]:
        """Return the lines that a shell's command prints: none, since there is no shell."""
        return []

    def run_cell_magic(self, name: str, line: str, cell: str) -> None:
        """Write the cell into a file, or run its commands, if that is what it asks for."""
        words = line.split()
        if name in ("writefile", "file") and words:
            with Path(words[-1]).open("a" if "-a" in words[:-1] else "w", encoding="utf-8") as file:
                file.write(cell)
        elif name in ("bash", "sh"):
            for command in cell.splitlines():
                _run_command(command)


def _texts_in(file: Path) -> list[bytes | str]:
    """Return the text of a program, or those of a notebook's code cells."""
    text = file.read_bytes()
    if file.suffix != ".ipynb":
        return [text]
    sources = ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return [TransformerManager().transform_cell(source) for source in sources]


def _run_command(command: str) -> int:
    """Do what a shell's command asks for, if it makes folders or unpacks an archive; return its exit status."""
    words = [word for word in command.split() if not word.startswith("-")]
    try:
        if words[:1] == ["mkdir"]:
            for folder in words[1:]:
                Path(folder).mkdir(parents=True, exist_ok=True)
        elif words[:1] == ["unzip"]:
            shutil.unpack_archive(words[1], words[2] if "-d" in command.split() else ".", "zip")
        else:
            return NOT_FOUND
    except (OSError, IndexError, shutil.ReadError):
        return 1
    return 0


def offer_names(run_text: RunText) -> None:
    """Give modules and cells the names that IPython adds to Python's own, and take from them what needs a person.

    Args:
        run_text: Runs the text of a file, as `%run` asks for.
    """
    _Shell.run_text = staticmethod(run_text)
    offered: dict[str, Any] = {"display": _display, "get_ipython": _Shell, "input": _refuse_input}
    vars(builtins).update(offered)
    IPython.display.display = _display
    # Keras raises where a program for drawing models is missing; where this module is loaded, as in Jupyter, it prints.
    sys.modules.setdefault(_LOADED_IN_JUPYTER, types.ModuleType(_LOADED_IN_JUPYTER))
    for module, name in ((matplotlib, "use"), (pyplot, "switch_backend")):
        setattr(module, name, _unless(ImportError, getattr(module, name)))  # a window needs a screen
    for module, name in _MACHINE_SETTINGS:
        setattr(module, name, _unless(RuntimeError, getattr(module, name)))
    for module, name in _PRECISION_SETTINGS:
        setattr(module, name, _leave_as_it_is)
    subprocess.Popen = _NoProgram  # type: ignore[misc]
    os.system = _run_command  # type: ignore[assignment]
    sys.argv = ["ipykernel_launcher.py", "-f", "kernel.json"]
    sys.orig_argv = [sys.executable, *sys.argv]


def as_in_jupyter(names: dict[str, Any]) -> None:
    """Let `from IPython import get_ipython` give code the shell that there is: outside Jupyter IPython has none."""
    if names.get("get_ipython") is IPython.get_ipython:
        names["get_ipython"] = _Shell


def _unless(error: type[Exception], choose: Callable[..., None]) -> Callable[..., None]:
    """Return a library's setting as one that is left as it is where it cannot be changed."""

    @functools.wraps(choose)
    def chosen(*args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's own
        with suppress(error):
            choose(*args, **kwargs)

    return chosen


def _leave_as_it_is(*args: object, **kwargs: object) -> None:
    """Take the place of a setting that is made for a machine and would change what is compared."""


class _NoProgram(subprocess.Popen[Any]):
    """Takes the place of a program: none is installed."""

    def __init__(self, args: Any, *more: object, **options: object) -> None:  # noqa: ANN401 - subprocess' own
        program = args if isinstance(args, str | bytes | os.PathLike) else next(iter(args), "")
        raise FileNotFoundError(errno.ENOENT, NO_PROGRAMS, os.fspath(program))


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


def clear_working_folder(submission: str, folder: str) -> None:
    """Go to the working folder, and remove from it what was not handed in."""
    os.chdir(folder)
    handed_in = {path.name for path in Path(submission).iterdir()}
    for path in Path(folder).iterdir():
        if path.name in handed_in or path.name == "__pycache__":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


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
