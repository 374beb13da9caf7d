"""Item analysis of a class: how hard each task and check is, how well it tells students apart, what went wrong.

Reference:
    Classical test theory: difficulty is the share that passed, discrimination the correlation of an item with the
    score of the rest (the corrected item-total correlation; for passed or not, the point-biserial one).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autograder.marks import ClassMarks, StudentMarks
from autograder.results import CheckId, CheckResult, SubmissionResult, TaskResult
from autograder.text import slug_in_words, title_of

Floats = NDArray[np.float64]
FEWEST = 5
"""Students that a correlation needs at least; with fewer it says nothing."""
EASY, HARD = 0.95, 0.3
"""Share that passed from which on a check is remarked as easy, and below which as hard."""
WEAK = 0.1
"""Discrimination below which a check is remarked."""


@dataclass(frozen=True)
class TaskFigures:
    """How a class did in one task, over those whose work in it is marked.

    Attributes:
        quartiles: Lowest score, lower quartile, median, upper quartile and greatest score, in points.
        carried: Students for whom it was graded with a stand-in for an earlier part.
    """

    id: str
    title: str
    points: float
    by_hand: bool
    mean: float
    quartiles: tuple[float, float, float, float, float]
    full: int
    zero: int
    carried: int
    students: int


@dataclass(frozen=True)
class CheckFigures:
    """How a class did in one check.

    Attributes:
        difficulty: Share that passed, of those that were checked; None if nobody was.
        discrimination: Correlation of passing it with the share of the rest; None where it cannot be told.
        checked: Students with whom it passed or failed.
        errors: Students with whom it ended in an internal error.
    """

    id: str
    task: str
    sentence: str
    difficulty: float | None
    discrimination: float | None
    checked: int
    errors: int

    @property
    def name(self) -> str:
        """What tells it from the task's other checks, in words."""
        return slug_in_words(CheckId.parse(self.id).within_task)

    @property
    def separates(self) -> bool:
        """Whether some passed and some failed: a check that all pass, or nobody, orders nobody."""
        return self.difficulty is not None and 0 < self.difficulty < 1

    @property
    def remark(self) -> str:
        """What an instructor may want to look at; empty if nothing stands out."""
        if self.errors:
            return "ended in an internal error"
        if self.discrimination is not None and self.discrimination < 0:
            return "strong students fail it more often"
        if not self.separates and self.checked >= FEWEST:
            return f"separates nobody: all {'pass' if self.difficulty else 'fail'}"
        if self.difficulty is not None and self.difficulty >= EASY:
            return "nearly all pass"
        if self.difficulty is not None and self.difficulty < HARD:
            return "most fail"
        if self.discrimination is not None and self.discrimination < WEAK:
            return "hardly tells students apart"
        return ""


@dataclass(frozen=True)
class Misconception:
    """A recognised mistake, and who made it.

    Attributes:
        checks: Ids of the checks that recognised it.
        example: What one of these students was told.
    """

    slug: str
    students: tuple[str, ...]
    checks: tuple[str, ...]
    example: str

    @property
    def words(self) -> str:
        """The slug in words."""
        return slug_in_words(self.slug)


def task_figures(marks: ClassMarks) -> list[TaskFigures]:
    """Return the figures of each task, over the students who handed in, in the order of the points."""
    submitted = [student for student in marks.students if student.submitted]
    return [_task_figures(marks, task_id, submitted) for task_id in marks.points]


def check_figures(results: Sequence[SubmissionResult]) -> list[CheckFigures]:
    """Return difficulty and discrimination of each check, in the order of the tasks.

    Submissions that could not be read at all say nothing of a check and are left out.

    Args:
        results: One for each student.
    """
    results = [result for result in results if not result.is_unreadable]
    seen = {check.id: (task.id, check.sentence) for result in results for task in result.tasks for check in task.checks}
    order = {task.id: place for result in results[:1] for place, task in enumerate(result.tasks)}
    names = sorted(seen, key=lambda name: order.get(seen[name][0], len(order)))
    worth = np.array([_worths(result, names) for result in results]).reshape(len(results), len(names))
    passed = np.array([_outcomes(result, names) for result in results]).reshape(len(results), len(names))
    errors = [sum(_ended_in_error(result, name) for result in results) for name in names]
    return [
        _check_figures(name, seen[name], passed[:, column], _rest(worth, passed, column), errors[column])
        for column, name in enumerate(names)
    ]


