"""The page a student reads: one HTML file that needs nothing else and runs nothing.

Messages are what a student's code said, and comments what people wrote: the template escapes everything, and the
page's own policy lets nothing run and nothing load from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import quote

from autograder.feedback.drawings import draw
from autograder.marks import Mark, StudentMarks
from autograder.rendering.page_templates import load_asset, load_template, policy_hash
from autograder.rendering.result_views import EARLIER, HELD, CheckView, anchor_of, task_view
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles, slug_in_words, title_of

PAGE = "feedback.html"
STATES = {
    "full": ("✓", "full points"),
    "part": ("◐", "some points"),
    "none": ("✗", "no points yet"),
    "open": ("…", "waiting"),
}
"""How a task or a question stands: its sign and words."""
UNGRADED = "This work could not be graded, so there are no points yet. Your instructor has been told."


@dataclass(frozen=True)
class Points:
    """Points earned, None while they are not known, and points to earn; those of a held task wait for a person."""

    score: float | None
    max_score: float
    held: bool = False

    @property
    def state(self) -> str:
        """A key of `STATES`."""
        if self.score is None or self.held:
            return "open"
        if self.score >= self.max_score:
            return "full"
        return "part" if self.score > 0 else "none"


@dataclass(frozen=True)
class TaskOnPage:
    """One automatic task as the page shows it.

    Attributes:
        link: To the task in nbgrader's page; empty where there is none.
        notes: What concerns the task as a whole.
        checks: What the checks found; empty where only the points are known.
        mistakes: Slugs of the recognised mistakes.
    """

    id: str
    title: str
    points: Points
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
    points: Points
    comment: str
    link: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class FeedbackPage:
    """All that the page shows.

    Attributes:
        student: Whose page it is; None if that is not known.
        marks: What the gradebook says; None without one.
        notebook_page: Link to nbgrader's page; empty if there is none.
        notes: What the student should know of the hand-in as a whole.
        has_result: Whether it is known what the checks found.
    """

    assignment: str
    student: str | None
    marks: StudentMarks | None
    notebook_page: str
    notes: tuple[str, ...]
    has_result: bool
    tasks: tuple[TaskOnPage, ...]
    questions: tuple[QuestionOnPage, ...]
    titles: Titles

    @cached_property
    def automatic(self) -> Points:
        """The points of all automatic tasks together."""
        return _sum(task.points for task in self.tasks)

    @cached_property
    def by_hand(self) -> Points:
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
    style = load_asset("base.css", "feedback.css")
    template = load_template(PAGE, points=_number)
    return template.render(page=page, states=STATES, draw=draw, style=style, style_hash=policy_hash(style))


def result_page(result: SubmissionResult, titles: Titles) -> FeedbackPage:
    """Return the page of a result that no gradebook knows: it is about the automatic tasks alone.

    Args:
        result: What the checks found.
        titles: The tasks' titles.
    """
    return FeedbackPage(
        assignment=result.assignment,
        student=result.submission.student,
        marks=None,
        notebook_page="",
        notes=result.notes,
        has_result=True,
        tasks=tuple(_graded_task(task, None, "", titles) for task in result.tasks),
        questions=(),
        titles=titles,
    )


def recorded_page(
    assignment: str, result: SubmissionResult | None, marks: StudentMarks, notebook_page: str, titles: Titles
) -> FeedbackPage:
    """Return the page of a submission in the gradebook.

    Args:
        assignment: Name of the assignment.
        result: What the checks found; None if it is not known any more.
        marks: What the gradebook says.
        notebook_page: Name of nbgrader's page, which lies beside this one.
        titles: The tasks' titles.
    """
    link = quote(notebook_page)
    if result is None:
        tasks = tuple(_task_without_result(mark, link, titles) for mark in marks.tasks.values())
    else:
        tasks = tuple(_graded_task(task, marks.tasks.get(task.id), link, titles) for task in result.tasks)
    return FeedbackPage(
        assignment=assignment,
        student=marks.person.id,
        marks=marks,
        notebook_page=link,
        notes=(*((EARLIER,) if marks.earlier else ()), *(result.notes if result else ())),
        has_result=result is not None,
        tasks=tasks,
        questions=tuple(_question(mark, link, titles) for mark in marks.questions.values()),
        titles=titles,
    )


def _graded_task(task: TaskResult, mark: Mark | None, link: str, titles: Titles) -> TaskOnPage:
    view = task_view(task, titles, settled=mark is not None)  # then the gradebook tells what waits
    held = mark.is_held if mark else bool(task.held)
    points = Points(mark.score if mark else task.score, task.max_score, held)
    here = f"{link}#{anchor_of(task.id)}" if link else ""
    if points.score is None:  # the result is that of an earlier hand-in
        return TaskOnPage(task.id, view.title, points, here, notes=(UNGRADED,))
    notes = [*_open_notes(mark), *_change_notes(mark), *view.notes]
    if mark and mark.by_hand and mark.score != task.score:
        notes.append(f"A person set these points; the checks alone give {task.score:g}.")
    slugs = (check.misconception for check in task.checks if check.outcome == "failed")
    mistakes = tuple(dict.fromkeys(slug for slug in slugs if slug))
    return TaskOnPage(task.id, view.title, points, here, tuple(notes), view.checks, mistakes)


def _task_without_result(mark: Mark, link: str, titles: Titles) -> TaskOnPage:
    here = f"{link}#{quote(mark.id)}" if link else ""
    points = Points(mark.score, mark.max_score, mark.is_held)
    return TaskOnPage(mark.id, title_of(mark.id, titles), points, here, (*_open_notes(mark), *_change_notes(mark)))


def _open_notes(mark: Mark | None) -> Iterator[str]:
    """Yield what to say of a task that is held; the gradebook knows, whatever the result says."""
    if mark and mark.is_held:
        yield HELD if mark.score is not None else UNGRADED


def _change_notes(mark: Mark | None) -> Iterator[str]:
    """Yield what to say of points that are others than before."""
    if mark and mark.before:
        earlier = mark.before
        yield f"Changed since {earlier.recorded:%Y-%m-%d %H:%M} UTC ({earlier.points:g} then), because {earlier.why}."


def _question(mark: Mark, link: str, titles: Titles) -> QuestionOnPage:
    points = Points(mark.score, mark.max_score)
    here = f"{link}#{mark.id}" if link else ""
    return QuestionOnPage(mark.id, title_of(mark.id, titles), points, mark.comment, here, tuple(_change_notes(mark)))


def _sum(points: Iterable[Points]) -> Points:
    known = list(points)
    return Points(round(sum(each.score or 0.0 for each in known), 2), sum(each.max_score for each in known))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
