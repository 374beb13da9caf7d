"""What nbgrader's `autograde` calls, in place of running the notebook.

`course_config.py` names two things from here. `SubmissionExporter` hands nbgrader the student's notebook with the
release's structure put back, whatever was done to it, and has nbgrader work on copies (`isolated_autograde`).
`RecordGrades` writes every automatic score, an explicit 0 too.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import nbformat
from nbconvert.exporters import NotebookExporter
from nbconvert.preprocessors import ClearMetadataPreprocessor
from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Gradebook, SubmittedNotebook
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import Execute, IgnorePattern, LimitOutput, NbGraderPreprocessor, SaveAutoGrades
from traitlets import Bool, Instance

from autograder.course.assignment import MODULE, is_plain, read_titles
from autograder.course.cells import without_outputs
from autograder.course.course import Course, course_from
from autograder.course.notebook import marking_guides, restore
from autograder.course.pictures import embed_pictures
from autograder.course.submission import Snapshot, read_submission
from autograder.deadlines.extensions import granted_until, hand_on
from autograder.errors import RecordingError, SubmissionUnreadable
from autograder.gradebook.database import REGISTER, transaction
from autograder.gradebook.graded_notebook import add_guides, show_result
from autograder.gradebook.isolated_autograde import GRADED, IsolatedAutograde
from autograder.gradebook.nbgrader_steps import EXPORTER, course_directory, output_folder
from autograder.gradebook.record_stamp import Graded
from autograder.gradebook.student_marks import cells_marked_by_hand
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.graded_answers import GradedAnswer, read_answers
from autograder.ledger.replacing import check_replaces_marks
from autograder.ledger.scratch_book import is_scratch
from autograder.results import SubmissionResult
from autograder.text import without_surrogates

Resources = dict[str, Any]


class SubmissionExporter(NotebookExporter):  # type: ignore[misc]
    """Reads a submitted notebook so that nothing in it can stop nbgrader: see `notebook.restore`.

    Attributes:
        submitted: The submitted notebook that nbgrader read last.
    """

    submitted = b""
    # By itself nbconvert checks the whole notebook after every step: a tenth of the time.
    optimistic_validation = Bool(default_value=True).tag(config=True)

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - nbconvert's
        super().__init__(**kwargs)
        step = self.parent
        if type(step) is Autograde:
            # nbgrader's command and formgrader's button make their own step. This is the only place of ours that they
            # reach before they remove anything, and they name no class for the step in their settings.
            step.__class__ = IsolatedAutograde
            if type(step.parent).__name__ == "NbGraderAPI":  # by name: its module imports all of nbgrader's programs
                step.command = "formgrader"

    def from_file(self, file_stream: IO[str], resources: Resources, **kwargs: object) -> tuple[str, Resources]:
        """Convert one notebook; nbgrader calls this once to sanitise and once more to grade.

        Raises:
            RecordingError: If the course has no released notebook.
        """
        names, coursedir = resources["nbgrader"], self.parent.coursedir
        if is_plain(Path(coursedir.root), names["assignment"]):
            plain: tuple[str, Resources] = super().from_file(file_stream, resources, **kwargs)
            return plain
        content = file_stream.buffer.read()  # type: ignore[attr-defined]
        if Path(file_stream.name).parent == _submitted_folder(coursedir, names):
            self.submitted = content
            content = self._with_pictures(content, Path(file_stream.name).parent, names["assignment"])
        restored = restore(released_notebook(coursedir, names["assignment"]), content)
        notebook = nbformat.reads(restored.decode(), as_version=4)
        converted: tuple[str, Resources] = self.from_notebook_node(notebook, resources, **kwargs)
        return converted

    def _with_pictures(self, notebook: bytes, folder: Path, assignment: str) -> bytes:
        """Put the pictures beside a submitted notebook into it; those of a recorded result are in it already."""

        def beside() -> dict[str, bytes]:
            settings = course_from(Path(self.parent.coursedir.root), self.config).settings
            with suppress(SubmissionUnreadable):
                return read_submission(folder, assignment, settings).files
            return {}

        return embed_pictures(notebook, beside, given_files(self.parent.coursedir, assignment))


class RecordGrades(NbGraderPreprocessor):  # type: ignore[misc]
    """Writes the scores of one submission into a copy of its rows, and what the checks found into its notebook.

    Attributes:
        graded: The result to record; None means to grade the submission now, or take its result from the cache.
        course: The course; None means that of nbgrader's configuration.
        coursedir: nbgrader's view of it; None means that of the step this belongs to.
    """

    graded = Instance(Graded, allow_none=True)
    course = Instance(Course, allow_none=True)
    coursedir = Instance(CourseDirectory, allow_none=True)

    def preprocess(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Grade one notebook; whoever runs nbgrader's step records it.

        Raises:
            RecordingError: If the gradebook's tasks or points are not those of the result, or if nbgrader works in the
                gradebook itself.
        """
        names = resources["nbgrader"]
        if not is_scratch(names["db_url"]):
            problem = f"c.Autograde.exporter_class in course_config.py is not {EXPORTER}, so old marks could be lost."
            raise RecordingError(problem, "Put it back.")
        coursedir = self.coursedir or self.parent.parent.coursedir
        course = self.course or course_from(Path(coursedir.root), self.config)
        if is_plain(course.root, names["assignment"]):
            return self._by_nbgrader(nb, resources)
        graded = self.graded or self._grade(course, coursedir, names)
        gradebook = course_directory(course, names["assignment"]).db_url
        until = granted_until(gradebook, names["assignment"], names["student"])
        with Gradebook(names["db_url"]) as book:
            submitted = book.find_submission_notebook(*_notebook_of(names))
            is_marked = any(grade.manual_score is not None for grade in submitted.grades)
            write_scores(submitted, nb, graded.result, _answers_before(course, names) if is_marked else {})
            # nbgrader keeps the time of an earlier hand-in where this one has none.
            handed_in = coursedir.get_existing_timestamp(str(_submitted_folder(coursedir, names)))
            submitted.assignment.timestamp = handed_in
            if until is not None:  # before the late penalty is worked out
                hand_on(book, book.find_assignment(names["assignment"]), names["student"], until)
            book.db.commit()
        resources[GRADED] = graded
        show_result(nb, graded.result, read_titles(course.root, names["assignment"]))
        add_guides(nb, marking_guides(_source_notebook(coursedir, names["assignment"])))
        return nb, resources

    def _by_nbgrader(self, nb: NotebookNode, resources: Resources) -> tuple[NotebookNode, Resources]:
        """Do what nbgrader does where no setting tells it otherwise: it runs the notebook, unconfined."""
        for step in (Execute, IgnorePattern, ClearMetadataPreprocessor, LimitOutput, SaveAutoGrades):
            nb, resources = step(parent=self.parent)(nb, resources)
        return nb, resources

    def _grade(self, course: Course, coursedir: CourseDirectory, names: dict[str, str]) -> Graded:
        """Grade a submission that nbgrader has read.

        Raises:
            RecordingError: If it was replaced since then: what is graded must be what is recorded.
            SubmissionUnreadable: If there is nothing to grade in it, and an earlier one has marks.
        """
        from autograder.grading.result_store import grader_for  # formgrader loads this module and seldom grades

        grader = grader_for(course, names["assignment"])
        read = grader.look_up(_submitted_folder(coursedir, names), names["student"])
        copied = Path(coursedir.format_path(coursedir.autograded_directory, names["student"], names["assignment"]))
        if read.snapshot.files and not _is_same(read.snapshot, self.parent.submitted, copied / f"{MODULE}.py"):
            raise RecordingError(
                f"{names['student']} handed in again while nbgrader began to grade.", "Grade it again."
            )
        with transaction(course_directory(course, names["assignment"])) as book:
            check_replaces_marks(book, SubmissionKey(names["assignment"], names["student"]), read.snapshot)
        result = read.result or grader.grade_snapshot(read.snapshot, names["student"])
        return Graded(result, read.snapshot.digest, grader.rules)


