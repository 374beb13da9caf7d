"""What is written into the gradebook: score, state and history of a submission in one transaction, the files with it.

No command takes a mark away before there is a better one: either a graded submission replaces all that the gradebook
holds of its student, or the old marks stay and say that they are for an earlier hand-in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import msgspec
import sqlalchemy
from nbgrader.api import Grade
from nbgrader.coursedir import CourseDirectory

from autograder.course.course import Course
from autograder.errors import RecordingError
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.database import automatic_rows, transaction
from autograder.gradebook.record_stamp import Graded, Work, read_bases
from autograder.ledger.book_marks import read_book_rows
from autograder.ledger.connections import utc_now
from autograder.ledger.entries import BookState, Change, Entry, SubmissionKey, TaskMark, changes, reasons
from autograder.ledger.graded_answers import settle_marked
from autograder.ledger.history import append, entries_of, is_current, students_with_history
from autograder.ledger.open_marks import write_held_tasks, write_ungraded
from autograder.ledger.outside import account, note_outside, with_outside
from autograder.ledger.scratch_book import students_in_book, write_rows
from autograder.ledger.unfinished import finish, settle, stage
from autograder.marks import EARLIER_STATES, HELD_STATES, OpenState

SYNCED_AT_ONCE = 8
"""Files and folders that the disk is waited for at once: that takes longer than all else."""


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
class _Ready:
    """Work that is about to be written.

    Attributes:
        outside: What changed before without us, and is not in the history yet; None if nothing did.
        recorded: What will be recorded.
    """

    work: Work
    outside: Entry | None
    recorded: Recorded


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

    def record(self, work: Work) -> Recorded:
        """Put new scores, states and the graded notebook in the place of the old ones, and tell the history.

        Raises:
            RecordingError: If the gradebook cannot be used; then the old ones stay. Also if the marks are recorded and
                the graded notebook cannot take its place; the next recording puts it there.
            OSError: If the folder cannot be written.
        """
        recorded = self._record([replace(work, basis=None)])[work.key]
        if isinstance(recorded, RecordingError):
            raise recorded
        return recorded

    def record_together(self, works: Sequence[Work]) -> list[Recorded | RecordingError | None]:
        """Record the work of several students in one transaction, as `record` does.

        Returns:
            For each what was recorded, why the notebook could not take its place, or None where the gradebook is not
            what the work was made from: that changed nothing.

        Raises:
            RecordingError: If the gradebook cannot be used; then nothing is recorded.
            OSError: If a folder cannot be written; then, too.
        """
        outcomes = self._record(works)
        return [outcomes.get(work.key) for work in works]

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

    def _record(self, works: Sequence[Work]) -> dict[SubmissionKey, Recorded | RecordingError]:
        with course_lock(self.course.state_dir), ThreadPoolExecutor(SYNCED_AT_ONCE) as pool:
            self.settle()
            with transaction(self.coursedir) as book:
                ready = [self._ready(book, work) for work in _still_true(book, works)]
                if not self.preview:
                    waiting = list(pool.map(self._stage, ready))
                    _write(book, ready)
            outcomes: dict[SubmissionKey, Recorded | RecordingError] = {
                submission.work.key: submission.recorded for submission in ready
            }
            if not self.preview:  # the transaction is committed
                problems = pool.map(_finish, waiting, [submission.work.key.student for submission in ready])
                outcomes |= {
                    submission.work.key: problem for submission, problem in zip(ready, problems, strict=True) if problem
                }
                self._share()
        return outcomes

    def _ready(self, book: sqlalchemy.Connection, work: Work) -> _Ready:
        last, is_new = with_outside(book, *work.key)
        before = last.book if last else BookState()
        graded = work.graded
        entry = Entry(
            at=utc_now(),
            who=account(),
            command=self.command,
            recording=uuid4().hex,
            submission=graded.submission if graded else "",
            rules=graded.rules if graded else None,
            book=_state_after(work.state, before, graded),
        )
        recorded = Recorded(before, msgspec.structs.replace(entry, why=reasons(last, entry)))
        return _Ready(work, last if is_new else None, recorded)

    def _stage(self, ready: _Ready) -> Path:
        key = ready.work.key
        final = Path(self.coursedir.format_path(self.coursedir.autograded_directory, key.student, key.assignment))
        return stage(self.course.state_dir, ready.recorded.entry.recording, ready.work.folder, final)

    def _share(self) -> None:
        """Let the course's group into the folder above all students', as nbgrader does."""
        folder = Path(self.coursedir.format_path(self.coursedir.autograded_directory, ".", "."))
        if self.coursedir.groupshared and folder.is_dir():
            with suppress(PermissionError):  # another teacher's
                folder.chmod(folder.stat().st_mode & 0o2777 | 0o2770)

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


def _still_true(book: sqlalchemy.Connection, works: Sequence[Work]) -> list[Work]:
    """Return the work that was made from what the gradebook holds now."""
    keys = [work.key for work in works if work.basis]
    bases = read_bases(book, keys[0].assignment, [key.student for key in keys]) if keys else {}
    return [work for work in works if work.basis == bases.get(work.key.student)]


def _write(book: sqlalchemy.Connection, ready: Sequence[_Ready]) -> None:
    """Write scores, states and history; nothing is committed here."""
    marked = {}
    for submission in ready:
        key = submission.work.key
        if submission.outside is not None:
            append(book, *key, submission.outside)
        marked[key] = {name: found[key.student] for name, found in read_book_rows(book, *key).items()}
    write_rows(book, [submission.work.rows for submission in ready])
    for submission in ready:
        key, graded = submission.work.key, submission.work.graded
        settle_marked(book, key, marked[key], submission.work.answers)
        tasks, digest = (graded.result.tasks, graded.submission) if graded else ((), "")
        write_held_tasks(book, key, tasks, digest)
        append(book, *key, submission.recorded.entry)


def _finish(waiting: Path, student: str) -> RecordingError | None:
    """Put a folder in its place; return why that cannot be done."""
    try:
        finish(waiting)
    except OSError as error:
        problem = f"The marks of {student} are recorded, but their graded notebook cannot take its place: {error}."
        return RecordingError(problem, "Fix that, then grade again.")
    return None


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
