"""What nbgrader's `autograde` calls, in place of running the notebook.

`course_config.py` names three things from here. `forget_scores` runs first, so that no old score outlives a run
that fails. `SubmissionExporter` hands nbgrader the student's notebook with the release's structure put back,
whatever was done to it. `RecordGrades` writes every automatic score, an explicit 0 too.
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

from autograder.course.assignment import read_titles
from autograder.course.course import Course, course_from, read_course
from autograder.course.notebook import marking_guides, restore
from autograder.errors import RecordingError
from autograder.gradebook.automatic_scores import REGISTER, clear_scores, enter_submission, write_scores
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.graded_notebook import add_guides, show_result
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.results import SubmissionResult

Resources = dict[str, Any]


class SubmissionExporter(NotebookExporter):  # type: ignore[misc]
    """Reads a submitted notebook so that nothing in it can stop nbgrader: see `notebook.restore`."""

    def from_file(self, file_stream: IO[str], resources: Resources, **kwargs: object) -> tuple[str, Resources]:
        """Convert one notebook; nbgrader calls this once to sanitise and once more to grade.

        Raises:
            RecordingError: If the course has no released notebook.
        """
        released = released_notebook(self.parent.coursedir, resources["nbgrader"]["assignment"])
        restored = restore(released, file_stream.buffer.read())  # type: ignore[attr-defined]
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
        result = self.result or _graded(course, coursedir, names)
        with course_lock(course.state_dir), Gradebook(names["db_url"]) as book:
            submitted = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            write_scores(submitted, nb, result)
            book.db.commit()
        show_result(nb, result, read_titles(course.root, names["assignment"]))
        add_guides(nb, marking_guides(_source_notebook(coursedir, names["assignment"])))
        return nb, resources


def _graded(course: Course, coursedir: CourseDirectory, names: dict[str, str]) -> SubmissionResult:
    from autograder.grading.result_store import grader_for  # formgrader loads this module and seldom grades

    folder = coursedir.format_path(coursedir.submitted_directory, names["student"], names["assignment"])
    return grader_for(course, names["assignment"]).grade(Path(folder), names["student"])


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
    """Take back a student's automatic scores before nbgrader grades again; nbgrader calls this.

    Until new scores are written the gradebook shows the student as one who needs grading.

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
        clear_scores(book, assignment, name)
