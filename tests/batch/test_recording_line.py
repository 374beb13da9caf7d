"""Recording a batch: prepared beside the writer, written together, and prepared again where the gradebook changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde

from autograder.batch import recording_line
from autograder.batch.outcome import GradedSubmission
from autograder.batch.recording_line import record_each
from autograder.course.submission import read_submission
from autograder.deadlines.extensions import read_extension, write_extension
from autograder.errors import RecordingError
from autograder.gradebook import recording
from autograder.gradebook.database import transaction
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.gradebook.record_stamp import Recording, Work
from autograder.gradebook.recording import Recorder, prepare
from autograder.grading.result_store import ReadSubmission
from autograder.grading.rules_digest import read_rules
from autograder.ledger.entries import BookState
from autograder.ledger.outside import current_state
from autograder.ledger.unfinished import stage
from autograder.results import SubmissionResult
from tests.ledger.test_marks_over_time import BREAKING, Killed, ended_by
from tests.tiny import TinyCourse, tiny_result

STUDENTS = ("ada", "bob", "cyd")
OLD, NEW = tiny_result(double=1.0, total=0.0), tiny_result(double=3.0)


@pytest.fixture
def course(released_course: TinyCourse) -> TinyCourse:
    """A course with a late policy, and hand-ins of three students, who are half an hour late."""
    with (released_course.root / "course_config.py").open("a") as file:
        file.write('\nc.AssignLatePenalties.plugin_class = "tests.tiny.HalfOff"\n')
    course = released_course.read_again()
    with open_book(course) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 12:00:00 UTC")
    for student in STUDENTS:
        folder = course.hand_in(student, json.dumps(course.released_notebook()).encode())
        (folder / "timestamp.txt").write_text("2030-01-01 12:30:00 UTC")
    return course


def open_book(course: TinyCourse) -> Gradebook:
    """The course's gradebook."""
    return Gradebook(f"sqlite:///{course.root / 'gradebook.db'}")


def graded(course: TinyCourse, result: SubmissionResult = NEW) -> list[GradedSubmission]:
    """What came of the three, with a made result."""
    folders = {student: course.root / "submitted" / student / "tiny" for student in STUDENTS}
    return [
        GradedSubmission(student, folder, result, snapshot=read_submission(folder, "tiny", course.course.settings))
        for student, folder in folders.items()
    ]


def prepared(course: TinyCourse, recorder: Recorder, result: SubmissionResult = NEW) -> list[tuple[Recording, Work]]:
    """Prepare the three."""
    new = [recorder.new(each.student, each.snapshot, result) for each in graded(course) if each.snapshot]
    return [(found, prepare(found)) for found in new if found]


def state_of(course: TinyCourse, student: str) -> BookState:
    """What the gradebook holds of one student."""
    with transaction(course_directory(course.course, "tiny")) as book:
        return current_state(book, "tiny", student)


def notebook_of(course: TinyCourse, student: str) -> bytes:
    """A student's graded notebook."""
    return (course.root / "autograded" / student / "tiny/tiny.ipynb").read_bytes()


@contextmanager
def noting_preparations() -> Iterator[list[str]]:
    """Yield the students for whom the writer prepares."""
    students: list[str] = []

    def noted(found: Recording) -> Work:
        students.append(found.student)
        return prepare(found)

    with patch.object(recording, "prepare", noted):
        yield students


def test_what_is_written_together_is_what_nbgrader_gives(course: TinyCourse) -> None:
    recorder = Recorder(course.course, course.assignment)
    with noting_preparations() as again:
        recorder.write(prepared(course, recorder))
    ours = [(state_of(course, student), notebook_of(course, student)) for student in STUDENTS]
    assert (again, ours[0][0].penalty) == ([], 2.5)
    with open_book(course) as book:
        for student in STUDENTS:
            book.remove_student(student)

    class Grader:
        """Finds the made result."""

        rules = read_rules(course.course, course.assignment)

        def look_up(self, folder: Path, student: str) -> ReadSubmission:
            return ReadSubmission(read_submission(folder, "tiny", course.course.settings), NEW)

    with patch("autograder.grading.result_store.grader_for", lambda *args: Grader()):
        run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny")))
    assert [(state_of(course, student), notebook_of(course, student)) for student in STUDENTS] == ours


def mark(course: TinyCourse) -> None:
    """Mark bob's answer as formgrader does."""
    with open_book(course) as book:
        grade = book.find_grade("question_01", "tiny", "tiny", "bob")
        grade.manual_score, grade.needs_manual_grade = 1.0, False
        book.db.commit()


def extend(course: TinyCourse) -> None:
    """Grant bob an hour."""
    with open_book(course) as book:
        assignment = book.find_assignment("tiny")
        until = read_extension("+1h", assignment.duedate, course.course.settings.zone)
        write_extension(book, assignment, "bob", until)
        book.db.commit()


def record_another(course: TinyCourse) -> None:
    """Let another command record another result of bob's."""
    course.record("bob", course.root / "submitted/bob/tiny", tiny_result(double=2.0))


