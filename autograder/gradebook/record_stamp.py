"""From what a result is recorded, so that nothing out of date is, and nothing twice.

Rows that take the place of others have a basis: what the gradebook held while they were made. What is recorded has a
stamp, which holds only as long as the gradebook has the result's scores and the graded notebook is the one that was
written with it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy
from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import Assignment
from autograder.course.course import CONFIG_NAME, Course
from autograder.course.snapshot_store import SnapshotStore
from autograder.course.submission import Snapshot
from autograder.deadlines.extensions import granted_times
from autograder.errors import RecordingError
from autograder.files import write_whole
from autograder.gradebook.database import recorded_scores, transaction
from autograder.grading.rules_digest import Rules
from autograder.ledger.entries import BookState, SubmissionKey
from autograder.ledger.graded_answers import GradedAnswer
from autograder.ledger.history import newest_ids
from autograder.ledger.scratch_book import GradedRows, Rows, read_registered, read_students
from autograder.results import SubmissionResult, to_json

PACKAGE = "autograder"
"""Stands in a course folder, too, and is no plugin of the course's: its rules are digested by themselves."""


@dataclass(frozen=True)
class Recording:
    """A result that is to be recorded.

    Attributes:
        student: nbgrader's id of the student.
        snapshot: What was graded.
        rules: The rules by which it was graded.
        texts: Digest of the course's settings, plugins and notebooks when this run began.
    """

    course: Course
    assignment: Assignment
    student: str
    snapshot: Snapshot
    result: SubmissionResult
    rules: Rules
    texts: bytes

    @property
    def key(self) -> SubmissionKey:
        """What names the submission in the gradebook."""
        return SubmissionKey(self.assignment.name, self.student)


@dataclass(frozen=True)
class Basis:
    """All in the gradebook that decides what grading makes of one student's rows, at one time.

    Attributes:
        registered: Digest of the assignment's own rows.
        rows: The student's.
        until: The student's extension, if we granted one.
        last: Id of the last row of the student's history; 0 if there is none.
    """

    registered: str
    rows: Rows
    until: datetime | None
    last: int


@dataclass(frozen=True)
class Graded:
    """A result, and what it depends on.

    Attributes:
        submission: Digest of what was graded.
    """

    result: SubmissionResult
    submission: str
    rules: Rules


@dataclass(frozen=True)
class Work:
    """What nbgrader made of one submission on copies; nothing of it is in the gradebook yet.

    Attributes:
        key: The submission.
        rows: The student's.
        state: What they say.
        folder: With the graded notebook; the disk has all its files.
        answers: Those in the notebook that a person marks, by grade_id.
        graded: What the checks found; None where nbgrader graded aleach.
        basis: From what it was made, if it may be recorded only while that holds.
    """

    key: SubmissionKey
    rows: GradedRows
    state: BookState
    folder: Path
    answers: Mapping[str, GradedAnswer]
    graded: Graded | None
    basis: Basis | None = None


class Stamp(msgspec.Struct, frozen=True):
    """From what a result was recorded, and what there was afterwards.

    Attributes:
        submission: Digest of what was graded.
        inputs: Digest of all else that decides what is recorded.
        due: When the assignment is due.
        extension: By how much longer the student has; late penalties depend on both.
        modified: When the graded notebook was written, in nanoseconds.
        size: Its bytes.
    """

    submission: str
    inputs: str
    due: datetime | None
    extension: timedelta | None
    modified: int
    size: int


def read_bases(book: sqlalchemy.Connection, assignment: str, students: Collection[str]) -> dict[str, Basis]:
    """Return what the gradebook holds now of several students; it is only read.

    Raises:
        RecordingError: If an extension that was granted cannot be read.
    """
    registered = read_registered(book, assignment)
    digest = hashlib.sha256(repr(registered).encode()).hexdigest()
    granted = granted_times(book, assignment, students)
    newest = newest_ids(book, assignment, students)
    return {
        student: Basis(digest, rows, granted.get(student), newest.get(student, 0))
        for student, rows in read_students(book, registered, students).items()
    }


