"""Put results into nbgrader's gradebook, in place of nbgrader's running of the notebook.

`course_config.py` names three things from here. `forget_scores` runs first, so that no old score outlives a run
that fails. `SubmissionExporter` hands nbgrader the student's notebook with the release's structure put back,
whatever was done to it. `RecordGrades` writes every automatic score, an explicit 0 too.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import (
    Assignment as BookAssignment,
)
from nbgrader.api import BaseCell, Grade, Gradebook, MissingEntry, Student, SubmittedAssignment, SubmittedNotebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import CheckCellMetadata, NbGraderPreprocessor
from traitlets import Instance

from autograder.course.assignment import MODULE, Assignment, read_titles
from autograder.course.course import Course, course_from, read_course
from autograder.course.notebook import marking_guides, restore
from autograder.course.submission import read_submission
from autograder.errors import RecordingError, SubmissionUnreadable
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import open_book
from autograder.gradebook.graded_notebook import MARKING_GUIDE, shown_as, summary_cell
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, output_folder, run_staged
from autograder.gradebook.record_stamp import RecordedMark, check_recorded
from autograder.rendering.result_html import render_task_html
from autograder.rendering.result_text import render_task_text
from autograder.results import SubmissionResult
from autograder.text import Titles

RECORDER = "autograder.nbgrader_plugins.RecordGrades"
GUIDE_HEADING = "**Marking guide** (model answer and rubric; students do not see this)"
TICKET_FILE = "submission_secret.txt"
"""nbgrader's submit adds it, and its exchange hands feedback out by it."""
_TICKET = re.compile(rb"[!-~]{1,200}")
_REGISTER = "Run: python -m autograder release"

Resources = dict[str, Any]


class SubmissionExporter(NotebookExporter):  # type: ignore[misc]
    """Reads a submitted notebook so that nothing in it can stop nbgrader: see `notebook.restore`."""

    def from_file(self, file_stream: IO[str], resources: Resources, **kwargs: object) -> tuple[str, Resources]:
        """Convert one notebook; nbgrader calls this once to sanitise and once more to grade.

        Raises:
            RecordingError: If the course has no released notebook.
        """
        released = _released_notebook(self.parent.coursedir, resources["nbgrader"]["assignment"])
        restored = restore(released.read_bytes(), file_stream.buffer.read())  # type: ignore[attr-defined]
        notebook = nbformat.reads(restored.decode(), as_version=4)
        converted: tuple[str, Resources] = self.from_notebook_node(notebook, resources, **kwargs)
        return converted


class RecordGrades(NbGraderPreprocessor):  # type: ignore[misc]
    """Writes the scores of one submission into the gradebook, and what the checks found into its notebook.

    Scores go by the gradebook's own list of grades, never by what the notebook holds.

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
        result = self.result or self._graded(names["assignment"], names["student"])
        with course_lock(self._course().state_dir), Gradebook(names["db_url"]) as book:
            submitted = book.find_submission_notebook(names["notebook"], names["assignment"], names["student"])
            _check_tasks(submitted, result)
            _write_scores(submitted, nb, result)
            book.db.commit()
        _show(nb, result, read_titles(Path(self._course().root), names["assignment"]))
        _add_guides(nb, marking_guides(self._source_notebook(names["assignment"])))
        return nb, resources

    def _course(self) -> Course:
        """Return the course: the one that was given, or the one that nbgrader's own configuration describes."""
        return self.course or course_from(Path(self._coursedir().root), self.config)

    def _coursedir(self) -> CourseDirectory:
        return self.coursedir or self.parent.parent.coursedir

    def _source_notebook(self, assignment: str) -> bytes:
        """Return the instructor's notebook; an empty one where the course has none."""
        coursedir = self._coursedir()
        path = Path(coursedir.format_path(coursedir.source_directory, ".", assignment), f"{assignment}.ipynb")
        return path.read_bytes() if path.is_file() else b'{"cells": []}'

    def _graded(self, assignment: str, student: str) -> SubmissionResult:
        from autograder.grading.result_store import grader_for  # formgrader loads this module and seldom grades

        coursedir = self._coursedir()
        folder = coursedir.format_path(coursedir.submitted_directory, student, assignment)
        return grader_for(self._course(), assignment).grade(Path(folder), student)


