"""What each shortcut into TensorFlow's and Keras' private names saves: `python -m benchmarks.shortcuts [--turns 20]`.

The solved lab is graded once, and what was asked is recorded. A warm process then answers all of it again and again,
each time in a new fork, as a student process would: with all shortcuts, and with each one left out. The arrangements
take turns, in an order that rotates. Shown are the cpu seconds of the fork, and what a shortcut saves of them with a
95 % interval (Student's t on the differences within a turn). One that saves less than 5 % has no place in the package.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec
from scipy import stats

from autograder.course.course import read_course
from autograder.files import write_whole
from autograder.grading.grader import Grader
from autograder.grading.result_store import read_for_check
from autograder.grading.zygote_client import environment_of
from benchmarks.measuring import QUIET, ROOT, build_course, machine, say, table, write_figures
from benchmarks.replay import Recording, answer_all, record

ALL = "all shortcuts"
SHORTCUTS = "autograder.student_side.private_names.shortcuts"


def _nothing(*arguments: object, **options: object) -> None:
    """Stands in for a shortcut that is left out."""


def _as_wanted(make: Callable[..., Any], **wanted: Any) -> Any:  # noqa: ANN401 - TensorFlow's own
    return make(**wanted)


@contextlib.contextmanager
def _no_tracing_ahead() -> Iterator[None]:
    yield


def left_out(name: str) -> contextlib.ExitStack:
    """Return what keeps one shortcut away while it is open.

    Args:
        name: A key of `CHANGES`, or `ALL` to keep none away.
    """
    stack = contextlib.ExitStack()
    for place, stand_in in CHANGES.get(name, {}).items():
        stack.enter_context(mock.patch(place, stand_in() if place.endswith("_Arrays") else stand_in))
    return stack


def _keras_adapter() -> Any:  # noqa: ANN401 - a class of Keras
    return importlib.import_module("tf_keras.src.engine.data_adapter").TensorLikeDataAdapter


CHANGES: dict[str, dict[str, Callable[..., Any]]] = {
    "Adam by one operation": {f"{SHORTCUTS}._step_at_once": _nothing},
    "shapes without a graph": {f"{SHORTCUTS}._infer_shapes": _nothing},
    "NumPy arrays without Keras' pipeline": {f"{SHORTCUTS}._Arrays": _keras_adapter},
    "counting: no random numbers": {f"{SHORTCUTS}._spare_draws": _nothing},
    "counting: variables without memory": {f"{SHORTCUTS}._variable_without_memory": _as_wanted},
    "training: variables before the first step": {"autograder.student_side.server.traced_once": _no_tracing_ahead},
}
"""Shortcut to the names that are changed where it is left out."""


def answer_in_forks(recording: Recording, turns: int) -> dict[str, list[float]]:
    """Return the cpu seconds of each arrangement, turn by turn."""
    names = [ALL, *CHANGES]
    spent: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(turns):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            spent[name].append(_in_a_fork(recording, name))
    return spent


def _in_a_fork(recording: Recording, name: str) -> float:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            with left_out(name), tempfile.TemporaryDirectory() as folder:
                answer_all(recording, Path(folder), turn=0)
                os.chdir("/")
            used = resource.getrusage(resource.RUSAGE_SELF)
            os.write(writing, str(used.ru_utime + used.ru_stime).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        seconds = answer.read()
    os.waitpid(child, 0)
    if not seconds:
        raise SystemExit(f"The questions could not be answered without: {name}.")
    return float(seconds)


def saved(with_all: Sequence[float], without: Sequence[float]) -> tuple[float, float, float]:
    """Return what a shortcut saves in percent of a student process's cpu time, and the ends of the 95 % interval."""
    differences = [100 * (slow - fast) / slow for fast, slow in zip(with_all, without, strict=True)]
    mean = statistics.fmean(differences)
    reach = statistics.stdev(differences) / len(differences) ** 0.5 * float(stats.t.ppf(0.975, len(differences) - 1))
    return mean, mean - reach, mean + reach


def measure(turns: int) -> dict[str, list[float]]:
    """Record the solved lab's questions and let a process of its own answer them."""
    with tempfile.TemporaryDirectory() as folder:
        course = read_course(build_course(Path(folder) / "course"))
        assignment = course.assignment("vit")
        with Grader(course, assignment) as grader:
            recording = record(
                grader, read_for_check(ROOT / "solutions" / "vit", "vit", course.settings), assignment, 0
            )
        path = Path(folder) / "recording"
        write_whole(path, msgspec.msgpack.encode(recording))
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "benchmarks.shortcuts", "--turns", str(turns), "--answer", str(path)],
            cwd=ROOT, env=os.environ | QUIET | environment_of(0, gpu=False) | {"HOME": folder},
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=dict[str, list[float]])


def rendered(spent: dict[str, list[float]]) -> str:
    """Return the table."""
    rows = [(ALL, f"{statistics.median(spent[ALL]):.2f}", "", "")]
    for name in CHANGES:
        mean, low, high = saved(spent[ALL], spent[name])
        rows.append((name, f"{statistics.median(spent[name]):.2f}", f"{mean:.1f} %", f"{low:.1f} to {high:.1f} %"))
    return table(("shortcut", "cpu s without it", "saves", "95 %"), rows)


def _answer(path: Path, turns: int) -> None:
    from autograder.student_side.zygote import import_preloaded

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what training prints is no answer
    recording = msgspec.msgpack.decode(path.read_bytes(), type=Recording)
    import_preloaded()
    for name in recording.preload:
        importlib.import_module(name)
    answers.write(msgspec.json.encode(answer_in_forks(recording, turns)).decode() + "\n")
    answers.flush()


def main() -> None:
    """Measure and print."""
    summary = (__doc__ or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shortcuts", description=summary)
    parser.add_argument("--turns", type=int, default=20, help="at least 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    parser.add_argument("--answer", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.answer:
        _answer(options.answer, options.turns)
        return
    spent = measure(options.turns)
    say(rendered(spent))
    write_figures(options.json, {"machine": machine(), "cpu_seconds": spent})


if __name__ == "__main__":
    main()
