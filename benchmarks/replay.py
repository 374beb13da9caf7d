"""Record what the grader asks of one submission, and answer the same questions in one warm, unconfined process.

The second is the checks' own TensorFlow work: no grader, no wall, no new process, and nothing done for the first time
but what every submission needs: TensorFlow converts the functions of its module.
`python -m benchmarks.replay RECORDING` answers all questions each time it reads a line, and prints the seconds of each
question as one line of JSON.
"""

from __future__ import annotations

import importlib
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest import mock

import msgspec

from autograder import wire
from autograder.checking.remote import Student
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.submission import Snapshot
from autograder.files import write_whole
from autograder.grading.check_runner import CheckEnding, Checks
from autograder.grading.grader import Grader
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import environment_of
from benchmarks.measuring import QUIET, ROOT

START = "start"
"""Where a question stands that is asked before the first task, such as to load the module."""


class Asked(msgspec.Struct):
    """One question of one student process.

    Attributes:
        process: Number of the student process, from 0.
        task: The task whose checks asked.
        request: The question as it crossed the wall.
        refs: Numbers of the objects that stay over there, in the order in which the answer names them.
    """

    process: int
    task: str
    request: wire.Request
    refs: list[int]

    @property
    def kind(self) -> str:
        """The kind of question, as its class is named."""
        return type(self.request.question).__name__


class Recording(msgspec.Struct):
    """All that one submission was asked, and its files."""

    files: dict[str, bytes]
    preload: list[str]
    threads: int
    asked: list[Asked]


class Took(msgspec.Struct, frozen=True):
    """What one question, or several, took in the warm process.

    Attributes:
        cpu: Seconds of all its threads.
        wall: Seconds on the clock.
    """

    cpu: float
    wall: float


def record(grader: Grader, snapshot: Snapshot, assignment: Assignment, threads: int) -> Recording:
    """Grade a submission once and return what was asked.

    Args:
        grader: Grades it.
        snapshot: The submission.
        assignment: What is graded.
        threads: TensorFlow's threads that the grader was made with, so that they can be answered alike.

    Raises:
        SystemExit: If it could not be graded without an internal error.
    """
    asked: list[Asked] = []
    with recorded(asked):
        result = grader.grade(snapshot)
    if result.has_error:
        raise SystemExit("The submission could not be graded without an internal error. Try `autograder check`.")
    return Recording(snapshot.files, list(assignment.preload), threads, asked)


@contextmanager
def recorded(into: list[Asked]) -> Iterator[None]:
    """While it is open, append each question that any student process of this grader is asked."""
    processes: dict[int, int] = {}
    here = [START]
    ask, endings = StudentProcess.ask, Checks.endings

    def asking(process: StudentProcess, question: wire.Question, seconds: float | None = None) -> object:
        number = processes.setdefault(id(process), len(processes))
        asked = Asked(number, here[0], wire.Request(len(into), question), [])
        into.append(asked)
        answer = ask(process, question, seconds)
        asked.refs = list(wire.refs_in(answer))
        return answer

    def running(checks: Checks, task: Task, student: Student, seed: bytes) -> tuple[CheckEnding, ...]:
        here[0] = task.id
        return endings(checks, task, student, seed)

    with mock.patch.object(StudentProcess, "ask", asking), mock.patch.object(Checks, "endings", running):
        yield


def _renamed(value: Any, names: Mapping[int, int]) -> Any:  # noqa: ANN401 - any part of a question
    """Return a question that names the objects of this process in place of the recorded one's."""
    if isinstance(value, wire.Ref):
        return msgspec.structs.replace(value, id=names[value.id])
    if isinstance(value, wire.Array):
        return value
    if isinstance(value, msgspec.Struct):
        changed = {name: _renamed(getattr(value, name), names) for name in value.__struct_fields__}
        return msgspec.structs.replace(value, **changed)
    if isinstance(value, list):
        return [_renamed(item, names) for item in value]
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    return value


