"""The history of marks: a table of our own in nbgrader's database. Rows are added, never changed or removed.

Each row holds all that the gradebook held of one submission afterwards, so the last row of a student is the gradebook,
and whatever differs from it was changed by something else: formgrader, nbgrader, or a person with the database open.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import sqlalchemy

from autograder.grading.rules_digest import Rules
from autograder.ledger.entries import BookState, Entry, Reason
from autograder.text import clean

LONGEST_NOTE = 500
"""Characters that are stored of a note."""
_HISTORY = sqlalchemy.Table(
    "autograder_history",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    sqlalchemy.Column("assignment", sqlalchemy.String(128), nullable=False),  # as long as nbgrader's own names
    sqlalchemy.Column("student", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("at", sqlalchemy.DateTime, nullable=False),  # UTC without a zone, as nbgrader's dates
    sqlalchemy.Column("who", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("command", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("recording", sqlalchemy.String(32), nullable=False, index=True),
    sqlalchemy.Column("submission", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("rules", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("book", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("why", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("note", sqlalchemy.Text, nullable=False),
    sqlalchemy.Index("ix_autograder_history_of", "assignment", "student"),
)


def append(connection: sqlalchemy.Connection, assignment: str, student: str, entry: Entry) -> None:
    """Add an entry to a student's history; nothing is committed here.

    Args:
        connection: In the transaction that also changes what the entry tells of.
        assignment: Name of the assignment.
        student: Whose history it is.
        entry: The entry.
    """
    _HISTORY.create(connection, checkfirst=True)
    row = {
        "assignment": assignment,
        "student": student,
        "at": entry.at,
        "who": clean(entry.who)[:128],
        "command": entry.command,
        "recording": entry.recording,
        "submission": entry.submission,
        "rules": _as_json(entry.rules),
        "book": _as_json(entry.book),
        "why": _as_json(entry.why),
        "note": clean(entry.note)[:LONGEST_NOTE],
    }
    connection.execute(_HISTORY.insert().values(row))


def last_entry(connection: sqlalchemy.Connection, assignment: str, student: str) -> Entry | None:
    """Return the last entry of a student's history; None if there is none."""
    newest = _of(assignment, student).order_by(_HISTORY.c.id.desc()).limit(1)
    return next(iter(_select(connection, newest)), None)


def entries_of(connection: sqlalchemy.Connection, assignment: str, student: str) -> list[Entry]:
    """Return a student's history, oldest first."""
    return list(_select(connection, _of(assignment, student).order_by(_HISTORY.c.id)))


def students_with_history(connection: sqlalchemy.Connection, assignment: str) -> set[str]:
    """Return all students of whom there is an entry."""
    if not sqlalchemy.inspect(connection).has_table(_HISTORY.name):
        return set()
    asked = sqlalchemy.select(_HISTORY.c.student).where(_HISTORY.c.assignment == assignment).distinct()
    return set(connection.execute(asked).scalars())


def is_committed(connection: sqlalchemy.Connection, recording: str) -> bool:
    """Return whether a recording reached the database."""
    return bool(list(_select(connection, _HISTORY.select().where(_HISTORY.c.recording == recording).limit(1))))


def _of(assignment: str, student: str) -> sqlalchemy.Select[tuple[object, ...]]:
    return _HISTORY.select().where(_HISTORY.c.assignment == assignment, _HISTORY.c.student == student)


def _select(connection: sqlalchemy.Connection, statement: sqlalchemy.Select[tuple[object, ...]]) -> Iterable[Entry]:
    """Yield entries; none from a gradebook without the table."""
    if not sqlalchemy.inspect(connection).has_table(_HISTORY.name):
        return
    for row in connection.execute(statement).mappings():
        yield Entry(
            at=row["at"],
            who=row["who"],
            command=row["command"],
            recording=row["recording"],
            submission=row["submission"],
            rules=msgspec.json.decode(row["rules"], type=Rules | None),
            book=msgspec.json.decode(row["book"], type=BookState),
            why=msgspec.json.decode(row["why"], type=dict[str, Reason]),
            note=row["note"],
        )


def _as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
