"""Write feedback for students: one page each, under the name of the notebook, which is what every channel delivers.

nbgrader's own `generate_feedback` makes it, so formgrader's button writes it, too.
"""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nbconvert.exporters import Exporter, HTMLExporter
from nbformat import NotebookNode
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory

from autograder.course.assignment import Assignment, given_texts, is_plain, read_title, read_titles
from autograder.course.course import Course
from autograder.course.rubrics import RubricItem, rubrics_of
from autograder.errors import RecordingError, UsageError
from autograder.feedback.notebook_cells import notebook_cells
from autograder.feedback.page import recorded_page, render_page
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import has_gradebook
from autograder.gradebook.graded_notebook import MARKING_GUIDE, recorded_result
from autograder.gradebook.nbgrader_adaptation import literal_glob
from autograder.gradebook.nbgrader_steps import (
    StepFailed,
    course_directory,
    make_step,
    output_folder,
    run_staged,
)
from autograder.gradebook.student_marks import student_marks
from autograder.marks import RubricLine, StudentMarks
from autograder.progress import ProgressListener, no_progress
from autograder.rendering.sanitising import clean_html, highlight_code, markdown2html
from autograder.suggestions import did_you_mean

Resources = dict[str, Any]


class FeedbackExporter(HTMLExporter):  # type: ignore[misc]
    """Writes the page that a student reads: our own, with the notebook below, cleaned and without marking guides.

    Outside nbgrader's steps, where nothing says whose notebook it is, it writes the notebook alone.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - nbconvert's
        super().__init__(**kwargs)
        self.sanitize_html = True
        self.register_filter("clean_html", clean_html)
        self.register_filter("markdown2html", markdown2html)
        usual: dict[str, Any] = self.filters  # type: ignore[has-type]
        self.filters = usual | {"highlight_code": highlight_code}  # nbconvert registers it for each page

    def from_notebook_node(
        self, nb: NotebookNode, resources: Resources | None = None, **kwargs: object
    ) -> tuple[str, Resources]:
        """Convert a notebook to the student's page."""
        names = (resources or {}).get("nbgrader")
        if not names or is_plain(Path(CourseDirectory(config=self.config).root), names["assignment"]):
            cells = [cell for cell in nb.cells if cell.metadata.get("autograder") != MARKING_GUIDE]
            shown = NotebookNode({**nb, "cells": cells})
            page: tuple[str, Resources] = super().from_notebook_node(shown, resources, **kwargs)
            return page
        order = [cell.metadata.get("nbgrader", {}).get("grade_id", "") for cell in nb.cells]
        with Gradebook(names["db_url"]) as book:
            marks = student_marks(book, names, order, self.config)
        root = Path(CourseDirectory(config=self.config).root)
        assignment = names["assignment"]
        own = recorded_page(
            title=read_title(root, assignment),
            result=recorded_result(nb),
            marks=with_rubrics(marks, rubrics_of(root, assignment)),
            cells=notebook_cells(nb, given_texts(root, assignment)),
            titles=read_titles(root, assignment),
        )
        _, resources = Exporter.from_notebook_node(self, nb, resources, **kwargs)
        return render_page(own).encode("utf-8", "replace").decode(), resources


def with_rubrics(marks: StudentMarks, rubrics: Mapping[str, tuple[RubricItem, ...]]) -> StudentMarks:
    """Return a student's marks with the items of each rubric in words, where it is known which were given."""
    questions = {
        name: replace(mark, rubric=tuple(_line(item, mark.items) for item in rubrics.get(name, ())))
        if mark.items is not None
        else mark
        for name, mark in marks.questions.items()
    }
    return replace(marks, questions=questions)


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
        The pages, one for each student.

    Raises:
        UsageError: If a student, or everyone, has no recorded result.
        RecordingError: If nbgrader fails.
    """
    chosen = _chosen_students(course, assignment.name, students)
    pages: list[Path] = []
    problems: list[_PageFailed] = []
    for number, student in enumerate(chosen):
        progress(number, len(chosen), student)
        try:
            pages.append(_write_page(course, assignment.name, student))
        except _PageFailed as error:  # everybody else gets a page
            problems.append(error)
    progress(len(chosen), len(chosen), "")
    if problems:
        others = f"{len(pages)} other pages are written." if pages else ""
        more = f"{len(problems) - 1} more failed." if problems[1:] else ""
        raise RecordingError(" ".join(filter(None, (problems[0].problem, more, others))), problems[0].remedy)
    return pages


def _chosen_students(course: Course, assignment: str, students: Sequence[str] | None) -> list[str]:
    """Return the students who get feedback.

    Raises:
        UsageError: If one of those who are named, or everyone, has no recorded result.
    """
    coursedir = course_directory(course, assignment)
    known = _recorded_students(coursedir, assignment) if has_gradebook(coursedir) else []
    chosen = known if students is None else list(students)
    if not chosen:
        raise UsageError(f"No results of {assignment} are recorded yet.", "Run: python -m autograder grade")
    for student in chosen:
        if student not in known:
            remedy = f"{did_you_mean(student, known)} If the name is right, run: python -m autograder grade {student}"
            raise UsageError(f"{student} has no recorded result.", remedy.strip())
    return chosen


def _line(item: RubricItem, given: Collection[str]) -> RubricLine:
    return RubricLine(item.text, item.points, item.id in given)


def written_pages(course: Course, assignment: str) -> dict[str, Path]:
    """Return student to feedback page, of everyone whose page is there."""
    coursedir = course_directory(course, assignment)
    pages = (
        (student, output_folder(course_directory(course, assignment, student_id=student), "feedback_directory"))
        for student in _recorded_students(coursedir, assignment)
    )
    return {student: page for student, folder in pages if (page := folder / f"{assignment}.html").is_file()}


def without_current_page(course: Course, assignment: str) -> list[str]:
    """Return everyone who has no page, or one from before the last grading."""
    coursedir = course_directory(course, assignment)
    pages = written_pages(course, assignment)
    behind = []
    for student in _recorded_students(coursedir, assignment):
        own = course_directory(course, assignment, student_id=student)
        notebook = output_folder(own, "autograded_directory") / f"{assignment}.ipynb"
        if student not in pages or pages[student].stat().st_mtime_ns < notebook.stat().st_mtime_ns:
            behind.append(student)
    return behind


def _recorded_students(coursedir: CourseDirectory, assignment: str) -> list[str]:
    """Return everyone who has a graded notebook."""
    step = coursedir.autograded_directory
    folders = literal_glob(coursedir.format_path(step, "*", glob.escape(assignment)))
    pattern = coursedir.format_path(step, f"(?P<student>[^{os.sep}]+)", re.escape(assignment), escape=True)
    found = (re.fullmatch(pattern, folder) for folder in folders if Path(folder, f"{assignment}.ipynb").is_file())
    return sorted(match["student"] for match in found if match)


class _PageFailed(RecordingError):
    """The page of one student could not be written."""


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
        raise _PageFailed(problem, f"Fix that, then run: python -m autograder feedback {student}") from error
    if not written:
        raise RecordingError(f"nbgrader wrote no {page}.", "Look for the student in student_id_exclude.")
    return page
