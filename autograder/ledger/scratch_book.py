"""A copy of one student's rows that nbgrader works on, and the way back into the gradebook.

nbgrader commits as it goes: the time of a hand-in, then scores, then the late penalty. On a copy in memory it may; what
is there at the end goes into the gradebook in one transaction, or not at all. Only what grading decides is taken over:
marks and comments by hand stay what the gradebook holds, also those that were given meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy
from nbgrader.api import Base

from autograder.ledger.connections import engine_of
from autograder.ledger.entries import BookState, TaskMark

Row = dict[str, object]
_SCRATCH = "sqlite:///file:autograder-scratch-"
_free: list[str] = []
"""Addresses of copies that nobody uses any more: SQL that was compiled for one copy serves the next one there."""
_TABLES: Mapping[str, sqlalchemy.Table] = Base.metadata.tables
_KINDS_OF_CELLS = ("grade_cells", "solution_cells", "task_cells")
_GRADED: Mapping[str, tuple[str, ...]] = {
    "student": (),
    "submitted_assignment": ("timestamp", "extension"),
    "submitted_notebook": ("late_submission_penalty",),
    "grade": ("auto_score", "needs_manual_grade"),
    "comment": ("auto_comment",),
}
"""The student's tables, each after those that it refers to, with the columns that grading decides."""


@dataclass(frozen=True)
class ScratchBook:
    """A copy of the rows of one assignment and one student.

    Attributes:
        url: Where nbgrader finds it.
        connection: Keeps it alive.
        extensions: What was granted when the copy was made, by id of the submission.
    """

    url: str
    connection: sqlalchemy.Connection
    extensions: Mapping[str, object]

    def write_to(self, book: sqlalchemy.Connection) -> None:
        """Take over into the gradebook what grading decided; nothing is committed here."""
        self.connection.rollback()  # a new look, after nbgrader's own connections wrote
        for name, columns in _GRADED.items():
            table = _TABLES[name]
            rows = [dict(row) for row in self.connection.execute(table.select()).mappings()]
            known = _known(book, table, _ids(rows))
            for row in rows:
                if name == "submitted_assignment" and row["id"] in known:
                    self._keep_extension(row, known[row["id"]])
            added = [row for row in rows if row["id"] not in known]
            if added:
                book.execute(table.insert(), added)
            changed = [row for row in rows if row["id"] in known and columns]
            changed = [row for row in changed if any(row[column] != known[row["id"]][column] for column in columns)]
            if changed:
                values: dict[str, object] = {column: sqlalchemy.bindparam(f"new_{column}") for column in columns}
                update = table.update().where(table.c.id == sqlalchemy.bindparam("row_id")).values(values)
                book.execute(update, [_update_of(row, columns) for row in changed])

    def _keep_extension(self, row: Row, now: Row) -> None:
        """Leave an extension as the gradebook has it now, unless grading itself granted one."""
        if row["extension"] == self.extensions.get(str(row["id"])):
            row["extension"] = now["extension"]


@contextmanager
def scratch_book(book: sqlalchemy.Connection, assignment: str, student: str) -> Iterator[ScratchBook]:
    """Copy what nbgrader needs to grade one student's hand-in; the copy lives as long as this context.

    Args:
        book: The gradebook; it is only read.
        assignment: Name of the assignment; without it the copy stays empty.
        student: nbgrader's id of the student, who may be new.
    """
    url = _free.pop() if _free else f"{_SCRATCH}{uuid4().hex}?mode=memory&cache=shared&uri=true"
    with engine_of(url).connect() as connection:
        Base.metadata.create_all(connection)
        extensions: Row = {}
        for name, rows in _read(book, assignment, student):
            if rows:
                connection.execute(_TABLES[name].insert(), rows)
            if name == "submitted_assignment":
                extensions = {str(row["id"]): row["extension"] for row in rows}
        connection.commit()
        yield ScratchBook(url, connection, extensions)
    _free.append(url)


def is_scratch(url: str) -> bool:
    """Return whether a database is a copy that nbgrader works on."""
    return url.startswith(_SCRATCH)


