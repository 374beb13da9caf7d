"""What is written into the gradebook: score, state and history of a submission in one transaction, the files with it.

No command takes a mark away before there is a better one: either a graded submission replaces all that the gradebook
holds of its student, or the old marks stay and say that they are for an earlier hand-in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import msgspec
import sqlalchemy
from nbgrader.api import Assignment as BookAssignment
from nbgrader.api import Grade, Notebook
from nbgrader.coursedir import CourseDirectory

from autograder.course.course import Course
from autograder.errors import RecordingError
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import REGISTER, automatic_rows, transaction
from autograder.grading.rules_digest import Rules
from autograder.ledger.book_marks import read_book_rows
from autograder.ledger.connections import utc_now
from autograder.ledger.entries import BookState, Change, Entry, SubmissionKey, TaskMark, changes, reasons
from autograder.ledger.graded_answers import read_answers, settle_marked
from autograder.ledger.history import append, entries_of, is_current, students_with_history
from autograder.ledger.open_marks import write_held_tasks, write_ungraded
from autograder.ledger.outside import account, note_outside, with_outside
from autograder.ledger.scratch_book import ScratchBook, read_book_state, students_in_book
from autograder.ledger.unfinished import finish, settle, stage
from autograder.marks import EARLIER_STATES, HELD_STATES, OpenState
from autograder.results import SubmissionResult


@dataclass(frozen=True)
class Graded:
    """A result, and what it depends on.

    Attributes:
        submission: Digest of what was graded.
    """

    result: SubmissionResult
    submission: str
    rules: Rules


@dataclass(frozen=True)
class Work:
    """What nbgrader made of one submission on copies.

    Attributes:
        scratch: The student's rows.
        folder: With the graded notebook.
        graded: What the checks found; None where nbgrader graded alone.
    """

    scratch: ScratchBook
    folder: Path
    graded: Graded | None


@dataclass(frozen=True)
class Recorded:
    """What was written into the gradebook, or would be.

    Attributes:
        before: What the gradebook held before.
        entry: The new entry of the student's history.
    """

    before: BookState
    entry: Entry

    @property
    def changes(self) -> list[Change]:
        """Each mark that changed."""
        return changes(self.before, self.entry)

    @property
    def has_earlier_mark(self) -> bool:
        """Whether a mark is for an earlier hand-in now."""
        return any(mark.state in EARLIER_STATES for mark in self.entry.book.marks.values())


@dataclass(frozen=True)
class GradebookWriter:
    """Writes into a course's gradebook.

    Attributes:
        coursedir: nbgrader's view of the course, with the gradebook itself and the folders that formgrader shows.
        command: What the history names as the origin.
        preview: Whether to say what would be written, and to write nothing.
    """

    course: Course
    coursedir: CourseDirectory
    command: str
    preview: bool = False

    def settle(self) -> None:
        """Complete or remove what a killed process left; the course's lock must be held.

        Raises:
            RecordingError: If the gradebook cannot be used.
        """
        unfinished = self.course.state_dir / "unfinished"
        if not self.preview and unfinished.is_dir() and any(unfinished.iterdir()):
            with transaction(self.coursedir) as book:
                settle(self.course.state_dir, lambda recording: is_current(book, recording))

    def record(self, key: SubmissionKey, work: Work) -> Recorded:
        """Put new scores, states and the graded notebook in the place of the old ones, and tell the history.

        Raises:
            RecordingError: If the gradebook cannot be used; then the old ones stay. Also if the marks are recorded and
                the graded notebook cannot take its place; the next recording puts it there.
            OSError: If the folder cannot be written.
        """
        recording = uuid4().hex
        with course_lock(self.course.state_dir):
            self.settle()
            with transaction(self.coursedir) as book:
                last, is_new = with_outside(book, *key)
                recorded = self._recorded(key, work, recording, last)
                if self.preview:
                    return recorded
                folders = self.coursedir.autograded_directory
                final = Path(self.coursedir.format_path(folders, key.student, key.assignment))
                answers = read_answers(work.folder / f"{key.assignment}.ipynb")
                waiting = stage(self.course.state_dir, recording, work.folder, final)
                if last is not None and is_new:
                    append(book, *key, last)
                rows = {name: found[key.student] for name, found in read_book_rows(book, *key).items()}
                work.scratch.write_to(book)
                settle_marked(book, key, rows, answers)
                tasks, digest = (work.graded.result.tasks, work.graded.submission) if work.graded else ((), "")
                write_held_tasks(book, key, tasks, digest)
                append(book, *key, recorded.entry)
            _finish(waiting, key.student)  # the transaction is committed
        return recorded

    def flag(self, key: SubmissionKey, why: str) -> Recorded | None:
        """Say of a student's automatic marks that they are for an earlier hand-in, since the last cannot be graded.

        Args:
            key: The submission that cannot be graded.
            why: What went wrong.

        Returns:
            What changed; None where the gradebook has no submission.

        Raises:
            RecordingError: If the gradebook cannot be used.
        """
        with course_lock(self.course.state_dir):
            self.settle()
            with transaction(self.coursedir) as book:
                last, is_new = with_outside(book, *key)
                if last is None or not last.book.marks:
                    return None
                rows = automatic_rows(book, *key)
                states = _states_if_ungraded(last.book, {row.name for row in rows})
                entry = self._ungraded(last, states, why)
                if not self.preview:
                    if is_new:
                        append(book, *key, last)
                    automatic = Grade.id.in_([row.id for row in rows]) & Grade.manual_score.is_(None)
                    book.execute(sqlalchemy.update(Grade).where(automatic).values(needs_manual_grade=True))
                    write_ungraded(book, key, states, why)
                    if entry.why:
                        append(book, *key, entry)
        return Recorded(last.book, entry)

    def history(self, key: SubmissionKey) -> list[Recorded]:
        """Return a student's history, oldest first, after what changed outside was added to it.

        Raises:
            RecordingError: If the gradebook cannot be used.
        """
        with course_lock(self.course.state_dir):
            self.settle()
            with transaction(self.coursedir) as book:
                note_outside(book, *key)
                entries = entries_of(book, *key)
        befores = [BookState(), *(entry.book for entry in entries)]
        return [Recorded(before, entry) for before, entry in zip(befores, entries, strict=False)]

    def students(self) -> set[str]:
        """Return everyone who has a submission of the assignment, or had one.

        Raises:
            RecordingError: If the gradebook cannot be used.
        """
        assignment = self.coursedir.assignment_id
        with transaction(self.coursedir) as book:
            return students_in_book(book, assignment) | students_with_history(book, assignment)

    def _recorded(self, key: SubmissionKey, work: Work, recording: str, last: Entry | None) -> Recorded:
        before = last.book if last else BookState()
        graded = work.graded
        entry = Entry(
            at=utc_now(),
            who=account(),
            command=self.command,
            recording=recording,
            submission=graded.submission if graded else "",
            rules=graded.rules if graded else None,
            book=_state_after(read_book_state(work.scratch.connection, *key), before, graded),
        )
        return Recorded(before, msgspec.structs.replace(entry, why=reasons(last, entry)))

    def _ungraded(self, last: Entry, states: Mapping[str, OpenState], why: str) -> Entry:
        marks = {
            task: msgspec.structs.replace(mark, state=states[task]) if task in states and mark.by_hand is None else mark
            for task, mark in last.book.marks.items()
        }
        return msgspec.structs.replace(
            last,
            at=utc_now(),
            who=account(),
            command=self.command,
            recording="",
            book=msgspec.structs.replace(last.book, marks=marks),
            why={task: "not graded" for task in marks if marks[task] != last.book.marks[task]},
            note=why,
        )


def check_registered(book: sqlalchemy.Connection, assignment: str) -> None:
    """Refuse an assignment that the gradebook does not know.

    Raises:
        RecordingError: If it does not.
    """
    known = sqlalchemy.select(Notebook.id).join(BookAssignment, BookAssignment.id == Notebook.assignment_id)
    known = known.where(BookAssignment.name == assignment, Notebook.name == assignment)
    if not sqlalchemy.inspect(book).has_table("notebook") or book.execute(known).first() is None:
        raise RecordingError(f"The gradebook does not know the assignment {assignment}.", REGISTER)


def _finish(waiting: Path, student: str) -> None:
    try:
        finish(waiting)
    except OSError as error:
        problem = f"The marks of {student} are recorded, but their graded notebook cannot take its place: {error}."
        raise RecordingError(problem, "Fix that, then grade again.") from error


def _states_if_ungraded(book: BookState, automatic: set[str]) -> dict[str, OpenState]:
    """Return the state of each task when the last hand-in cannot be graded: one that is held stays so."""
    states: dict[str, OpenState] = {}
    for task in sorted(automatic & set(book.marks)):
        mark = book.marks[task]
        if mark.automatic is None:
            states[task] = "held"
        else:
            states[task] = "held earlier" if mark.state in HELD_STATES else "earlier"
    return states


def _state_after(made: BookState, before: BookState, graded: Graded | None) -> BookState:
    """Return what the gradebook will hold: what was graded on a copy, and marks by hand as they are now."""
    results = {task.id: task for task in graded.result.tasks} if graded else {}
    marks = {}
    for name, mark in made.marks.items():
        now = before.marks.get(name, mark)
        task = results.get(name)
        state: OpenState | None = "held" if task and task.held and now.by_hand is None else None
        stand_in = bool(task and task.carried_forward)
        marks[name] = TaskMark(mark.automatic, now.by_hand, now.extra, state, stand_in)
    return msgspec.structs.replace(made, marks=marks)
