"""Grade one submission: run the hidden checks of every task against its student process.

The checks of each task are one file of pytest functions, run in this trusted process. If an earlier task is wrong,
a later one is graded in a second student process, with stand-ins for the wrong parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType

import msgspec

from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.course import Course
from autograder.course.secret import course_secret
from autograder.course.submission import Snapshot
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.gpu import wants_gpu
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.results import (
    Environment,
    Submission,
    SubmissionResult,
    TaskResult,
    task_score,
)

LONGEST_SHOWN = 500

CachedTask = Callable[[Task, Sequence[Task]], TaskResult | None]
"""Returns the cached result of a task, given the earlier tasks that are wrong; None if the task must be graded."""


def nothing_cached(task: Task, wrong: Sequence[Task]) -> TaskResult | None:
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

    def grade(self, snapshot: Snapshot, cached: CachedTask = nothing_cached) -> SubmissionResult:
        """Grade one submission.

        Args:
            snapshot: The submission.
            cached: Returns results of tasks that need not be graded again.

        Raises:
            SandboxUnavailable: If a required layer of confinement is missing.
            ZygoteError: If student processes cannot be started.
        """
        case = GradingCase.begin(self._course.settings, self._assignment, self._reference, self._zygote, snapshot)
        seed = hashlib.sha256(self._secret + snapshot.digest.encode()).digest()
        with LiveSubmission(case) as own, collected_checks(self._assignment.tasks) as checks:
            environment = own.environment()
            tasks = _SubmissionGrading(case, own, checks, seed).grade_all(cached)
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


class _SubmissionGrading:
    """Grades the tasks of one submission.

    Args:
        case: The submission and all that grading needs.
        own: The submission as it was handed in.
        checks: The hidden checks of all tasks.
        seed: Makes the checks' inputs.
    """

    def __init__(self, case: GradingCase, own: LiveSubmission, checks: Checks, seed: bytes) -> None:
        self._case = case
        self._own = own
        self._checks = checks
        self._seed = seed

    def grade_all(self, cached: CachedTask) -> tuple[TaskResult, ...]:
        """Return the results of all tasks, in their order; those that are cached are not graded again."""
        results: dict[str, TaskResult] = {}
        for task in self._case.assignment.tasks:
            earlier = (self._case.assignment.task(name) for name in task.builds_on)
            wrong = tuple(task for task in earlier if results[task.id].score < task.points)
            results[task.id] = cached(task, wrong) or self._grade(task, wrong)
        return tuple(results.values())

    def _grade(self, task: Task, wrong: tuple[Task, ...]) -> TaskResult:
        """Return the best result of a task: the first of several equal ones."""
        attempts = _up_to_full_score(self._attempts(task, wrong))
        return max(attempts, key=lambda result: result.score)

    def _attempts(self, task: Task, wrong: tuple[Task, ...]) -> Iterator[TaskResult]:
        """Yield the results with stand-ins for wrong earlier parts, then the one without any."""
        for stand_ins in self._case.reference.stand_ins_for(wrong) if wrong else ():
            with LiveSubmission(self._case, stand_ins) as submission:
                result = self._run(task, submission, carried_forward=True)
            yield result
        yield self._run(task, self._own, carried_forward=False)

    def _run(self, task: Task, submission: LiveSubmission, *, carried_forward: bool) -> TaskResult:
        checks = self._checks.run(task, submission.student(task), self._seed)
        if carried_forward:  # what their pictures show comes in part from the stand-in
            checks = tuple(msgspec.structs.replace(check, pictures=()) for check in checks)
        return TaskResult(
            id=task.id,
            score=task_score(checks, task.points),
            max_score=task.points,
            carried_forward=carried_forward,
            checks=checks,
        )


def _up_to_full_score(results: Iterable[TaskResult]) -> Iterator[TaskResult]:
    """Yield results up to the first with a full score: later ones, which cost time, could not be better."""
    for result in results:
        yield result
        if result.score >= result.max_score:
            return


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
