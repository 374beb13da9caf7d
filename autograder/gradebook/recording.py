"""Put results into the gradebook through nbgrader's own `autograde`, so that all of nbgrader agrees with them."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import sqlalchemy
from nbgrader.api import Assignment as BookAssignment
from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.course.pictures import embed_pictures
from autograder.course.submission import Snapshot
from autograder.deadlines.late_policy import late_policy
from autograder.deadlines.times import TIMESTAMP_FILE, decode_time, read_timestamp
from autograder.errors import RENAME, AutograderError, RecordingError
from autograder.gradebook.autograding import RecordGrades, given_files, released_notebook
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import add_indexes, check_registered, transaction
from autograder.gradebook.isolated_autograde import IsolatedAutograde, work_folder
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.gradebook.record_stamp import (
    Graded,
    Recording,
    Stamp,
    Work,
    is_recorded,
    read_bases,
    stamp_of,
    texts_digest,
    write_stamp,
)
from autograder.gradebook.transactions import (
    SYNCED_AT_ONCE,
    GradebookWriter,
    Recorded,
)
from autograder.grading.rules_digest import read_rules
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.history import is_recorded_last
from autograder.ledger.replacing import check_replaces_marks
from autograder.results import SubmissionResult
from autograder.text import problem_with_id

RECORDER = "autograder.nbgrader_plugins.RecordGrades"
TICKET_FILE = "submission_secret.txt"
"""nbgrader's submit adds it, and its exchange hands feedback out by it."""
Outcome = Recorded | Exception
"""What was recorded, or why it was not."""
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
        self._texts = texts_digest(course, assignment)
        self._rules = read_rules(course, assignment)
        if not preview:
            with suppress(AutograderError, OSError), course_lock(course.state_dir):  # without them it only takes longer
                with transaction(self._writer.coursedir) as book:
                    add_indexes(book)

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
        recording = self.new(student, snapshot, result)
        if recording is None:
            return None
        (recorded,) = self.write([(recording, prepare(recording))])
        if isinstance(recorded, Exception):
            raise recorded
        return recorded

    def new(self, student: str, snapshot: Snapshot, result: SubmissionResult) -> Recording | None:
        """Return what is to be recorded, for `prepare` and `write`; None if it is recorded already.

        Raises:
            RecordingError: If the student's id cannot be one, or the gradebook cannot be used.
        """
        if problem := problem_with_id(student):
            raise RecordingError(problem, RENAME)
        recording = Recording(self._course, self._assignment, student, snapshot, result, self._rules, self._texts)
        with course_lock(self._course.state_dir):
            self._writer.settle()
            return None if is_recorded(self._writer.coursedir, recording) else recording

    def write(self, prepared: Sequence[tuple[Recording, Work]]) -> list[Outcome]:
        """Write what was prepared into the gradebook, together where nothing is in the way.

        What the gradebook holds may have changed since then: that is prepared again.

        Returns:
            For each what was recorded, or why it was not.
        """
        with course_lock(self._course.state_dir):
            _remove_left(self._course.state_dir)
            outcomes: list[Outcome | None] = [None] * len(prepared)
            if len(prepared) > 1:
                with suppress(Exception):  # whatever it is: one by one it shows whose it was
                    outcomes = [*self._writer.record_together([work for _, work in prepared])]
            found = [
                outcome or self._write_one(recording, work)
                for outcome, (recording, work) in zip(outcomes, prepared, strict=True)
            ]
            for _, work in prepared:
                shutil.rmtree(work.folder, ignore_errors=True)  # of what was not recorded
            return self._stamped([recording for recording, _ in prepared], found)

    def _write_one(self, recording: Recording, work: Work) -> Outcome:
        try:
            recorded = self._writer.record_together([work])[0] if work.folder.is_dir() else None
            return recorded or self._writer.record(prepare(recording))  # nobody else records now
        except Exception as error:
            return error

    def _stamped(self, recordings: Sequence[Recording], found: list[Outcome]) -> list[Outcome]:
        """Write the stamps of what was recorded; one whose scores the gradebook does not hold was not."""
        if self._writer.preview:
            return found
        outcomes = list(found)
        stamps: dict[int, Stamp] = {}
        with transaction(self._writer.coursedir) as book:
            for place, recording in enumerate(recordings):
                try:
                    if isinstance(found[place], Recorded):
                        stamps[place] = stamp_of(book, self._writer.coursedir, recording)
                except RecordingError as error:
                    outcomes[place] = error
                except OSError:  # nobody can read the notebook: without a stamp it is recorded once more, no worse
                    continue
        with ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
            list(pool.map(write_stamp, [recordings[place] for place in stamps], stamps.values()))
        return outcomes

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


def prepare(recording: Recording) -> Work:
    """Return what nbgrader's `autograde` makes of a result on copies; the gradebook is only read.

    Raises:
        RecordingError: If nbgrader is not set up to record it, or fails.
        SubmissionUnreadable: If there is nothing to grade in the submission, and an earlier one has marks.
        UnreadableTime: If it cannot be told when the work was handed in.
    """
    coursedir = course_directory(recording.course, recording.assignment.name)
    with transaction(coursedir) as book:
        check_registered(book, recording.assignment.name)
        check_replaces_marks(book, recording.key, recording.snapshot)
        basis = read_bases(book, recording.assignment.name, [recording.student])[recording.student]
    with _staged(recording, _files_for_nbgrader(recording, coursedir)) as staging:
        return replace(_autograde(recording, coursedir, staging), basis=basis)


def _files_for_nbgrader(recording: Recording, coursedir: CourseDirectory) -> dict[str, bytes]:
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
        given = given_files(coursedir, recording.assignment.name)
        chosen[notebook] = embed_pictures(chosen[notebook], lambda: files, given)
    else:
        chosen[notebook] = released_notebook(coursedir, recording.assignment.name)
    return chosen


@contextmanager
def _staged(recording: Recording, files: Mapping[str, bytes]) -> Iterator[Path]:
    """Yield a folder with a submission below `submitted/`.

    Raises:
        RecordingError: If it cannot be written.
    """
    student = recording.student
    try:
        with work_folder(recording.course) as name:
            place = Path(name, "submitted", student, recording.assignment.name)
            place.mkdir(parents=True)
            for file, content in files.items():
                (place / file).write_bytes(content)
            yield Path(name)
    except OSError as error:
        raise RecordingError(
            f"The result of {student} could not be recorded: {error}.", "Fix that, then grade again."
        ) from error


def _remove_left(state_dir: Path) -> None:
    """Remove what a killed process left; only what is done under the course's lock bears such a name."""
    for left in state_dir.glob("recording-*"):
        shutil.rmtree(left, ignore_errors=True)


def _autograde(recording: Recording, usual: CourseDirectory, staging: Path) -> Work:
    """Run nbgrader's `autograde` on a staged submission, with the result that is known already.

    Raises:
        RecordingError: If nbgrader is not set up to record it, or fails.
        OSError: If the graded notebook cannot be written.
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
    step.gradebook_writer, step.prepares = GradebookWriter(course, usual, "grade"), True
    try:
        run_step(step)
    except StepFailed as error:
        if step.failure is not None:
            raise step.failure from error
        raise RecordingError(f"nbgrader could not record the result of {recording.student}: {error}") from error
    if step.prepared is None:
        raise RecordingError(
            f"nbgrader did not record the result of {recording.student}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )
    prepared: Work = step.prepared
    return prepared
