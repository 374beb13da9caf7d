"""What nbgrader's `autograde` calls, in place of running the notebook.

`course_config.py` names three things from here. `forget_scores` runs first, so that a run that fails leaves the old
scores flagged as those of an earlier hand-in. `SubmissionExporter` hands nbgrader the student's notebook with the
release's structure put back, whatever was done to it. `RecordGrades` writes every automatic score, an explicit 0 too.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import IO, Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import Instance

from autograder.course.assignment import MODULE, read_titles
from autograder.course.cells import without_outputs
from autograder.course.course import Course, course_from, read_course
from autograder.course.notebook import marking_guides, restore
from autograder.course.submission import Snapshot
from autograder.errors import RecordingError
from autograder.gradebook.automatic_scores import REGISTER, enter_submission, flag_ungraded, write_scores
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.graded_notebook import add_guides, show_result
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.gradebook.open_marks import write_held_tasks
from autograder.results import SubmissionResult

Resources = dict[str, Any]


class SubmissionExporter(NotebookExporter):  # type: ignore[misc]
    """Reads a submitted notebook so that nothing in it can stop nbgrader: see `notebook.restore`.

    Attributes:
        submitted: The submitted notebook that nbgrader read last.
    """

    submitted = b""

    def from_file(self, file_stream: IO[str], resources: Resources, **kwargs: object) -> tuple[str, Resources]:
        """Convert one notebook; nbgrader calls this once to sanitise and once more to grade.

        Raises:
            RecordingError: If the course has no released notebook.
        """
        names, coursedir = resources["nbgrader"], self.parent.coursedir
        content = file_stream.buffer.read()  # type: ignore[attr-defined]
        if Path(file_stream.name).parent == _submitted_folder(coursedir, names):
            self.submitted = content
        restored = restore(released_notebook(coursedir, names["assignment"]), content)
        notebook = nbformat.reads(restored.decode(), as_version=4)
        converted: tuple[str, Resources] = self.from_notebook_node(notebook, resources, **kwargs)
        return converted


class RecordGrades(NbGraderPreprocessor):  # type: ignore[misc]
    """Writes the scores of one submission into the gradebook, and what the checks found into its notebook.

    Attributes:
        result: The result to record; None means to grade the submission now, or take its result from the cache.
        course: The course; None means that of nbgrader's configuration.
        coursedir: nbgrader's view of it; None means that of the step this belongs to.
    """

    result = Instance(SubmissionResult, allow_none=True)
    course = Instance(Course, allow_none=True)
    coursedir = Instance(CourseDirectory, allow_none=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Record one notebook.

        Raises:
            RecordingError: If the gradebook's tasks or points are not those of the result.
        """
        names = resources["nbgrader"]
        coursedir = self.coursedir or self.parent.parent.coursedir
        course = self.course or course_from(Path(coursedir.root), self.config)
        result = self.result or self._graded(course, coursedir, names)
        with course_lock(course.state_dir), Gradebook(names["db_url"]) as book:
            submitted = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            write_scores(submitted, nb, result)
            write_held_tasks(book, names["assignment"], names["student"], result)
            book.db.commit()
        show_result(nb, result, read_titles(course.root, names["assignment"]))
        add_guides(nb, marking_guides(_source_notebook(coursedir, names["assignment"])))
        return nb, resources

    def _graded(self, course: Course, coursedir: CourseDirectory, names: dict[str, str]) -> SubmissionResult:
        """Grade a submission that nbgrader has read.

        Raises:
            RecordingError: If it was replaced since then: what is graded must be what is recorded.
        """
        from autograder.grading.result_store import grader_for  # formgrader loads this module and seldom grades

        grader = grader_for(course, names["assignment"])
        read = grader.look_up(_submitted_folder(coursedir, names), names["student"])
        copied = Path(coursedir.format_path(coursedir.autograded_directory, names["student"], names["assignment"]))
        if read.snapshot.files and not _is_same(read.snapshot, self.parent.submitted, copied / f"{MODULE}.py"):
            raise RecordingError(
                f"{names['student']} handed in again while nbgrader began to grade.", "Grade it again."
            )
        return read.result or grader.grade_snapshot(read.snapshot, names["student"])


def _submitted_folder(coursedir: CourseDirectory, names: dict[str, str]) -> Path:
    return Path(coursedir.format_path(coursedir.submitted_directory, names["student"], names["assignment"]))


def _is_same(snapshot: Snapshot, notebook: bytes, module: Path) -> bool:
    """Return whether a snapshot holds what nbgrader read: this notebook, perhaps without its outputs, and module."""
    same_notebook = snapshot.notebook_bytes in (notebook, without_outputs(notebook))
    return same_notebook and snapshot.module_bytes == (module.read_bytes() if module.is_file() else None)


def released_notebook(coursedir: CourseDirectory, assignment: str) -> bytes:
    """Return the notebook that students get.

    Raises:
        RecordingError: If there is none.
    """
    path = Path(coursedir.format_path(coursedir.release_directory, ".", assignment), f"{assignment}.ipynb")
    if not path.is_file():
        raise RecordingError(f"There is no released notebook {path}.", REGISTER)
    return path.read_bytes()


def _source_notebook(coursedir: CourseDirectory, assignment: str) -> bytes:
    """Return the instructor's notebook; an empty one where the course has none."""
    path = Path(coursedir.format_path(coursedir.source_directory, ".", assignment), f"{assignment}.ipynb")
    return path.read_bytes() if path.is_file() else b'{"cells": []}'


def forget_scores(*, assignment: str, student: str, notebooks: list[str]) -> None:
    """Flag a student's automatic scores as old before nbgrader grades again; nbgrader calls this.

    They stay until new ones are written, which also takes the flag away. The name stands in courses' settings.

    Args:
        assignment: Name of the assignment.
        student: Whom nbgrader was asked to grade, which may be a pattern.
        notebooks: Paths of the notebooks of one student.
    """
    course = read_course(Path.cwd())  # nbgrader has gone to the course folder, and gives a hook no configuration
    coursedir = course_directory(course, assignment)
    pattern = coursedir.format_path("(?P<step>.*)", "(?P<student>[^/]*)", re.escape(assignment), escape=True)
    match = re.fullmatch(pattern, str(Path(notebooks[0]).parent))
    with course_lock(course.state_dir), Gradebook(coursedir.db_url) as book:
        name = match["student"] if match else student
        enter_submission(book, assignment, name)
        flag_ungraded(book, assignment, name, "nbgrader's autograde did not come to an end")
