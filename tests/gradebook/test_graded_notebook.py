"""A result that is recorded already is left alone, unless anything that it was recorded from has changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from tests.tiny import TinyCourse, scores, tiny_result


def record_ada(course: TinyCourse, double: float = 3.0) -> int:
    """Record a result of `ada` and return when the graded notebook was written."""
    folder = course.root / "submitted/ada/tiny"
    course.record("ada", folder, tiny_result(double=double))
    return graded(course).stat().st_mtime_ns


def graded(course: TinyCourse) -> Path:
    """Return the graded notebook."""
    return course.root / "autograded/ada/tiny/tiny.ipynb"


@pytest.fixture
def written(released_course: TinyCourse) -> int:
    """Record once."""
    released_course.hand_in("ada", b"{}")
    return record_ada(released_course)


def test_the_same_result_is_recorded_once(released_course: TinyCourse, written: int) -> None:
    assert record_ada(released_course) == written


def test_another_result_is_recorded(released_course: TinyCourse, written: int) -> None:
    assert record_ada(released_course, double=1.0) != written
    assert scores(released_course.course, released_course.assignment)["ada"]["double"] == 1.0


def change_score(course: TinyCourse) -> None:
    with Gradebook(f"sqlite:///{course.root}/gradebook.db") as book:
        book.find_grade("double", "tiny", "tiny", "ada").auto_score = 0.5
        book.db.commit()


def change_due_date(course: TinyCourse) -> None:
    with Gradebook(f"sqlite:///{course.root}/gradebook.db") as book:
        book.update_or_create_assignment("tiny", duedate=datetime(2030, 1, 1))
        book.db.commit()


def change_extension(course: TinyCourse) -> None:
    with Gradebook(f"sqlite:///{course.root}/gradebook.db") as book:
        book.grant_extension("tiny", "ada", days=1)


def change_settings(course: TinyCourse) -> None:
    path = course.root / "course_config.py"
    path.write_text(path.read_text() + "\n# changed\n")


def change_time_of_hand_in(course: TinyCourse) -> None:
    (course.root / "submitted/ada/tiny/timestamp.txt").write_text("2026-01-01 10:00:00 UTC")


def lose_graded_notebook(course: TinyCourse) -> None:
    graded(course).unlink()


def lose_mark(course: TinyCourse) -> None:
    (course.course.state_dir / "recorded/tiny/ada").unlink()


@pytest.mark.parametrize(
    "change",
    [
        change_score,
        change_due_date,
        change_extension,
        change_settings,
        change_time_of_hand_in,
        lose_graded_notebook,
        lose_mark,
    ],
)
def test_what_changed_is_recorded_again(
    released_course: TinyCourse, written: int, change: Callable[[TinyCourse], None]
) -> None:
    change(released_course)
    again = record_ada(released_course)
    assert again != written
    assert scores(released_course.course, released_course.assignment)["ada"]["double"] == 3.0
    assert record_ada(released_course) == again
