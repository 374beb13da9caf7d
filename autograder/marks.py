"""The marks of a class: plain records, whatever they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from autograder.results import SubmissionResult
from autograder.text import Titles, is_visible


@dataclass(frozen=True)
class Person:
    """A student as nbgrader's gradebook knows one; everything but the id may be empty."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    @property
    def name(self) -> str:
        """`Last, First` as far as it is known; otherwise the id."""
        parts = [part if is_visible(part) else ascii(part) for part in (self.last_name, self.first_name) if part]
        return ", ".join(parts) or self.id


OpenState = Literal["held", "earlier", "held earlier"]
"""Held: a check ended in an internal error, or nothing could be graded. Earlier: the mark is for an earlier hand-in."""
HELD_STATES: tuple[OpenState, ...] = ("held", "held earlier")
EARLIER_STATES: tuple[OpenState, ...] = ("earlier", "held earlier")


@dataclass(frozen=True)
class OpenMark:
    """Why the mark of an automatic task is not settled; only a clean rerun or a mark by hand settles it.

    Attributes:
        since: In UTC; None where a gradebook of an older version does not say.
        why: What happened, for the instructor.
        digest: The submission that was graded; empty where none could be.
        damaged: Whether the gradebook's row of it cannot be read in full.
    """

    state: OpenState
    since: datetime | None = None
    why: str = ""
    digest: str = ""
    damaged: bool = False


@dataclass(frozen=True)
class Earlier:
    """What a mark was before it changed last.

    Attributes:
        points: What counted then.
        recorded: When that was written into the gradebook, in the course's zone.
        why: Why it changed, in words that follow "because".
    """

    points: float
    recorded: datetime
    why: str


@dataclass(frozen=True)
class RubricLine:
    """One item of a question's rubric, and whether an answer earned it."""

    text: str
    points: float
    given: bool


@dataclass(frozen=True)
class SecondMark:
    """What a second person, who did not know the first mark, would give for an answer.

    Attributes:
        question: Its grade_id.
    """

    question: str
    first: float
    second: float


@dataclass(frozen=True)
class Mark:
    """The points of one task or question.

    Attributes:
        id: Its grade_id.
        score: Points; None while a person has to give them, or where no check could be made.
        by_hand: Whether a person marks it, or has changed what the checks gave.
        waiting: Whether a person has to look at it.
        comment: What a marker wrote, or nbgrader of an untouched answer.
        open: Why the mark of an automatic task is not settled; None if it is.
        before: What it was before it changed last; None if it never changed, or where nobody asked.
        items: Ids of the rubric's items that a person gave; None where that is not known.
        rubric: The rubric's items in words, given and missed; empty where that is not known.
    """

    id: str
    max_score: float
    score: float | None
    by_hand: bool = False
    waiting: bool = False
    comment: str = ""
    open: OpenMark | None = None
    before: Earlier | None = None
    items: tuple[str, ...] | None = None
    rubric: tuple[RubricLine, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether the points wait for a person, since a check ended in an internal error."""
        return self.open is not None and self.open.state in HELD_STATES

    @property
    def is_earlier(self) -> bool:
        """Whether the points are for an earlier hand-in, since the last one could not be graded."""
        return self.open is not None and self.open.state in EARLIER_STATES


@dataclass(frozen=True)
class StudentMarks:
    """One student's marks for one assignment.

    Attributes:
        tasks: Marks of what checks grade, by grade_id.
        questions: Marks of what a person grades, by grade_id.
        remarks: What a person wrote to other cells, by the cell's name.
        penalty: Points taken for lateness, counted from today's score and due date.
        seconds_late: Past the due date, extensions included; 0 if in time.
        submitted: Whether the gradebook holds a submission, or there is a result.
        result: What the checks found; None where no result is cached.
    """

    person: Person
    tasks: Mapping[str, Mark] = field(default_factory=dict)
    questions: Mapping[str, Mark] = field(default_factory=dict)
    remarks: Mapping[str, str] = field(default_factory=dict)
    penalty: float = 0.0
    seconds_late: float = 0.0
    handed_in: datetime | None = None
    due: datetime | None = None
    submitted: bool = False
    result: SubmissionResult | None = None

    @property
    def marks(self) -> tuple[Mark, ...]:
        """All marks, tasks first."""
        return (*self.tasks.values(), *self.questions.values())

    @property
    def scores(self) -> dict[str, float]:
        """Points so far by grade_id."""
        return {mark.id: mark.score or 0.0 for mark in self.marks}

    @property
    def waiting(self) -> tuple[str, ...]:
        """The grade_ids of what a person has to look at."""
        return tuple(mark.id for mark in self.marks if mark.waiting)

    @property
    def held(self) -> tuple[Mark, ...]:
        """The tasks that are held."""
        return tuple(mark for mark in self.tasks.values() if mark.is_held)

    @property
    def earlier(self) -> tuple[Mark, ...]:
        """The tasks whose marks are for an earlier hand-in."""
        return tuple(mark for mark in self.tasks.values() if mark.is_earlier)

    @property
    def to_mark(self) -> tuple[str, ...]:
        """The grade_ids of what a person has to mark: what waits, but for tasks that a rerun may settle."""
        return tuple(mark.id for mark in self.marks if mark.waiting and mark.open is None)

    @property
    def is_untimed(self) -> bool:
        """Whether nobody knows if it was late: there is a due date, and no time of the hand-in."""
        return self.submitted and self.due is not None and self.handed_in is None

    @property
    def raw(self) -> float:
        """Points so far, before the late penalty."""
        return round(sum(self.scores.values()), 2)

    @property
    def total(self) -> float:
        """Points that count so far; never below 0."""
        return round(max(0.0, self.raw - self.penalty), 2)

    @property
    def max_score(self) -> float:
        """Points of all that is marked here."""
        return sum(mark.max_score for mark in self.marks)


@dataclass(frozen=True)
class ClassMarks:
    """A whole class.

    Attributes:
        points: Greatest score by grade_id, automatic tasks first.
        automatic: grade_ids of the tasks that checks grade.
        recorded: Whether the gradebook knows the assignment; otherwise only automatic tasks are here.
        titles: Titles of the tasks and questions.
        heading: Title of the assignment; empty means its name.
        second: Second readings of answers in words.
    """

    assignment: str
    points: Mapping[str, float]
    automatic: tuple[str, ...]
    students: tuple[StudentMarks, ...]
    recorded: bool
    titles: Titles = field(default_factory=dict)
    heading: str = ""
    second: tuple[SecondMark, ...] = ()

    @property
    def title(self) -> str:
        """What people read in place of the assignment's name."""
        return self.heading or self.assignment

    @property
    def max_score(self) -> float:
        """Points of the whole assignment."""
        return sum(self.points.values())
