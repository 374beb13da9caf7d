"""What the class report's page shows, in one record that the template reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import cached_property

import numpy as np
from markupsafe import Markup

from autograder.marks import ClassMarks, OpenMark, StudentMarks
from autograder.reports import charts
from autograder.reports.agreement import Agreement, agreements
from autograder.reports.item_analysis import (
    FEWEST,
    CheckFigures,
    Misconception,
    TaskFigures,
    check_figures,
    misconceptions,
    seconds_spent,
    task_figures,
)
from autograder.reports.reliability import Reliability, reliability_of_checks, reliability_of_tasks
from autograder.reports.similarity import Pair
from autograder.results import CheckId, SubmissionResult
from autograder.text import show_time, slug_in_words, title_of

MOST_PAIRS = 50
"""Similar pairs that are shown."""
STATES = {
    "late": "late",
    "untimed": "hand-in time unknown",
    "held": "held",
    "earlier": "mark for an earlier hand-in",
    "waiting": "waiting for marking",
    "unknown": "no cached result",
    "missing": "nothing handed in",
}
"""What may be the matter with a student, and its words; the keys stand in the page."""


@dataclass(frozen=True)
class StudentRow:
    """One student in the table.

    Attributes:
        states: Keys of `STATES`.
        automatic: Points of the automatic tasks.
        by_hand: Points of the questions.
        errors: Checks that ended in an internal error.
        seconds: Wall-clock time of all checks; None where no result is cached.
    """

    marks: StudentMarks
    states: tuple[str, ...]
    automatic: float
    by_hand: float
    errors: int
    seconds: float | None


@dataclass(frozen=True)
class InternalError:
    """A check, or a whole task, that ended in an internal error with one student."""

    student: str
    where: str
    message: str


@dataclass(frozen=True)
class ReportPage:
    """All that the page shows.

    Attributes:
        made: When the report is made.
        rows: The students.
        tasks: How the class did in each task and question.
        checks: How it did in each check.
        mistakes: Recognised mistakes, the commonest first.
        pairs: Students whose work is alike, the most alike first.
        reliability: In words and figures, of the checks and of the tasks; none of a class that is too small.
        agreements: How well two people agree, for each question that was read a second time.
    """

    marks: ClassMarks
    made: datetime
    rows: tuple[StudentRow, ...]
    tasks: tuple[TaskFigures, ...]
    checks: tuple[CheckFigures, ...]
    mistakes: tuple[Misconception, ...]
    pairs: tuple[Pair, ...]
    reliability: tuple[tuple[str, Reliability], ...] = ()
    agreements: tuple[Agreement, ...] = ()

    @cached_property
    def totals(self) -> list[float]:
        """Points of each student who handed in."""
        return [row.marks.total for row in self.rows if row.marks.submitted]

    @property
    def median(self) -> float:
        """Median of the points; 0 if nobody handed in."""
        return float(np.median(self.totals)) if self.totals else 0.0

    @property
    def mean(self) -> float:
        """Mean of the points; 0 if nobody handed in."""
        return float(np.mean(self.totals)) if self.totals else 0.0

    @property
    def spread(self) -> float:
        """Standard deviation of the points; 0 if nobody handed in."""
        return float(np.std(self.totals)) if self.totals else 0.0

    @cached_property
    def seconds(self) -> list[float]:
        """Seconds that the checks of each student with a result took."""
        return [row.seconds for row in self.rows if row.seconds is not None]

    @property
    def mean_seconds(self) -> float:
        """Mean of these; 0 if there are none."""
        return float(np.mean(self.seconds)) if self.seconds else 0.0

    @cached_property
    def states(self) -> dict[str, tuple[str, int]]:
        """Words of each state, and how many students are in it."""
        return {key: (words, sum(key in row.states for row in self.rows)) for key, words in STATES.items()}

    def rows_in(self, state: str) -> list[StudentRow]:
        """Return the students in one of these states."""
        return [row for row in self.rows if state in row.states]

    @property
    def is_too_small(self) -> bool:
        """Whether there are too few results to tell how well checks discriminate."""
        return len(self.seconds) < FEWEST

    @property
    def fewest(self) -> int:
        """Results that are needed for that."""
        return FEWEST

    @cached_property
    def internal_errors(self) -> list[InternalError]:
        """Every internal error, by student: those of checks, and what the gradebook says of other held tasks."""
        return [error for row in self.rows for error in self._errors_of(row.marks)]

    @cached_property
    def waiting(self) -> dict[str, int]:
        """How many submissions wait for a person, by title."""
        waiting = [set(student.to_mark) for student in self.marks.students]
        counts = {task_id: sum(task_id in ids for ids in waiting) for task_id in self.marks.points}
        return {self.title(task_id): count for task_id, count in counts.items() if count}

    @property
    def shown_pairs(self) -> tuple[Pair, ...]:
        """The most similar pairs."""
        return self.pairs[:MOST_PAIRS]

    @property
    def hidden_pairs(self) -> int:
        """How many similar pairs are left out."""
        return max(len(self.pairs) - MOST_PAIRS, 0)

    @cached_property
    def plots(self) -> dict[str, Markup]:
        """The pictures, as SVG that `charts` made and escaped; none if nobody handed in."""
        if not self.totals:
            return {}
        drawn = {
            "distribution": charts.distribution(self.totals, self.marks.max_score),
            "tasks": charts.marks_by_task(self.tasks),
        }
        if any(check.discrimination is not None for check in self.checks):
            drawn["checks"] = charts.difficulty_and_discrimination(self.checks)
        return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704

    def title(self, task_id: str) -> str:
        """Return the title of a task or a question."""
        return title_of(task_id, self.marks.titles)

    def check_title(self, check_id: str) -> str:
        """Return a check's task and name, in words."""
        parsed = CheckId.parse(check_id)
        return f"{self.title(parsed.task)}: {slug_in_words(parsed.within_task)}"

    def _errors_of(self, student: StudentMarks) -> Iterator[InternalError]:
        name = student.person.id
        tasks = student.result.tasks if student.result else ()
        for check in (check for task in tasks for check in task.checks if check.outcome == "error"):
            yield InternalError(name, self.check_title(check.id), check.message)
        told = {task.id for task in tasks if task.held}
        for mark in student.held:
            if mark.open and mark.id not in told:
                yield InternalError(name, self.title(mark.id), _since(mark.open, self.made.tzinfo or UTC))


