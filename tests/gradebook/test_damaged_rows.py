"""Damaged rows in our own tables of the gradebook: they are named, cost no mark, and can be put right."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.batch.outcome import GradedSubmission
from autograder.batch.recording_line import record_each
from autograder.cli.main import main
from autograder.course.submission import read_submission
from autograder.gradebook.class_marks import class_marks
from autograder.marks import StudentMarks
from tests.tiny import TinyCourse, tiny_result

HELD = tiny_result(double=2.0, total=2.0, outcome="error")
NO_TEXT = "CAST(x'ff' AS TEXT)"
"""Bytes that are no text, where text is said to stand."""


def hand_in(course: TinyCourse, student: str = "ada") -> Path:
    return course.hand_in(student, json.dumps(course.released_notebook()).encode())


def run(course: TinyCourse, *words: str) -> int:
    return main([*words, "--course", str(course.root), "--assignment", "tiny"])


def sql(course: TinyCourse, statement: str) -> list[tuple[object, ...]]:
    """Change or read the gradebook behind everybody's back."""
    with sqlite3.connect(course.root / "gradebook.db") as book:
        return book.execute(statement).fetchall()


def of(course: TinyCourse) -> StudentMarks:
    """What the gradebook says of the only student."""
    (ada,) = class_marks(course.course, course.assignment).students
    return ada


DAMAGES = {
    "since = 'soon'": True, f"since = {NO_TEXT}": True, "since = 7": True, "state = 'odd'": True,
    f"state = {NO_TEXT}": True, "why = x'ff'": False, f"why = {NO_TEXT}": False, "submission = 3": False,
}  # fmt: skip
"""To a row of open marks, and whether it is told."""


def test_a_damaged_row_of_open_marks_keeps_its_task_held_and_says_so(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    folder = hand_in(course)
    course.record("ada", folder, HELD)
    before = of(course).scores
    for damage, is_told in DAMAGES.items():
        sql(course, f"UPDATE autograder_open_marks SET {damage}")  # noqa: S608 - a test's own words
        (held,) = of(course).held
        assert held.id == "double"
        assert held.open
        assert ("ada, double in autograder_open_marks cannot be read" in held.open.why) == is_told, damage
        assert of(course).scores == before
        if is_told:
            course.record("ada", folder, HELD)  # what the remedy says
            (held,) = of(course).held
            assert held.open
            assert "cannot be read" not in held.open.why, damage
    sql(course, "UPDATE autograder_open_marks SET since = 'soon'")
    for words in (["export", "csv", "--to", str(tmp_path)], ["history", "ada"], ["feedback"]):
        assert run(course, *words) == 0, capsys.readouterr().err
    course.record("ada", folder, tiny_result())
    assert of(course).held == ()


@pytest.mark.parametrize("damage", ["'soon'", NO_TEXT])
def test_a_damaged_extension_is_named_until_it_is_granted_again(
    released_course: TinyCourse, damage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    sql(course, "UPDATE assignment SET duedate = '2030-01-01 00:00:00.000000'")
    assert run(course, "extend", "ada", "+2d") == 0
    sql(course, f"UPDATE autograder_extensions SET until = {damage}")  # noqa: S608 - a test's own words
    submissions = []
    for student in ("ada", "bob"):
        folder = hand_in(course, student)
        snapshot = read_submission(folder, "tiny", course.course.settings)
        submissions.append(GradedSubmission(student, folder, tiny_result(), snapshot=snapshot))
    ada, bob = record_each(course.course, course.assignment, submissions, preview=False)
    assert "The extra time of ada cannot be read in autograder_extensions" in str(ada.error)
    assert "python -m autograder extend ada" in str(ada.error)
    assert bob.error is None
    capsys.readouterr()
    for words in (["extend"], ["extend", "ada"], ["export", "csv", "--to", str(tmp_path)]):
        assert run(course, *words) == 1
        assert "autograder_extensions" in capsys.readouterr().err
    for words in (["extend", "bob"], ["feedback", "bob"], ["history", "bob"]):
        assert run(course, *words) == 0
    assert run(course, "extend", "ada", "2030-01-05", "00:00") == 0
    assert "ada: until 2030-01-05 00:00 UTC" in capsys.readouterr().out
    assert run(course, "export", "csv", "--to", str(tmp_path)) == 0


def test_a_damaged_row_of_an_action_costs_no_mark_by_hand(released_course: TinyCourse) -> None:
    course = released_course
    folder = hand_in(course)
    course.record("ada", folder, tiny_result())
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        book.find_grade("question_01", "tiny", "tiny", "ada").manual_score = 1.5
        book.db.commit()
    sql(
        course,
        "CREATE TABLE autograder_marking_steps "
        "(id INTEGER PRIMARY KEY, action, assignment, question, student, before, after)",
    )
    sql(course, "INSERT INTO autograder_marking_steps VALUES (1, 1, 'tiny', 'question_01', 'ada', '{', '{')")
    course.record("ada", folder, tiny_result(double=1.0))
    assert of(course).scores == {"double": 1.0, "total": 2.0, "question_01": 1.5}
    assert run(course, "feedback") == 0
