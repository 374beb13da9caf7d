"""Store results by what they depend on, so that a result that exists is not computed again.

A result is found by the submission and by the rules that every task depends on (see `rules_digest`). Beside it stands,
for each task, a digest of that task's checks: if only these changed, the other tasks' results still count.
"""

from __future__ import annotations

import atexit
import functools
import hashlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from autograder.config import Settings
from autograder.course.assignment import Assignment, Task
from autograder.course.course import Course
from autograder.course.notebook import build_notebook
from autograder.course.snapshot_store import SnapshotStore
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import SubmissionUnreadable, ZygoteError
from autograder.files import write_whole
from autograder.grading.grader import Grader, summarise
from autograder.grading.rules_digest import Rules, read_rules
from autograder.results import (
    READING_CHECK,
    CheckId,
    CheckResult,
    Environment,
    Submission,
    SubmissionResult,
    TaskResult,
)

TRIES = 2
"""How often a submission is graded if the zygote is lost meanwhile."""


class CachedResult(msgspec.Struct, frozen=True):
    """A result in the store.

    Attributes:
        checks: The digest of each task's checks when it was graded.
        result: The result, without the student's name.
    """

    checks: dict[str, str]
    result: SubmissionResult


@dataclass(frozen=True)
class ReadSubmission:
    """A submission folder that was read.

    Attributes:
        snapshot: Its files; empty if it cannot be read, as the result then says.
        result: What grading found, if nothing has to be run for it.
    """

    snapshot: Snapshot
    result: SubmissionResult | None


class ResultStore:
    """The results of one assignment under the rules that hold now, and the submissions that they belong to.

    Args:
        course: The course, which holds the store's folder.
        assignment: What was graded.

    Attributes:
        rules: The rules that hold now.
    """

    def __init__(self, course: Course, assignment: Assignment) -> None:
        self._folder = course.state_dir / "results" / assignment.name
        self._snapshots = SnapshotStore(course)
        self.rules = read_rules(course, assignment)

    def add(self, snapshot: Snapshot, result: SubmissionResult) -> None:
        """Store a submission and its result."""
        self._snapshots.save(snapshot)
        write_whole(self._path(snapshot), msgspec.json.encode(CachedResult(self.rules.checks, _named(result, None))))

    def find(self, snapshot: Snapshot) -> CachedResult | None:
        """Return what is stored of a submission; some of its tasks' checks may have changed since."""
        with suppress(OSError, ValueError):  # a result that cannot be read is computed again
            cached = msgspec.json.decode(self._path(snapshot).read_bytes(), type=CachedResult)
            return cached if cached.result.submission.digest == snapshot.digest else None
        return None

    def find_complete(self, snapshot: Snapshot) -> SubmissionResult | None:
        """Return the result of a submission, if all of it still counts."""
        cached = self.find(snapshot)
        if cached is None or cached.checks != self.rules.checks or cached.result.has_error:
            return None
        return cached.result

    def task_result(self, cached: CachedResult | None, task: Task, wrong: Sequence[Task]) -> TaskResult | None:
        """Return a task's result, if its checks are the same and the same earlier tasks were wrong."""
        result = cached.result.task(task.id) if cached is not None else None
        if cached is None or result is None or result.held:
            return None
        if cached.checks.get(task.id) != self.rules.checks[task.id]:
            return None
        earlier = (other for other in cached.result.tasks if other.id in task.builds_on)
        wrong_then = {other.id for other in earlier if other.score < other.max_score}
        return result if wrong_then == {task.id for task in wrong} else None

    def _path(self, snapshot: Snapshot) -> Path:
        depends_on = "\n".join([snapshot.digest, self.rules.shared, *snapshot.notes])  # the result holds the notes, too
        key = hashlib.sha256(depends_on.encode()).hexdigest()
        return self._folder / key[:2] / f"{key}.json"


