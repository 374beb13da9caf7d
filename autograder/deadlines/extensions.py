"""Extra time for single students: a table of our own in nbgrader's database, which recording hands on to nbgrader.

nbgrader keeps an extension with the submission, so it can be granted only to students who have handed in, and moves
with the due date. Here it is a time, granted before or after, and late penalties follow it either way. It never takes
time away: where the due date is later, that holds.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import datetime, timedelta, tzinfo

import sqlalchemy
from nbgrader.api import Assignment, Gradebook, MissingEntry, SubmittedAssignment

from autograder.deadlines.times import UnreadableTime, read_time
from autograder.errors import RecordingError, UsageError
from autograder.ledger.connections import StoredTime, engine_of, has_table, rows_of, utc_now
from autograder.text import printable

_EXTENSIONS = sqlalchemy.Table(
    "autograder_extensions",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("assignment", sqlalchemy.String(128), primary_key=True),  # as long as nbgrader's own names
    sqlalchemy.Column("student", sqlalchemy.String(128), primary_key=True),
    sqlalchemy.Column("until", StoredTime, nullable=False),
    sqlalchemy.Column("granted", StoredTime, nullable=False),
)
_LONGER = re.compile(r"\+\s*(?P<number>\d{1,4})\s*(?P<unit>min|h|d|w)[a-z]*", re.IGNORECASE)
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def read_extension(text: str, due: datetime, zone: tzinfo) -> datetime:
    """Return until when a student may hand in, in UTC.

    Args:
        text: A time, or how much longer: `+90min`, `+36h`, `+3d` or `+1w`.
        due: When everybody else must, in UTC.
        zone: Of a time that names none.

    Raises:
        UsageError: If it cannot be read, or grants nothing.
    """
    longer = _LONGER.fullmatch(text.strip())
    try:
        until = due + int(longer["number"]) * _UNITS[longer["unit"].lower()] if longer else read_time(text, zone)
    except OverflowError as error:
        raise UsageError(f"{text.strip()} after the due date is after the year 9999.", "Name a time.") from error
    except UnreadableTime as error:
        raise UnreadableTime(error.problem, f"{error.remedy} Or say how much longer: +36h, +3d.") from error
    if until <= due:
        raise UsageError("That is not after the due date, so it grants nothing.", "Name a later time, or none to undo.")
    return until


def write_extension(book: Gradebook, assignment: Assignment, student: str, until: datetime | None) -> None:
    """Grant a student an extension, or take it back; nothing is committed here.

    Args:
        book: The gradebook.
        assignment: From it, with a due date.
        student: nbgrader's id, whether or not the gradebook knows it yet.
        until: In UTC; None takes it back, nbgrader's own too.
    """
    connection = book.db.connection()
    _EXTENSIONS.create(connection, checkfirst=True)
    connection.execute(_EXTENSIONS.delete().where(*_of(str(assignment.name), student)))
    if until is not None:
        row: dict[str, object] = {"assignment": str(assignment.name), "student": student, "until": until}
        connection.execute(_EXTENSIONS.insert().values(row | {"granted": utc_now()}))
    hand_on(book, assignment, student, until)


def granted_until(db_url: str, assignment: str, student: str) -> datetime | None:
    """Return until when a student may hand in, in UTC, by the gradebook at this address; None without a grant.

    Raises:
        RecordingError: If what stands there cannot be read.
    """
    with engine_of(db_url).connect() as connection:
        return granted_times(connection, assignment, [student]).get(student)


def hand_on(book: Gradebook, assignment: Assignment, student: str, until: datetime | None) -> None:
    """Set nbgrader's extension of a submission that is there, relative to the due date as it is now.

    nbgrader's late penalties go by it. Nothing is committed here.
    """
    try:
        submission = book.find_submission(assignment.name, student)
    except MissingEntry:
        return
    due = assignment.duedate
    submission.extension = max(until, due) - due if until is not None and due is not None else None


def read_extensions(
    book: Gradebook, assignment: Assignment, students: Collection[str] | None = None
) -> dict[str, datetime]:
    """Return until when each student with an extension may hand in, in UTC, those that nbgrader was told of too.

    Args:
        book: The gradebook.
        assignment: From it.
        students: Only these; None means all.

    Raises:
        RecordingError: If what was granted cannot be read.
    """
    due = assignment.duedate
    own = {
        str(submission.student_id): _later(due, submission.extension)
        for submission in assignment.submissions
        if submission.extension is not None
        and due is not None
        and (students is None or submission.student_id in students)
    }
    extensions = sorted((own | granted_times(book.db.connection(), str(assignment.name), students)).items())
    return {student: until if due is None else max(until, due) for student, until in extensions}


def due_of(submission: SubmittedAssignment, until: datetime | None = None) -> datetime | None:
    """Return when a submission is due, in UTC; None without a due date.

    Args:
        submission: From the gradebook.
        until: What `granted_times` has for its student; without it nbgrader's own extension counts.
    """
    due: datetime | None = submission.assignment.duedate
    if due is None:
        return None
    return max(due, until or _later(due, submission.extension or timedelta()))


def seconds_late(submission: SubmittedAssignment, until: datetime | None) -> float:
    """Return by how much a submission is late, with `until` as in `due_of`; 0 if in time or without a time."""
    due = due_of(submission, until)
    if due is None or submission.timestamp is None:
        return 0.0
    return max(0.0, float((submission.timestamp - due).total_seconds()))


def granted_times(
    connection: sqlalchemy.Connection, assignment: str, students: Collection[str] | None = None
) -> dict[str, datetime]:
    """Return until when each student with an extension from `extend` may hand in, in UTC; the due date may be later.

    Args:
        connection: To the gradebook.
        assignment: Name of the assignment.
        students: Only these; None means all.

    Raises:
        RecordingError: If a row cannot be read: nobody may count as late, or as in time, by a guess.
    """
    if not has_table(connection, _EXTENSIONS.name):
        return {}
    columns = _EXTENSIONS.c
    asked = sqlalchemy.select(columns.student, columns.until).where(columns.assignment == assignment)
    if students is not None:
        asked = asked.where(columns.student.in_(list(students)))
    found = {row["student"]: row["until"] for row in rows_of(connection, asked)}
    broken = sorted(student for student, until in found.items() if until is None)
    if broken:
        names = ", ".join(map(printable, broken))
        problem = f"The extra time of {names} cannot be read in {_EXTENSIONS.name} of the gradebook."
        raise RecordingError(
            problem, f"Grant it again, or none: python -m autograder extend {printable(broken[0])} WHEN"
        )
    return found


def _later(due: datetime, longer: timedelta) -> datetime:
    """Return the end of an extension; the end of all calendars where the due date is moved to their last days."""
    try:
        return due + longer
    except OverflowError:
        return datetime.max


def _of(assignment: str, student: str) -> tuple[sqlalchemy.ColumnElement[bool], ...]:
    return _EXTENSIONS.c.assignment == assignment, _EXTENSIONS.c.student == student
