"""When hand-ins came: what platforms and instructors' tables say, in UTC; what cannot be read is not known."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, tzinfo
from pathlib import Path

from autograder.collecting.hand_ins import Owner
from autograder.collecting.roster import Nobody, Roster, folded, person_columns
from autograder.deadlines.times import UnreadableTime, read_time
from autograder.errors import UsageError
from autograder.rendering.tables import TextTable, read_table

HEADINGS = (
    "time",
    "submitted at",
    "submission time",
    "handed in",
    "timestamp",
    "last modified (submission)",
    "zuletzt geändert (abgabe)",
    "dernière modification (travail remis)",
    "última modificación (entrega)",
    "última modificação (envio)",
    "ultima modifica (consegna)",
)
"""Headings of a column of times, in small letters; spaces and underscores are the same."""


def known_time(text: str, zone: tzinfo) -> datetime | None:
    """Return the time that a platform tells, in UTC without a zone; None if it cannot be read, or in two ways.

    Args:
        text: As `2030-05-01 17:30:00+02:00`, or `Wednesday, 1 May 2030, 5:30 PM`, which is Moodle's.
        zone: Where it is meant if it names no zone.
    """
    with suppress(UnreadableTime):
        return read_time(text, zone)
    return None


def read_times(path: Path, roster: Roster, zone: tzinfo) -> dict[str, datetime]:
    """Return the time of each student's hand-in from a table: `student,time`, or one that a platform gave out.

    Raises:
        UsageError: If it has no such columns, or a time in it cannot be read.
    """
    table = read_table(path)
    place = time_column(table)
    if place is None:
        raise UsageError(f"{path} has no column of times.", f"Give one of its columns the heading {HEADINGS[0]}.")
    times: dict[str, datetime] = {}
    for student, cell in _cells(table, place, roster).items():
        try:
            times[student] = read_time(cell, zone)
        except UnreadableTime as error:
            raise UsageError(f"{path}: {cell!r} of {student} is no time that can be read.", error.remedy) from error
    return times


def worksheet_times(path: Path, roster: Roster, zone: tzinfo) -> dict[str, datetime]:
    """Return the times that a roster tells beside its names, as Moodle's worksheet does; others are not known."""
    table = read_table(path)
    place = time_column(table)
    cells = _cells(table, place, roster) if place is not None else {}
    times = {student: known_time(cell, zone) for student, cell in cells.items()}
    return {student: time for student, time in times.items() if time is not None}


def time_column(table: TextTable) -> int | None:
    """Return the place of the column of times."""
    headings = [folded(heading.replace("_", " ")) for heading in table.heading]
    return next((headings.index(name) for name in HEADINGS if name in headings), None)


def _cells(table: TextTable, place: int, roster: Roster) -> Mapping[str, str]:
    """Return student to cell, of everyone whom the roster knows; without a roster of everyone named."""
    columns = person_columns(table)
    found: dict[str, str] = {}
    for row in table.rows:
        cell = row[place].strip()
        ids = {kind: read(row) for kind, read in columns.items() if kind not in ("name", "first", "last") and read(row)}
        if not ids or cell in ("", "-"):
            continue
        try:
            student = roster.find(Owner("", ids)).student if roster.people else next(iter(ids.values()))
        except Nobody:
            continue
        found[student] = cell
    return found
