"""Run hidden checks: pytest functions, in this trusted process, that ask the submission questions."""

from __future__ import annotations

import hashlib
import os
import sys
import types
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from _pytest.config import _prepareconfig

from autograder.checking.comparisons import OTHER_KERAS
from autograder.checking.remote import Student
from autograder.course.assignment import Task
from autograder.errors import (
    AssignmentError,
    AutograderError,
    CellStopped,
    CheckFailed,
    StudentFault,
    StudentRaised,
)
from autograder.results import CheckId, CheckResult, Outcome

LONGEST_REASON = 2000
"""Characters of a reason that a result holds: a submission may say anything, at any length."""
UNUSED_PLUGINS = (
    "cacheprovider", "doctest", "faulthandler", "junitxml", "logging", "terminal",
    "unraisableexception",  # collects garbage again and again at the end, which took longer than most checks
)  # fmt: skip
PYTEST_WORDS = (
    "--assert=plain",
    "--capture=no",
    "--disable-plugin-autoload",
    "--import-mode=importlib",
    "--strict-markers",
    *(f"-pno:{name}" for name in UNUSED_PLUGINS),
    f"-c{os.devnull}",
)


@contextmanager
def collected_checks(tasks: Sequence[Task]) -> Iterator[Checks]:
    """Let pytest collect the checks of these tasks, and keep its session open for the block.

    Starting pytest for each task instead took a third of the grader's time.

    Args:
        tasks: At least one; their files lie in one folder.

    Raises:
        AssignmentError: If a check file cannot be collected.
    """
    place = tasks[0].checks.parent
    _make_importable(place)
    for task in tasks:
        _forget_another(task.checks)
    plugin = _Plugin(place)
    # Without --confcutdir, pytest lists each folder up to the root and runs the conftest.py that it finds there.
    words = [*PYTEST_WORDS, f"--rootdir={place}", f"--confcutdir={place}", *(task.checks.name for task in tasks)]
    with _pytest_session(words, plugin) as session:
        try:
            session.config.hook.pytest_collection(session=session)
        except (Exception, SystemExit) as error:  # pytest itself, or a conftest.py, may raise anything here
            raise AssignmentError(f"The checks in {place} could not be run: {error}") from error
        if plugin.collection_error:
            raise AssignmentError(f"The checks in {place} could not be run: {plugin.collection_error}")
        # Nobody reads how pytest shows a failed check; other styles parse the source of a hundred frames for it.
        session.config.option.tbstyle = "native"
        yield Checks(session.items, plugin)


@contextmanager
def _pytest_session(words: list[str], plugin: object) -> Iterator[pytest.Session]:
    """Open a pytest session as `pytest.main` does, which would collect, run and end in one go.

    What stands behind `pytest.main` has no public name. If it changes with a new pytest, every test of grading fails.
    """
    outside = os.environ.pop("PYTEST_ADDOPTS", None)
    try:
        config = _prepareconfig(words, [plugin])
    finally:
        if outside is not None:
            os.environ["PYTEST_ADDOPTS"] = outside
    try:
        config._do_configure()
        session = pytest.Session.from_config(config)
        config.hook.pytest_sessionstart(session=session)
        try:
            yield session
        finally:
            config.hook.pytest_sessionfinish(session=session, exitstatus=pytest.ExitCode.OK)
    finally:
        config._ensure_unconfigure()


@dataclass(frozen=True)
class CheckEnding:
    """How a check ended.

    Attributes:
        sentences: The reasons one by one, of which the result's message is made.
        exception: Kind of the exception that the student's code raised; empty if it raised none.
        place: File or cell, and function, where it was raised; empty if unknown.
        line: The line there; 0 if unknown.
    """

    result: CheckResult
    sentences: tuple[str, ...] = ()
    exception: str = ""
    place: str = ""
    line: int = 0


class Checks:
    """The hidden checks of some tasks, collected, as `collected_checks` gives them."""

    def __init__(self, items: Sequence[pytest.Item], plugin: _Plugin) -> None:
        self._plugin = plugin
        self._items: dict[Path, list[pytest.Item]] = {}
        for item in items:
            self._items.setdefault(item.path, []).append(item)

    def run(
        self, task: Task, student: Student, seed: bytes, without: frozenset[str] = frozenset()
    ) -> tuple[CheckResult, ...]:
        """Run one task's checks and return their results; for arguments and errors see `endings`."""
        return tuple(ending.result for ending in self.endings(task, student, seed, without))

    def endings(
        self, task: Task, student: Student, seed: bytes, without: frozenset[str] = frozenset()
    ) -> tuple[CheckEnding, ...]:
        """Run one task's checks; any number of times, each time with fixtures of its own.

        Args:
            task: The task.
            student: The submission.
            seed: Makes the inputs; each check draws its own from it.
            without: Ids of checks that need not be run.

        Raises:
            AssignmentError: If there is no check, or one ends pytest.
            AutograderError: If the machinery itself fails, such as a missing layer of confinement.
        """
        found = self._items.get(Path(os.path.abspath(task.checks)), [])  # noqa: PTH100 - as pytest does, links stay
        items = [item for item in found if str(_check_id(task, item)) not in without]
        running = self._plugin.running = _RunningTask(task, student, seed)
        try:
            for item, following in zip_longest(items, items[1:]):  # None behind the last ends the fixtures
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
                if running.fatal is not None:
                    raise running.fatal
        except pytest.exit.Exception as ended:
            raise AssignmentError(f"A check in {task.checks} ended pytest: {ended}") from ended
        if not running.endings:
            raise AssignmentError(f"There is no check in {task.checks}.")
        return tuple(running.endings)


