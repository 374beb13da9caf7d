"""What the benchmarks share: timing, copies of the course, made classes, tables, and JSON files."""

from __future__ import annotations

import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

from autograder.files import write_whole

ROOT = Path(__file__).parents[1]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_OFFLINE": "1", "VIT_PROFILE": "quick"}
"""Environment of everything that is measured: the libraries print little, and nothing waits for a network."""
VERSIONS = ("tensorflow", "tf-keras", "numpy", "nbgrader")
_LAST_WORDS = 2000
_Item = TypeVar("_Item")


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def cpu_of_children() -> float:
    """Return the cpu seconds of all processes that this one started and that have ended.

    The kernel counts those that were waited for: whoever adopted orphans (`sandbox.confine.adopt_orphans`) waits here
    until they have ended, too.
    """
    with suppress(ChildProcessError):
        while True:
            os.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_python(*words: str, cwd: Path = ROOT, python: str | Path = sys.executable, may_fail: bool = False) -> str:
    """Run a Python interpreter and return what it printed.

    Raises:
        SystemExit: If it fails and may not, with the end of what it said.
    """
    command = [str(python), *words]
    programs = f"{Path(python).parent}{os.pathsep}{os.environ.get('PATH', '')}"  # nbgrader starts others by name
    settings = os.environ | QUIET | {"PATH": programs}
    done = subprocess.run(command, cwd=cwd, env=settings, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode and not may_fail:
        raise SystemExit(f"{' '.join(words)} failed:\n{(done.stdout + done.stderr)[-_LAST_WORDS:]}")
    return done.stdout


def build_course(folder: Path, *, release: bool = False) -> Path:
    """Copy the course into a new folder, build it, and release it if asked for; return the folder."""
    run_python("-m", "tests.submissions", "course", str(folder))
    for step in ("build", "release") if release else ("build",):
        run_python("-m", "autograder", step, "--course", str(folder))
    return folder


def machine() -> dict[str, object]:
    """Return what figures depend on: processors, system, versions."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    system = f"{platform.system()} {platform.machine()}, Python {platform.python_version()}"
    return {"processors": processors, "system": system} | {name: version(name) for name in VERSIONS}


def spread(items: Sequence[_Item], count: int) -> Sequence[_Item]:
    """Return at least so many of these, evenly spread, the first among them; all where there are no more."""
    return items[:: max(1, len(items) // count)]


def median(values: Iterable[float]) -> float:
    """Return the median, to four digits after the point."""
    return round(statistics.median(values), 4)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table that can be read on a terminal and put into a Markdown page: numbers stand to the right."""
    body = [[str(value) for value in row] for row in rows]
    widths = [max(len(line[column]) for line in [list(head), *body]) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cells[0].ljust(widths[0]),
            *(cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)),
        ]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join(['-' * (widths[0] + 2), *('-' * (width + 1) + ':' for width in widths[1:])])}|"
    return "\n".join([line(head), rule, *map(line, body)])


def say(text: str) -> None:
    """Print a line or a table."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def read_lines(path: Path) -> list[bytes]:
    """Return the lines of a file to which a run appends, none if there is no file; a last one that was cut off goes."""
    whole = path.read_bytes() if path.exists() else b""
    ends = whole.rfind(b"\n") + 1
    if ends < len(whole):
        with path.open("r+b") as file:
            file.truncate(ends)
    return whole[:ends].splitlines()


def write_figures(path: Path | None, figures: Mapping[str, object]) -> None:
    """Write the figures as JSON, if a file was asked for."""
    if path is not None:
        write_whole(path, (json.dumps(figures, indent=2) + "\n").encode())
