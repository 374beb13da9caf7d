"""Grade one submission: run the hidden checks of every task against its student process.

Each task is one pytest run of one file, in this trusted process. Where an earlier task is wrong,
a later one is graded in a second student process in which a reference part stands in for it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sys
import tempfile
import time
import types
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

import msgspec
import numpy as np
import pytest

from autograder.assignment import MODULE, Assignment, Task
from autograder.checking import Student
from autograder.config import CourseConfig
from autograder.errors import AssignmentError, AutograderError, StudentFault
from autograder.notebook import assemble
from autograder.respondent import Case, Reference, Respondent
from autograder.results import (
    CheckResult,
    Environment,
    Outcome,
    Submission,
    SubmissionResult,
    TaskResult,
    task_score,
)
from autograder.session import Zygote, wants_gpu
from autograder.submission import Snapshot

LONGEST_REASON = 2000
"""Characters of a reason that are kept: a submission may say anything, at any length."""
UNUSED_PLUGINS = (
    "cacheprovider", "doctest", "faulthandler", "junitxml", "logging", "terminal",
    "unraisableexception",  # collects garbage again and again at the end, which took longer than most checks
)  # fmt: skip
LONGEST_SHOWN = 500
PYTEST_WORDS = (
    "--assert=plain",
    "--capture=no",
    "--disable-plugin-autoload",
    "--import-mode=importlib",
    "--strict-markers",
    *(f"-pno:{name}" for name in UNUSED_PLUGINS),
    f"-c{os.devnull}",
)


Kept = Callable[[Task, Sequence[Task]], TaskResult | None]
"""Returns a task's result, given the earlier tasks that are broken, where it need not be graded again."""


def nothing_kept(task: Task, broken: Sequence[Task]) -> TaskResult | None:
    """Let every task be graded."""
    return None


class Grader:
    """Grades submissions of one assignment, one after another, with one zygote.

    Args:
        config: The course's settings.
        assignment: What is graded.
        threads: TensorFlow's threads in each student process; 0 leaves it to TensorFlow.
    """

    def __init__(self, config: CourseConfig, assignment: Assignment, *, threads: int = 0) -> None:
        self._config = config
        self._assignment = assignment
        self._zygote = Zygote(threads=threads, gpu=wants_gpu(config), preload=assignment.preload)
        self._reference = Reference.read(assignment)
        self._secret = course_secret(config)

    def __enter__(self) -> Grader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    @property
    def alive(self) -> bool:
        """Whether the zygote still runs: if not, what it forked was killed, and the last result is worth nothing."""
        return self._zygote.alive

    def close(self) -> None:
        """End the zygote."""
        self._zygote.close()

    def grade(self, snapshot: Snapshot, kept: Kept = nothing_kept) -> SubmissionResult:
        """Grade one submission.

        Args:
            snapshot: The submission.
            kept: Returns the result of a task that need not be graded again, if there is one.

        Raises:
            SandboxUnavailable: If a required layer of confinement is missing.
            ZygoteError: If student processes cannot be started.
        """
        case = Case(
            config=self._config,
            assignment=self._assignment,
            reference=self._reference,
            zygote=self._zygote,
            snapshot=snapshot,
            notebook=assemble(self._reference.source, snapshot.notebook_bytes),
            ends=time.monotonic() + self._config.submission_seconds,
        )
        seed = hashlib.sha256(self._secret + snapshot.digest.encode()).digest()
        own = Respondent(case)
        try:
            setting = own.setting()
            tasks = _grade_tasks(case, own, seed, kept)
        finally:
            own.close()
        environment = Environment(tensorflow=setting.tensorflow, device=setting.device, sandbox=setting.layers)
        notes = (*snapshot.notes, *case.notebook.notes, *_note_of_printed(own.printed))
        return summarise(self._assignment, snapshot.digest, environment, tasks, notes)


