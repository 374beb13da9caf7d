"""Second readings: what a second person, who does not know the first mark, would give. They change no mark.

A table of our own in nbgrader's database; rows are added, never changed. A person's last reading of an answer counts.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import sqlalchemy

from autograder.ledger.connections import has_table, utc_now
from autograder.text import clean


@dataclass(frozen=True)
class SecondReading:
    """What a second person would give for an answer.

    Attributes:
        digest: Of the answer that was read.
        who: The second person.
        first_who: Whose mark it had then.
        first_points: That mark.
        items: Ids of the rubric's items that the second person would give.
    """

    question: str
    student: str
    digest: str
    who: str
    first_who: str
    first_points: float
    points: float
    items: tuple[str, ...]


_READINGS = sqlalchemy.Table(
    "autograder_second_readings",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    sqlalchemy.Column("assignment", sqlalchemy.String(128), nullable=False),  # as long as nbgrader's own names
    sqlalchemy.Column("question", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("student", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("digest", sqlalchemy.String(64), nullable=False),
    sqlalchemy.Column("at", sqlalchemy.DateTime, nullable=False),  # UTC without a zone, as nbgrader's dates
    sqlalchemy.Column("who", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("first_who", sqlalchemy.String(128), nullable=False),
    sqlalchemy.Column("first_points", sqlalchemy.Float, nullable=False),
    sqlalchemy.Column("points", sqlalchemy.Float, nullable=False),
    sqlalchemy.Column("items", sqlalchemy.Text, nullable=False),
    sqlalchemy.Index("ix_autograder_second_readings_of", "assignment", "question"),
)


def append_reading(connection: sqlalchemy.Connection, assignment: str, reading: SecondReading) -> None:
    """Add a second reading; nothing is committed here."""
    _READINGS.create(connection, checkfirst=True)
    row = {
        "assignment": assignment,
        "question": reading.question,
        "student": reading.student,
        "digest": reading.digest,
        "at": utc_now(),
        "who": clean(reading.who)[:128],
        "first_who": clean(reading.first_who)[:128],
        "first_points": reading.first_points,
        "points": reading.points,
        "items": msgspec.json.encode(reading.items).decode(),
    }
    connection.execute(_READINGS.insert().values(row))


def second_readings(connection: sqlalchemy.Connection, assignment: str, question: str = "") -> list[SecondReading]:
    """Return each person's last reading of each answer; none from a gradebook without the table.

    Args:
        connection: To the gradebook.
        assignment: Name of the assignment.
        question: grade_id of one question; empty means all.
    """
    if not has_table(connection, _READINGS.name):
        return []
    asked = _READINGS.select().where(_READINGS.c.assignment == assignment).order_by(_READINGS.c.id)
    if question:
        asked = asked.where(_READINGS.c.question == question)
    last: dict[tuple[str, str, str], SecondReading] = {}
    for row in connection.execute(asked).mappings():
        fields = {name: row[name] for name in SecondReading.__dataclass_fields__ if name != "items"}
        reading = SecondReading(**fields, items=msgspec.json.decode(row["items"], type=tuple[str, ...]))
        last[reading.question, reading.student, reading.who] = reading
    return list(last.values())