def _answers_before(course: Course, names: dict[str, str]) -> Mapping[str, GradedAnswer]:
    """Return the answers of the graded notebook that is there now, which a person may have marked."""
    coursedir = course_directory(course, names["assignment"], student_id=names["student"])
    return read_answers(output_folder(coursedir, "autograded_directory") / f"{names['notebook']}.ipynb")


def _notebook_of(names: dict[str, str]) -> tuple[str, str, str]:
    return names["notebook"], names["assignment"], names["student"]


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


def given_files(coursedir: CourseDirectory, assignment: str) -> frozenset[str]:
    """Return the paths of the files that students get, which nbgrader puts beside every page."""
    folder = Path(coursedir.format_path(coursedir.release_directory, ".", assignment))
    return frozenset(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _source_notebook(coursedir: CourseDirectory, assignment: str) -> bytes:
    """Return the instructor's notebook; an empty one where the course has none."""
    path = Path(coursedir.format_path(coursedir.source_directory, ".", assignment), f"{assignment}.ipynb")
    return path.read_bytes() if path.is_file() else b'{"cells": []}'


def _says(cell: NotebookNode, answer: GradedAnswer | None) -> bool:
    """Whether a cell says what was answered before, with the same pictures pasted into it."""
    if answer is None:
        return False
    return without_surrogates(cell.source) == answer.text and (cell.get("attachments") or {}) == answer.pictures


def write_scores(
    submitted: SubmittedNotebook, nb: NotebookNode, result: SubmissionResult, before: Mapping[str, GradedAnswer]
) -> None:
    """Set every score of a submission, an explicit 0 too, and what nbgrader says to unanswered questions.

    Scores go by the gradebook's own list of grades, never by what the notebook holds. A mark by hand stays, and asks
    for another look only where what it was given for is no longer the same: another answer, or other automatic points.

    Args:
        submitted: From the gradebook; its changes are not committed here.
        nb: The submitted notebook, with the release's cells put back.
        result: What the checks found.
        before: The answers of the notebook that was graded before, by grade_id.

    Raises:
        RecordingError: If the gradebook's tasks or points are not those of the result.
    """
    _check_tasks(submitted, result)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if "nbgrader" in cell.metadata}
    for grade in submitted.grades:
        task, points = result.task(grade.name), grade.auto_score
        if task is not None:
            grade.auto_score = task.score
        elif utils.is_grade(cells[grade.name]):
            grade.auto_score = utils.determine_grade(cells[grade.name])[0]  # 0 for an untouched answer
        if grade.manual_score is None:
            grade.needs_manual_grade = grade.auto_score is None or (task is not None and bool(task.held))
        elif task is not None:
            grade.needs_manual_grade |= grade.auto_score != points
        elif utils.is_solution(cells[grade.name]):
            grade.needs_manual_grade |= not _says(cells[grade.name], before.get(grade.name))
    for comment in submitted.comments:
        cell = cells[comment.name]
        untouched = not utils.is_task(cell) and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
        comment.auto_comment = "No response." if untouched else None


def _check_tasks(submitted: SubmittedNotebook, result: SubmissionResult) -> None:
    manual = cells_marked_by_hand(submitted)
    known = {(grade.name, grade.max_score) for grade in submitted.grades if grade.name not in manual}
    graded = {(task.id, task.max_score) for task in result.tasks}
    if known != graded:
        names = ", ".join(sorted({name for name, _ in known ^ graded}))
        gone = ", ".join(sorted({name for name, _ in known} - {name for name, _ in graded}))
        remedy = f"{REGISTER}. A task that was renamed after grading needs its old grade_id back: {gone}."
        problem = f"The gradebook has other tasks or points than the checks: {names}."
        raise RecordingError(problem, remedy if gone else REGISTER)
