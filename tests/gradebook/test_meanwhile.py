"""What else happens to a student's marks while a submission is graded and recorded, and where that is cut short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
import sqlalchemy
from nbconvert.writers import FilesWriter
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde

from autograder.cli.main import main
from autograder.gradebook.autograding import RecordGrades
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.nbgrader_steps import (
    EXPORTER,
    StepFailed,
    course_directory,
    make_step,
    prepare_nbgrader,
    run_step,
)
from autograder.gradebook.record_stamp import Graded
from autograder.grading.rules_digest import read_rules
from autograder.ledger import scratch_book
from autograder.marking.actions import Marker
from autograder.marking.desk import open_desk
from autograder.marking.views import GivenMark, MarkRequest, Seen
from autograder.marks import StudentMarks
from tests.tiny import TinyCourse, tiny_result

QUESTION = "question_01"


@pytest.fixture
def folder(released_course: TinyCourse) -> Path:
    """A hand-in of ada's with an answer in words."""
    notebook = released_course.released_notebook()
    notebook["cells"][-1]["source"] = "Twice."
    return released_course.hand_in("ada", json.dumps(notebook).encode())


def of(course: TinyCourse) -> StudentMarks:
    """What the gradebook says of the only student."""
    (ada,) = class_marks(course.course, course.assignment).students
    return ada


def mark_on_our_page(course: TinyCourse, points: float) -> None:
    """Mark ada's answer as the marking page does."""
    desk = open_desk(course.course, "tiny")
    (paper,) = desk.papers(QUESTION).values()
    row = desk.answer_row(paper, named=False)
    shown = {row.id: Seen(row.digest, row.points, row.comment)}
    request = MarkRequest(QUESTION, shown, GivenMark((), points=points), "one")
    Marker(desk, desk.question(QUESTION), "Kim").mark(request)


def mark_in_formgrader(course: TinyCourse, points: float) -> None:
    """Do what formgrader does when a marker types points."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        grade = book.find_grade(QUESTION, "tiny", "tiny", "ada")
        grade.manual_score, grade.needs_manual_grade = points, False
        book.db.commit()


def test_a_mark_that_formgrader_writes_while_we_record_stays(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course, usual = released_course, scratch_book.write_rows
    course.record("ada", folder, tiny_result())
    mark_on_our_page(course, 1.0)

    def write(book: sqlalchemy.Connection, graded: Sequence[scratch_book.GradedRows]) -> None:
        mark_in_formgrader(course, 0.5)
        usual(book, graded)

    monkeypatch.setattr("autograder.gradebook.transactions.write_rows", write)
    course.record("ada", folder, tiny_result(double=1.0))
    assert of(course).scores == {"double": 1.0, "total": 2.0, QUESTION: 0.5}


def test_a_new_student_whom_two_programs_grade_at_once(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nbgrader's command, or formgrader's button, takes a while to grade; ours records and a person marks meanwhile."""
    course = released_course

    def grade(*args: object) -> Graded:
        course.record("ada", folder, tiny_result(double=1.0))
        mark_in_formgrader(course, 0.5)
        monkeypatch.setenv("NBGRADER_EXECUTION", "autograde")  # which nbgrader removes, here in one process
        return Graded(tiny_result(), "sha256:0", read_rules(course.course, course.assignment))

    monkeypatch.setattr(RecordGrades, "_grade", grade)
    run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny", student_id="ada")))
    assert of(course).scores == {"double": 3.0, "total": 2.0, QUESTION: 0.5}
    assert main(["history", "ada", "--quiet", "--course", str(course.root), "--assignment", "tiny"]) == 0


@pytest.mark.parametrize("newer", [False, True])
def test_marks_are_those_of_an_earlier_hand_in_only_where_there_is_a_newer_one(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch, *, newer: bool
) -> None:
    """Where nbgrader's own command is interrupted, or fails."""
    course = released_course
    course.record("ada", folder, tiny_result())
    if newer:
        (folder / "utilities.py").write_text("# new")

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(FilesWriter, "write", fail)
    graded = Graded(tiny_result(), "sha256:0", read_rules(course.course, course.assignment))
    monkeypatch.setattr(RecordGrades, "_grade", lambda *args: graded)
    with pytest.raises(StepFailed):
        run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny", student_id="ada")))
    assert [mark.id for mark in of(course).earlier] == (["double", "total"] if newer else [])


def test_nbgraders_own_commands_work_on_copies_also_where_the_setting_is_gone(released_course: TinyCourse) -> None:
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text().replace("c.Autograde.exporter_class", "# "))
    config = released_course.read_again().course.nbgrader
    prepare_nbgrader(config)
    assert config.Autograde.exporter_class == EXPORTER
