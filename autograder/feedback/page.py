"""The page a student reads: one HTML file that needs nothing else and runs nothing.

Messages are what a student's code said, and comments what people wrote: the template escapes everything, and the
page's own policy lets nothing run and nothing load from anywhere.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import quote

from autograder.feedback.drawings import draw
from autograder.marks import Mark, RubricLine, StudentMarks
from autograder.rendering.page_templates import load_asset, load_template, policy_hash
from autograder.rendering.result_views import EARLIER, HELD, CheckView, task_view
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles, slug_in_words, title_of

if TYPE_CHECKING:
    from autograder.feedback.notebook_cells import CellOnPage  # imports nbconvert, which `check --html` can do without

TEMPLATE = "feedback.html"
SIGNS_OF_POINTS = {
    "full": ("✓", "full points"),
    "part": ("◐", "some points"),
    "none": ("✗", "no points yet"),
    "open": ("…", "waiting"),
}
"""How a task or a question stands: its sign and words."""
CHANGED = "You handed in again after this was marked: the points count until a person has looked at it again."
UNGRADED = "This work could not be graded, so there are no points yet. Your instructor has been told."


@dataclass(frozen=True)
class PointsView:
    """Points earned, None while they are not known, and points to earn; those of a held task wait for a person."""

    score: float | None
    max_score: float
    held: bool = False

    @property
    def state(self) -> str:
        """A key of `SIGNS_OF_POINTS`."""
        if self.score is None or self.held:
            return "open"
        if self.score >= self.max_score:
            return "full"
        return "part" if self.score > 0 else "none"


@dataclass(frozen=True)
class TaskOnPage:
    """One automatic task as the page shows it.

    Attributes:
        link: To the task in the notebook below; empty where it is not there.
        notes: What concerns the task as a whole.
        checks: What the checks found; empty where only the points are known.
        mistakes: Slugs of the recognised mistakes.
    """

    id: str
    title: str
    points: PointsView
    link: str
    notes: tuple[str, ...] = ()
    checks: tuple[CheckView, ...] = ()
    mistakes: tuple[str, ...] = ()

    @property
    def has_lost_points(self) -> bool:
        """Whether there is something to fix."""
        return self.points.state in ("part", "none") or any(check.outcome == "failed" for check in self.checks)

    @property
    def sorted_checks(self) -> list[CheckView]:
        """The checks, those to work on before those that passed."""
        return sorted(self.checks, key=lambda check: check.outcome == "passed")


@dataclass(frozen=True)
class QuestionOnPage:
    """One question that a person marks, as the page shows it."""

    id: str
    title: str
    points: PointsView
    comment: str
    link: str
    notes: tuple[str, ...] = ()
    rubric: tuple[RubricLine, ...] = ()


@dataclass(frozen=True)
class FeedbackPage:
    """All that the page shows.

    Attributes:
        assignment: Its title.
        student: Whose page it is; None if that is not known.
        marks: What the gradebook says; None without one.
        cells: The notebook; empty without one.
        notes: What the student should know of the hand-in as a whole.
        has_result: Whether it is known what the checks found.
    """

    assignment: str
    student: str | None
    marks: StudentMarks | None
    cells: tuple[CellOnPage, ...]
    notes: tuple[str, ...]
    has_result: bool
    tasks: tuple[TaskOnPage, ...]
    questions: tuple[QuestionOnPage, ...]
    titles: Titles

    @cached_property
    def automatic(self) -> PointsView:
        """The points of all automatic tasks together."""
        return _sum(task.points for task in self.tasks)

    @cached_property
    def by_hand(self) -> PointsView:
        """The points of all questions together."""
        return _sum(question.points for question in self.questions)

    @cached_property
    def marked(self) -> list[QuestionOnPage]:
        """Questions that have been marked."""
        return [question for question in self.questions if question.points.score is not None]

    @cached_property
    def unmarked(self) -> list[QuestionOnPage]:
        """Questions that wait for a person."""
        return [question for question in self.questions if question.points.score is None]

    @cached_property
    def grade_ids(self) -> frozenset[str]:
        """The named cells of the notebook."""
        return frozenset(cell.grade_id for cell in self.cells)

    @property
    def passages(self) -> list[tuple[bool, list[CellOnPage]]]:
        """The notebook, what was given and what the student wrote in turns."""
        groups = itertools.groupby(self.cells, lambda cell: cell.whose == "given")
        return [(is_given, list(cells)) for is_given, cells in groups]

    @cached_property
    def parts(self) -> dict[str, TaskOnPage | QuestionOnPage]:
        """Tasks and marked questions by id: those that have a place of their own on the page."""
        return {part.id: part for part in self.overview}

    @property
    def overview(self) -> list[TaskOnPage | QuestionOnPage]:
        """What the table shows one by one: unmarked questions have one row together."""
        return [*self.tasks, *self.marked]

    @cached_property
    def first_to_fix(self) -> TaskOnPage | None:
        """The first task that lost points: later ones build on it."""
        return next((task for task in self.tasks if task.has_lost_points), None)

    @cached_property
    def is_all_graded(self) -> bool:
        """Whether every automatic task has its points."""
        return all(task.points.state != "open" for task in self.tasks)

    @cached_property
    def mistakes(self) -> dict[str, list[TaskOnPage]]:
        """The recognised mistakes in words, and the tasks that have them."""
        found: dict[str, list[TaskOnPage]] = {}
        for task in self.tasks:
            for slug in task.mistakes:
                found.setdefault(slug_in_words(slug), []).append(task)
        return found

    def title(self, name: str) -> str:
        """Return the title of a cell."""
        return title_of(name, self.titles)


def render_page(page: FeedbackPage) -> str:
    """Return the page as HTML."""
    style = load_asset("base.css", "feedback.css", "notebook.css")
    template = load_template(TEMPLATE, points=_number)
    return template.render(page=page, states=SIGNS_OF_POINTS, draw=draw, style=style, style_hash=policy_hash(style))


def result_page(title: str, result: SubmissionResult, titles: Titles) -> FeedbackPage:
    """Return the page of a result that no gradebook knows: it is about the automatic tasks alone.

    Args:
        title: Of the assignment.
        result: What the checks found.
        titles: The tasks' titles.
    """
    return FeedbackPage(
        assignment=title,
        student=result.submission.student,
        marks=None,
        cells=(),
        notes=result.notes,
        has_result=True,
        tasks=tuple(_graded_task(task, None, (), titles) for task in result.tasks),
        questions=(),
        titles=titles,
    )


def recorded_page(
    title: str, result: SubmissionResult | None, marks: StudentMarks, cells: Sequence[CellOnPage], titles: Titles
) -> FeedbackPage:
    """Return the page of a submission in the gradebook.

    Args:
        title: Of the assignment.
        result: What the checks found; None if it is not known any more.
        marks: What the gradebook says.
        cells: The graded notebook.
        titles: The tasks' titles.
    """
    there = {cell.grade_id for cell in cells}
    if result is None:
        tasks = tuple(_task_without_result(mark, there, titles) for mark in marks.tasks.values())
    else:
        tasks = tuple(_graded_task(task, marks.tasks.get(task.id), there, titles) for task in result.tasks)
    return FeedbackPage(
        assignment=title,
        student=marks.person.id,
        marks=marks,
        cells=tuple(cells),
        notes=(*((EARLIER,) if marks.earlier else ()), *(result.notes if result else ())),
        has_result=result is not None,
        tasks=tasks,
        questions=tuple(_question(mark, there, titles) for mark in marks.questions.values()),
        titles=titles,
    )


def _graded_task(task: TaskResult, mark: Mark | None, there: Collection[str], titles: Titles) -> TaskOnPage:
    view = task_view(task, titles, settled=mark is not None)  # then the gradebook tells what waits
    held = mark.is_held if mark else bool(task.held)
    points = PointsView(mark.score if mark else task.score, task.max_score, held)
    here = _link(task.id, there)
    if points.score is None:  # the result is that of an earlier hand-in
        return TaskOnPage(task.id, view.title, points, here, notes=(UNGRADED,))
    notes = [*_open_notes(mark), *_change_notes(mark), *view.notes]
    if mark and mark.by_hand and mark.score != task.score:
        notes.append(f"A person set these points; the checks alone give {task.score:g}.")
    slugs = (check.misconception for check in task.checks if check.outcome == "failed")
    mistakes = tuple(dict.fromkeys(slug for slug in slugs if slug))
    return TaskOnPage(task.id, view.title, points, here, tuple(notes), view.checks, mistakes)


def _link(grade_id: str, there: Collection[str]) -> str:
    """Return a link to a cell of the notebook; empty if it is not there."""
    return f"#cell-{quote(grade_id)}" if grade_id in there else ""


def _task_without_result(mark: Mark, there: Collection[str], titles: Titles) -> TaskOnPage:
    points = PointsView(mark.score, mark.max_score, mark.is_held)
    notes = (*_open_notes(mark), *_change_notes(mark))
    return TaskOnPage(mark.id, title_of(mark.id, titles), points, _link(mark.id, there), notes)


def _open_notes(mark: Mark | None) -> Iterator[str]:
    """Yield what to say of a task that is held; the gradebook knows, whatever the result says."""
    if mark and mark.is_held:
        yield HELD if mark.score is not None else UNGRADED


def _change_notes(mark: Mark | None) -> Iterator[str]:
    """Yield what to say of points that are others than before."""
    if mark and mark.before:
        earlier = mark.before
        yield f"Changed since {earlier.recorded:%Y-%m-%d %H:%M %Z} ({earlier.points:g} then), because {earlier.why}."


def _question(mark: Mark, there: Collection[str], titles: Titles) -> QuestionOnPage:
    notes = [*_change_notes(mark), *((CHANGED,) if mark.waiting and mark.score is not None else ())]
    return QuestionOnPage(
        id=mark.id,
        title=title_of(mark.id, titles),
        points=PointsView(mark.score, mark.max_score),
        comment=mark.comment,
        link=_link(mark.id, there),
        notes=tuple(notes),
        rubric=mark.rubric,
    )


def _sum(points: Iterable[PointsView]) -> PointsView:
    known = list(points)
    return PointsView(round(sum(mark.score or 0.0 for mark in known), 2), sum(mark.max_score for mark in known))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
