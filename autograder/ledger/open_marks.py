"""Marks of automatic tasks that are not settled: a table of our own in nbgrader's database.

A task is in it while it is held, or while its mark is for an earlier hand-in. nbgrader's `needs_manual_grade` mirrors
the table for formgrader; nbgrader also sets and clears that flag for reasons of its own, so the table is the truth. A
clean rerun takes a task out. A mark by hand settles it, too: whoever reads the table looks at that first, since
formgrader writes such marks without us.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, get_args

import sqlalchemy

from autograder.ledger.connections import StoredTime, has_table, rows_of, utc_now
from autograder.ledger.entries import SubmissionKey
from autograder.marks import OpenMark, OpenState
from autograder.results import TaskResult
from autograder.text import clean

REMEDY = "Grade the student again, or mark the task by hand."
"""What to do about a row that cannot be read."""
LONGEST_REASON = 500
"""Characters that are stored of why."""
_OPEN_MARKS = sqlalchemy.Table(
    "autograder_open_marks",
    sqlalchemy.MetaData(),
    sqlalchemy.Column("assignment", sqlalchemy.String(128), primary_key=True),  # as long as nbgrader's own names
    sqlalchemy.Column("student", sqlalchemy.String(128), primary_key=True),
    sqlalchemy.Column("task", sqlalchemy.String(128), primary_key=True),
    sqlalchemy.Column("state", sqlalchemy.String(16), nullable=False),
    sqlalchemy.Column("since", StoredTime, nullable=False),
    sqlalchemy.Column("why", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("submission", sqlalchemy.String(128), nullable=False),
)


def read_open_marks(connection: sqlalchemy.Connection, assignment: str) -> dict[str, dict[str, OpenMark]]:
    """Return the open marks of an assignment, by student and task; none in a gradebook without the table."""
    found: dict[str, dict[str, OpenMark]] = {}
    for student, task, mark in _select(connection, _OPEN_MARKS.c.assignment == assignment):
        found.setdefault(student, {})[task] = mark
    return found


def read_open_marks_of(connection: sqlalchemy.Connection, assignment: str, student: str) -> dict[str, OpenMark]:
    """Return the open marks of one student, by task."""
    return {task: mark for _, task, mark in _select(connection, *_of(assignment, student))}


def write_held_tasks(
    connection: sqlalchemy.Connection, key: SubmissionKey, tasks: Iterable[TaskResult], digest: str
) -> None:
    """Remove a student's tasks from the table, except those that a new result holds; nothing is committed here.

    Args:
        connection: In the transaction that also writes the scores.
        key: The submission.
        tasks: What the checks found.
        digest: The submission that was graded.
    """
    _replace(connection, key, {task.id: ("held", _reason(task)) for task in tasks if task.held}, digest)


def write_ungraded(
    connection: sqlalchemy.Connection, key: SubmissionKey, states: Mapping[str, OpenState], why: str
) -> None:
    """Put all tasks of a student into the table, since the last hand-in could not be graded; nothing is committed.

    Args:
        connection: In the transaction that also writes what nbgrader shows of it.
        key: The submission.
        states: State by task; one that is still held keeps why it was held.
        why: What went wrong.
    """
    _replace(connection, key, {task: (state, why) for task, state in states.items()}, "")


def _replace(
    connection: sqlalchemy.Connection, key: SubmissionKey, marks: Mapping[str, tuple[str, str]], digest: str
) -> None:
    """Replace a student's rows; a task that was there before keeps its date.

    Args:
        connection: Of the transaction that this is part of.
        key: The submission.
        marks: State and reason by task.
        digest: The submission that was graded; empty if none could be.
    """
    assignment, student = key
    _OPEN_MARKS.create(connection, checkfirst=True)
    before = read_open_marks_of(connection, assignment, student)
    connection.execute(_OPEN_MARKS.delete().where(*_of(assignment, student)))
    now = utc_now()
    for task, (state, why) in marks.items():
        known = before.get(task)
        row: dict[str, object] = {"assignment": assignment, "student": student, "task": task, "submission": digest}
        since = known.since if known else None
        row |= {"state": state, "since": since or now, "why": clean(why)[:LONGEST_REASON]}
        if known and state == "held earlier":
            row |= {"why": known.why, "submission": known.digest}
        connection.execute(_OPEN_MARKS.insert().values(row))


def _select(
    connection: sqlalchemy.Connection, *where: sqlalchemy.ColumnElement[bool]
) -> Iterable[tuple[str, str, OpenMark]]:
    """Yield student, task and what is open of it."""
    if not has_table(connection, _OPEN_MARKS.name):
        return
    for row in rows_of(connection, _OPEN_MARKS.select().where(*where)):
        yield row["student"], row["task"], _open_mark(row)


def _open_mark(row: Mapping[str, Any]) -> OpenMark:
    """Return what a row says; one that cannot be read in full says so, and its task waits for a person."""
    state: OpenState | None = next((known for known in get_args(OpenState) if known == row["state"]), None)
    why, damaged = row["why"], state is None or row["since"] is None
    if damaged:
        why = f"The row of {row['student']}, {row['task']} in {_OPEN_MARKS.name} cannot be read in full. {REMEDY} {why}"
    return OpenMark(state or "held", row["since"], why.strip(), row["submission"], damaged)


def _of(assignment: str, student: str) -> tuple[sqlalchemy.ColumnElement[bool], ...]:
    return _OPEN_MARKS.c.assignment == assignment, _OPEN_MARKS.c.student == student


def _reason(task: TaskResult) -> str:
    """Return which checks of a task ended in an internal error, and how."""
    errors = (check for check in task.checks if check.outcome == "error")
    return "; ".join(f"{check.check_id.within_task}: {check.message}" for check in errors)
