"""nbgrader's `autograde` on copies, so that all that it changes for a student changes at once, or not at all.

By itself nbgrader first removes the student's graded notebook, commits the time of the new hand-in, grades, commits
scores and then the late penalty, and removes the folder again where anything fails. Here it works on a copy of the
student's rows and in a folder of its own. When it is through, `GradebookWriter` puts both in the place of the old
ones; if it fails or is killed before that, nothing has changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory

from autograder.course.course import Course, course_from
from autograder.course.submission import read_submission
from autograder.errors import AutograderError, RecordingError, SubmissionUnreadable
from autograder.files import two_folders
from autograder.gradebook.class_marks import known_names
from autograder.gradebook.database import transaction
from autograder.gradebook.record_stamp import Graded, Work
from autograder.gradebook.transactions import GradebookWriter, Recorded
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.graded_answers import read_answers
from autograder.ledger.history import is_recorded_last
from autograder.ledger.scratch_book import ScratchBook, read_book_state, scratch_book
from autograder.ledger.unfinished import sync_folder
from autograder.text import one_form

GRADED = "autograder_graded"
"""Where `RecordGrades` leaves a `Graded` in nbconvert's resources."""
UNFINISHED = "autograde did not come to an end; nbgrader's log says why"
_OF_WORK = "autograde-"
"""How folders of unfinished work are called in the course's folder for state."""
_LEFT_SECONDS = 24 * 3600.0  # nobody grades one student for so long
Resources = dict[str, Any]


@dataclass
class _Student:
    """The student who is graded now.

    Attributes:
        copies: Closes them.
        scratch: Copy of the student's rows.
        graded: What the checks found; None until then, or where nbgrader grades alone.
    """

    key: SubmissionKey
    copies: ExitStack
    scratch: ScratchBook
    graded: Graded | None = None


class IsolatedAutograde(Autograde):  # type: ignore[misc]
    """Grades as nbgrader does, and leaves the old marks until the new ones are there.

    Attributes:
        gradebook_writer: Writes into the gradebook; None means that of nbgrader's configuration.
        command: What the history names as the origin.
        prepares: Whether what is made is left to the caller to record. Otherwise marks are also flagged as those of an
            earlier hand-in where grading fails.
        prepared: What was made of the last student and left to the caller.
        recorded: What came of the last student; None if nothing was recorded.
        failure: Why the last student's marks could not be recorded, in our own words.
    """

    gradebook_writer: GradebookWriter | None = None
    command = "nbgrader autograde"
    prepares = False
    prepared: Work | None = None
    recorded: Recorded | None = None
    failure: Exception | None = None
    _student: _Student | None = None

    def convert_notebooks(self) -> None:
        """Grade everyone who was chosen; afterwards nbgrader sees its own folders again."""
        usual = self.coursedir
        course = self.gradebook_writer.course if self.gradebook_writer else course_from(Path(usual.root), self.config)
        self.gradebook_writer = self.gradebook_writer or GradebookWriter(course, usual, self.command)
        with work_folder(course) as name:
            # Even where nbgrader cleans up after a failure, it reaches nothing but this folder.
            self.coursedir: Any = _apart(usual, Path(name))
            try:
                super().convert_notebooks()
            finally:
                self._end_student()
                self.coursedir = usual

    def init_destination(self, assignment_id: str, student_id: str) -> bool:
        """Prepare the copies for one student; return whether to grade at all, which nbgrader decides as ever."""
        self._end_student()
        self._refuse_two_folders(assignment_id, student_id)
        student_id = self._known_as(student_id)
        usual = self._gradebook_writer.coursedir
        there = Path(usual.format_path(usual.autograded_directory, student_id, assignment_id))
        if there.is_dir() and (not self.force or self.coursedir.notebook_id != "*"):
            shutil.copytree(there, self._format_dest(assignment_id, student_id))  # what nbgrader looks at, or leaves
        if not super().init_destination(assignment_id, student_id):
            return False
        key, copies = SubmissionKey(assignment_id, student_id), ExitStack()
        try:
            with transaction(usual) as book:
                scratch = copies.enter_context(scratch_book(book, *key))
        except AutograderError as error:
            self.failure = error
            raise
        self.coursedir.db_url = scratch.url
        self._student, self.prepared, self.recorded, self.failure = _Student(key, copies, scratch), None, None, None
        return True

    def init_assignment(self, assignment_id: str, student_id: str) -> None:
        """Prepare the rows of one student, under the gradebook's name."""
        super().init_assignment(assignment_id, self._known_as(student_id))

    def init_single_notebook_resources(self, notebook_filename: str) -> Resources:
        """Say what a notebook is, with the gradebook's name of the student."""
        resources: Resources = super().init_single_notebook_resources(notebook_filename)
        resources["nbgrader"]["student"] = self._known_as(resources["nbgrader"]["student"])
        return resources

    def convert_single_notebook(self, notebook_filename: str) -> None:
        """Grade one notebook, and remember why that fails."""
        try:
            super().convert_single_notebook(notebook_filename)
        except AutograderError as error:
            self.failure = error
            raise

    def write_single_notebook(self, output: str, resources: Resources) -> None:
        """Write one notebook, and remember what `RecordGrades` found for it."""
        if GRADED in resources and self._student:
            self._student.graded = resources[GRADED]
        super().write_single_notebook(output, resources)

    def set_permissions(self, assignment_id: str, student_id: str) -> None:
        """Do the last that nbgrader does to a folder, then put it and the marks in the place of the old ones."""
        student_id = self._known_as(student_id)
        super().set_permissions(assignment_id, student_id)
        if self._student is None:
            return
        try:
            work = self._work(self._student, Path(self._format_dest(assignment_id, student_id)))
            if self.prepares:
                self.prepared = _set_aside(work, self._gradebook_writer.course)
            else:
                self.recorded = self._gradebook_writer.record(work)
        except (AutograderError, OSError) as error:
            self.failure = error
            raise

    def _work(self, student: _Student, folder: Path) -> Work:
        sync_folder(folder)
        answers = read_answers(folder / f"{student.key.assignment}.ipynb")
        rows = student.scratch.graded_rows()
        state = read_book_state(student.scratch.connection, *student.key)
        return Work(student.key, rows, state, folder, answers, student.graded)

    @property
    def _gradebook_writer(self) -> GradebookWriter:
        if self.gradebook_writer is None:
            raise RecordingError("nbgrader began to grade without a gradebook.")
        return self.gradebook_writer

    def _refuse_two_folders(self, assignment_id: str, student_id: str) -> None:
        """Refuse a student who handed in under both Unicode forms of a name.

        Raises:
            RecordingError: If one did.
        """
        if student_id.isascii():
            return
        folder = Path(self.coursedir.format_path(self.coursedir.submitted_directory, student_id, assignment_id))
        if why := two_folders(folder.parents[1], assignment_id).get(one_form(student_id)):
            self.failure = RecordingError(why)
            raise self.failure

    def _known_as(self, folder: str) -> str:
        """Return the gradebook's name of a student, whose folder may have it in another form of Unicode."""
        course = self._gradebook_writer.course
        known = known_names(course, self._gradebook_writer.coursedir.assignment_id, [folder])[folder]
        self.coursedir.folders.setdefault(known, folder)
        return known

    def _end_student(self) -> None:
        """Let go of one student's copies, and flag the old marks where no new ones were recorded."""
        student, self._student = self._student, None
        if student is None:
            return
        student.copies.close()
        if self.recorded is None and not self.prepares:  # else whoever called says why it failed
            with suppress(AutograderError, OSError):  # the old marks stay all the same
                if not self._is_marked_already(student.key):
                    self._gradebook_writer.flag(student.key, str(self.failure or UNFINISHED))

    def _is_marked_already(self, key: SubmissionKey) -> bool:
        """Return whether the old marks are for what is handed in now, as where grading it again was interrupted."""
        writer = self._gradebook_writer
        folder = Path(self.coursedir.format_path(self.coursedir.submitted_directory, key.student, key.assignment))
        try:
            snapshot = read_submission(folder, key.assignment, writer.course.settings)
        except SubmissionUnreadable:
            return False
        with transaction(writer.coursedir) as book:
            return is_recorded_last(book, *key, snapshot.digest)


