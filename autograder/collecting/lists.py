"""Lists beside a download: when hand-ins came, in UTC, and who works with whom. What cannot be read is not known."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, tzinfo
from pathlib import Path

from autograder.collecting.hand_ins import Owner
from autograder.collecting.roster import IDS, Nobody, Roster, RosterEntry, folded, person_columns, read_roster
from autograder.deadlines.times import UnreadableTime, read_time
from autograder.errors import UsageError
from autograder.rendering.tables import TextTable, read_table

HEADINGS = (
    "time",
    "submitted at",
    "submission time",
    "submission timestamp",
    "handed in",
    "timestamp",
    "datetime",
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

    Where a student has several rows, such as one for each attempt in Classroom 50's `scores.csv`, the last time counts.

    Raises:
        UsageError: If it has no such columns, or a time in it cannot be read.
    """
    table = read_table(path)
    if person_columns(table).keys().isdisjoint(IDS):
        raise UsageError(f"{path} names no students.", "Give the column with their ids the heading student.")
    place = time_column(table)
    if place is None:
        raise UsageError(f"{path} has no column of times.", f"Give one of its columns the heading {HEADINGS[0]}.")
    times: dict[str, datetime] = {}
    for student, cell in _cells(table, place, roster):
        try:
            time = read_time(cell, zone)
        except UnreadableTime as error:
            raise UsageError(f"{path}: {cell!r} of {student} cannot be read as a time.", error.remedy) from error
        times[student] = max(time, times.get(student, time))
    return times


def worksheet_times(path: Path, roster: Roster, zone: tzinfo) -> dict[str, datetime]:
    """Return the times that a roster tells beside its names, as Moodle's worksheet does; others are not known."""
    table = read_table(path)
    place = time_column(table)
    cells = _cells(table, place, roster) if place is not None else ()
    times = {student: known_time(cell, zone) for student, cell in cells}
    return {student: time for student, time in times.items() if time is not None}


def time_column(table: TextTable) -> int | None:
    """Return the place of the column of times."""
    headings = [folded(heading.replace("_", " ")) for heading in table.heading]
    return next((headings.index(name) for name in HEADINGS if name in headings), None)


def with_groups(roster: Roster, path: Path) -> Roster:
    """Return a roster that knows who works with whom, from a list that a platform gives out.

    Args:
        roster: The course's; where it names nobody, the list is the roster.
        path: Canvas' group set, Classroom 50's groups, GitHub Classroom's grades; or a column of names or ids, and one
            that says `group`.

    Raises:
        UsageError: If the list names no group, or a member whom the roster does not know.
    """
    listed = read_roster(path)
    members = [person for person in listed.people if person.group]
    if not members:
        raise UsageError(f"{path} names no group.", "It needs a column group, and one that names each student.")
    if not roster.people:
        return listed
    found: dict[str, RosterEntry] = {}
    for member in members:
        ids = {kind: value for kind, value in member.ids.items() if kind != "student"} or member.ids
        try:
            person = roster.find(Owner(member.student, ids, next(iter(member.names), "")))
        except Nobody as error:
            remedy = f"Say in {roster.where} who that is, or take the row out of {path.name}."
            raise UsageError(f"{path}: {member.student} of the group {member.group} {error}.", remedy) from error
        found[person.student] = replace(person, ids={**ids, **person.ids}, group=member.group)
    return Roster(tuple(found.get(person.student, person) for person in roster.people), roster.where)


def _cells(table: TextTable, place: int, roster: Roster) -> Iterator[tuple[str, str]]:
    """Yield student and cell, of everyone whom the roster knows; without a roster of everyone named."""
    columns = {kind: read for kind, read in person_columns(table).items() if kind in IDS}
    for row in table.rows:
        cell = row[place].strip()
        ids = {kind: value for kind, read in columns.items() if (value := read(row))}
        if not ids or cell in ("", "-"):
            continue
        try:
            student = roster.find(Owner("", ids)).student if roster.people else next(iter(ids.values()))
        except Nobody:
            continue
        yield student, cell
