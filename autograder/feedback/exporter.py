"""Write feedback for students: nbgrader's page, cleaned, and one page of ours beside it.

nbgrader's own `generate_feedback` makes both, so formgrader's button writes them, too, and they appear together or not
at all.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import Assignment, is_plain, read_titles
from autograder.course.course import Course
from autograder.errors import RecordingError, UsageError
from autograder.feedback.page import PAGE, recorded_page, render_page
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.graded_notebook import MARKING_GUIDE, recorded_result, settled_cell
from autograder.gradebook.nbgrader_steps import (
    StepFailed,
    course_directory,
    literal_glob,
    make_step,
    output_folder,
    run_staged,
)
from autograder.gradebook.student_marks import student_marks
from autograder.progress import ProgressListener, no_progress
from autograder.rendering.sanitising import clean_html, markdown2html
from autograder.suggestions import did_you_mean

LINK = (
    f"**[All of your feedback on one page]({PAGE})**, with pictures, where you were given that file beside this one; "
    "each of its tasks leads back to a cell below."
)
Resources = dict[str, Any]


class FeedbackExporter(HTMLExporter):  # type: ignore[misc]
    """Renders what students see: cleaned, and without the marking guides that formgrader shows.

    Within one of nbgrader's steps it also makes the page beside this one; the two link to each other.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - nbconvert's
        super().__init__(**kwargs)
        self.sanitize_html = True
        self.register_filter("clean_html", clean_html)
        self.register_filter("markdown2html", markdown2html)

    def from_notebook_node(
        self, nb: NotebookNode, resources: Resources | None = None, **kwargs: object
    ) -> tuple[str, Resources]:
        """Convert a notebook to HTML, and make our own page where nbgrader says whose it is."""
        cells = [cell for cell in nb.cells if cell.metadata.get("autograder") != MARKING_GUIDE]
        names = (resources or {}).get("nbgrader")
        if not names or is_plain(Path(CourseDirectory(config=self.config).root), names["assignment"]):
            return self._converted(nb, cells, resources, **kwargs)
        order = [cell.metadata.get("nbgrader", {}).get("grade_id", "") for cell in nb.cells]
        with Gradebook(names["db_url"]) as book:
            marks = student_marks(book, names, order, self.config)
        titles = read_titles(Path(CourseDirectory(config=self.config).root), names["assignment"])
        result = recorded_result(nb)
        if result is not None:
            settled = [mark.id for mark in marks.tasks.values() if mark.by_hand]
            cells = [settled_cell(cell, result, settled, titles) for cell in cells]
        cells.insert(0, nbformat.v4.new_markdown_cell(LINK, id="feedback-page"))
        html, resources = self._converted(nb, cells, resources, **kwargs)
        page = recorded_page(names["assignment"], result, marks, f"{names['notebook']}.html", titles)
        own_page = render_page(page).encode("utf-8", "replace")
        resources["outputs"] = {**resources.get("outputs", {}), PAGE: own_page}
        return html, resources

    def _converted(
        self, nb: NotebookNode, cells: list[NotebookNode], resources: Resources | None, **kwargs: object
    ) -> tuple[str, Resources]:
        """Convert a notebook with these cells in place of its own."""
        shown = NotebookNode({**nb, "cells": cells})
        page: tuple[str, Resources] = super().from_notebook_node(shown, resources, **kwargs)
        return page


def write_feedback(
    course: Course,
    assignment: Assignment,
    students: Sequence[str] | None = None,
    progress: ProgressListener = no_progress,
) -> list[Path]:
    """Write the feedback of students whose results are recorded: nbgrader's page and ours.

    Args:
        course: The course.
        assignment: The assignment.
        students: Whose feedback to write; None means everyone's.
        progress: Receives progress updates.

    Returns:
        nbgrader's pages, one for each student; `feedback.html` lies beside each.

    Raises:
        UsageError: If a student, or everyone, has no recorded result.
        RecordingError: If nbgrader fails.
    """
    coursedir = course_directory(course, assignment.name)
    known = _recorded_students(coursedir, assignment.name)
    chosen = known if students is None else list(students)
    if not chosen:
        raise UsageError(f"No results of {assignment.name} are recorded yet.", "Run: python -m autograder grade")
    for student in chosen:
        if student not in known:
            remedy = f"{did_you_mean(student, known)} If the name is right, run: python -m autograder grade {student}"
            raise UsageError(f"{student} has no recorded result.", remedy.strip())
    pages: list[Path] = []
    for student in chosen:
        progress(len(pages), len(chosen), student)
        pages.append(_write_page(course, assignment.name, student))
    progress(len(pages), len(chosen), "")
    return pages


def _recorded_students(coursedir: CourseDirectory, assignment: str) -> list[str]:
    """Return everyone who has a graded notebook."""
    step = coursedir.autograded_directory
    folders = literal_glob(coursedir.format_path(step, "*", glob.escape(assignment)))
    pattern = coursedir.format_path(step, f"(?P<student>[^{os.sep}]+)", re.escape(assignment), escape=True)
    found = (re.fullmatch(pattern, folder) for folder in folders if Path(folder, f"{assignment}.ipynb").is_file())
    return sorted(match["student"] for match in found if match)


def _write_page(course: Course, assignment: str, student: str) -> Path:
    coursedir = course_directory(course, assignment, student_id=student)
    step = make_step(GenerateFeedback, course, coursedir)
    if not issubclass(step.exporter_class, FeedbackExporter):
        raise RecordingError(
            "c.GenerateFeedback.exporter_class in course_config.py is not "
            "autograder.nbgrader_plugins.FeedbackExporter, so students would read the marking guides.",
            "Put it back.",
        )
    page = output_folder(coursedir, "feedback_directory") / f"{assignment}.html"
    try:
        with (
            course_lock(course.state_dir),
            tempfile.TemporaryDirectory(dir=course.state_dir, prefix="recording-") as staging,
        ):
            written = run_staged(step, "feedback_directory", Path(staging))
    except (StepFailed, OSError) as error:
        problem = f"nbgrader could not write feedback for {student}: {error}."
        raise RecordingError(problem, f"Fix that, then run: python -m autograder feedback {student}") from error
    if not written:
        raise RecordingError(f"nbgrader wrote no {page}.", "Look for the student in student_id_exclude.")
    return page
