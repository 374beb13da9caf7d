"""The history of marks: a table of our own in nbgrader's database. Rows are added, never changed or removed.

Each row holds all that the gradebook held of one submission afterwards, so the last row of a student is the gradebook,
and whatever differs from it was changed by something else: formgrader, nbgrader, or a person with the database open.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy

from autograder.grading.rules_digest import Rules
from autograder.ledger.connections import StoredTime, has_table, rows_of
from autograder.ledger.entries import BookState, Entry, Reason
from autograder.text import clean

LONGEST_NOTE = 500
"""Characters that are stored of a note."""
UNREADABLE_ENTRY = "unreadable"
"""What `history` shows as the command of a row that cannot be read."""
_UNKNOWN = datetime(1970, 1, 1)
_HISTORY = sqlalchemy.Table(
    "autograder_history",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    sqlalchemy.Column("assignment", sqlalchemy.String(128), nullable=False),  # as long as nbgrader's own names
    sqlalchemy.Column("student", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("at", StoredTime, nullable=False),
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
    if not has_table(connection, _HISTORY.name):
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
    """Return the last entry of a student's history that can be read; None if there is none."""
    newest = _of(assignment, student).order_by(_HISTORY.c.id.desc())
    entry = next((entry for _, entry in _read(connection, newest.limit(1))), None)
    return entry or next((entry for _, entry in _read(connection, newest) if entry), None)


def newest_ids(connection: sqlalchemy.Connection, assignment: str, students: Collection[str]) -> dict[str, int]:
    """Return the id of each student's last row, whether or not it can be read."""
    if not has_table(connection, _HISTORY.name):
        return {}
    columns = _HISTORY.c
    asked = sqlalchemy.select(columns.student, sqlalchemy.func.max(columns.id)).group_by(columns.student)
    asked = asked.where(columns.assignment == assignment, columns.student.in_(students))
    return {student: number for student, number in connection.execute(asked)}


def is_recorded_last(connection: sqlalchemy.Connection, assignment: str, student: str, digest: str) -> bool:
    """Whether a student's marks are for the submission with this digest, and not for an earlier one."""
    last = last_entry(connection, assignment, student)
    return last is not None and last.submission == digest


def entries_of(connection: sqlalchemy.Connection, assignment: str, student: str) -> list[Entry]:
    """Return a student's history, oldest first; a row that cannot be read says so, and changes nothing."""
    entries: list[Entry] = []
    for number, entry in _read(connection, _of(assignment, student).order_by(_HISTORY.c.id)):
        last = entries[-1] if entries else Entry(at=_UNKNOWN, command=UNREADABLE_ENTRY, book=BookState())
        note = f"Row {number} of {_HISTORY.name} cannot be read; what it told is lost, the marks are not."
        entries.append(entry or Entry(at=last.at, command=UNREADABLE_ENTRY, book=last.book, note=note))
    return entries


def students_with_history(connection: sqlalchemy.Connection, assignment: str) -> set[str]:
    """Return all students of whom there is an entry."""
    if not has_table(connection, _HISTORY.name):
        return set()
    asked = sqlalchemy.select(_HISTORY.c.student).where(_HISTORY.c.assignment == assignment).distinct()
    return set(connection.execute(asked).scalars())


def is_current(connection: sqlalchemy.Connection, recording: str) -> bool:
    """Return whether a recording reached the database, and no later one wrote files of the same submission."""
    if not sqlalchemy.inspect(connection).has_table(_HISTORY.name):
        return False
    columns = _HISTORY.c
    found = connection.execute(
        sqlalchemy.select(columns.id, columns.assignment, columns.student).where(columns.recording == recording)
    ).first()
    if found is None:
        return False
    later = sqlalchemy.select(columns.id).where(
        columns.assignment == found.assignment,
        columns.student == found.student,
        columns.id > found.id,
        columns.recording.not_in(("", recording)),
    )
    return connection.execute(later.limit(1)).first() is None


def _of(assignment: str, student: str) -> sqlalchemy.Select[Any]:
    return _HISTORY.select().where(_HISTORY.c.assignment == assignment, _HISTORY.c.student == student)


def _read(connection: sqlalchemy.Connection, statement: sqlalchemy.Select[Any]) -> Iterator[tuple[int, Entry | None]]:
    """Yield id and entry of each row, None for one that cannot be read; nothing from a gradebook without the table."""
    if not has_table(connection, _HISTORY.name):
        return
    for row in rows_of(connection, statement):
        yield row["id"], _entry(row)


def _entry(row: Mapping[str, Any]) -> Entry | None:
    """Return the entry of a row; without its marks or its time it is none; what else cannot be read is left out."""
    book = _from_json(row["book"], BookState)
    if book is None or row["at"] is None:
        return None
    return Entry(
        at=row["at"],
        who=row["who"],
        command=row["command"],
        recording=row["recording"],
        submission=row["submission"],
        rules=_from_json(row["rules"], Rules | None),
        book=book,
        why=_from_json(row["why"], dict[str, Reason]) or {},
        note=row["note"],
    )


def _from_json(text: str, kind: Any) -> Any:  # noqa: ANN401 - what the caller asks for
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeError, TypeError):
        return None


def _as_json(value: object) -> str:
    return msgspec.json.encode(value).decode()
