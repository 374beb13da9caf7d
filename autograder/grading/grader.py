"""Grade one submission: run the hidden checks of every task against its student process.

The checks of each task are one file of pytest functions, run in this trusted process. Where an earlier task is
wrong, a later one is graded in a second student process in which a reference part stands in for it.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType

import msgspec

from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.course import Course
from autograder.course.notebook import assemble
from autograder.course.submission import Snapshot
from autograder.grading.check_runner import Checks, with_checks
from autograder.grading.gpu import wants_gpu
from autograder.grading.live_submission import Case, Reference, Respondent
from autograder.grading.zygote_client import Zygote
from autograder.results import (
    Environment,
    Submission,
    SubmissionResult,
    TaskResult,
    task_score,
)

LONGEST_SHOWN = 500

Kept = Callable[[Task, Sequence[Task]], TaskResult | None]
"""Returns a task's result, given the earlier tasks that are broken, where it need not be graded again."""


def nothing_kept(task: Task, broken: Sequence[Task]) -> TaskResult | None:
    """Let every task be graded."""
    return None


class Grader:
    """Grades submissions of one assignment, one after another, with one zygote.

    Args:
        course: The course.
        assignment: What is graded.
        threads: TensorFlow's threads in each student process; 0 leaves it to TensorFlow.
    """

    def __init__(self, course: Course, assignment: Assignment, *, threads: int = 0) -> None:
        self._course = course
        self._assignment = assignment
        self._zygote = Zygote(threads=threads, gpu=wants_gpu(course.settings), preload=assignment.preload)
        self._reference = Reference.read(assignment)
        self._secret = course_secret(course)

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
            settings=self._course.settings,
            assignment=self._assignment,
            reference=self._reference,
            zygote=self._zygote,
            snapshot=snapshot,
            notebook=assemble(self._reference.source, snapshot.notebook_bytes),
            ends=time.monotonic() + self._course.settings.submission_seconds,
        )
        seed = hashlib.sha256(self._secret + snapshot.digest.encode()).digest()
        own = Respondent(case)
        try:
            environment = own.environment()
            tasks = with_checks(self._assignment.tasks, lambda checks: _grade_tasks(case, checks, own, seed, kept))
        finally:
            own.close()
        changed = _notes_of_changed(snapshot, self._reference.modules)
        notes = (*snapshot.notes, *changed, *case.notebook.notes, *_note_of_printed(own.printed))
        return summarise(self._assignment, snapshot.digest, environment, tasks, notes)


def _notes_of_changed(snapshot: Snapshot, modules: Mapping[str, str]) -> list[str]:
    """Return a note on each given module that was handed in with changes, which have no effect."""
    handed_in = {name: snapshot.files.get(f"{name}.py") for name in modules}
    changed = [
        name
        for name, content in handed_in.items()
        if content is not None and content.splitlines() != modules[name].encode().splitlines()
    ]
    return [f"Your {name}.py is not the one you were given; grading uses the course's." for name in changed]


def _note_of_printed(text: str) -> tuple[str, ...]:
    """Return a note on what the module printed while it was loaded, before it was asked anything."""
    lines = " | ".join(line for line in text.splitlines() if line.strip())
    shown = lines if len(lines) <= LONGEST_SHOWN else f"{lines[:LONGEST_SHOWN]} …"
    return (f"While it was loaded, your {MODULE}.py printed: {shown}",) if lines else ()


def _grade_tasks(case: Case, checks: Checks, own: Respondent, seed: bytes, kept: Kept) -> tuple[TaskResult, ...]:
    graded: dict[str, TaskResult] = {}
    for task in case.assignment.tasks:
        before = (case.assignment.task(name) for name in task.builds_on)
        broken = tuple(one for one in before if graded[one.id].score < one.points)
        known = kept(task, broken)
        if known is not None:
            graded[task.id] = known
        elif broken:
            graded[task.id] = _grade_helped(case, checks, own, task, broken, seed)
        else:
            graded[task.id] = _grade_task(checks, task, own, seed)
    return tuple(graded.values())


def _grade_helped(
    case: Case, checks: Checks, own: Respondent, task: Task, broken: tuple[Task, ...], seed: bytes
) -> TaskResult:
    """Grade with reference parts in place of the broken ones; the student's own parts if that gives more."""
    best = None
    for otherwise in (False, True) if case.reference.otherwise else (False,):
        helped = Respondent(case, broken, otherwise=otherwise)
        try:
            result = _grade_task(checks, task, helped, seed, carried_forward=True)
        finally:
            helped.close()
        if best is None or result.score > best.score:
            best = result
        if best.score >= task.points:
            return best
    alone = _grade_task(checks, task, own, seed)
    return alone if best is None or alone.score > best.score else best


def _grade_task(
    checks: Checks, task: Task, respondent: Respondent, seed: bytes, *, carried_forward: bool = False
) -> TaskResult:
    found = checks.run(task, respondent.student(task), seed)
    if carried_forward:  # a reference part had its share in what they show
        found = tuple(msgspec.structs.replace(check, pictures=()) for check in found)
    score = task_score(found, task.points)
    return TaskResult(id=task.id, score=score, max_score=task.points, carried_forward=carried_forward, checks=found)


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


def course_secret(course: Course) -> bytes:
    """Return the course's secret, made on first use; hidden inputs are drawn from it."""
    path = course.state_dir / "secret"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".secret-") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster: its secret is the course's
                os.link(file.name, path)
    return path.read_bytes()
