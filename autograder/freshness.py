"""Is a result recorded already? What the gradebook holds of it, and a mark beside it."""

from __future__ import annotations

import functools
import hashlib
from contextlib import suppress
from pathlib import Path

from nbgrader.api import Grade, Gradebook, MissingEntry, SubmittedNotebook

from autograder.assignment import Assignment
from autograder.config import CONFIG_NAME, CourseConfig
from autograder.errors import RecordingError
from autograder.results import SubmissionResult, to_json, write_whole
from autograder.steps import course_directory, output_folder


class RecordedMark:
    """Says that one student's result was recorded, and from what, so that it need not be recorded again.

    It holds only as long as the gradebook has the result's scores and the graded notebook is the one
    that was written then.
    """

    def __init__(
        self, config: CourseConfig, assignment: Assignment, student: str, folder: Path, result: SubmissionResult
    ) -> None:
        self._path = config.state_dir / "recorded" / assignment.name / student
        self._student = student
        self._result = result
        coursedir = course_directory(config, assignment.name, student_id=student)
        self._graded = output_folder(coursedir, "autograded_directory") / f"{assignment.name}.ipynb"
        texts = (config.root / CONFIG_NAME, folder / "timestamp.txt", assignment.notebook_path)
        released = assignment.release_dir / f"{assignment.name}.ipynb"
        parts = [to_json(result), _package_digest(), *map(_digest_if_there, (*texts, released))]
        self._texts = hashlib.sha256(b"\n".join(parts)).hexdigest()

    def stands(self, book: Gradebook) -> bool:
        """Whether nothing is to be done."""
        with suppress(OSError, RecordingError):
            check_recorded(book, self._student, self._result)
            return self._path.read_text("utf-8") == self._text(book)
        return False

    def set(self, book: Gradebook) -> None:
        """Say that the result is recorded now."""
        with suppress(OSError):  # without it the result is recorded once more, no worse
            write_whole(self._path, self._text(book).encode())

    def _text(self, book: Gradebook) -> str:
        submission = book.find_submission(self._result.assignment, self._student)
        late = (submission.assignment.duedate, submission.extension)  # penalties depend on them
        written = self._graded.stat()
        return f"{self._texts} {late} {written.st_mtime_ns} {written.st_size}"


def _digest_if_there(path: Path) -> bytes:
    return hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"-"


@functools.cache
def _package_digest() -> bytes:
    """Digest the package, which decides how results are shown."""
    return b"".join(_digest_if_there(path) for path in sorted(Path(__file__).parent.glob("*.py")))


def check_recorded(book: Gradebook, student: str, result: SubmissionResult) -> None:
    """See that the gradebook holds a result's scores.

    Raises:
        RecordingError: If it does not.
    """
    try:
        submitted = book.find_submission_notebook(result.assignment, result.assignment, student)
        recorded = {grade.name: grade.auto_score for grade in automatic_grades(submitted)}
    except MissingEntry:
        recorded = {}
    if recorded != {task.id: task.score for task in result.tasks}:
        raise RecordingError(
            f"nbgrader did not record the result of {student}.",
            "Look at c.CourseDirectory.student_id_exclude in course_config.py.",
        )


def automatic_grades(submitted: SubmittedNotebook) -> list[Grade]:
    """Return the grades that no person gives: those of test cells."""
    manual = {cell.name for cell in (*submitted.notebook.solution_cells, *submitted.notebook.task_cells)}
    return [grade for grade in submitted.grades if grade.name not in manual]
