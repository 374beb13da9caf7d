"""What changed the gradebook without us: found as the difference from the last entry of the history."""

from __future__ import annotations

import getpass

import msgspec
import sqlalchemy

from autograder.ledger.connections import utc_now
from autograder.ledger.entries import NO_MARK, BookState, Entry, outside_reasons
from autograder.ledger.history import append, last_entry
from autograder.ledger.open_marks import read_open_marks_of
from autograder.ledger.scratch_book import read_book_state

OUTSIDE = "outside"
BEFORE = "This was in the gradebook before its history began."


def current_state(connection: sqlalchemy.Connection, assignment: str, student: str) -> BookState:
    """Return what the gradebook holds of one submission, with the states of its tasks.

    nbgrader does not know stand-ins, so none is told of here.
    """
    state = read_book_state(connection, assignment, student)
    known = read_open_marks_of(connection, assignment, student)
    marks = {
        task: msgspec.structs.replace(mark, state=known[task].state) if task in known and mark.by_hand is None else mark
        for task, mark in state.marks.items()
    }
    return msgspec.structs.replace(state, marks=marks)


def with_outside(connection: sqlalchemy.Connection, assignment: str, student: str) -> tuple[Entry | None, bool]:
    """Return the last entry of a student's history, or a new one where the gradebook differs from it; only read here.

    Returns:
        The entry, None if nothing is known of the student, and whether it is new.
    """
    last = last_entry(connection, assignment, student)
    now = _with_stand_ins(current_state(connection, assignment, student), last)
    if last is None:
        if all(mark.points is None for mark in now.marks.values()):  # nobody was graded yet
            return None, False
        return Entry(at=utc_now(), command=OUTSIDE, book=now, note=BEFORE), True
    if last.book == now:
        return last, False
    return msgspec.structs.replace(
        last,
        at=utc_now(),
        who="",
        command=OUTSIDE,
        recording="",
        book=now,
        why=outside_reasons(last.book, now),
        note="",
    ), True


def note_outside(connection: sqlalchemy.Connection, assignment: str, student: str) -> Entry | None:
    """Add what changed outside to a student's history; nothing is committed here.

    Returns:
        The last entry afterwards; None if nothing is known of the student.
    """
    entry, is_new = with_outside(connection, assignment, student)
    if entry is not None and is_new:
        append(connection, assignment, student, entry)
    return entry


def account() -> str:
    """Return the name of the account that runs this process; empty where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _with_stand_ins(state: BookState, last: Entry | None) -> BookState:
    known = last.book.marks if last else {}
    marks = {
        task: msgspec.structs.replace(mark, stand_in=known.get(task, NO_MARK).stand_in)
        for task, mark in state.marks.items()
    }
    return msgspec.structs.replace(state, marks=marks)
