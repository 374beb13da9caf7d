"""Put results into the gradebook through nbgrader's own `autograde`, so that all of nbgrader agrees with them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path

import sqlalchemy
from nbgrader.api import Assignment as BookAssignment

from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.course.pictures import embed_pictures
from autograder.course.submission import Snapshot
from autograder.deadlines.late_policy import late_policy
from autograder.deadlines.times import TIMESTAMP_FILE, decode_time, read_timestamp
from autograder.errors import RENAME, AutograderError, RecordingError
from autograder.gradebook.autograding import RecordGrades, given_files, released_notebook
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import transaction
from autograder.gradebook.isolated_autograde import IsolatedAutograde
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.gradebook.record_stamp import Recording, is_recorded, plugins_digest, write_stamp
from autograder.gradebook.transactions import GradebookWriter, Graded, Recorded, check_registered
from autograder.grading.rules_digest import read_rules
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.history import is_recorded_last
from autograder.ledger.replacing import check_replaces_marks
from autograder.results import SubmissionResult
from autograder.text import problem_with_id

RECORDER = "autograder.nbgrader_plugins.RecordGrades"
TICKET_FILE = "submission_secret.txt"
"""nbgrader's submit adds it, and its exchange hands feedback out by it."""
_TICKET = re.compile(rb"[!-~]{1,200}")


class Recorder:
    """Records what grading finds, one submission after another, in one run of a command.

    Args:
        course: The course.
        assignment: The assignment.
        preview: Whether to say what would be recorded, and to record nothing.

    Raises:
        ConfigError: If the course's late policy cannot be used.
    """

    def __init__(self, course: Course, assignment: Assignment, *, preview: bool = False) -> None:
        late_policy(course.nbgrader)
        self._course = course
        self._assignment = assignment
        self._writer = GradebookWriter(course, course_directory(course, assignment.name), "grade", preview)
        self._rules = read_rules(course, assignment)
        self._plugins = plugins_digest(course)

    def record(self, student: str, snapshot: Snapshot, result: SubmissionResult) -> Recorded | None:
        """Record a result with the submission that it belongs to.

        Args:
            student: nbgrader's id of the student.
            snapshot: What was graded; notebook and module may be missing.
            result: What grading found.

        Returns:
            What was recorded; None where gradebook and graded notebook hold this very result already.

        Raises:
            RecordingError: If the gradebook does not hold these scores afterwards; then the old ones stay.
            SubmissionUnreadable: If there is nothing to grade in it, and an earlier one has marks; then, too.
            UnreadableTime: If it cannot be told when the work was handed in; then, too.
        """
        if problem := problem_with_id(student):
            raise RecordingError(problem, RENAME)
        coursedir = course_directory(self._course, self._assignment.name, student_id=student)
        recording = Recording(self._course, self._assignment, coursedir, snapshot, result, self._rules, self._plugins)
        with course_lock(self._course.state_dir):
            return self._record(recording)

    def record_failed(self, student: str, snapshot: Snapshot, why: str) -> Recorded | None:
        """Say of a student's marks that they are for an earlier hand-in, if they are: this one could not be recorded.

        Args:
            student: nbgrader's id of the student.
            snapshot: What could not be recorded.
            why: What went wrong.

        Returns:
            What changed; None where nothing did, or where that cannot be written, either.
        """
        with suppress(AutograderError, OSError):
            with transaction(self._writer.coursedir) as book:
                is_marked = is_recorded_last(book, self._assignment.name, student, snapshot.digest)
            if not is_marked:
                return self.record_ungraded(student, why)
        return None

    def record_ungraded(self, student: str, why: str) -> Recorded | None:
        """Record that a submission could not be graded: old scores stay, flagged as those of an earlier hand-in.

        Args:
            student: nbgrader's id of the student.
            why: What went wrong.

        Returns:
            What the gradebook says now; None where it has no submission.

        Raises:
            RecordingError: If the gradebook cannot be used.
        """
        if not student.isprintable():  # never recorded, and no database takes bytes that are no text
            return None
        return self._writer.flag(SubmissionKey(self._assignment.name, student), why)

    def is_untimed(self, snapshot: Snapshot) -> bool:
        """Return whether nobody knows if a hand-in was late: there is a due date, and no time of the hand-in."""
        return self._has_due_date and not decode_time(snapshot.files.get(TIMESTAMP_FILE, b""))

    @cached_property
    def _has_due_date(self) -> bool:
        asked = sqlalchemy.select(BookAssignment.duedate).where(BookAssignment.name == self._assignment.name)
        with transaction(self._writer.coursedir) as book:
            return book.execute(asked).scalar() is not None

    def _record(self, recording: Recording) -> Recorded | None:
        self._writer.settle()
        if is_recorded(recording):
            return None
        with transaction(self._writer.coursedir) as book:
            check_registered(book, self._assignment.name)
            check_replaces_marks(book, SubmissionKey(self._assignment.name, recording.student), recording.snapshot)
        with _staged(recording, _files_for_nbgrader(recording)) as staging:
            recorded = _autograde(recording, staging, self._writer)
        if not self._writer.preview:
            write_stamp(recording)
        return recorded