def forget_scores(*, assignment: str, student: str, notebooks: list[str]) -> None:
    """Take back a student's automatic scores before nbgrader grades anew; nbgrader calls this.

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
        _expect(book, assignment, name)
        _forget(book, assignment, name)


def record(course: Course, assignment: Assignment, student: str, folder: Path, result: SubmissionResult) -> None:
    """Record a result through nbgrader's own `autograde`, so that all of nbgrader agrees with it.

    Where the gradebook and the graded notebook hold this very result already, nothing is done.

    Args:
        course: The course.
        assignment: The assignment.
        student: nbgrader's id of the student.
        folder: The submission, wherever it lies; notebook and module may be missing.
        result: What grading found.

    Raises:
        RecordingError: If the gradebook does not hold these scores afterwards.
    """
    _check_name(student)
    book_course = course_directory(course, assignment.name, student_id=student)
    with course_lock(course.state_dir):
        mark = RecordedMark(course, assignment, book_course, folder, result)
        if mark.stands():
            return
        with open_book(book_course) as book:
            _check_registered(book, assignment.name)
            _forget(book, assignment.name, student)
        shutil.rmtree(output_folder(book_course, "autograded_directory"), ignore_errors=True)
        with _staged(course, assignment, student, folder) as staging:
            submitted = os.path.relpath(staging / "submitted", course.root)
            staged = course_directory(course, assignment.name, student_id=student, submitted_directory=submitted)
            _autograde(course, staged, result, staging)
        mark.set(check_recorded(book_course, result))


def forget(course: Course, assignment: Assignment, student: str) -> None:
    """Take back a student's automatic scores, because the submission could not be graded anew.

    Raises:
        RecordingError: If the gradebook cannot be used.
    """
    if not student.isprintable():  # never recorded, and no database takes bytes that are no text
        return
    with course_lock(course.state_dir), open_book(course_directory(course, assignment.name)) as book:
        _forget(book, assignment.name, student)


def scores(course: Course, assignment: Assignment) -> dict[str, dict[str, float]]:
    """Return the gradebook's scores by student and grade_id, with manual marks where there are some."""
    table: dict[str, dict[str, float]] = {}
    with open_book(course_directory(course, assignment.name)) as book:
        query = book.db.query(Student.id, BaseCell.name, Grade.score).select_from(Grade)
        query = query.join(BaseCell, BaseCell.id == Grade.cell_id)
        query = query.join(SubmittedNotebook, SubmittedNotebook.id == Grade.notebook_id)
        query = query.join(SubmittedAssignment, SubmittedAssignment.id == SubmittedNotebook.assignment_id)
        query = query.join(BookAssignment, BookAssignment.id == SubmittedAssignment.assignment_id)
        query = query.join(Student, Student.id == SubmittedAssignment.student_id)
        for student, task, score in query.filter(BookAssignment.name == assignment.name):
            table.setdefault(student, {})[task] = float(score)
    return table


def _released_notebook(coursedir: CourseDirectory, assignment: str) -> Path:
    folder = coursedir.format_path(coursedir.release_directory, ".", assignment)
    path = Path(folder, f"{assignment}.ipynb")
    if not path.is_file():
        raise RecordingError(f"There is no released notebook {path}.", _REGISTER)
    return path


@contextmanager
def _staged(course: Course, assignment: Assignment, student: str, folder: Path) -> Iterator[Path]:
    """Yield a folder with what nbgrader may see of a submission below `submitted/`.

    Raises:
        RecordingError: If it cannot be written.
    """
    for left in course.state_dir.glob("recording-*"):  # of a process that was killed: the lock is ours
        shutil.rmtree(left, ignore_errors=True)
    try:
        with tempfile.TemporaryDirectory(dir=course.state_dir, prefix="recording-") as name:
            place = Path(name, "submitted", student, assignment.name)
            place.mkdir(parents=True)
            for file, content in _clean_copy(course, assignment, folder).items():
                (place / file).write_bytes(content)
            yield Path(name)
    except OSError as error:
        raise RecordingError(
            f"The result of {student} could not be recorded: {error}.", "Fix that, then grade again."
        ) from error


def _clean_copy(course: Course, assignment: Assignment, folder: Path) -> dict[str, bytes]:
    notebook, module, timestamp = f"{assignment.name}.ipynb", f"{MODULE}.py", "timestamp.txt"
    try:
        files = read_submission(folder, assignment.name, course.settings).files
    except SubmissionUnreadable:  # the result says so; nbgrader gets an untouched notebook
        files = {}
    copy = {name: files[name] for name in (notebook, module) if name in files}
    if _is_time(files.get(timestamp, b"")):
        copy[timestamp] = files[timestamp]
    if _TICKET.fullmatch(files.get(TICKET_FILE, b"")):
        copy[TICKET_FILE] = files[TICKET_FILE]
    if notebook not in copy:
        copy[notebook] = _released_notebook(course_directory(course, assignment.name), assignment.name).read_bytes()
    return copy


def _is_time(timestamp: bytes) -> bool:
    try:
        return utils.parse_utc(timestamp.decode().strip()) is not None
    except (ValueError, OverflowError):
        return False


def _check_name(student: str) -> None:
    remedy = "Rename the submission's folder."
    if not student.strip(".") or student != student.strip() or set(student) & set("/*?[]"):
        problem = "nbgrader reads it as a pattern, or as another folder."
        raise RecordingError(f"{student!r} cannot be a student's id: {problem}", remedy)
    if set(student) & set('<>&"') or not student.isprintable():
        raise RecordingError(f"{student!r} cannot be a student's id: formgrader's pages would read it as HTML.", remedy)
    if student[0] in "=+-@":
        raise RecordingError(f"{student!r} cannot be a student's id: spreadsheets would read it as a formula.", remedy)