def _note_of_printed(text: str) -> tuple[str, ...]:
    """Return a note on what the module printed while it was loaded, before it was asked anything."""
    lines = " | ".join(line for line in text.splitlines() if line.strip())
    shown = lines if len(lines) <= LONGEST_SHOWN else f"{lines[:LONGEST_SHOWN]} …"
    return (f"While it was loaded, your {MODULE}.py printed: {shown}",) if lines else ()


def _grade_tasks(case: Case, own: Respondent, seed: bytes, kept: Kept) -> tuple[TaskResult, ...]:
    graded: dict[str, TaskResult] = {}
    for task in case.assignment.tasks:
        before = (case.assignment.task(name) for name in task.builds_on)
        broken = tuple(one for one in before if graded[one.id].score < one.points)
        known = kept(task, broken)
        if known is not None:
            graded[task.id] = known
        elif broken:
            graded[task.id] = _grade_helped(case, own, task, broken, seed)
        else:
            graded[task.id] = _grade_task(task, own, seed)
    return tuple(graded.values())


def _grade_helped(case: Case, own: Respondent, task: Task, broken: tuple[Task, ...], seed: bytes) -> TaskResult:
    """Grade with reference parts in place of the broken ones; the student's own parts if that gives more."""
    best = None
    for otherwise in (False, True) if case.reference.otherwise else (False,):
        helped = Respondent(case, broken, otherwise=otherwise)
        try:
            result = _grade_task(task, helped, seed, carried_forward=True)
        finally:
            helped.close()
        if best is None or result.score > best.score:
            best = result
        if best.score >= task.points:
            return best
    alone = _grade_task(task, own, seed)
    return alone if best is None or alone.score > best.score else best


def _grade_task(task: Task, respondent: Respondent, seed: bytes, *, carried_forward: bool = False) -> TaskResult:
    checks = run_checks(task, respondent.student(task), seed)
    if carried_forward:  # a reference part had its share in what they show
        checks = tuple(msgspec.structs.replace(check, pictures=()) for check in checks)
    score = task_score(checks, task.points)
    return TaskResult(id=task.id, score=score, max_score=task.points, carried_forward=carried_forward, checks=checks)


def summarise(
    assignment: Assignment,
    digest: str,
    environment: Environment,
    tasks: tuple[TaskResult, ...],
    notes: tuple[str, ...],
) -> SubmissionResult:
    """Return the tasks' results as one submission's."""
    return SubmissionResult(
        assignment=assignment.name,
        submission=Submission(digest=digest),
        score=round(sum(task.score for task in tasks), 2),
        max_score=assignment.max_score,
        environment=environment,
        tasks=tasks,
        notes=notes,
    )


def run_checks(task: Task, student: Student, seed: bytes) -> tuple[CheckResult, ...]:
    """Run one task's hidden checks.

    Args:
        task: The task.
        student: The submission.
        seed: Makes the inputs; each check draws its own from it.

    Raises:
        AssignmentError: If the check file cannot be collected or holds no check.
        AutograderError: If the machinery itself fails, such as a missing layer of confinement.
    """
    _make_importable(task.checks.parent)
    _forget_another(task.checks)
    recorder = _Recorder(task, student, seed)
    # Without a cut pytest lists each folder up to the root, and runs the conftest.py that it finds there.
    place = task.checks.parent
    words = [*PYTEST_WORDS, f"--rootdir={place}", f"--confcutdir={place}", str(task.checks)]
    outside = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        status = pytest.main(words, plugins=[recorder])
    finally:
        if outside is not None:
            os.environ["PYTEST_ADDOPTS"] = outside
    if recorder.fatal is not None:
        raise recorder.fatal
    if status == pytest.ExitCode.INTERRUPTED and not recorder.trouble:  # checks that cannot be collected end so, too
        raise KeyboardInterrupt  # pytest took it for itself
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED) or not recorder.checks:
        reason = recorder.trouble or f"pytest ended with {status!r}"
        raise AssignmentError(f"The checks in {task.checks} could not be run: {reason}")
    return tuple(recorder.checks)