class CachedGrader:
    """Grades submissions of one assignment; a result that is in the store is not computed again.

    Args:
        course: The course.
        assignment: What is graded.
        threads: See `Grader`.
    """

    def __init__(self, course: Course, assignment: Assignment, *, threads: int = 0) -> None:
        self._course = course
        self._assignment = assignment
        self._threads = threads
        self._grader: Grader | None = None
        self._store = ResultStore(course, assignment)

    @property
    def rules(self) -> Rules:
        """What its results depend on besides the submission."""
        return self._store.rules

    def grade(self, folder: Path, student: str | None = None) -> SubmissionResult:
        """Return the result of a submission folder, from the store or by grading it now.

        A submission that cannot be read at all gets 0 with the reason.

        Raises:
            UsageError: If there is nothing at `folder`.
            AutograderError: If grading itself fails.
        """
        read = self.look_up(folder, student)
        return read.result or self.grade_snapshot(read.snapshot, student)

    def cached(self, folder: Path, student: str | None = None) -> SubmissionResult | None:
        """Return the result of a submission folder if nothing has to be run for it.

        Raises:
            UsageError: If there is nothing at `folder`.
        """
        return self.look_up(folder, student).result

    def look_up(self, folder: Path, student: str | None = None) -> ReadSubmission:
        """Read a submission folder, once, and find its result if nothing has to be run for it.

        Raises:
            UsageError: If there is nothing at `folder`.
        """
        try:
            snapshot = read_submission(folder, self._assignment.name, self._course.settings)
        except SubmissionUnreadable as error:
            refusal = refused(self._assignment, str(error))
            return ReadSubmission(Snapshot({}, f"{self._assignment.name}.ipynb"), _named(refusal, student))
        result = self._store.find_complete(snapshot)
        return ReadSubmission(snapshot, None if result is None else _named(result, student))

    def grade_snapshot(self, snapshot: Snapshot, student: str | None = None) -> SubmissionResult:
        """Return the result of a submission that was read already; see `grade`."""
        result = self._store.find_complete(snapshot)
        if result is None:
            result = self._grade_now(snapshot)
            self._store.add(snapshot, result)
        return _named(result, student)

    def cache(self, snapshot: Snapshot, result: SubmissionResult) -> None:
        """Store a result that another machine found with the same rules."""
        self._store.add(snapshot, result)

    def close(self) -> None:
        """End the zygote, if one was started."""
        if self._grader is not None:
            self._grader.close()
            self._grader = None

    def _grade_now(self, snapshot: Snapshot) -> SubmissionResult:
        """Grade what is not stored; once more if the zygote was lost, which looks as if the submission had died."""
        cached_task = functools.partial(self._store.task_result, self._store.find(snapshot))
        for _ in range(TRIES):
            grader = self._open_grader()
            try:
                result = grader.grade(snapshot, cached_task)
                if grader.alive:
                    return result
                lost = ZygoteError("The process that imports TensorFlow ended while it was needed.")
            except ZygoteError as error:
                lost = error
            self.close()
        raise lost

    def _open_grader(self) -> Grader:
        if self._grader is None:
            self._grader = Grader(self._course, self._assignment, threads=self._threads)
        return self._grader


def read_for_check(path: Path, assignment: str, settings: Settings) -> Snapshot:
    """Read a submission, or an instructor's solutions folder, whose notebook is a script that is built first.

    Raises:
        UsageError: If there is nothing at `path`.
        SubmissionUnreadable: See `read_submission`.
    """
    snapshot = read_submission(path, assignment, settings)
    script = snapshot.files.get(f"{assignment}.py")
    if script is None or snapshot.notebook_bytes is not None:
        return snapshot
    try:
        notebook = build_notebook(script.decode())
    except Exception:  # a hand-in may hold anything under this name, which jupytext and YAML then meet
        note = f"{assignment}.py is not read as a notebook. Hand in {snapshot.notebook}."
        return replace(snapshot, notes=(*snapshot.notes, note))
    return Snapshot({**snapshot.files, snapshot.notebook: notebook}, snapshot.notebook)


def checked(grader: CachedGrader, assignment: Assignment, path: Path, settings: Settings) -> SubmissionResult:
    """Return the result of what lies at a path; what cannot be read at all gets 0 with the reason.

    Raises:
        UsageError: If there is nothing at `path`.
    """
    try:
        return grader.grade_snapshot(read_for_check(path, assignment.name, settings))
    except SubmissionUnreadable as error:
        return refused(assignment, str(error))


@functools.cache
def grader_for(course: Course, assignment: str, threads: int = 0) -> CachedGrader:
    """Return this process's grader with these settings; its zygote lives as long as the process."""
    grader = CachedGrader(course, course.assignment(assignment), threads=threads)
    atexit.register(grader.close)
    return grader


def _named(result: SubmissionResult, student: str | None) -> SubmissionResult:
    return msgspec.structs.replace(result, submission=Submission(digest=result.submission.digest, student=student))


def refused(assignment: Assignment, reason: str) -> SubmissionResult:
    """Return the result of a submission that cannot be read at all: 0 for every task, with the reason."""
    tasks = tuple(
        TaskResult(id=task.id, score=0.0, max_score=task.points, checks=(_refusal(task, reason),))
        for task in assignment.tasks
    )
    environment = Environment(tensorflow="", device="cpu", sandbox=())
    return summarise(assignment, "", environment, tasks, (reason,))


def _refusal(task: Task, reason: str) -> CheckResult:
    sentence = "The submission can be read."
    check_id = str(CheckId(task.id, READING_CHECK))
    return CheckResult(id=check_id, sentence=sentence, outcome="failed", weight=1, message=reason)
