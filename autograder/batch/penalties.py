"""Late penalties as of today, where the gradebook has others: nothing is handed out that the history does not tell.

nbgrader fixes a penalty when it grades. Marks given by hand since then, an extension, another due date or an edited
policy make it another one, which report, exports and feedback count at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
import sqlalchemy
from nbgrader.api import Assignment as BookAssignment
from nbgrader.api import Gradebook, SubmittedAssignment, SubmittedNotebook

from autograder.course.course import Course
from autograder.deadlines.extensions import granted_times, seconds_late
from autograder.deadlines.late_policy import LatePolicy, late_policy
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import has_gradebook, open_book, transaction
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.ledger.connections import utc_now
from autograder.ledger.history import append
from autograder.ledger.outside import account, with_outside
from autograder.ledger.scratch_book import read_book_state

NOTE = "The late penalty was worked out again: marks, due date, extension or policy changed since it was graded."
_SMALLEST = 0.005
"""Points that make a difference."""


def note_penalties(course: Course, assignment: str, command: str, students: Collection[str] | None = None) -> None:
    """Write late penalties of today into the gradebook, and into the history, where they differ from what is there.

    Args:
        course: The course.
        assignment: Name of the assignment.
        command: What the history names as the origin.
        students: Only these; None means all.

    Raises:
        ConfigError: If the course's late policy cannot be used.
        RecordingError: If the gradebook cannot be used.
    """
    coursedir = course_directory(course, assignment)
    policy = late_policy(course.nbgrader)
    if not has_gradebook(coursedir):
        return
    with open_book(coursedir) as book:
        changed = _changed_penalties(book, assignment, policy, students)
    if not changed:
        return
    with course_lock(course.state_dir), open_book(coursedir) as book:
        changed = _changed_penalties(book, assignment, policy, changed)  # once more: nobody records now
        book.db.rollback()
        with transaction(coursedir) as connection:
            for student, penalties in changed.items():
                _write(connection, (assignment, student), penalties, command)


def _changed_penalties(
    book: Gradebook, assignment: str, policy: LatePolicy, students: Collection[str] | None
) -> dict[str, dict[str, float]]:
    """Return the penalty of each notebook, by its id, of every student whose penalty is another than recorded."""
    granted = granted_times(book.db.connection(), assignment, students)
    changed: dict[str, dict[str, float]] = {}
    for submission in _may_be_late(book, assignment):
        student = str(submission.student_id)
        if students is None or student in students:
            penalties = policy.penalties(submission, seconds_late(submission, granted.get(student)))
            notebooks = submission.notebooks
            known = {str(notebook.id): float(notebook.late_submission_penalty or 0.0) for notebook in notebooks}
            if any(abs(penalties.get(notebook, 0.0) - points) > _SMALLEST for notebook, points in known.items()):
                changed[student] = {notebook: penalties.get(notebook, 0.0) for notebook in known}
    return changed


def _may_be_late(book: Gradebook, assignment: str) -> list[SubmittedAssignment]:
    """Return the submissions after the due date, and those that have a penalty; most of a class is neither."""
    late = SubmittedAssignment.timestamp > BookAssignment.duedate
    found: list[SubmittedAssignment] = (
        book.db.query(SubmittedAssignment)
        .join(BookAssignment, BookAssignment.id == SubmittedAssignment.assignment_id)
        .join(SubmittedNotebook, SubmittedNotebook.assignment_id == SubmittedAssignment.id)
        .filter(BookAssignment.name == assignment)
        .filter(late | SubmittedNotebook.late_submission_penalty.is_not(None))
        .all()
    )
    return found


def _write(
    connection: sqlalchemy.Connection, key: tuple[str, str], penalties: Mapping[str, float], command: str
) -> None:
    last, is_new = with_outside(connection, *key)
    if last is None:
        return
    if is_new:
        append(connection, *key, last)
    for notebook, penalty in penalties.items():
        update = sqlalchemy.update(SubmittedNotebook).where(SubmittedNotebook.id == notebook)
        connection.execute(update.values(late_submission_penalty=penalty or None))
    book = msgspec.structs.replace(last.book, penalty=read_book_state(connection, *key).penalty)
    entry = msgspec.structs.replace(
        last, at=utc_now(), who=account(), command=command, recording="", book=book, why={}, note=NOTE
    )
    append(connection, *key, entry)