def _check_registered(book: Gradebook, assignment: str) -> None:
    try:
        book.find_notebook(assignment, assignment)
    except MissingEntry as error:
        raise RecordingError(f"The gradebook does not know the assignment {assignment}.", _REGISTER) from error


def _autograde(course: Course, coursedir: CourseDirectory, result: SubmissionResult, staging: Path) -> None:
    step = make_step(Autograde, course, coursedir)
    if RECORDER not in step.autograde_preprocessors:
        raise RecordingError(
            f"c.Autograde.autograde_preprocessors in course_config.py does not name {RECORDER}.", "Put it back."
        )
    given = RecordGrades(result=result, course=course, coursedir=coursedir)
    step.autograde_preprocessors = [given if name == RECORDER else name for name in step.autograde_preprocessors]
    if step.pre_convert_hook is forget_scores:  # done already, under the lock that is held
        step.pre_convert_hook = None
    # Metadata is checked at the end, on what is written; to check it here, too, takes a sixth of the time.
    step.sanitize_preprocessors = [one for one in step.sanitize_preprocessors if one is not CheckCellMetadata]
    try:
        run_staged(step, "autograded_directory", staging / "autograded")
    except StepFailed as error:
        student = coursedir.student_id
        raise RecordingError(f"nbgrader could not record the result of {student}: {error}") from error


def _forget(book: Gradebook, assignment: str, student: str) -> None:
    try:
        submitted = book.find_submission_notebook(assignment, assignment, student)
    except MissingEntry:
        return
    for grade in _automatic_grades(submitted):
        grade.auto_score = None
        grade.needs_manual_grade = True
    submitted.late_submission_penalty = None
    book.db.commit()


def _automatic_grades(submitted: SubmittedNotebook) -> list[Grade]:
    """Return the grades that no person gives: those of test cells."""
    manual = {cell.name for cell in (*submitted.notebook.solution_cells, *submitted.notebook.task_cells)}
    return [grade for grade in submitted.grades if grade.name not in manual]


def _expect(book: Gradebook, assignment: str, student: str) -> None:
    """Enter student and submission now, under the lock: nbgrader would fail where another process does so, too."""
    with suppress(MissingEntry):  # nbgrader itself says that the assignment is not there
        book.find_assignment(assignment)
        book.update_or_create_student(student)
        book.update_or_create_submission(assignment, student)


def _check_tasks(submitted: SubmittedNotebook, result: SubmissionResult) -> None:
    known = {(grade.name, grade.max_score) for grade in _automatic_grades(submitted)}
    graded = {(task.id, task.max_score) for task in result.tasks}
    if known != graded:
        names = ", ".join(sorted({name for name, _ in known ^ graded}))
        raise RecordingError(f"The gradebook has other tasks or points than the checks: {names}.", _REGISTER)


def _write_scores(submitted: SubmittedNotebook, nb: NotebookNode, result: SubmissionResult) -> None:
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if "nbgrader" in cell.metadata}
    for grade in submitted.grades:
        task = result.task(grade.name)
        if task is not None:
            grade.auto_score = task.score
        elif utils.is_grade(cells[grade.name]):
            grade.auto_score = utils.determine_grade(cells[grade.name])[0]  # 0 for an untouched answer
        reviewed = grade.manual_score is not None  # nbgrader asks for another look; the mark itself stays
        grade.needs_manual_grade = grade.auto_score is None or reviewed or (task is not None and task.has_error)
    for comment in submitted.comments:
        cell = cells[comment.name]
        untouched = not utils.is_task(cell) and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
        comment.auto_comment = "No response." if untouched else None


def _show(nb: NotebookNode, result: SubmissionResult, titles: Titles) -> None:
    for cell in nb.cells:
        task = result.task(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if task is not None:
            cell.outputs = [shown_as(render_task_html(task, titles), render_task_text(task, titles))]
    nb.cells.insert(0, summary_cell(result, titles))


def _add_guides(nb: NotebookNode, guides: dict[str, str]) -> None:
    """Put model answer and rubric before each answer that a person marks; feedback leaves them out."""
    places = [n for n, cell in enumerate(nb.cells) if cell.metadata.get("nbgrader", {}).get("grade_id") in guides]
    for place in reversed(places):
        name = nb.cells[place].metadata.nbgrader.grade_id
        text = textwrap.indent(f"{GUIDE_HEADING}\n\n{guides[name]}", "> ", lambda line: True)  # set off as a quotation
        metadata = {"autograder": MARKING_GUIDE}
        nb.cells.insert(place, nbformat.v4.new_markdown_cell(text, metadata=metadata, id=f"guide-{name[:50]}"))
