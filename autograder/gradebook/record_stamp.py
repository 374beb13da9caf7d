"""Is a result recorded already? What the gradebook holds of it, and a mark beside it."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from pathlib import Path

from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import Assignment
from autograder.course.course import CONFIG_NAME, Course
from autograder.errors import RecordingError
from autograder.files import write_whole
from autograder.gradebook.database import Recorded, recorded_scores
from autograder.gradebook.nbgrader_steps import output_folder
from autograder.grading.rules_digest import package_digest
from autograder.results import SubmissionResult, to_json


class RecordedMark:
    """Says that one student's result was recorded, and from what, so that it need not be recorded again.

    It holds only as long as the gradebook has the result's scores and the graded notebook is the one
    that was written then.

    Args:
        course: The course.
        assignment: The assignment.
        coursedir: nbgrader's view of the course, with the student's id.
        folder: The submission.
        result: What grading found.
    """

    def __init__(
        self,
        course: Course,
        assignment: Assignment,
        coursedir: CourseDirectory,
        folder: Path,
        result: SubmissionResult,
    ) -> None:
        self._path: Path = course.state_dir / "recorded" / assignment.name / coursedir.student_id
        self._coursedir = coursedir
        self._result = result
        self._graded = output_folder(coursedir, "autograded_directory") / f"{assignment.name}.ipynb"
        texts = (course.root / CONFIG_NAME, folder / "timestamp.txt", assignment.notebook_path)
        released = assignment.release_dir / f"{assignment.name}.ipynb"
        parts = [to_json(result), package_digest().encode(), *map(_digest_if_there, (*texts, released))]
        self._texts = hashlib.sha256(b"\n".join(parts)).hexdigest()

    def stands(self) -> bool:
        """Whether nothing is to be done."""
        with suppress(OSError, RecordingError):
            marked = self._path.read_text("utf-8")
            return marked == self._text(check_recorded(self._coursedir, self._result))
        return False

    def set(self, now: Recorded) -> None:
        """Say that the result is recorded, as the gradebook holds it now."""
        with suppress(OSError):  # without it the result is recorded once more, no worse
            write_whole(self._path, self._text(now).encode())

    def _text(self, now: Recorded) -> str:
        written = self._graded.stat()
        return f"{self._texts} {now.due} {written.st_mtime_ns} {written.st_size}"


def _digest_if_there(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"-"


def check_recorded(coursedir: CourseDirectory, result: SubmissionResult) -> Recorded:
    """Return what the gradebook holds of a student, having seen that these are a result's scores.

    Raises:
        RecordingError: If they are not.
    """
    now = recorded_scores(coursedir)
    if now.scores != {task.id: task.score for task in result.tasks}:
        raise RecordingError(
            f"nbgrader did not record the result of {coursedir.student_id}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )
    return now