def _since(mark: OpenMark, zone: tzinfo) -> str:
    """Return since when a task is held, and why, as far as the gradebook says."""
    since = f"held since {show_time(mark.since, zone)}" if mark.since else "held"
    return f"{since}: {mark.why}" if mark.why else f"{since}; grade prints the reason"


def report_page(marks: ClassMarks, pairs: Sequence[Pair], made: datetime) -> ReportPage:
    """Return what the page shows of a class.

    Args:
        marks: The class, with results.
        pairs: Students whose work is alike, the most alike first.
        made: When the report is made.
    """
    results = {student.person.id: student.result for student in marks.students if student.result}
    return ReportPage(
        marks=marks,
        made=made,
        rows=tuple(student_row(marks, student) for student in marks.students),
        tasks=tuple(task_figures(marks)),
        checks=tuple(check_figures(list(results.values()))),
        mistakes=tuple(misconceptions(results)),
        pairs=tuple(pairs),
        reliability=tuple(_reliabilities(list(results.values()))),
        agreements=tuple(agreements(marks.second, list(marks.points))),
    )


def _reliabilities(results: Sequence[SubmissionResult]) -> Iterator[tuple[str, Reliability]]:
    """Yield what is relied on, and how far, where it can be told."""
    for words, found in (
        ("KR-20 over the checks", reliability_of_checks(results)),
        ("Cronbach’s alpha over the tasks", reliability_of_tasks(results)),
    ):
        if found is not None:
            yield words, found


def student_row(marks: ClassMarks, student: StudentMarks) -> StudentRow:
    """Return what the table says of one student."""
    automatic = sum(student.scores.get(task_id, 0.0) for task_id in marks.automatic)
    checks = [check for task in student.result.tasks for check in task.checks] if student.result else []
    errors = sum(check.outcome == "error" for check in checks)
    applies = {
        "late": student.seconds_late > 0,
        "untimed": student.is_untimed,
        "held": bool(student.held),
        "earlier": bool(student.earlier),
        "waiting": bool(student.to_mark),
        "unknown": student.submitted and student.result is None,
        "missing": not student.submitted,
    }
    return StudentRow(
        marks=student,
        states=tuple(state for state in STATES if applies[state]),
        automatic=round(automatic, 2),
        by_hand=round(student.raw - automatic, 2),
        errors=errors,
        seconds=seconds_spent(student.result) if student.result else None,
    )
