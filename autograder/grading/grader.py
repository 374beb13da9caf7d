"""Grade one submission: run the hidden checks of every task against its student process.

The checks of each task are one file of pytest functions, run in this trusted process. If an earlier task is wrong,
what a later one lost in the submission's own process is tried again in a second one, with stand-ins for wrong parts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType

from autograder.checking.reasons import hide_paths
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.course import Course, course_secret
from autograder.course.solution_regions import NOT_WRITTEN, is_unwritten, is_unwritten_cell
from autograder.course.submission import Snapshot
from autograder.grading.carried_forward import StandInRuns
from autograder.grading.check_runner import CheckEnding, Checks, collected_checks
from autograder.grading.gpu import wants_gpu
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.results import (
    CheckResult,
    Environment,
    Submission,
    SubmissionResult,
    TaskResult,
    task_score,
)
from autograder.sandbox.policy import refuse_exposed

LONGEST_SHOWN = 500

CachedTask = Callable[[Task, Sequence[Task]], TaskResult | None]
"""Returns the cached result of a task, given the earlier tasks that are wrong; None if the task must be graded."""


def nothing_cached(task: Task, wrong: Sequence[Task]) -> TaskResult | None:
    """Return None: no result is cached, so that every task is graded."""
    return None


class Grader:
    """Grades submissions of one assignment, one after another, with one zygote.

    Args:
        course: The course.
        assignment: What is graded.
        threads: TensorFlow's threads in each student process; 0 leaves it to TensorFlow.

    Raises:
        SandboxUnavailable: If submissions could read the course folder, or this is not Linux.
    """

    def __init__(self, course: Course, assignment: Assignment, *, threads: int = 0) -> None:
        if course.settings.sandbox == "required":
            refuse_exposed(course.root)
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
        notes = (*snapshot.notes, *changed, *case.notebook.notes, *own.notes, *_note_of_printed(own.printed))
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
    lines = " | ".join(line for line in hide_paths(text).splitlines() if line.strip())
    shown = lines if len(lines) <= LONGEST_SHOWN else f"{lines[:LONGEST_SHOWN]} …"
    return (f"While it was loaded, your {MODULE}.py printed: {shown}",) if lines else ()


class _SubmissionGrading:
    """Grades the tasks of one submission: all in its own process first, then those that need stand-ins.

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
        self._settled: dict[str, TaskResult] = {}

    def grade_all(self, cached: CachedTask) -> tuple[TaskResult, ...]:
        """Return the results of all tasks, in their order; those that are cached are not graded again."""
        tasks = self._case.assignment.tasks
        pending = {task.id: endings for task in tasks if (endings := self._grade_alone(task, cached)) is not None}
        self._own.close()  # for good, before a process starts that holds stand-ins: the two could talk to each other
        if pending:
            with StandInRuns(self._case, self._checks, self._seed) as runs:
                for task in tasks:
                    if task.id in pending:
                        self._settled[task.id] = self._carry_forward(task, pending[task.id], cached, runs)
        return tuple(self._settled[task.id] for task in tasks)

    def _grade_alone(self, task: Task, cached: CachedTask) -> tuple[CheckEnding, ...] | None:
        """Settle a task in the submission's own process; return how its checks ended if stand-ins might improve it."""
        known = all(earlier in self._settled for earlier in task.builds_on)
        wrong = self._wrong_before(task)
        result = cached(task, wrong) if known else None
        if result is None:
            student = self._own.student(task, hurried=self._case.time.patience.ran_out and (bool(wrong) or not known))
            endings = self._checks.endings(task, student, self._seed)
            result = _alone(task, endings)
            if result.score < task.points and (wrong or not known):
                return endings
        self._settled[task.id] = result
        return None

    def _carry_forward(
        self, task: Task, alone: tuple[CheckEnding, ...], cached: CachedTask, runs: StandInRuns
    ) -> TaskResult:
        """Return the result of a task with stand-ins for what is wrong before it, if anything is after all."""
        wrong = self._wrong_before(task)
        if not wrong:
            return _alone(task, alone)
        result = cached(task, wrong)
        if result is not None:
            return result
        checks = runs.without_running(alone) if self._is_unwritten(task, alone) else runs.run(task, wrong, alone)
        return _task_result(task, checks, carried_forward=True)

    def _is_unwritten(self, task: Task, alone: tuple[CheckEnding, ...]) -> bool:
        """Whether a task's own part is not written, so that no stand-in for an earlier one can help its checks."""
        if not all(ending.exception == NOT_WRITTEN and ending.result.outcome == "failed" for ending in alone):
            return False
        module = (self._case.snapshot.module_bytes or b"").decode(errors="replace")
        cells = {cell.id: cell.source for cell in self._case.notebook.cells}
        parts = [is_unwritten(module, name) for name in task.provides]
        wanted = {answer: self._case.reference.wanted_of(answer) for answer in task.answers}
        return all([*parts, *(is_unwritten_cell(cells.get(answer, ""), wanted[answer]) for answer in task.answers)])

    def _wrong_before(self, task: Task) -> tuple[Task, ...]:
        """Return the earlier tasks that it builds on and that are known to be wrong."""
        settled = (self._case.assignment.task(name) for name in task.builds_on if name in self._settled)
        return tuple(earlier for earlier in settled if self._settled[earlier.id].score < earlier.points)


def _alone(task: Task, endings: tuple[CheckEnding, ...]) -> TaskResult:
    return _task_result(task, tuple(ending.result for ending in endings))


def _task_result(task: Task, checks: tuple[CheckResult, ...], *, carried_forward: bool = False) -> TaskResult:
    return TaskResult(
        id=task.id,
        score=task_score(checks, task.points),
        max_score=task.points,
        carried_forward=carried_forward,
        checks=checks,
    )


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
