"""Entries of the history: what the gradebook holds of one submission at one time, and why it changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Literal, NamedTuple

import msgspec

from autograder.grading.rules_digest import Rules
from autograder.marks import Earlier, OpenState


class SubmissionKey(NamedTuple):
    """What names a submission in the gradebook."""

    assignment: str
    student: str


Reason = Literal[
    "new hand-in",
    "changed check",
    "stand-in",
    "changed setting",
    "changed rules",
    "graded again",
    "not graded",
    "marked by hand",
    "outside",
]
"""Why a mark changed. Rules are all else that grading depends on: its code, the course's texts, the libraries."""
IN_WORDS: Mapping[Reason, str] = {
    "new hand-in": "you handed in again",
    "changed check": "a check of this task was changed",
    "stand-in": "an earlier part is now right or wrong, which decides whether a stand-in takes its place",
    "changed setting": "a setting of the course was changed",
    "changed rules": "the grading program was changed",
    "graded again": "it was graded again",
    "not graded": "the last hand-in could not be graded",
    "marked by hand": "a person marked it",
    "outside": "the gradebook was changed by another program",
}
"""The reasons as students read them, after "because"."""


class TaskMark(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the gradebook holds of one task or question.

    Attributes:
        automatic: Points from checks; None where there are none yet.
        by_hand: Points from a person, which win; None where there are none.
        extra: Points on top of either.
        state: Why it is not settled; None if it is.
        stand_in: Whether it was graded with a stand-in.
    """

    automatic: float | None = None
    by_hand: float | None = None
    extra: float | None = None
    state: OpenState | None = None
    stand_in: bool = False

    @property
    def points(self) -> float | None:
        """The points that count; None while there are none."""
        base = self.automatic if self.by_hand is None else self.by_hand
        if base is None and not self.extra:
            return None
        return round((base or 0.0) + (self.extra or 0.0), 2)


NO_MARK = TaskMark()


class BookState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the gradebook holds of one submission.

    Attributes:
        marks: By grade_id.
        penalty: Points that nbgrader took for lateness when it was graded; None for none.
        handed_in: When, in UTC.
    """

    marks: dict[str, TaskMark] = {}
    penalty: float | None = None
    handed_in: datetime | None = None


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a student's history: who changed what and why, and all that the gradebook held afterwards.

    Attributes:
        at: When it was written, in UTC; what happened outside may have happened earlier.
        who: The account that ran the command; empty where that is not known.
        command: What changed the gradebook, such as `grade`; `outside` where it was no command of this package.
        recording: Id of the recording, which its files bear, too; empty if it wrote no files.
        submission: Digest of the hand-in that the automatic marks are for; empty if unknown.
        rules: What else the automatic marks depend on; None if unknown.
        book: What the gradebook held afterwards.
        why: Reason by grade_id, for each mark that changed.
        note: What else there is to say, such as why a hand-in could not be graded.
    """

    at: datetime
    who: str = ""
    command: str
    recording: str = ""
    submission: str = ""
    rules: Rules | None = None
    book: BookState
    why: dict[str, Reason] = {}
    note: str = ""


@dataclass(frozen=True)
class Change:
    """A mark that changed.

    Attributes:
        task: Its grade_id.
    """

    task: str
    before: TaskMark
    after: TaskMark
    why: Reason

    @property
    def counts(self) -> bool:
        """Whether the points that count, or what is said of them, are others."""
        return (self.before.points, self.before.state) != (self.after.points, self.after.state)

    @property
    def difference(self) -> float:
        """Points gained; negative for points lost."""
        return round((self.after.points or 0.0) - (self.before.points or 0.0), 2)


def reasons(before: Entry | None, after: Entry) -> dict[str, Reason]:
    """Return why each mark that differs between two entries changed, when the later one was graded.

    Args:
        before: What held until then; None if nothing is known.
        after: The recording.
    """
    known = before.book.marks if before else {}
    tasks = (task for task in {**known, **after.book.marks} if _differs(known.get(task), after.book.marks.get(task)))
    return {task: _reason(before, after, task) for task in tasks}


def outside_reasons(before: BookState, now: BookState) -> dict[str, Reason]:
    """Return why each mark differs from what was written last, where no recording changed it."""
    why: dict[str, Reason] = {}
    for task in {**before.marks, **now.marks}:
        old, new = before.marks.get(task, NO_MARK), now.marks.get(task, NO_MARK)
        if (old.by_hand, old.extra) != (new.by_hand, new.extra):
            why[task] = "marked by hand"
        elif old.automatic != new.automatic or (old.state != new.state and new.state is not None):
            why[task] = "outside"
        elif old.state != new.state:  # a mark by hand settles a task
            why[task] = "marked by hand" if new.by_hand is not None else "outside"
    return why


def changes(before: BookState, entry: Entry) -> list[Change]:
    """Return what an entry changed, in the order of its marks.

    Args:
        before: What the gradebook held before the entry.
        entry: The entry.
    """
    marks = entry.book.marks
    return [
        Change(task, before.marks.get(task, NO_MARK), marks.get(task, NO_MARK), why) for task, why in entry.why.items()
    ]


def last_changes(entries: Sequence[Entry]) -> dict[str, Earlier]:
    """Return what each mark was before its points changed last; marks that never had others are left out.

    Args:
        entries: A student's history, oldest first.
    """
    found: dict[str, Earlier] = {}
    for before, entry in pairwise(entries):
        for change in changes(before.book, entry):
            points = change.before.points
            if points is not None and change.difference:
                found[change.task] = Earlier(points, before.at, IN_WORDS[change.why])
    return found


def _differs(before: TaskMark | None, after: TaskMark | None) -> bool:
    old, new = before or NO_MARK, after or NO_MARK
    return (old.automatic, old.by_hand, old.extra, old.state) != (new.automatic, new.by_hand, new.extra, new.state)


def _reason(before: Entry | None, after: Entry, task: str) -> Reason:
    """Return the first thing that differs, from what decides everything to what is only known by its effect."""
    if before is None or (before.submission and before.submission != after.submission):
        return "new hand-in"
    old, new = before.rules, after.rules
    if old is None or new is None:  # recorded by an older version, or by nbgrader alone
        return "graded again"
    marks = before.book.marks.get(task, NO_MARK), after.book.marks.get(task, NO_MARK)
    if old.checks.get(task) != new.checks.get(task):
        return "changed check"
    if marks[0].stand_in != marks[1].stand_in:
        return "stand-in"
    if old.settings != new.settings:
        return "changed setting"
    return "changed rules" if old.others != new.others else "graded again"
