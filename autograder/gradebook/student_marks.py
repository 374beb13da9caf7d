"""What the gradebook holds of one submission: marks, comments, and the late penalty as of today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from nbgrader.api import Comment, Grade, Gradebook, SubmittedAssignment, SubmittedNotebook
from nbgrader.api import Student as BookStudent
from traitlets.config import Config

from autograder.config import settings_from
from autograder.deadlines.extensions import due_of, granted_times, seconds_late
from autograder.deadlines.late_policy import LatePolicy, late_policy
from autograder.ledger.book_marks import given_items
from autograder.ledger.entries import SubmissionKey, last_changes
from autograder.ledger.history import entries_of
from autograder.ledger.open_marks import read_open_marks_of
from autograder.ledger.outside import with_outside
from autograder.marks import Earlier, Mark, OpenMark, Person, StudentMarks
from autograder.text import in_zone


def student_marks(book: Gradebook, names: dict[str, str], order: Sequence[str], config: Config) -> StudentMarks:
    """Return the marks of one submission with all comments.

    Args:
        book: The course's gradebook.
        names: `notebook`, `assignment` and `student`, as nbgrader hands them on.
        order: grade_ids in the notebook's order.
        config: The whole of course_config.py.

    Raises:
        MissingEntry: If the gradebook does not hold the submission.
    """
    notebook = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
    connection = book.db.connection()
    known = read_open_marks_of(connection, names["assignment"], names["student"])
    until = granted_times(connection, names["assignment"], [names["student"]]).get(names["student"])
    student = marks_of(notebook.assignment, late_policy(config), known, until)
    zone = settings_from(config.get("Autograder", {})).zone
    earlier = {
        task: replace(mark, recorded=in_zone(mark.recorded, zone)) for task, mark in _earlier_marks(book, names).items()
    }
    comments = {comment.name: str(comment.comment or "").strip() for comment in notebook.comments}
    remarks = {comment.name: _written(comment) for comment in notebook.comments if comment.name not in student.scores}
    items = given_items(connection, names["assignment"], names["student"])
    questions = {name: replace(mark, items=items.get(name)) for name, mark in student.questions.items()}
    return replace(
        student,
        tasks=_in_order(student.tasks, order, comments, earlier),
        questions=_in_order(questions, order, comments, earlier),
        remarks={name: text for name, text in remarks.items() if text},
    )


def marks_of(
    submission: SubmittedAssignment, policy: LatePolicy, known: Mapping[str, OpenMark], until: datetime | None
) -> StudentMarks:
    """Return the marks of one submission without comments.

    Args:
        submission: From the gradebook.
        policy: The course's.
        known: The student's open marks by task, from the gradebook.
        until: The student's extension, if we granted one.
    """
    tasks: dict[str, Mark] = {}
    questions: dict[str, Mark] = {}
    for notebook in submission.notebooks:
        manual = cells_marked_by_hand(notebook)
        cells = (*notebook.notebook.grade_cells, *notebook.notebook.task_cells)
        place = {cell.id: number for number, cell in enumerate(cells)}  # the database has grades in no order
        for grade in sorted(notebook.grades, key=lambda grade: place.get(grade.cell_id, len(place))):
            mark = _mark(grade, grade.name in manual)
            if grade.name in manual:
                questions[mark.id] = mark
            else:
                tasks[mark.id] = _opened(mark, known.get(mark.id))
    late = seconds_late(submission, until)
    return StudentMarks(
        person=person_of(submission.student),
        tasks=tasks,
        questions=questions,
        penalty=round(policy.penalty(submission, late), 2),
        seconds_late=late,
        handed_in=submission.timestamp,
        due=due_of(submission, until),
        submitted=True,
    )


def cells_marked_by_hand(notebook: SubmittedNotebook) -> set[str]:
    """Return the names of the cells that a person marks: all but those of tests."""
    return {cell.name for cell in (*notebook.notebook.solution_cells, *notebook.notebook.task_cells)}


def person_of(student: BookStudent) -> Person:
    """Return what the gradebook says of a student."""
    texts = (student.first_name, student.last_name, student.email, student.lms_user_id)
    return Person(str(student.id), *(str(text or "") for text in texts))


def _mark(grade: Grade, manual: bool) -> Mark:
    given = grade.manual_score is not None
    waiting = bool(grade.needs_manual_grade)
    score = float(grade.score or 0.0)
    # nbgrader gives 0 to an answer that nobody has marked yet; extra credit counts even there
    known = given or (grade.auto_score is not None and (score > 0 or not (manual and waiting)))
    return Mark(
        id=str(grade.name),
        max_score=float(grade.max_score),
        score=round(score, 2) if known else None,
        by_hand=manual or given,
        waiting=waiting,
    )


def _opened(mark: Mark, known: OpenMark | None) -> Mark:
    """Add to a task's mark why it is not settled; one by hand always is.

    A gradebook of an older version only has nbgrader's flag, which there says the same.
    """
    if mark.by_hand or not (known or mark.waiting):
        return mark
    return replace(mark, waiting=True, open=known or OpenMark("held"))


def _earlier_marks(book: Gradebook, names: dict[str, str]) -> dict[str, Earlier]:
    """Return what each mark was before it changed last, with times in UTC, marks given outside since then included."""
    connection, key = book.db.connection(), SubmissionKey(names["assignment"], names["student"])
    last, is_new = with_outside(connection, *key)
    entries = entries_of(connection, *key)
    return last_changes([*entries, last] if last is not None and is_new else entries)


def _in_order(
    marks: Mapping[str, Mark], order: Sequence[str], comments: Mapping[str, str], earlier: Mapping[str, Earlier]
) -> dict[str, Mark]:
    """Return marks in the notebook's order, with their comments and what they were before."""
    place = {name: number for number, name in enumerate(order)}
    names = sorted(marks, key=lambda name: (place.get(name, len(place)), name))
    return {name: replace(marks[name], comment=comments.get(name, ""), before=earlier.get(name)) for name in names}


def _written(comment: Comment) -> str:
    return str(comment.manual_comment or "").strip()