class _Recorder:
    """The pytest plugin: gives checks their fixtures and turns reports into results."""

    def __init__(self, task: Task, student: Student, seed: bytes) -> None:
        self._task = task
        self._student = student
        self._seed = seed
        self.checks: list[CheckResult] = []
        self.trouble = ""
        self.fatal: AutograderError | None = None

    @pytest.fixture(scope="session")
    def student(self) -> Student:
        """The submission, on the other side of the wall."""
        return self._student

    @pytest.fixture(scope="session")
    def task_rng(self) -> np.random.Generator:
        """As `rng`, for fixtures that several checks of a task share."""
        return _generator(self._seed, self._task.id)

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """Random numbers that are the same for one submission and one check, and secret."""
        return _generator(self._seed, f"{self._task.id}::{request.node.name}")

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers", "check(sentence, weight=1): what a check asks for, and its share of the task"
        )

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        # How a failed check is shown is read by nobody; other styles parse the source of a hundred frames for it.
        session.config.option.tbstyle = "native"

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.trouble = report.longreprtext

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, AutograderError):
            self.fatal = error
            item.session.shouldstop = "the machinery failed"
        elif call.when == "call" or error is not None:
            self.checks.append(self._result(item, call, error))
        return report

    def _result(self, item: pytest.Item, call: pytest.CallInfo[None], error: BaseException | None) -> CheckResult:
        marker = item.get_closest_marker("check")
        name = item.name.removeprefix("test_")
        outcome, message, misconception = _verdict(error)
        message = message if len(message) <= LONGEST_REASON else f"{message[:LONGEST_REASON]} …"
        return CheckResult(
            id=f"{self._task.id}::{name}",
            sentence=str(marker.args[0]) if marker and marker.args else name.replace("_", " ").capitalize() + ".",
            outcome=outcome,
            weight=float(marker.kwargs.get("weight", 1)) if marker else 1.0,
            message=message,
            misconception=misconception,
            duration=round(call.duration, 4),
            pictures=self._student.take_pictures(),
        )


def _generator(seed: bytes, name: str) -> np.random.Generator:
    own = hashlib.sha256(seed + name.encode()).digest()
    return np.random.default_rng(int.from_bytes(own, "little"))


def _verdict(error: BaseException | None) -> tuple[Outcome, str, str | None]:
    """Return outcome, message and misconception of a check that ended with this exception."""
    if error is None:
        return "passed", "", None
    if isinstance(error, StudentFault):
        return "failed", error.message, getattr(error, "misconception", None)
    if isinstance(error, AssertionError):
        return "failed", str(error), None
    if isinstance(error, pytest.skip.Exception):
        return "skipped", str(error), None
    return "error", f"{type(error).__name__}: {error}", None


def _make_importable(checks_dir: Path) -> None:
    """Let checks import their neighbours as `autograder.checks.<assignment>.<module>`, in any course folder."""
    parent = str(checks_dir.parent)
    package = sys.modules.get("autograder.checks")
    if package is not None and list(package.__path__) == [parent]:
        return
    for name in [name for name in sys.modules if name.startswith("autograder.checks")]:
        del sys.modules[name]
    package = types.ModuleType("autograder.checks")
    package.__path__ = [parent]
    sys.modules["autograder.checks"] = package


def _forget_another(checks: Path) -> None:
    """Forget the checks of another assignment, or of another course, that stand under the same name."""
    known = sys.modules.get(checks.stem)
    if known is not None and getattr(known, "__file__", None) != str(checks):
        del sys.modules[checks.stem]


def course_secret(config: CourseConfig) -> bytes:
    """Return the course's secret, made on first use; hidden inputs are drawn from it."""
    path = config.state_dir / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster: its secret is the course's
                os.link(file.name, path)
    return path.read_bytes()