class Warm:
    """A separate process that answers all recorded questions whenever it is told to.

    It has answered them once before, so that nothing is done for the first time.

    Args:
        recording: What was asked, of which files.

    Raises:
        SystemExit: If that process fails, also from `answer_all`.
    """

    def __init__(self, recording: Recording) -> None:
        self._folder = tempfile.TemporaryDirectory()
        path = Path(self._folder.name) / "recording"
        write_whole(path, msgspec.msgpack.encode(recording))
        settings = os.environ | QUIET | environment_of(recording.threads, gpu=False)
        settings["HOME"] = self._folder.name
        self._said = (Path(self._folder.name) / "said").open("w+")
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.replay", str(path)],
            cwd=ROOT, env=settings, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
        )  # fmt: skip

    def __enter__(self) -> Warm:
        self.answer_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._process.communicate()  # closes its input, which ends it
        self._said.close()
        self._folder.cleanup()

    def answer_all(self) -> list[Took]:
        """Return what each recorded question takes now."""
        process: Any = self._process  # both pipes are there
        with suppress(BrokenPipeError):
            process.stdin.write("again\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self._said.seek(0)
            raise SystemExit(f"The questions could not be answered again:\n{self._said.read()[-2000:]}")
        return msgspec.json.decode(line, type=list[Took])


def replayed(recording: Recording, repeats: int) -> list[Took]:
    """Return what each recorded question takes in a warm process of its own: medians of the repeats.

    Raises:
        SystemExit: If that process fails.
    """
    with Warm(recording) as warm:
        return medians([warm.answer_all() for _ in range(repeats)])


def medians(rounds: Iterable[Iterable[Took]]) -> list[Took]:
    """Return the median of each question over rounds that answered all of them."""
    return [_median(answers) for answers in zip(*rounds, strict=True)]


def together(took: Iterable[Took]) -> Took:
    """Return the sums."""
    every = list(took)
    return Took(sum(answer.cpu for answer in every), sum(answer.wall for answer in every))


def answer_all(recording: Recording, folder: Path, turn: int) -> list[Took]:
    """Answer every question once and return what each took.

    In each turn the module begins a line further down. TensorFlow caches the functions that it converted; a function on
    another line is a new one to it, as the next submission's are.
    """
    import tf_keras

    from autograder.sandbox.policy import Places
    from autograder.student_side.server import Server

    submission, scratch = folder / "submission", folder / "scratch"
    moved = {f"{MODULE}.py": b"\n" * turn}
    Snapshot({name: moved.get(name, b"") + file for name, file in recording.files.items()}, "").write_to(submission)
    scratch.mkdir()
    os.chdir(scratch)
    servers: dict[int, Server] = {}
    names: dict[int, int] = {}
    took = []
    for asked in recording.asked:
        server = servers.setdefault(asked.process, Server(Places(str(submission), str(scratch))))
        request = _renamed(asked.request, names)
        cpu, wall = time.process_time(), time.perf_counter()
        reply = server.answer(request)
        took.append(Took(time.process_time() - cpu, time.perf_counter() - wall))
        if isinstance(reply, wire.Answer):
            names.update(zip(asked.refs, wire.refs_in(wire.from_value(reply.value)), strict=True))
    tf_keras.backend.clear_session()
    return took


def _main(path: Path) -> None:
    from autograder.student_side.zygote import import_preloaded

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what training prints is no answer
    recording = msgspec.msgpack.decode(path.read_bytes(), type=Recording)
    import_preloaded()
    for name in recording.preload:
        importlib.import_module(name)
    for turn, _ in enumerate(sys.stdin):
        with tempfile.TemporaryDirectory() as folder, mock.patch.object(sys, "path", list(sys.path)):
            took = answer_all(recording, Path(folder), turn)
            os.chdir("/")
        answers.write(msgspec.json.encode(took).decode() + "\n")
        answers.flush()


def _median(took: Iterable[Took]) -> Took:
    every = list(took)
    return Took(statistics.median(answer.cpu for answer in every), statistics.median(answer.wall for answer in every))


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
