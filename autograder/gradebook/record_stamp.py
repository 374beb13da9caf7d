"""Stamps of what is recorded: they say from what, so that nothing is recorded twice.

A stamp holds only as long as the gradebook has the result's scores and the graded notebook is the one that was written
with it.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import Assignment
from autograder.course.course import CONFIG_NAME, Course
from autograder.course.snapshot_store import SnapshotStore
from autograder.course.submission import Snapshot
from autograder.errors import RecordingError
from autograder.files import write_whole
from autograder.gradebook.database import recorded_scores
from autograder.gradebook.nbgrader_steps import output_folder
from autograder.grading.rules_digest import Rules
from autograder.results import SubmissionResult, to_json

PACKAGE = "autograder"
"""Stands in a course folder, too, and is no plugin of the course's: its rules are digested by themselves."""


@dataclass(frozen=True)
class Recording:
    """A result that is to be recorded.

    Attributes:
        coursedir: nbgrader's view of the course, with the student's id.
        snapshot: What was graded.
        rules: The rules by which it was graded.
        plugins: Digest of the course's own modules, such as its late policy.
    """

    course: Course
    assignment: Assignment
    coursedir: CourseDirectory
    snapshot: Snapshot
    result: SubmissionResult
    rules: Rules
    plugins: bytes

    @property
    def student(self) -> str:
        """Nbgrader's id of the student."""
        return str(self.coursedir.student_id)

    @property
    def graded_notebook(self) -> Path:
        """Path of the graded notebook, which nbgrader writes."""
        return output_folder(self.coursedir, "autograded_directory") / f"{self.assignment.name}.ipynb"


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


def is_recorded(recording: Recording) -> bool:
    """Return whether a result is recorded already, with nothing left to do."""
    path = _stamp_path(recording.course, recording.assignment.name, recording.student)
    with suppress(OSError, RecordingError, msgspec.MsgspecError):
        return msgspec.json.decode(path.read_bytes(), type=Stamp) == _stamp(recording)
    return False


def write_stamp(recording: Recording) -> None:
    """Say that a result is recorded.

    Raises:
        RecordingError: If the gradebook does not hold its scores.
    """
    path = _stamp_path(recording.course, recording.assignment.name, recording.student)
    with suppress(OSError):  # without a stamp the result is recorded once more, no worse
        write_whole(path, msgspec.json.encode(_stamp(recording)))


def recorded_snapshot(course: Course, assignment: Assignment, student: str) -> Snapshot | None:
    """Return the submission whose result was recorded last; None if there is none, or it is not stored any more."""
    with suppress(OSError, msgspec.MsgspecError):
        stamp = msgspec.json.decode(_stamp_path(course, assignment.name, student).read_bytes(), type=Stamp)
        return SnapshotStore(course).load(stamp.submission)
    return None


def _stamp_path(course: Course, assignment: str, student: str) -> Path:
    """Return where the stamp of a student's result is."""
    return course.state_dir / "recorded" / assignment / student


def _stamp(recording: Recording) -> Stamp:
    """Return the stamp of a result that is recorded.

    Raises:
        RecordingError: If it is not.
        OSError: If there is no graded notebook.
    """
    recorded = recorded_scores(recording.coursedir)
    tasks = recording.result.tasks
    scores, held = {task.id: task.score for task in tasks}, {task.id: "held" for task in tasks if task.held}
    if (recorded.scores, recorded.open) != (scores, held):
        raise RecordingError(
            f"nbgrader did not record the result of {recording.student}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )
    written = recording.graded_notebook.stat()
    return Stamp(
        submission=recording.snapshot.digest,
        inputs=_inputs_digest(recording),
        due=recorded.due,
        extension=recorded.extension,
        modified=written.st_mtime_ns,
        size=written.st_size,
    )


def _inputs_digest(recording: Recording) -> str:
    course, assignment = recording.course, recording.assignment
    texts = (course.root / CONFIG_NAME, assignment.notebook_path, assignment.release_dir / f"{assignment.name}.ipynb")
    parts = [to_json(recording.result), msgspec.json.encode(recording.rules), recording.plugins]
    return hashlib.sha256(b"\n".join([*parts, *map(_digest_if_there, texts)])).hexdigest()


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