@pytest.mark.parametrize(
    ("change", "penalty", "question"), [(mark, 3.0, 1.0), (extend, None, None), (record_another, 2.5, None)]
)
def test_what_changed_since_it_was_prepared_is_prepared_again(
    course: TinyCourse, change: Callable[[TinyCourse], None], penalty: float | None, question: float | None
) -> None:
    recorder = Recorder(course.course, course.assignment)
    recorder.write(prepared(course, recorder, OLD))
    works = prepared(course, recorder)
    change(course)
    with noting_preparations() as again:
        outcomes = recorder.write(works)
    assert again == ["bob"]
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    state = state_of(course, "bob")
    assert (state.marks["double"].automatic, state.marks["question_01"].by_hand) == (3.0, question)
    assert state.penalty == penalty
    assert [state_of(course, student).penalty for student in ("ada", "cyd")] == [2.5, 2.5]


def test_a_due_date_that_changed_meanwhile_counts_for_all(course: TinyCourse) -> None:
    recorder = Recorder(course.course, course.assignment)
    works = prepared(course, recorder)
    with open_book(course) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-02 12:00:00 UTC")
    recorder.write(works)
    assert [state_of(course, student).penalty for student in STUDENTS] == [None] * 3


def test_one_that_cannot_be_written_stops_none_of_those_written_with_it(course: TinyCourse) -> None:
    recorder = Recorder(course.course, course.assignment)

    def staged(state_dir: Path, name: str, made: Path, final: Path) -> Path:
        if "bob" in final.parts:
            raise OSError("No space left on device")
        return stage(state_dir, name, made, final)

    with patch("autograder.gradebook.transactions.stage", staged):
        ada, bob, cyd = recorder.write(prepared(course, recorder))
    assert not isinstance(ada, Exception) and not isinstance(cyd, Exception)
    assert isinstance(bob, OSError)
    assert [bool(state_of(course, student).marks) for student in STUDENTS] == [True, False, True]
    left = {path.name for path in course.course.state_dir.iterdir()}
    assert not [name for name in left if name.startswith("autograde-")]


@pytest.mark.parametrize(
    "where", [place for place in sorted(BREAKING) if place not in ("the copy of the rows", "the notebook")]
)
def test_a_kill_while_several_are_written_leaves_each_as_it_was_or_as_it_will_be(
    course: TinyCourse, where: str
) -> None:
    recorder = Recorder(course.course, course.assignment)
    recorder.write(prepared(course, recorder, OLD))
    old = {student: (state_of(course, student), notebook_of(course, student)) for student in STUDENTS}
    works = prepared(course, recorder)
    with suppress(Killed), ended_by(Killed(), where):
        recorder.write(works)
    written = [state_of(course, student).marks["double"].automatic for student in STUDENTS]
    assert len(set(written)) == 1  # one transaction
    course.record_ungraded("dan", "No memory.")  # the next command settles
    for student in STUDENTS:
        is_old = (state_of(course, student), notebook_of(course, student)) == old[student]
        assert is_old == (written[0] == 1.0)
        assert is_old or b"double is" not in notebook_of(course, student)
    outcomes = recorder.write(prepared(course, recorder))
    assert not any(isinstance(outcome, Exception) for outcome in outcomes)
    assert {state_of(course, student).marks["double"].automatic for student in STUDENTS} == {3.0}


class Broken(Executor):
    """A pool whose processes die."""

    def __init__(self, *, at_once: bool) -> None:
        self._at_once = at_once

    def submit(self, *words: Any, **values: Any) -> Future[Any]:
        """Fail now or later."""
        if self._at_once:
            raise BrokenProcessPool
        future: Future[Any] = Future()
        future.set_exception(BrokenProcessPool())
        return future


@pytest.mark.parametrize("pool", [None, Broken(at_once=True), Broken(at_once=False)], ids=["real", "broken", "dying"])
def test_other_processes_prepare_where_results_come_fast(
    course: TinyCourse, monkeypatch: pytest.MonkeyPatch, pool: Executor | None
) -> None:
    monkeypatch.setattr(recording_line, "ALONE", 0)
    monkeypatch.setattr(recording_line, "SLOW_SECONDS", 60.0)
    if pool is not None:

        @contextmanager
        def broken_pool(workers: int) -> Iterator[Executor]:
            yield pool

        monkeypatch.setattr(recording_line, "worker_pool", broken_pool)
    else:
        monkeypatch.setattr(recording_line, "prepare", None)  # not in this process
    done = list(record_each(course.course, course.assignment, graded(course), preview=False, jobs=2))
    assert [(each.student, each.error, each.recorded is not None) for each in done] == [
        (student, None, True) for student in STUDENTS
    ]
    assert [state_of(course, student).penalty for student in STUDENTS] == [2.5] * 3


def test_recording_finds_rows_by_an_index_and_a_preview_adds_none(course: TinyCourse) -> None:
    def indexes() -> set[str | None]:
        with transaction(course_directory(course.course, "tiny")) as book:
            return {index["name"] for index in sqlalchemy.inspect(book).get_indexes("grade")}

    before = indexes()
    Recorder(course.course, course.assignment, preview=True)
    assert indexes() == before
    for _ in range(2):
        Recorder(course.course, course.assignment)
        assert indexes() - before == {"ix_autograder_grade_notebook_id"}


def test_a_gradebook_that_is_not_there_stops_the_recording_of_each(course: TinyCourse) -> None:
    (course.root / "gradebook.db").unlink()
    done = list(record_each(course.course, course.assignment, graded(course), preview=False))
    assert all(isinstance(each.error, RecordingError) for each in done)
