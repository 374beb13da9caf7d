"""Marks of a class: the gradebook's, with late penalties as of today, and results of checks beside them."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from nbgrader.api import Gradebook

from autograder.batch.class_results import read_results, stored_results
from autograder.course.course import read_course
from autograder.course.submission import read_submission
from autograder.errors import UsageError
from autograder.gradebook.class_marks import class_marks
from autograder.grading.result_store import CachedGrader
from autograder.marks import ClassMarks, StudentMarks
from autograder.results import Submission, to_json
from tests.tiny import TinyCourse, tiny_result

HALF_OFF = '\nc.AssignLatePenalties.plugin_class = "tests.tiny.HalfOff"\n'


def configured(course: TinyCourse, line: str) -> TinyCourse:
    """The course with a further line of settings."""
    settings = course.root / "course_config.py"
    settings.write_text(settings.read_text() + line)
    return TinyCourse(read_course(course.root), course.assignment)


def book_of(course: TinyCourse) -> Gradebook:
    return Gradebook(f"sqlite:///{course.root / 'gradebook.db'}")


def record_late(course: TinyCourse, student: str = "ada") -> None:
    """Record 4 of 5 automatic points, handed in a day late."""
    notebook = course.released_notebook()
    notebook["cells"][-1]["source"] = "Twice is times two."
    folder = course.hand_in(student, json.dumps(notebook).encode())
    (folder / "timestamp.txt").write_text("2030-01-02 00:00:00 UTC")
    with book_of(course) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    course.record(student, folder, tiny_result(double=2.0, total=2.0))


def only(marks: ClassMarks) -> StudentMarks:
    (student,) = marks.students
    return student


def test_a_late_penalty_counts_marks_given_by_hand_since(released_course: TinyCourse) -> None:
    course = configured(released_course, HALF_OFF)
    record_late(course)
    before = only(class_marks(course.course, course.assignment))
    assert (before.raw, before.penalty, before.total) == (4.0, 2.0, 2.0)
    assert before.waiting == ("question_01",)
    with book_of(course) as book:
        grade = book.find_grade("question_01", "tiny", "tiny", "ada")
        grade.manual_score, grade.needs_manual_grade = 1.0, False
        book.db.commit()
        assert book.find_submission("tiny", "ada").late_submission_penalty == 2.0  # what nbgrader keeps
    after = only(class_marks(course.course, course.assignment))
    assert (after.raw, after.penalty, after.total, after.waiting) == (5.0, 2.5, 2.5, ())


def test_an_extension_granted_since_takes_the_penalty_back(released_course: TinyCourse) -> None:
    course = configured(released_course, HALF_OFF)
    record_late(course)
    assert only(class_marks(course.course, course.assignment)).seconds_late == 86400
    with book_of(course) as book:
        book.grant_extension("tiny", "ada", days=2)
    marks = only(class_marks(course.course, course.assignment))
    assert (marks.seconds_late, marks.penalty, marks.total) == (0, 0, 4.0)


@pytest.mark.parametrize(
    "line",
    ["", HALF_OFF + 'c.Autograde.autograde_preprocessors = ["autograder.nbgrader_plugins.RecordGrades"]\n'],
    ids=["nbgrader's default takes nothing", "the course applies no penalties"],
)
def test_without_a_policy_nothing_is_taken(released_course: TinyCourse, line: str) -> None:
    course = configured(released_course, line)
    record_late(course)
    marks = only(class_marks(course.course, course.assignment))
    assert (marks.seconds_late, marks.penalty, marks.total) == (86400, 0, 4.0)


@pytest.mark.parametrize(("policy", "penalty"), [("TooMuch", 4.0), ("Negative", 0.0)])
def test_a_penalty_is_never_above_the_score_nor_below_nothing(
    released_course: TinyCourse, policy: str, penalty: float
) -> None:
    course = configured(released_course, f'\nc.AssignLatePenalties.plugin_class = "tests.tiny.{policy}"\n')
    record_late(course)
    assert only(class_marks(course.course, course.assignment)).penalty == penalty


def test_students_without_a_submission_are_there(released_course: TinyCourse) -> None:
    with book_of(released_course) as book:
        book.add_student("eve", first_name="First", last_name="Last", email="eve@example.org")
    marks = only(class_marks(released_course.course, released_course.assignment))
    assert (marks.person.name, marks.submitted, marks.total) == ("Last, First", False, 0.0)


def test_points_are_those_of_the_gradebook(released_course: TinyCourse) -> None:
    marks = class_marks(released_course.course, released_course.assignment)
    assert (dict(marks.points), marks.automatic) == ({"double": 3, "total": 2, "question_01": 2}, ("double", "total"))
    assert marks.max_score == 7


def test_without_a_gradebook_the_results_stand_alone_and_none_is_made(tiny_course: TinyCourse) -> None:
    marks = class_marks(tiny_course.course, tiny_course.assignment, {"ada": tiny_result(double=1.0)})
    assert (marks.recorded, only(marks).total, marks.max_score) == (False, 3.0, 5.0)
    assert not (tiny_course.root / "gradebook.db").exists()


def test_what_grading_kept_is_found_until_the_submission_changes(tiny_course: TinyCourse) -> None:
    course, assignment = tiny_course.course, tiny_course.assignment
    folder = tiny_course.hand_in("ada", b"{}")
    assert stored_results(course, assignment, {"ada": folder}) == {}
    snapshot = read_submission(folder, "tiny", course.settings)
    CachedGrader(course, assignment).cache(
        snapshot, msgspec.structs.replace(tiny_result(), submission=Submission(digest=snapshot.digest))
    )
    found = stored_results(course, assignment, {"ada": folder})["ada"]
    assert (found.submission.student, found.score) == ("ada", 5.0)
    (folder / "utilities.py").write_text("changed = 1")
    assert stored_results(course, assignment, {"ada": folder}) == {}


def test_results_are_read_from_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="grade --json"):
        read_results(tmp_path, "tiny")
    (tmp_path / "ada.json").write_bytes(to_json(tiny_result()))
    assert list(read_results(tmp_path, "tiny")) == ["ada"]
    (tmp_path / "bad.json").write_text('{"schema": 1}')
    with pytest.raises(UsageError, match=r"bad\.json is not a result"):
        read_results(tmp_path, "tiny")