def work_folder(course: Course) -> tempfile.TemporaryDirectory[str]:
    """Make a folder for what nbgrader writes, and remove those of processes that were killed long ago."""
    course.state_dir.mkdir(parents=True, exist_ok=True)
    for left in course.state_dir.glob(f"{_OF_WORK}*"):
        with suppress(FileNotFoundError):  # another process looks, too
            if time.time() - left.stat().st_mtime > _LEFT_SECONDS:
                shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(dir=course.state_dir, prefix=_OF_WORK, ignore_cleanup_errors=True)


def _set_aside(work: Work, course: Course) -> Work:
    """Move the folder of what was made to where it stays when nbgrader is through."""
    folder = course.state_dir / f"{_OF_WORK}{uuid4().hex}"
    work.folder.rename(folder)
    return replace(work, folder=folder)


class _Apart(CourseDirectory):  # type: ignore[misc]
    """A course directory whose hand-ins may lie in folders of another name.

    Attributes:
        folders: Folder in `submitted/` by the gradebook's name of a student.
    """

    folders: dict[str, str]

    def format_path(self, nbgrader_step: str, student_id: str, assignment_id: str, escape: bool = False) -> str:
        """Return a path as nbgrader does."""
        if nbgrader_step == self.submitted_directory:
            student_id = self.folders.get(student_id, student_id)
        path: str = super().format_path(nbgrader_step, student_id, assignment_id, escape)
        return path


def _apart(usual: CourseDirectory, folder: Path) -> _Apart:
    """Return nbgrader's view of the course with another folder for graded notebooks."""
    traits = {name: getattr(usual, name) for name in usual.traits(config=True)}
    apart = _Apart(config=usual.config, **traits)
    apart.folders = {}
    apart.autograded_directory = os.path.relpath(folder / "autograded", usual.root)
    return apart
