"""Marks by hand and how they came about: tables of our own in nbgrader's database. Rows are added, never changed.

An action is what a person did at once: gave a group of answers a mark, moved an answer, took an action back. It has
one row for each answer that it changed, with all that was known of the answer before and afterwards. So the last row
of an answer is how it stands, every earlier state can be had back, and taking back is an action like any other.
Points and comments also stand in nbgrader's own tables, which are the truth where the two differ: then somebody
marked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy

from autograder.ledger.connections import has_table, rows_of, utc_now
from autograder.text import clean

ActionKind = Literal["mark", "note", "move", "undo", "redo"]
Means = Literal["", "group", "one"]
"""How an answer got its mark here: not at all, with its group, or by itself, which wins over a group's."""
LONGEST_REMARK = 10_000
"""Characters that are stored of a comment or a note."""


class BookMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What nbgrader's tables hold of one answer.

    Attributes:
        points: By hand; None where nobody gave any.
        comment: By hand.
        waits: Whether a person has to look at it.
        automatic: nbgrader's own points: 0 for an untouched answer.
    """

    points: float | None = None
    comment: str = ""
    waits: bool = True
    automatic: float | None = None

    def says_as(self, other: BookMark) -> bool:
        """Return whether points and comment are those of another one."""
        return (self.points, self.comment) == (other.points, other.comment)


class Marking(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known here of one answer beside its points and comment.

    Attributes:
        digest: Of the answer that was marked; empty if none was.
        items: Ids of the rubric's items that were given.
        means: How it got its mark.
        who: Whose mark it is; empty if none was given on the marking page.
        at: When it was given, in UTC.
        note: For markers alone.
        flagged: Whether somebody wants it to be looked at again.
        group: Key of the group that it was put into; empty if it was not.
        moved: Digest of the answer that was put there; a changed answer finds its own group again.
    """

    digest: str = ""
    items: tuple[str, ...] = ()
    means: Means = ""
    who: str = ""
    at: datetime | None = None
    note: str = ""
    flagged: bool = False
    group: str = ""
    moved: str = ""


class Standing(msgspec.Struct, frozen=True, omit_defaults=True):
    """How an answer stands: what nbgrader holds, and what is known here beside it."""

    book: BookMark = BookMark()
    marking: Marking = Marking()

    @property
    def is_ours(self) -> bool:
        """Whether the mark was given here."""
        return self.marking.means != ""


def standing_now(book: BookMark, last: Standing | None) -> Standing:
    """Return how an answer stands: what is known here of its points counts only while nbgrader holds the same points.

    Where only the comment was changed elsewhere, the mark and its items stay. It is then the answer's own, so that
    no group's mark replaces that comment.

    Args:
        book: What nbgrader holds of it.
        last: How it stood after the last action here; None if there was none.
    """
    if last is None or last.book.says_as(book):
        return Standing(book, last.marking if last else Marking())
    known = last.marking
    if last.is_ours and last.book.points == book.points:
        return Standing(book, msgspec.structs.replace(known, means="one"))
    return Standing(book, Marking(note=known.note, flagged=known.flagged, group=known.group, moved=known.moved))


@dataclass(frozen=True)
class Action:
    """What a person did at once.

    Attributes:
        undoes: Id of the action that this one takes back; None if it takes none back.
        said: What it did, for the history.
    """

    assignment: str
    question: str
    who: str
    kind: ActionKind
    said: str = ""
    undoes: int | None = None
    id: int = 0
    at: datetime | None = None


@dataclass(frozen=True)
class Step:
    """What an action did to one answer."""

    student: str
    before: Standing
    after: Standing


_METADATA = sqlalchemy.MetaData()
_NAME = sqlalchemy.String(128)  # as long as nbgrader's own names
_ACTIONS = sqlalchemy.Table(
    "autograder_marking_actions",
    _METADATA,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    sqlalchemy.Column("assignment", _NAME, nullable=False),
    sqlalchemy.Column("question", _NAME, nullable=False),
    sqlalchemy.Column("who", _NAME, nullable=False),
    sqlalchemy.Column("at", sqlalchemy.DateTime, nullable=False),  # UTC without a zone, as nbgrader's dates
    sqlalchemy.Column("kind", sqlalchemy.String(16), nullable=False),
    sqlalchemy.Column("said", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("undoes", sqlalchemy.Integer, nullable=True),
    sqlalchemy.Index("ix_autograder_marking_actions_of", "assignment", "question", "who"),
)
_STEPS = sqlalchemy.Table(
    "autograder_marking_steps",
    _METADATA,
    sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True, autoincrement=True),
    sqlalchemy.Column("action", sqlalchemy.Integer, nullable=False, index=True),
    sqlalchemy.Column("assignment", _NAME, nullable=False),
    sqlalchemy.Column("question", _NAME, nullable=False),
    sqlalchemy.Column("student", _NAME, nullable=False),
    sqlalchemy.Column("before", sqlalchemy.Text, nullable=False),
    sqlalchemy.Column("after", sqlalchemy.Text, nullable=False),
    sqlalchemy.Index("ix_autograder_marking_steps_of", "assignment", "question", "student"),
)


