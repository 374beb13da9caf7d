"""Keep results by what they depend on, so that a result that exists is not computed again.

A result is found by the submission and by all that each of its tasks depends on: settings, versions, the package, the
instructor's texts. Beside it stands, for each task, a digest of that task's checks: where only these
changed, the other tasks' results stay.
"""

from __future__ import annotations

import ast
import atexit
import functools
import hashlib
import platform
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import msgspec

from autograder.config import Settings
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.course import Course
from autograder.course.notebook import build_notebook
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import SubmissionUnreadable, ZygoteError
from autograder.files import write_whole
from autograder.grading.grader import Grader, course_secret, summarise
from autograder.grading.rules_digest import package_digest
from autograder.results import CheckResult, Environment, Submission, SubmissionResult, TaskResult

LIBRARIES = ("tensorflow", "tf-keras", "numpy", "scikit-learn", "transformers", "carbontracker")
SHARED_TEXTS = ("tasks.toml", "parameters.py", "stand_ins.py", "alternatives.py", "conftest.py")
"""Files beside the checks that all tasks depend on."""
_NOT_RULES = ("jobs",)
TRIES = 2


class Stored(msgspec.Struct, frozen=True):
    """A result as it is kept.

    Attributes:
        checks: Task to the digest of its checks, as they were.
    """

    checks: dict[str, str]
    result: SubmissionResult


class CachedGrader:
    """Grades folders of one assignment; a result that exists is not computed again.

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
        self._rules = _rules_digest(course, assignment)
        self._checks = {task.id: _checks_digest(task.checks) for task in assignment.tasks}

    def grade(self, folder: Path, student: str | None = None) -> SubmissionResult:
        """Return the result of a submission folder, from the store or by grading it now.

        A submission that cannot be read at all gets 0 with the reason.

        Raises:
            UsageError: If there is nothing at `folder`.
            AutograderError: If grading itself fails.
        """
        known = self.known(folder, student)
        if known is not None:
            return known
        return self.grade_snapshot(read_submission(folder, self._assignment.name, self._course.settings), student)

    def known(self, folder: Path, student: str | None = None) -> SubmissionResult | None:
        """Return the result of a submission folder if nothing has to be run for it.

        Raises:
            UsageError: If there is nothing at `folder`.
        """
        found = self.look(folder, student)
        return found if isinstance(found, SubmissionResult) else None

    def look(self, folder: Path, student: str | None = None) -> Snapshot | SubmissionResult:
        """Read a submission folder once: return its result if nothing has to be run for it, else what was read.

        Raises:
            UsageError: If there is nothing at `folder`.
        """
        try:
            snapshot = read_submission(folder, self._assignment.name, self._course.settings)
        except SubmissionUnreadable as error:
            return _named(_unreadable(self._assignment, str(error)), student)
        return self._whole(self._stored(snapshot), student) or snapshot

    def grade_snapshot(self, snapshot: Snapshot, student: str | None = None) -> SubmissionResult:
        """Return the result of a submission that was read already; see `grade`."""
        stored = self._stored(snapshot)
        whole = self._whole(stored, student)
        if whole is not None:
            return whole
        result = self._graded(snapshot, stored)
        self.keep(snapshot, result)
        return _named(result, student)

    def keep(self, snapshot: Snapshot, result: SubmissionResult) -> None:
        """Keep a result, found here or by another machine with the same rules, for the next time."""
        write_whole(self._path(snapshot), msgspec.json.encode(Stored(self._checks, _named(result, None))))

    def _graded(self, snapshot: Snapshot, stored: Stored | None) -> SubmissionResult:
        """Grade now; once more where the zygote was lost, which looks as if the submission had died."""
        for _ in range(TRIES):
            grader = self._fresh_grader()
            try:
                result = grader.grade(snapshot, functools.partial(self._kept, stored))
                if grader.alive:
                    return result
                lost = ZygoteError("The process that imports TensorFlow ended while it was needed.")
            except ZygoteError as error:
                lost = error
            self.close()
        raise lost

    def _stored(self, snapshot: Snapshot) -> Stored | None:
        with suppress(OSError, ValueError):  # a result that cannot be read is computed again
            stored = msgspec.json.decode(self._path(snapshot).read_bytes(), type=Stored)
            return stored if stored.result.submission.digest == snapshot.digest else None
        return None

    def _whole(self, stored: Stored | None, student: str | None) -> SubmissionResult | None:
        """Return the stored result if every task of it still holds."""
        if stored is None or stored.checks != self._checks or stored.result.has_error:
            return None
        return _named(stored.result, student)

    def _kept(self, stored: Stored | None, task: Task, broken: Sequence[Task]) -> TaskResult | None:
        """Return a task's stored result if its checks and what stood in for earlier tasks are as they were."""
        found = stored.result.task(task.id) if stored is not None else None
        if stored is None or found is None or found.has_error or stored.checks.get(task.id) != self._checks[task.id]:
            return None
        before = [one.id for one in stored.result.tasks if one.id in task.builds_on and one.score < one.max_score]
        return found if set(before) == {one.id for one in broken} else None

    def close(self) -> None:
        """End the zygote, if one was started."""
        if self._grader is not None:
            self._grader.close()
            self._grader = None

    def _fresh_grader(self) -> Grader:
        if self._grader is None:
            self._grader = Grader(self._course, self._assignment, threads=self._threads)
        return self._grader

    def _path(self, snapshot: Snapshot) -> Path:
        asked = "\n".join([snapshot.digest, self._rules, *snapshot.notes])  # the result holds the notes, too
        key = hashlib.sha256(asked.encode()).hexdigest()
        return self._course.state_dir / "results" / self._assignment.name / key[:2] / f"{key}.json"