def _files_for_nbgrader(recording: Recording) -> dict[str, bytes]:
    """Return what nbgrader may see of a submission; where there is no notebook, an untouched one."""
    files = recording.snapshot.files
    notebook, module = f"{recording.assignment.name}.ipynb", f"{MODULE}.py"
    chosen = {name: files[name] for name in (notebook, module) if name in files}
    timestamp = files.get(TIMESTAMP_FILE, b"")
    if read_timestamp(timestamp, f"{TIMESTAMP_FILE} of {recording.student}"):
        chosen[TIMESTAMP_FILE] = decode_time(timestamp).encode()  # else as it is: the exchange finds feedback by it
    if _TICKET.fullmatch(files.get(TICKET_FILE, b"")):
        chosen[TICKET_FILE] = files[TICKET_FILE]
    if notebook in chosen:
        given = given_files(recording.coursedir, recording.assignment.name)
        chosen[notebook] = embed_pictures(chosen[notebook], lambda: files, given)
    else:
        chosen[notebook] = released_notebook(recording.coursedir, recording.assignment.name)
    return chosen


@contextmanager
def _staged(recording: Recording, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Yield a folder with a submission below `submitted/`.

    Raises:
        RecordingError: If it cannot be written.
    """
    state_dir, student = recording.course.state_dir, recording.student
    for left in state_dir.glob("recording-*"):  # of a process that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=state_dir, prefix="recording-") as name:
            place = Path(name, "submitted", student, recording.assignment.name)
            place.mkdir(parents=True)
            for file, content in files.items():
                (place / file).write_bytes(content)
            yield Path(name)
    except OSError as error:
        raise RecordingError(
            f"The result of {student} could not be recorded: {error}.", "Fix that, then grade again."
        ) from error


def _autograde(recording: Recording, staging: Path, writer: GradebookWriter) -> Recorded:
    """Run nbgrader's `autograde` on a staged submission, with the result that is known already.

    Raises:
        RecordingError: If nbgrader is not set up to record it, or fails.
        OSError: If the graded notebook cannot be put in its place.
    """
    course = recording.course
    submitted = os.path.relpath(staging / "submitted", course.root)
    coursedir = course_directory(
        course, recording.assignment.name, student_id=recording.student, submitted_directory=submitted
    )
    step = make_step(IsolatedAutograde, course, coursedir)
    if RECORDER not in step.autograde_preprocessors:
        raise RecordingError(
            f"c.Autograde.autograde_preprocessors in course_config.py does not name {RECORDER}.", "Put it back."
        )
    graded = Graded(recording.result, recording.snapshot.digest, recording.rules)
    given = RecordGrades(graded=graded, course=course, coursedir=coursedir)
    step.autograde_preprocessors = [given if name == RECORDER else name for name in step.autograde_preprocessors]
    step.gradebook_writer, step.flags_failures = writer, False  # whoever called says why it failed
    try:
        run_step(step)
    except StepFailed as error:
        if step.failure is not None:
            raise step.failure from error
        raise RecordingError(f"nbgrader could not record the result of {recording.student}: {error}") from error
    if step.recorded is None:
        raise RecordingError(
            f"nbgrader did not record the result of {recording.student}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )
    recorded: Recorded = step.recorded
    return recorded
