"""Put results into the gradebook through nbgrader's own `autograde`, so that all of nbgrader agrees with them."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from nbgrader import utils
from nbgrader.converters import Autograde
from nbgrader.preprocessors import CheckCellMetadata

from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import RecordingError
from autograder.gradebook.autograding import RecordGrades, forget_scores, released_notebook
from autograder.gradebook.automatic_scores import check_registered, clear_scores, flag_ungraded
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import open_book
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, output_folder, run_staged
from autograder.gradebook.record_stamp import Recording, is_recorded, write_stamp
from autograder.results import SubmissionResult

RECORDER = "autograder.nbgrader_plugins.RecordGrades"
TIMESTAMP_FILE = "timestamp.txt"
TICKET_FILE = "submission_secret.txt"
"""nbgrader's submit adds it, and its exchange hands feedback out by it."""
_TICKET = re.compile(rb"[!-~]{1,200}")


def record(course: Course, assignment: Assignment, student: str, snapshot: Snapshot, result: SubmissionResult) -> None:
    """Record a result with the submission that it belongs to.

    Where the gradebook and the graded notebook hold this very result already, nothing is done.

    Args:
        course: The course.
        assignment: The assignment.
        student: nbgrader's id of the student.
        snapshot: What was graded; notebook and module may be missing.
        result: What grading found.

    Raises:
        RecordingError: If the gradebook does not hold these scores afterwards.
    """
    _check_name(student)
    coursedir = course_directory(course, assignment.name, student_id=student)
    recording = Recording(course, assignment, coursedir, snapshot, result)
    with course_lock(course.state_dir):
        if is_recorded(recording):
            return
        with open_book(coursedir) as book:
            check_registered(book, assignment.name)
            clear_scores(book, assignment.name, student)
        shutil.rmtree(output_folder(coursedir, "autograded_directory"), ignore_errors=True)
        with _staged(recording, _files_for_nbgrader(recording)) as staging:
            _autograde(recording, staging)
        write_stamp(recording)


def record_ungraded(course: Course, assignment: Assignment, student: str, why: str) -> bool:
    """Record that a submission could not be graded: old scores stay, flagged as those of an earlier hand-in.

    Args:
        course: The course.
        assignment: The assignment.
        student: nbgrader's id of the student.
        why: What went wrong.

    Returns:
        Whether there are old scores.

    Raises:
        RecordingError: If the gradebook cannot be used.
    """
    if not student.isprintable():  # never recorded, and no database takes bytes that are no text
        return False
    with course_lock(course.state_dir), open_book(course_directory(course, assignment.name)) as book:
        return flag_ungraded(book, assignment.name, student, why)


def _check_name(student: str) -> None:
    remedy = "Rename the submission's folder."
    if not student.strip(".") or student != student.strip() or set(student) & set("/*?[]"):
        problem = "nbgrader reads it as a pattern, or as another folder."
        raise RecordingError(f"{student!r} cannot be a student's id: {problem}", remedy)
    if set(student) & set('<>&"') or not student.isprintable():
        raise RecordingError(f"{student!r} cannot be a student's id: formgrader's pages would read it as HTML.", remedy)
    if student[0] in "=+-@":
        raise RecordingError(f"{student!r} cannot be a student's id: spreadsheets would read it as a formula.", remedy)


def _files_for_nbgrader(recording: Recording) -> dict[str, bytes]:
    """Return what nbgrader may see of a submission; where there is no notebook, an untouched one."""
    files = recording.snapshot.files
    notebook, module = f"{recording.assignment.name}.ipynb", f"{MODULE}.py"
    chosen = {name: files[name] for name in (notebook, module) if name in files}
    if _is_time(files.get(TIMESTAMP_FILE, b"")):
        chosen[TIMESTAMP_FILE] = files[TIMESTAMP_FILE]
    if _TICKET.fullmatch(files.get(TICKET_FILE, b"")):
        chosen[TICKET_FILE] = files[TICKET_FILE]
    if notebook not in chosen:
        chosen[notebook] = released_notebook(recording.coursedir, recording.assignment.name)
    return chosen


def _is_time(timestamp: bytes) -> bool:
    try:
        return utils.parse_utc(timestamp.decode().strip()) is not None
    except (ValueError, OverflowError):
        return False


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


def _autograde(recording: Recording, staging: Path) -> None:
    """Run nbgrader's `autograde` on a staged submission, with the result that is known already.

    Raises:
        RecordingError: If nbgrader is not set up to record it, or fails.
    """
    course = recording.course
    submitted = os.path.relpath(staging / "submitted", course.root)
    coursedir = course_directory(
        course, recording.assignment.name, student_id=recording.student, submitted_directory=submitted
    )
    step = make_step(Autograde, course, coursedir)
    if RECORDER not in step.autograde_preprocessors:
        raise RecordingError(
            f"c.Autograde.autograde_preprocessors in course_config.py does not name {RECORDER}.", "Put it back."
        )
    given = RecordGrades(result=recording.result, course=course, coursedir=coursedir)
    step.autograde_preprocessors = [given if name == RECORDER else name for name in step.autograde_preprocessors]
    if step.pre_convert_hook is forget_scores:  # done already, under the lock that is held
        step.pre_convert_hook = None
    # Metadata is checked at the end, on what is written; to check it here, too, takes a sixth of the time.
    step.sanitize_preprocessors = [kind for kind in step.sanitize_preprocessors if kind is not CheckCellMetadata]
    try:
        run_staged(step, "autograded_directory", staging / "autograded")
    except StepFailed as error:
        raise RecordingError(f"nbgrader could not record the result of {recording.student}: {error}") from error
