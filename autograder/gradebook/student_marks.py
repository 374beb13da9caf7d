"""What the gradebook says of one submission: marks by task, comments, and the late penalty as of today."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from nbgrader.api import Comment, Grade, Gradebook, SubmittedNotebook
from traitlets.config import Config

from autograder.gradebook.class_marks import late_policy


@dataclass(frozen=True)
class Mark:
    """One graded cell.

    Attributes:
        score: Points; None while a person has to give them, or where no check could be made.
        by_hand: Whether a person marks it, or has changed what the checks gave.
        comment: What a marker wrote, or nbgrader of an untouched answer.
    """

    id: str
    max_score: float
    score: float | None
    by_hand: bool
    comment: str = ""


@dataclass(frozen=True)
class StudentMarks:
    """All marks of one submission.

    Attributes:
        tasks: Those that checks grade, by grade_id.
        questions: Those that a person marks, in the notebook's order.
        remarks: What a person wrote to other cells, by the cell's name.
        penalty: Points taken for lateness.
    """

    student: str
    tasks: dict[str, Mark]
    questions: tuple[Mark, ...]
    remarks: dict[str, str]
    penalty: float
    seconds_late: float

    @property
    def raw(self) -> float:
        """Points so far, before the late penalty."""
        return round(sum(one.score or 0.0 for one in (*self.tasks.values(), *self.questions)), 2)

    @property
    def total(self) -> float:
        """Points that count so far; never below 0."""
        return round(max(0.0, self.raw - self.penalty), 2)

    @property
    def max_score(self) -> float:
        """Points of the whole assignment."""
        return sum(one.max_score for one in (*self.tasks.values(), *self.questions))


def student_marks(book: Gradebook, names: dict[str, str], order: Sequence[str], settings: Config) -> StudentMarks:
    """Return the marks of one submission.

    Args:
        book: The course's gradebook.
        names: `notebook`, `assignment` and `student`, as nbgrader hands them on.
        order: grade_ids in the notebook's order.
        settings: The whole of course_config.py.

    Raises:
        MissingEntry: If the gradebook does not hold the submission.
    """
    notebook = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
    submission = notebook.assignment
    manual = {cell.name for cell in (*notebook.notebook.solution_cells, *notebook.notebook.task_cells)}
    graded = {grade.name for grade in notebook.grades}
    comments = {one.name: _comment(one) for one in notebook.comments}
    marks = [_mark(grade, grade.name in manual, comments.get(grade.name, "")) for grade in _in_order(notebook, order)]
    return StudentMarks(
        student=names["student"],
        tasks={one.id: one for one in marks if one.id not in manual},
        questions=tuple(one for one in marks if one.id in manual),
        remarks={one.name: text for one in notebook.comments if one.name not in graded and (text := _written(one))},
        penalty=round(late_policy(settings).penalty(submission), 2),
        seconds_late=float(submission.total_seconds_late),
    )


def _in_order(notebook: SubmittedNotebook, order: Sequence[str]) -> list[Grade]:
    place = {name: number for number, name in enumerate(order)}
    return sorted(notebook.grades, key=lambda grade: (place.get(grade.name, len(place)), grade.name))


def _mark(grade: Grade, manual: bool, comment: str) -> Mark:
    given = grade.manual_score is not None
    known = given or (grade.auto_score is not None and not (manual and grade.needs_manual_grade))
    return Mark(
        id=str(grade.name),
        max_score=float(grade.max_score),
        score=round(float(grade.score), 2) if known else None,
        by_hand=manual or given,
        comment=comment,
    )


def _written(comment: Comment) -> str:
    return str(comment.manual_comment or "").strip()


def _comment(comment: Comment) -> str:
    return str(comment.comment or "").strip()