def is_recorded(coursedir: CourseDirectory, recording: Recording) -> bool:
    """Return whether a result is recorded already, with nothing left to do."""
    path = _stamp_path(recording.course, *recording.key)
    with suppress(OSError, RecordingError, msgspec.MsgspecError):
        known = msgspec.json.decode(path.read_bytes(), type=Stamp)
        with transaction(coursedir) as book:
            return known == stamp_of(book, coursedir, recording)
    return False


def write_stamp(recording: Recording, stamp: Stamp) -> None:
    """Say that a result is recorded."""
    with suppress(OSError):  # without a stamp the result is recorded once more, no worse
        write_whole(_stamp_path(recording.course, *recording.key), msgspec.json.encode(stamp))


def recorded_snapshot(course: Course, assignment: Assignment, student: str) -> Snapshot | None:
    """Return the submission whose result was recorded last; None if there is none, or it is not stored any more."""
    with suppress(OSError, msgspec.MsgspecError):
        stamp = msgspec.json.decode(_stamp_path(course, assignment.name, student).read_bytes(), type=Stamp)
        return SnapshotStore(course).load(stamp.submission)
    return None


def _stamp_path(course: Course, assignment: str, student: str) -> Path:
    """Return where the stamp of a student's result is."""
    return course.state_dir / "recorded" / assignment / student


def stamp_of(book: sqlalchemy.Connection, coursedir: CourseDirectory, recording: Recording) -> Stamp:
    """Return the stamp of a result that is recorded.

    Args:
        book: The gradebook.
        coursedir: nbgrader's view of the course.
        recording: What should be recorded.

    Raises:
        RecordingError: If it is not.
        OSError: If there is no graded notebook.
    """
    assignment, student = recording.key
    recorded = recorded_scores(book, assignment, student)
    tasks = recording.result.tasks
    scores, held = {task.id: task.score for task in tasks}, {task.id: "held" for task in tasks if task.held}
    if (recorded.scores, recorded.open) != (scores, held):
        raise RecordingError(
            f"nbgrader did not record the result of {student}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )
    folder = coursedir.format_path(coursedir.autograded_directory, student, assignment)
    written = Path(folder, f"{assignment}.ipynb").stat()
    return Stamp(
        submission=recording.snapshot.digest,
        inputs=_inputs_digest(recording),
        due=recorded.due,
        extension=recorded.extension,
        modified=written.st_mtime_ns,
        size=written.st_size,
    )


def _inputs_digest(recording: Recording) -> str:
    parts = [to_json(recording.result), msgspec.json.encode(recording.rules), recording.texts]
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def texts_digest(course: Course, assignment: Assignment) -> bytes:
    """Return the SHA-256 of all that decides what is recorded beside results and rules.

    Whoever records takes it once, before anything else is read: what changes later is recorded again the next time.
    """
    texts = (course.root / CONFIG_NAME, assignment.notebook_path, assignment.release_dir / f"{assignment.name}.ipynb")
    parts = [plugins_digest(course), *map(_digest_if_there, texts)]
    return hashlib.sha256(b"\n".join(parts)).digest()


def plugins_digest(course: Course) -> bytes:
    """Return the SHA-256 of the modules beside course_config.py, and in the folders there that its settings name."""
    files = set(course.root.glob("*.py"))
    named = set(re.findall(r"[\"']([A-Za-z_]\w*)\.", (course.root / CONFIG_NAME).read_text("utf-8", "replace")))
    for name in named - {PACKAGE}:
        files |= set((course.root / name).rglob("*.py"))
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(path.relative_to(course.root).as_posix().encode() + b"\n" + _digest_if_there(path))
    return whole.digest()


def _digest_if_there(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"-"
