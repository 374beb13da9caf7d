"""What the page asks for and what it gets: records that travel as JSON."""

from __future__ import annotations

from typing import Literal

import msgspec

AnswerState = Literal["unmarked", "changed", "marked", "elsewhere", "untouched"]
"""Changed: the answer is another than the one that was marked. Elsewhere: marked, in formgrader or otherwise.
Untouched: nbgrader gives 0 to what a student left as it was."""


class QuestionRow(msgspec.Struct, frozen=True):
    """One question in the list, and how far it is.

    Attributes:
        open: Answers that wait for a person.
        differ: Answers whose second reading gave other points.
    """

    id: str
    title: str
    points: float
    answers: int
    open: int
    flagged: int
    differ: int


class ItemRow(msgspec.Struct, frozen=True):
    """One item of a rubric."""

    id: str
    points: float
    text: str


class AnswerRow(msgspec.Struct, frozen=True):
    """One answer.

    Attributes:
        text: Its beginning, to be searched and looked through.
        points: What counts now.
        items: Of the rubric; None where the mark was given elsewhere.
        moved: Key of the group that somebody put it into; empty if nobody did.
        second: What a second person gave; None without a second reading of this answer.
        name: Whose it is; empty while names are hidden.
    """

    id: str
    digest: str
    text: str
    state: AnswerState
    points: float | None
    comment: str
    items: tuple[str, ...] | None
    means: str
    who: str
    at: str
    note: str
    flagged: bool
    moved: str
    second: float | None
    name: str


class GroupRow(msgspec.Struct, frozen=True):
    """Answers that are marked in one action."""

    key: str
    kind: str
    members: tuple[str, ...]


class CommentRow(msgspec.Struct, frozen=True):
    """A comment that was used.

    Attributes:
        uses: How often.
        items: What was given beside it, most often.
    """

    text: str
    uses: int
    items: tuple[str, ...]


class QuestionPage(msgspec.Struct, frozen=True):
    """All that is shown of one question, but for the answers' HTML."""

    id: str
    title: str
    points: float
    text: str
    guide: str
    items: tuple[ItemRow, ...]
    threshold: float
    groups: tuple[GroupRow, ...]
    answers: dict[str, AnswerRow]
    comments: tuple[CommentRow, ...]
    undo: str
    redo: str


class Seen(msgspec.Struct, frozen=True):
    """What the page showed of an answer: a save replaces this and nothing else.

    Attributes:
        moved: Key of the group that somebody put it into; empty if nobody did.
    """

    digest: str
    points: float | None
    comment: str
    moved: str = ""


class GivenMark(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mark.

    Attributes:
        points: Others than those of the items; None means theirs.
    """

    items: tuple[str, ...]
    comment: str = ""
    points: float | None = None


class MarkRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Give answers a mark.

    Attributes:
        replaced: Answers that get it although they have a mark of their own, which a group's leaves alone otherwise.
    """

    question: str
    seen: dict[str, Seen]
    mark: GivenMark
    means: Literal["group", "one"]
    replaced: tuple[str, ...] = ()


class NoteRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Write a private note, or flag answers; None leaves it as it is.

    Attributes:
        shown: The note that the page showed for all of them, which the new one replaces. An answer with another
            note keeps it, and the new one stands below.
    """

    question: str
    ids: tuple[str, ...]
    note: str | None = None
    flagged: bool | None = None
    shown: str = ""


class MoveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Put answers into another group; an empty key makes a new one, and `back` puts them where they came from.

    Attributes:
        mark: That of the group, which the answers get in the same action; None gives them none.
    """

    question: str
    seen: dict[str, Seen]
    key: str = ""
    back: bool = False
    mark: GivenMark | None = None


class UndoRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Take back the last action, or the last taking back.

    Attributes:
        force: Whether to do so although somebody has changed a mark since then.
    """

    question: str
    redo: bool = False
    force: bool = False


class SecondRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Say what a second person would give."""

    question: str
    id: str
    digest: str
    mark: GivenMark


class SecondPage(msgspec.Struct, frozen=True):
    """The next answer that a second person is to read.

    Attributes:
        id: Empty if there is none left.
        done: Answers of this question that this person has read.
        left: How many more there are.
    """

    id: str
    digest: str
    html: str
    done: int
    left: int