@dataclass
class _RunningTask:
    """The task whose checks run now, and how they ended so far.

    Attributes:
        fatal: An error that ends grading, not only the check.
    """

    task: Task
    student: Student
    seed: bytes
    endings: list[CheckEnding] = field(default_factory=list)
    fatal: AutograderError | None = None


class _Plugin:
    """The pytest plugin: gives checks their fixtures and turns reports into results.

    Args:
        place: The folder of the checks.

    Attributes:
        running: The task whose checks run now.
        collection_error: Why checks could not be collected; empty if they were.
    """

    running: _RunningTask

    def __init__(self, place: Path) -> None:
        self._place = place
        self.collection_error = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_cmdline_parse(self, pluginmanager: pytest.PytestPluginManager) -> None:
        """Let names of files stand for files of the checks' folder; pytest refuses a path with a bracket in it."""
        config: Any = pluginmanager.get_plugin("pytestconfig")
        config.invocation_params = replace(config.invocation_params, dir=self._place)

    @pytest.fixture(scope="session")
    def student(self) -> Student:
        """The submission, on the other side of the wall."""
        return self.running.student

    @pytest.fixture(scope="session")
    def task_rng(self) -> np.random.Generator:
        """As `rng`, for fixtures that several checks of a task share."""
        return _generator(self.running.seed, self.running.task.id)

    @pytest.fixture
    def rng(self, request: pytest.FixtureRequest) -> np.random.Generator:
        """Random numbers that are the same for one submission and one check, and secret."""
        # No CheckId, which leaves out `test_`: another text would draw other inputs.
        return _generator(self.running.seed, f"{self.running.task.id}::{request.node.name}")

    def pytest_configure(self, config: pytest.Config) -> None:
        config.addinivalue_line(
            "markers", "check(sentence, weight=1): what a check asks for, and its share of the task"
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.collection_error = self.collection_error or report.longreprtext

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo else None
        if isinstance(error, AutograderError):
            self.running.fatal = error
        elif call.when == "call" or error is not None:
            self.running.endings.append(self._ending(item, call, error))
        return report

    def _ending(self, item: pytest.Item, call: pytest.CallInfo[None], error: BaseException | None) -> CheckEnding:
        marker = item.get_closest_marker("check")
        check_id = _check_id(self.running.task, item)
        sentence = check_id.within_task.replace("_", " ").capitalize() + "."
        if _may_be_for_another_keras(error) and self.running.student.makes_layers_of_another_keras():
            error = CheckFailed(OTHER_KERAS, "other_keras")
        outcome, message, misconception = _verdict(error)
        message = message if len(message) <= LONGEST_REASON else f"{message[:LONGEST_REASON]} …"
        result = CheckResult(
            id=str(check_id),
            sentence=str(marker.args[0]) if marker and marker.args else sentence,
            outcome=outcome,
            weight=float(marker.kwargs.get("weight", 1)) if marker else 1.0,
            message=message,
            misconception=misconception,
            duration=round(call.duration, 4),
            pictures=self.running.student.take_pictures(),
        )
        sentences = error.sentences if isinstance(error, CheckFailed) else (message,)
        fault = (error.exception, error.place, error.line) if isinstance(error, StudentFault) else ()
        return CheckEnding(result, sentences, *fault)


def _check_id(task: Task, item: pytest.Item) -> CheckId:
    return CheckId.parse(f"{task.id}::{item.name.removeprefix('test_')}")


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


def _may_be_for_another_keras(error: BaseException | None) -> bool:
    """Whether a check failed as it does where layers of two Keras are mixed: a part seems missing, or Keras raises."""
    if isinstance(error, StudentRaised):
        return "keras" in error.text.lower()
    return isinstance(error, CheckFailed | AssertionError) and not isinstance(error, CellStopped)


def _make_importable(checks_dir: Path) -> None:
    """Let checks import what lies beside and below them, as `autograder.checks.<assignment>.…`, in any course."""
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