def misconceptions(results: Mapping[str, SubmissionResult]) -> list[Misconception]:
    """Return recognised mistakes, the commonest first.

    Args:
        results: By student.
    """
    who: dict[str, dict[str, None]] = {}
    where: dict[str, dict[str, str]] = {}
    for student, result in results.items():
        for check in _checks(result):
            if check.misconception and check.outcome == "failed":
                who.setdefault(check.misconception, {})[student] = None
                where.setdefault(check.misconception, {}).setdefault(check.id, check.message)
    found = [
        Misconception(slug, tuple(who[slug]), tuple(where[slug]), next(iter(where[slug].values()))) for slug in who
    ]
    return sorted(found, key=lambda mistake: (-len(mistake.students), mistake.slug))


def seconds_spent(result: SubmissionResult) -> float:
    """Return the wall-clock seconds that a submission's checks took together."""
    return sum(check.duration for check in _checks(result))


def _checks(result: SubmissionResult) -> list[CheckResult]:
    return [check for task in result.tasks for check in task.checks]


def _task_figures(marks: ClassMarks, task_id: str, submitted: Sequence[StudentMarks]) -> TaskFigures:
    by_hand, points = task_id not in marks.automatic, marks.points[task_id]
    marked = [student for student in submitted if not (by_hand and task_id in student.waiting)]
    scores = np.array([student.scores.get(task_id, 0.0) for student in marked], dtype=float)
    results = [student.result.task(task_id) for student in submitted if student.result]
    quartiles = np.quantile(scores, (0, 0.25, 0.5, 0.75, 1)) if len(scores) else np.zeros(5)
    lowest, lower, median, upper, greatest = (float(value) for value in quartiles)
    return TaskFigures(
        id=task_id,
        title=title_of(task_id, marks.titles),
        points=points,
        by_hand=by_hand,
        mean=float(scores.mean()) if len(scores) else 0.0,
        quartiles=(lowest, lower, median, upper, greatest),
        full=int((scores >= points).sum()),
        zero=int((scores <= 0).sum()),
        carried=sum(task is not None and task.carried_forward for task in results),
        students=len(scores),
    )


def _worths(result: SubmissionResult, names: Sequence[str]) -> list[float]:
    """Return the points that each check is worth within its task."""
    worth = {check.id: _share(check, task) for task in result.tasks for check in task.checks}
    return [worth.get(name, 0.0) for name in names]


def _share(check: CheckResult, task: TaskResult) -> float:
    return task.max_score * check.weight / sum(other.weight for other in task.checks)


def _outcomes(result: SubmissionResult, names: Sequence[str]) -> list[float]:
    """Return 1 for passed, 0 for failed, NaN for all else."""
    outcomes = {check.id: check.outcome for check in _checks(result)}
    numbers = {"passed": 1.0, "failed": 0.0}
    return [numbers.get(outcomes.get(name, ""), np.nan) for name in names]


def _ended_in_error(result: SubmissionResult, name: str) -> bool:
    return any(check.id == name and check.outcome == "error" for check in _checks(result))


def _rest(worth: Floats, passed: Floats, column: int) -> Floats:
    """Return each student's share of the points of all other checks, (students,); NaN where there are none."""
    counted = np.where(np.isnan(passed), 0.0, worth)
    counted[:, column] = 0.0
    whole = counted.sum(axis=1)
    earned = np.nansum(counted * np.nan_to_num(passed), axis=1)
    shares = np.full(len(whole), np.nan)
    np.divide(earned, whole, out=shares, where=whole > 0)
    return shares


def _check_figures(name: str, seen: tuple[str, str], passed: Floats, rest: Floats, errors: int) -> CheckFigures:
    checked = ~np.isnan(passed)
    both = checked & ~np.isnan(rest)
    discrimination = None
    if both.sum() >= FEWEST and passed[both].std() > 0 and rest[both].std() > 0:
        discrimination = float(np.corrcoef(passed[both], rest[both])[0, 1])
    return CheckFigures(
        id=name,
        task=seen[0],
        sentence=seen[1] or slug_in_words(CheckId.parse(name).within_task),
        difficulty=float(passed[checked].mean()) if checked.any() else None,
        discrimination=discrimination,
        checked=int(checked.sum()),
        errors=errors,
    )