def read_for_check(path: Path, assignment: str, settings: Settings) -> Snapshot:
    """Read a submission, or an instructor's solutions folder, whose notebook is a script that is built first.

    Raises:
        UsageError: If there is nothing at `path`.
        SubmissionUnreadable: If it is larger than the course allows.
    """
    snapshot = read_submission(path, assignment, settings)
    script = snapshot.files.get(f"{assignment}.py")
    if script is None or snapshot.notebook_bytes is not None:
        return snapshot
    return Snapshot({**snapshot.files, snapshot.notebook: build_notebook(script.decode())}, snapshot.notebook)


@functools.cache
def grader_for(course: Course, assignment: str, threads: int = 0) -> CachedGrader:
    """Return this process's grader with these settings; its zygote lives as long as the process."""
    grader = CachedGrader(course, course.assignment(assignment), threads=threads)
    atexit.register(grader.close)
    return grader


def _named(result: SubmissionResult, student: str | None) -> SubmissionResult:
    return msgspec.structs.replace(result, submission=Submission(digest=result.submission.digest, student=student))


def _unreadable(assignment: Assignment, reason: str) -> SubmissionResult:
    """Return 0 for every task, with the reason."""
    tasks = tuple(
        TaskResult(id=task.id, score=0.0, max_score=task.points, checks=(_refusal(task, reason),))
        for task in assignment.tasks
    )
    environment = Environment(tensorflow="", device="cpu", sandbox=())
    return summarise(assignment, "", environment, tasks, (reason,))


def _refusal(task: Task, reason: str) -> CheckResult:
    sentence = "The submission can be read."
    return CheckResult(id=f"{task.id}::submission", sentence=sentence, outcome="failed", weight=1, message=reason)


def _rules_digest(course: Course, assignment: Assignment) -> str:
    """Digest all that every task depends on besides the submission: texts, settings, versions, the secret."""
    settings = {key: value for key, value in asdict(course.settings).items() if key not in _NOT_RULES}
    versions = [platform.python_version(), *(f"{name} {version(name)}" for name in LIBRARIES)]
    whole = hashlib.sha256(
        course_secret(course) + repr((package_digest(), sorted(settings.items()), versions)).encode()
    )
    for path in _rule_files(assignment):
        whole.update(hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()


def _checks_digest(path: Path) -> str:
    """Digest one file of checks and those of its neighbours that it imports, directly or not."""
    used, waiting = set[Path](), [path]
    while waiting:
        one = waiting.pop()
        if one not in used:
            used.add(one)
            waiting += _imported_neighbours(one)
    texts = (hashlib.sha256(one.read_bytes()).hexdigest() for one in sorted(used))
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _imported_neighbours(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_bytes())):
        for module in _modules_in(node):
            neighbour = path.parent / f"{module.rpartition('.')[2]}.py"
            if module.startswith("autograder.checks.") and neighbour.is_file():
                yield neighbour


def _modules_in(node: ast.AST) -> list[str]:
    """Return what an import names; of `from package import name` also `package.name`, which may be a module."""
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    return []


def _rule_files(assignment: Assignment) -> Iterator[Path]:
    yield from sorted(assignment.checks_dir / name for name in SHARED_TEXTS if (assignment.checks_dir / name).is_file())
    yield assignment.notebook_path
    yield assignment.source_dir / f"{MODULE}.py"
    yield from assignment.given_modules
    yield assignment.solution_dir / f"{MODULE}.py"
