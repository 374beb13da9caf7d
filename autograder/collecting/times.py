"""When hand-ins came: what platforms and instructors' tables say, in UTC; what cannot be read is not known."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from pathlib import Path

from autograder.collecting.hand_ins import Owner
from autograder.collecting.roster import Nobody, Roster, folded, person_columns
from autograder.errors import UsageError
from autograder.rendering.tables import Table, read_table

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
_MONTHS = "january february march april may june july august september october november december".split()
_WORDS = re.compile(
    r"(?:\w+, )?(?P<day>\d{1,2}) (?P<month>\w+) (?P<year>\d{4}), "
    r"(?P<hour>\d{1,2}):(?P<minute>\d\d)(?: (?P<half>[AP]M))?",
    re.IGNORECASE,
)
"""As Moodle writes it in English: `Wednesday, 1 May 2030, 5:30 PM`."""


def read_time(text: str, zone: tzinfo) -> datetime | None:
    """Return a time in UTC without a zone; None if it cannot be read.

    Args:
        text: As `2030-05-01 17:30:00+02:00`, `2030-05-01 17:30:00 UTC` or as Moodle writes it in English.
        zone: Where it is meant if it names no zone.
    """
    plain = " ".join(text.split()).replace("\u202f", " ")
    words = _WORDS.fullmatch(plain)
    try:
        time = _from_words(words) if words else datetime.fromisoformat(re.sub(r" ?(UTC|GMT)$", "+00:00", plain))
    except ValueError:
        return None
    if time is None:
        return None
    return (time if time.tzinfo else time.replace(tzinfo=zone)).astimezone(UTC).replace(tzinfo=None)


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
        time = read_time(cell, zone)
        if time is None:
            raise UsageError(
                f"{path}: {cell!r} of {student} is no time that can be read.", "Write it as 2030-05-01 17:30 UTC."
            )
        times[student] = time
    return times


def worksheet_times(path: Path, roster: Roster, zone: tzinfo) -> dict[str, datetime]:
    """Return the times that a roster tells beside its names, as Moodle's worksheet does; others are not known."""
    table = read_table(path)
    place = time_column(table)
    cells = _cells(table, place, roster) if place is not None else {}
    times = {student: read_time(cell, zone) for student, cell in cells.items()}
    return {student: time for student, time in times.items() if time is not None}


def time_column(table: Table) -> int | None:
    """Return the place of the column of times."""
    headings = [folded(heading.replace("_", " ")) for heading in table.heading]
    return next((headings.index(name) for name in HEADINGS if name in headings), None)


def _cells(table: Table, place: int, roster: Roster) -> Mapping[str, str]:
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


def _from_words(words: re.Match[str]) -> datetime | None:
    month, hour = words["month"].casefold(), int(words["hour"])
    if month not in _MONTHS:
        return None
    if words["half"]:
        hour = hour % 12 + (12 if words["half"].upper() == "PM" else 0)
    return datetime(int(words["year"]), _MONTHS.index(month) + 1, int(words["day"]), hour, int(words["minute"]))