def engine_for_nbgrader(url: str, **options: object) -> sqlalchemy.Engine:
    """Stand in for nbgrader's `create_engine`: each time that it opens a copy it would compile all its SQL again."""
    return engine_of(url) if is_scratch(url) else sqlalchemy.create_engine(url, **options)


def read_book_state(connection: sqlalchemy.Connection, assignment: str, student: str) -> BookState:
    """Return what nbgrader's tables hold of one submission; nothing where there is none."""
    grade, cell = _TABLES["grade"], _TABLES["base_cell"]
    notebook, submitted = _TABLES["submitted_notebook"], _TABLES["submitted_assignment"]
    asked = (
        sqlalchemy.select(
            cell.c.name,
            grade.c.auto_score,
            grade.c.manual_score,
            grade.c.extra_credit,
            notebook.c.late_submission_penalty,
            submitted.c.timestamp,
        )
        .select_from(grade.join(cell, cell.c.id == grade.c.cell_id))
        .join(notebook, notebook.c.id == grade.c.notebook_id)
        .join(submitted, submitted.c.id == notebook.c.assignment_id)
        .join(_TABLES["assignment"], _TABLES["assignment"].c.id == submitted.c.assignment_id)
        .where(_TABLES["assignment"].c.name == assignment, submitted.c.student_id == student)
        .order_by(cell.c.name)
    )
    rows = connection.execute(asked).all()
    if not rows:
        return BookState()
    marks = {name: TaskMark(automatic, by_hand, extra) for name, automatic, by_hand, extra, _, _ in rows}
    return BookState(marks, rows[0][4], rows[0][5])


def students_in_book(connection: sqlalchemy.Connection, assignment: str) -> set[str]:
    """Return all students with a submission of an assignment."""
    submitted, registered = _TABLES["submitted_assignment"], _TABLES["assignment"]
    asked = (
        sqlalchemy.select(submitted.c.student_id)
        .join(registered, registered.c.id == submitted.c.assignment_id)
        .where(registered.c.name == assignment)
    )
    return set(connection.execute(asked).scalars())


def _read(book: sqlalchemy.Connection, assignment: str, student: str) -> Iterator[tuple[str, list[Row]]]:
    """Yield table and rows, each after those that it refers to."""
    registered = _rows(book, "assignment", "name", [assignment])
    notebooks = _rows(book, "notebook", "assignment_id", _ids(registered))
    cells = _rows(book, "base_cell", "notebook_id", _ids(notebooks))
    yield "course", _rows(book, "course", "id", [row["course_id"] for row in registered])
    yield from (("assignment", registered), ("notebook", notebooks), ("base_cell", cells))
    yield "source_cell", _rows(book, "source_cell", "notebook_id", _ids(notebooks))
    for kind in _KINDS_OF_CELLS:
        yield kind, _rows(book, kind, "id", _ids(cells))
    yield "student", _rows(book, "student", "id", [student])
    submitted = [
        row
        for row in _rows(book, "submitted_assignment", "student_id", [student])
        if row["assignment_id"] in _ids(registered)
    ]
    parts = _rows(book, "submitted_notebook", "assignment_id", _ids(submitted))
    yield from (("submitted_assignment", submitted), ("submitted_notebook", parts))
    for name in ("grade", "comment"):
        yield name, _rows(book, name, "notebook_id", _ids(parts))


def _rows(book: sqlalchemy.Connection, name: str, column: str, values: list[object]) -> list[Row]:
    table = _TABLES[name]
    found = book.execute(table.select().where(table.c[column].in_(values))).mappings() if values else ()
    return [dict(row) for row in found]


def _ids(rows: list[Row]) -> list[object]:
    return [row["id"] for row in rows]


def _known(book: sqlalchemy.Connection, table: sqlalchemy.Table, ids: list[object]) -> dict[object, Row]:
    return {row["id"]: dict(row) for row in book.execute(table.select().where(table.c.id.in_(ids))).mappings()}


def _update_of(row: Row, columns: tuple[str, ...]) -> Row:
    return {f"new_{column}": row[column] for column in columns} | {"row_id": row["id"]}
