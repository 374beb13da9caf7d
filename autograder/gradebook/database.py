"""The gradebook's database: opening it, errors that name it, and one fast query."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy
from alembic.script import ScriptDirectory
from nbgrader.api import Assignment as BookAssignment
from nbgrader.api import BaseCell, Grade, Gradebook, Notebook, SubmittedAssignment, SubmittedNotebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.dbutil import ALEMBIC_DIR
from sqlalchemy.orm import aliased

from autograder.errors import RecordingError
from autograder.ledger.connections import engine_of
from autograder.ledger.open_marks import read_open_marks_of
from autograder.marks import OpenState

REGISTER = "Run: python -m autograder release"
"""What to do where gradebook and assignment do not fit together."""
UPGRADE = "Copy it somewhere safe, then run in the course folder: nbgrader db upgrade"


_INDEXES: Mapping[str, str] = {
    "submitted_assignment": "student_id",
    "submitted_notebook": "assignment_id",
    "grade": "notebook_id",
    "comment": "notebook_id",
}
"""Columns by which one student's rows are found, by table: without an index the database reads everyone's."""


@dataclass(frozen=True)
class RecordedScores:
    """What the gradebook holds of one student's submission.

    Attributes:
        scores: Automatic score by grade_id; None where one is outstanding. Empty without a submission.
        due: When the assignment is due.
        extension: By how much longer this student has; late penalties depend on both.
        open: State of each task whose mark is not settled.
    """

    scores: Mapping[str, float | None]
    due: datetime | None = None
    extension: timedelta | None = None
    open: Mapping[str, OpenState] = field(default_factory=dict)


@contextmanager
def open_book(coursedir: CourseDirectory) -> Iterator[Gradebook]:
    """Open the course's gradebook.

    Raises:
        RecordingError: If there is no gradebook, or the database cannot be used.
    """
    _check_there(coursedir)
    with _named_errors(coursedir), Gradebook(coursedir.db_url) as book:
        yield book


@contextmanager
def transaction(coursedir: CourseDirectory) -> Iterator[sqlalchemy.Connection]:
    """Open the course's gradebook for one transaction: all of it happens, or nothing.

    Raises:
        RecordingError: If there is no gradebook, or the database cannot be used.
    """
    _check_there(coursedir)
    with _named_errors(coursedir), engine_of(coursedir.db_url).begin() as connection:
        yield connection


def has_gradebook(coursedir: CourseDirectory) -> bool:
    """Return whether there may be a gradebook: opening one makes it, and a look at a class must not."""
    url = sqlalchemy.engine.make_url(coursedir.db_url)
    if url.get_backend_name() != "sqlite" or (url.database or "").startswith("file:"):
        return True
    return bool(url.database and Path(url.database).is_file())


def _check_there(coursedir: CourseDirectory) -> None:
    if not has_gradebook(coursedir) and _folder_of(coursedir).is_dir():  # nbgrader would make an empty one
        raise RecordingError(f"The gradebook does not know the assignment {coursedir.assignment_id}.", REGISTER)


def _folder_of(coursedir: CourseDirectory) -> Path:
    return Path(sqlalchemy.engine.make_url(coursedir.db_url).database or "").parent


def add_indexes(book: sqlalchemy.Connection) -> None:
    """Have the database find a student's rows at once, however large the class is; nothing is committed here."""
    tables = sqlalchemy.inspect(book)
    for table, column in _INDEXES.items():
        name = f"ix_autograder_{table}_{column}"
        if name not in {index["name"] for index in tables.get_indexes(table)}:
            book.exec_driver_sql(f"CREATE INDEX IF NOT EXISTS {name} ON {table} ({column})")


def recorded_scores(connection: sqlalchemy.Connection, assignment: str, student: str) -> RecordedScores:
    """Return what is recorded of one student's submission."""
    rows = automatic_rows(connection, assignment, student)
    marks = read_open_marks_of(connection, assignment, student)
    due, extension = (rows[0].duedate, rows[0].extension) if rows else (None, None)
    states = {task: mark.state for task, mark in marks.items() if not mark.damaged}  # which is written again
    return RecordedScores({row.name: row.auto_score for row in rows}, due, extension, states)


def automatic_rows(connection: sqlalchemy.Connection, assignment: str, student: str) -> Sequence[sqlalchemy.Row[Any]]:
    """Return the rows of what checks grade: `id`, `name`, `auto_score`, and the `duedate` and `extension` of all."""
    return connection.execute(_statement(), {"assignment": assignment, "student": student}).all()


def check_registered(book: sqlalchemy.Connection, assignment: str) -> None:
    """Refuse an assignment that the gradebook does not know.

    Raises:
        RecordingError: If it does not.
    """
    known = sqlalchemy.select(Notebook.id).join(BookAssignment, BookAssignment.id == Notebook.assignment_id)
    known = known.where(BookAssignment.name == assignment, Notebook.name == assignment)
    if not sqlalchemy.inspect(book).has_table("notebook") or book.execute(known).first() is None:
        raise RecordingError(f"The gradebook does not know the assignment {assignment}.", REGISTER)


def is_outdated(url: sqlalchemy.URL) -> bool:
    """Return whether another version of nbgrader made a gradebook, so that this one cannot read it."""
    try:
        with engine_of(url.render_as_string(hide_password=False)).connect() as connection:
            tables = sqlalchemy.inspect(connection).get_table_names()
            if "alembic_version" not in tables:
                return "assignment" in tables
            return connection.exec_driver_sql("select version_num from alembic_version").scalar() != _newest_version()
    except sqlalchemy.exc.SQLAlchemyError:
        return False


@functools.cache
def _newest_version() -> str | None:
    with warnings.catch_warnings(action="ignore"):
        return ScriptDirectory(ALEMBIC_DIR).get_current_head()


@functools.cache
def _statement() -> sqlalchemy.Select[Any]:
    """Select the automatic scores, which are those of cells that no person marks, and what makes a submission late."""
    by_hand = aliased(BaseCell)
    marked = sqlalchemy.exists().where(
        by_hand.notebook_id == BaseCell.notebook_id,
        by_hand.name == BaseCell.name,
        by_hand.type.in_(("SolutionCell", "TaskCell")),
    )
    return (
        sqlalchemy.select(
            Grade.id, BaseCell.name, Grade.auto_score, BookAssignment.duedate, SubmittedAssignment.extension
        )
        .select_from(Grade)
        .join(BaseCell, BaseCell.id == Grade.cell_id)
        .join(Notebook, Notebook.id == BaseCell.notebook_id)
        .join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        .join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        .join(BookAssignment, BookAssignment.id == SubmittedAssignment.assignment_id)
        .where(
            BookAssignment.name == sqlalchemy.bindparam("assignment"),
            Notebook.name == BookAssignment.name,
            SubmittedAssignment.student_id == sqlalchemy.bindparam("student"),
            ~marked,
        )
    )


@contextmanager
def _named_errors(coursedir: CourseDirectory) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.SQLAlchemyError as error:
        address = sqlalchemy.engine.make_url(coursedir.db_url)
        url = address.render_as_string(hide_password=True)
        if is_outdated(address):
            raise RecordingError(f"The gradebook {url} is of another version of nbgrader.", UPGRADE) from error
        reason = str(error).splitlines()[0]
        raise RecordingError(
            f"The gradebook {url} cannot be used: {reason}.", "Look at c.CourseDirectory.db_url in course_config.py."
        ) from error
