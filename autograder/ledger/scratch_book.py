"""A copy of one student's rows that nbgrader works on, and the way back into the gradebook.

nbgrader commits as it goes: the time of a hand-in, then scores, then the late penalty. On a copy in memory it may; what
is there at the end goes into the gradebook in one transaction, or not at all. Only what grading decides is taken over:
marks and comments by hand stay what the gradebook holds, also those that were given meanwhile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import sqlalchemy
from nbgrader.api import Base

from autograder.ledger.connections import engine_of
from autograder.ledger.entries import BookState, TaskMark

Row = dict[str, object]
Rows = dict[str, list[Row]]
"""Rows by table."""
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
_UNIQUE: Mapping[str, tuple[str, str]] = {
    "submitted_assignment": ("student_id", "assignment_id"),
    "submitted_notebook": ("assignment_id", "notebook_id"),
    "grade": ("notebook_id", "cell_id"),
    "comment": ("notebook_id", "cell_id"),
}
"""What there is only one row of, whatever its id: two programs draw ids of their own for one new student."""


@dataclass(frozen=True)
class ScratchBook:
    """A copy of the rows of one assignment and one student.

    Attributes:
        url: Where nbgrader finds it.
        connection: Keeps it alive.
        copied: The student's own rows, as they were when the copy was made.
    """

    url: str
    connection: sqlalchemy.Connection
    copied: Rows

    def graded_rows(self) -> GradedRows:
        """Return what grading made of the rows."""
        self.connection.rollback()  # a new look, after nbgrader's own connections wrote
        made = {
            name: [dict(row) for row in self.connection.execute(_TABLES[name].select()).mappings()] for name in _GRADED
        }
        return GradedRows(made, {row["id"]: row["extension"] for row in self.copied["submitted_assignment"]})


@dataclass(frozen=True)
class GradedRows:
    """What grading made of one student's rows.

    Attributes:
        made: The student's own rows.
        extensions: What was granted when they were copied, by id of the submission.
    """

    made: Rows
    extensions: Mapping[object, object]


def write_rows(book: sqlalchemy.Connection, graded: Sequence[GradedRows]) -> None:
    """Take over into the gradebook what grading decided, for all students at once; nothing is committed here."""
    extensions = {submission: longer for rows in graded for submission, longer in rows.extensions.items()}
    ids: dict[object, object] = {}  # of rows that another program added meanwhile, by their ids in the copies
    for name, columns in _GRADED.items():
        table = _TABLES[name]
        rows = [
            {column: ids.get(value, value) for column, value in row.items()}
            for student in graded
            for row in student.made[name]
        ]
        known = {row["id"]: row for row in _rows(book, name, "id", _ids(rows))}
        if name == "submitted_assignment" or ids:
            ids |= _take_ids_of_twins(book, name, rows, known)
        for row in rows:
            if name == "submitted_assignment" and row["id"] in known:
                _keep_extension(row, known[row["id"]], extensions.get(row["id"]))
        added = [row for row in rows if row["id"] not in known]
        if added:
            book.execute(table.insert(), added)
        changed = [row for row in rows if row["id"] in known and columns]
        changed = [row for row in changed if any(row[column] != known[row["id"]][column] for column in columns)]
        if changed:
            values: dict[str, object] = {column: sqlalchemy.bindparam(f"new_{column}") for column in columns}
            update = table.update().where(table.c.id == sqlalchemy.bindparam("row_id")).values(values)
            book.execute(update, [_update_of(row, columns) for row in changed])


def _keep_extension(row: Row, now: Row, copied: object) -> None:
    """Leave an extension as the gradebook has it now, unless grading itself granted one."""
    if row["extension"] == copied:
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
    registered = read_registered(book, assignment)
    copied = read_students(book, registered, [student])[student]
    with engine_of(url).connect() as connection:
        Base.metadata.create_all(connection)
        for name, rows in (registered | copied).items():
            if rows:
                connection.execute(_TABLES[name].insert(), rows)
        connection.commit()
        yield ScratchBook(url, connection, copied)
    _free.append(url)  # not after a failure, when something may still be connected


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


def read_registered(book: sqlalchemy.Connection, assignment: str) -> Rows:
    """Return the rows of an assignment, each table after those that it refers to; no rows of an unknown one."""
    registered = _rows(book, "assignment", "name", [assignment])
    notebooks = _rows(book, "notebook", "assignment_id", _ids(registered))
    cells = _rows(book, "base_cell", "notebook_id", _ids(notebooks))
    found = {
        "course": _rows(book, "course", "id", [row["course_id"] for row in registered]),
        "assignment": registered,
        "notebook": notebooks,
        "base_cell": cells,
        "source_cell": _rows(book, "source_cell", "notebook_id", _ids(notebooks)),
    }
    return found | {kind: _rows(book, kind, "id", _ids(cells)) for kind in _KINDS_OF_CELLS}


def read_students(book: sqlalchemy.Connection, registered: Rows, students: Collection[str]) -> dict[str, Rows]:
    """Return each student's own rows, each table after those that it refers to.

    Args:
        book: The gradebook.
        registered: Rows of the assignment.
        students: Who; those that the gradebook does not know have no rows.
    """
    assignments = _ids(registered["assignment"])
    submitted = _rows(book, "submitted_assignment", "student_id", students)
    submitted = [row for row in submitted if row["assignment_id"] in assignments]
    whose = {row["id"]: row["student_id"] for row in submitted}
    notebooks = _rows(book, "submitted_notebook", "assignment_id", _ids(submitted))
    whose |= {row["id"]: whose[row["assignment_id"]] for row in notebooks}
    found: dict[str, Rows] = {str(student): {name: [] for name in _GRADED} for student in students}
    for row in _rows(book, "student", "id", students):
        found[str(row["id"])]["student"].append(row)
    for name, rows in (("submitted_assignment", submitted), ("submitted_notebook", notebooks)):
        for row in rows:
            found[str(whose[row["id"]])][name].append(row)
    for name in ("grade", "comment"):
        for row in _rows(book, name, "notebook_id", _ids(notebooks)):
            found[str(whose[row["notebook_id"]])][name].append(row)
    return found


def _rows(book: sqlalchemy.Connection, name: str, column: str, values: Collection[object]) -> list[Row]:
    """Return the rows with one of these values, in one order, so that two looks can be compared."""
    table = _TABLES[name]
    asked = table.select().where(table.c[column].in_(values)).order_by(table.c.id)
    return [dict(row) for row in book.execute(asked).mappings()] if values else []


def _ids(rows: list[Row]) -> list[object]:
    return [row["id"] for row in rows]


def _take_ids_of_twins(
    book: sqlalchemy.Connection, name: str, rows: list[Row], known: dict[object, Row]
) -> dict[object, object]:
    """Give rows of the copies the ids that the gradebook has for the same things, which become known; return them."""
    first, second = _UNIQUE[name]
    unknown = [row for row in rows if row["id"] not in known]
    twins = {(twin[first], twin[second]): twin for twin in _rows(book, name, first, [row[first] for row in unknown])}
    taken: dict[object, object] = {}
    for row in unknown:
        if twin := twins.get((row[first], row[second])):
            taken[row["id"]] = twin["id"]
            known[twin["id"]] = twin
            row["id"] = twin["id"]
    return taken


def _update_of(row: Row, columns: tuple[str, ...]) -> Row:
    return {f"new_{column}": row[column] for column in columns} | {"row_id": row["id"]}
