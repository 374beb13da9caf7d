"""Feedback for students: who gets it, what it shows, and that nothing hidden is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.course.course import read_course
from autograder.errors import RecordingError, UsageError
from autograder.feedback.exporter import without_current_page, write_feedback
from tests.page_text import Page
from tests.tiny import TINY_DOUBLE, TinyCourse, tiny_result


def test_page_shows_every_task_and_no_hidden_check(released_course: TinyCourse) -> None:
    notebook = json.dumps(released_course.released_notebook()).encode()
    folder = released_course.hand_in("ada", notebook)
    released_course.record("ada", folder, tiny_result(double=1.25))
    pages = write_feedback(released_course.course, released_course.assignment)
    assert pages == [released_course.root / "feedback/ada/tiny/tiny.html"]
    page = pages[0].read_text()
    words = Page(page).text
    for expected in ("1.25 of 3 points", "2 of 2 points", "The task total works.", "double is <b>wrong</b>, by $1$"):
        assert expected in words
    assert "3.25 of 7 points" in words
    secrets = [line.strip() for line in TINY_DOUBLE.splitlines() if len(line.strip()) > 20]
    assert [line for line in secrets if line in words or line in page] == []


def test_page_is_written_anew_after_a_regrade(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    for points in (1.25, 0.5):
        released_course.record("ada", folder, tiny_result(double=points))
        pages = write_feedback(released_course.course, released_course.assignment, ["ada"])
    assert "0.5 of 3 points" in Page(pages[0].read_text()).text


def test_feedback_for_some_students(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    for student in ("ada", "bob"):
        released_course.record(student, folder, tiny_result())
    pages = write_feedback(released_course.course, released_course.assignment, ["bob"])
    assert [path.relative_to(released_course.root) for path in pages] == [Path("feedback/bob/tiny/tiny.html")]
    assert not (released_course.root / "feedback/ada").exists()


def test_who_has_no_page_of_the_last_grading_is_known(released_course: TinyCourse) -> None:
    """Old pages, and no page at all, went out without a word."""
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    course = released_course.course
    assert without_current_page(course, "tiny") == ["ada"]
    write_feedback(course, released_course.assignment)
    assert without_current_page(course, "tiny") == []
    released_course.record("ada", folder, tiny_result(double=0.5))
    assert without_current_page(course, "tiny") == ["ada"]


def test_feedback_without_a_recorded_result_is_refused(released_course: TinyCourse) -> None:
    with pytest.raises(UsageError, match=r"eve has no recorded result.*grade eve"):
        write_feedback(released_course.course, released_course.assignment, ["eve"])


def test_no_marking_guide_is_shown_to_students(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    (page,) = write_feedback(released_course.course, released_course.assignment)
    assert "Doubling is multiplying by two" not in page.read_text()
    assert "Its cost is named" not in page.read_text()


def test_feedback_that_would_show_marking_guides_is_refused(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text().replace("c.GenerateFeedback.exporter_class", "# "))
    with pytest.raises(RecordingError, match=r"exporter_class.*would read the marking guides"):
        write_feedback(read_course(released_course.root), released_course.assignment)
    assert not (released_course.root / "feedback").exists()
