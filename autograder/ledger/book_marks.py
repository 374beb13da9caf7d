"""Marks by hand in nbgrader's own tables, read for many answers at once and written one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy
from nbgrader.api import Base

from autograder.ledger.markings import BookMark, last_standings_of, standing_now

_TABLES: Mapping[str, sqlalchemy.Table] = Base.metadata.tables


@dataclass(frozen=True)
class BookRow:
    """Where nbgrader holds the mark of one answer.

    Attributes:
        grade: Id of the row with the points.
        comment: Id of the row with the comment; None where nbgrader made none.
    """

    mark: BookMark
    grade: str
    comment: str | None


def read_book_rows(
    connection: sqlalchemy.Connection, assignment: str, student: str = "", *, question: str = "", lock: bool = False
) -> dict[str, dict[str, BookRow]]:
    """Return the marks of answers, by question and student.

    Args:
        connection: To the gradebook.
        assignment: Name of the assignment.
        student: Whose; empty means everyone's.
        question: grade_id of one question; empty means all.
        lock: Whether nobody else may change them until the transaction ends; SQLite locks at the first change instead.
    """
    grade, cell, submitted = _TABLES["grade"], _TABLES["base_cell"], _TABLES["submitted_assignment"]
    asked = _marks_by_hand().where(_TABLES["assignment"].c.name == assignment)
    asked = asked.where(cell.c.name == question) if question else asked
    asked = asked.where(submitted.c.student_id == student) if student else asked
    if lock:  # in one order, so that two who mark the same question wait for each other
        asked = asked.order_by(grade.c.id).with_for_update(of=grade)
    found: dict[str, dict[str, BookRow]] = {}
    for name, whose, grade_row, comment_row, points, text, waits, automatic in connection.execute(asked):
        mark = BookMark(points, text or "", bool(waits), automatic)
        found.setdefault(name, {})[whose] = BookRow(mark, grade_row, comment_row)
    return found


def _marks_by_hand() -> sqlalchemy.Select[Any]:
    """Select the marks of all answers: cell, student, ids of grade and comment, and what these hold."""
    grade, comment, cell = _TABLES["grade"], _TABLES["comment"], _TABLES["base_cell"]
    said = cell.alias("said")
    submitted, notebook, registered = (
        _TABLES[name] for name in ("submitted_assignment", "submitted_notebook", "assignment")
    )
    is_said = (said.c.notebook_id == cell.c.notebook_id) & (said.c.name == cell.c.name)
    is_said &= said.c.type.in_(("SolutionCell", "TaskCell"))  # no other cell has a comment
    return (
        sqlalchemy.select(
            cell.c.name,
            submitted.c.student_id,
            grade.c.id,
            comment.c.id,
            grade.c.manual_score,
            comment.c.manual_comment,
            grade.c.needs_manual_grade,
            grade.c.auto_score,
        )
        .select_from(grade)
        .join(cell, cell.c.id == grade.c.cell_id)
        .join(notebook, notebook.c.id == grade.c.notebook_id)
        .join(submitted, submitted.c.id == notebook.c.assignment_id)
        .join(registered, registered.c.id == submitted.c.assignment_id)
        .outerjoin(said, is_said)
        .outerjoin(comment, (comment.c.cell_id == said.c.id) & (comment.c.notebook_id == notebook.c.id))
    )


def write_book_mark(connection: sqlalchemy.Connection, row: BookRow, mark: BookMark) -> None:
    """Put points and comment in the place of others; nothing is committed here."""
    grade, comment = _TABLES["grade"], _TABLES["comment"]
    changed = {"manual_score": mark.points, "needs_manual_grade": mark.waits}
    connection.execute(grade.update().where(grade.c.id == row.grade).values(changed))
    if row.comment is not None and row.mark.comment != mark.comment:
        said = comment.update().where(comment.c.id == row.comment)
        connection.execute(said.values(manual_comment=mark.comment or None))


def write_waits(connection: sqlalchemy.Connection, row: BookRow, *, waits: bool) -> None:
    """Say whether a mark asks for another look, unless another one was given since it was read; commits nothing.

    Formgrader writes without our lock, so points are never written here: they could be older than what is there.
    """
    grade = _TABLES["grade"]
    is_same = grade.c.manual_score == row.mark.points
    connection.execute(grade.update().where(grade.c.id == row.grade, is_same).values(needs_manual_grade=waits))


def given_items(connection: sqlalchemy.Connection, assignment: str, student: str) -> dict[str, tuple[str, ...]]:
    """Return the rubric's items that one student was given, by question; of marks that were given elsewhere nothing."""
    last = last_standings_of(connection, assignment, student)
    if not last:
        return {}
    books = read_book_rows(connection, assignment, student=student)
    now = {
        question: standing_now(books[question][student].mark, last[question]) for question in last if question in books
    }
    return {question: standing.marking.items for question, standing in now.items() if standing.is_ours}