def make_tables(connection: sqlalchemy.Connection) -> None:
    """Make the tables where they are missing; nothing is committed here."""
    _METADATA.create_all(connection)


def append_action(connection: sqlalchemy.Connection, action: Action) -> int:
    """Add an action and return its id; in SQLite nobody else can write from here to the end of the transaction."""
    row = {
        "assignment": action.assignment,
        "question": action.question,
        "who": clean(action.who)[:128],
        "at": utc_now(),
        "kind": action.kind,
        "said": clean(action.said)[:LONGEST_REMARK],
        "undoes": action.undoes,
    }
    added = _ACTIONS.insert().values(row).returning(_ACTIONS.c.id)
    return int(connection.execute(added).scalar_one())


def append_steps(connection: sqlalchemy.Connection, action: Action, steps: Iterable[Step]) -> None:
    """Add what an action did; nothing is committed here."""
    rows = [
        {
            "action": action.id,
            "assignment": action.assignment,
            "question": action.question,
            "student": step.student,
            "before": _as_json(step.before),
            "after": _as_json(step.after),
        }
        for step in steps
    ]
    if rows:
        connection.execute(_STEPS.insert(), rows)


def last_standings(
    connection: sqlalchemy.Connection, assignment: str, question: str = ""
) -> dict[str, dict[str, Standing]]:
    """Return how each answer stood after the last action on it, by question and student.

    Args:
        connection: To the gradebook.
        assignment: Name of the assignment.
        question: grade_id of one question; empty means all.
    """
    wanted = [_STEPS.c.assignment == assignment] + ([_STEPS.c.question == question] if question else [])
    return _standings(connection, *wanted)


def last_standings_of(connection: sqlalchemy.Connection, assignment: str, student: str) -> dict[str, Standing]:
    """Return how one student's answers stood after the last action on each, by question."""
    found = _standings(connection, _STEPS.c.assignment == assignment, _STEPS.c.student == student)
    return {question: standings[student] for question, standings in found.items()}


def steps_of(connection: sqlalchemy.Connection, action: int) -> list[Step]:
    """Return what an action did."""
    rows = connection.execute(_STEPS.select().where(_STEPS.c.action == action).order_by(_STEPS.c.id)).mappings()
    return [Step(row["student"], _from_json(row["before"]), _from_json(row["after"])) for row in rows]


def actions_of(connection: sqlalchemy.Connection, assignment: str, question: str, who: str) -> list[Action]:
    """Return what one person did to a question, the last first."""
    if not _is_there(connection):
        return []
    asked = _ACTIONS.select().where(
        _ACTIONS.c.assignment == assignment, _ACTIONS.c.question == question, _ACTIONS.c.who == clean(who)[:128]
    )
    rows = connection.execute(asked.order_by(_ACTIONS.c.id.desc())).mappings()
    return [Action(**row) for row in rows]


def action_with(connection: sqlalchemy.Connection, action_id: int) -> Action:
    """Return the action with this id."""
    return Action(**connection.execute(_ACTIONS.select().where(_ACTIONS.c.id == action_id)).mappings().one())


def _standings(
    connection: sqlalchemy.Connection, *wanted: sqlalchemy.ColumnElement[bool]
) -> dict[str, dict[str, Standing]]:
    """Return the last step's outcome of each answer; none from a gradebook without the tables."""
    if not _is_there(connection):
        return {}
    newest = sqlalchemy.select(sqlalchemy.func.max(_STEPS.c.id)).where(*wanted)
    newest = newest.group_by(_STEPS.c.question, _STEPS.c.student)
    asked = sqlalchemy.select(_STEPS.c.question, _STEPS.c.student, _STEPS.c.after).where(_STEPS.c.id.in_(newest))
    found: dict[str, dict[str, Standing]] = {}
    for row in rows_of(connection, asked):
        with suppress(msgspec.MsgspecError):  # a damaged row: nbgrader holds the mark, as one that was given elsewhere
            found.setdefault(row["question"], {})[row["student"]] = _from_json(row["after"])
    return found


def is_settled(standing: Standing, digest: str) -> bool:
    """Return whether an answer needs nobody: it has a mark, and the mark is for what it says now.

    Args:
        standing: From `standing_now`.
        digest: Of what it says now.
    """
    book = standing.book
    if book.points is None:
        return book.automatic is not None and not book.waits
    return standing.marking.digest == digest if standing.is_ours else not book.waits


def _is_there(connection: sqlalchemy.Connection) -> bool:
    return has_table(connection, _STEPS.name)


def _as_json(standing: Standing) -> str:
    return msgspec.json.encode(standing).decode()


def _from_json(text: str) -> Standing:
    return msgspec.json.decode(text, type=Standing)
