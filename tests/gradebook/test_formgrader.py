"""Formgrader in a real browser: markers see question, model answer and rubric; marks given there last."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.feedback.exporter import write_feedback
from autograder.gradebook.graded_notebook import GUIDE_HEADING
from tests.browsers import IN_BROWSER
from tests.formgrader import (
    HANDED_IN,
    give,
    go,
    opened,
    press,
    save_due_date,
    served,
    submission_page,
    use_exchange,
)
from tests.tiny import TinyCourse, tiny_result

RUBRIC = "1 point (cost): Its cost is named."
MODEL_ANSWER = "Doubling is multiplying by two"

pytestmark = [pytest.mark.slow, IN_BROWSER]


def hand_in(course: TinyCourse, module: str = "") -> Path:
    """Hand in the release with an answer in words."""
    notebook = course.released_notebook()
    notebook["cells"][-1]["source"] = "Twice is times two."
    folder = course.hand_in("ada", json.dumps(notebook).encode(), module)
    for file, text in HANDED_IN.items():
        (folder / file).write_text(text)
    return folder


def test_marks_given_in_formgrader_last(released_course: TinyCourse, tmp_path: Path) -> None:
    course, scratch = released_course, tmp_path / "jupyter"
    scratch.mkdir()
    folder = hand_in(course)
    course.record("ada", folder, tiny_result(double=3.0, total=1.0))
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        submission = book.find_submission_notebook("tiny", "tiny", "ada").id

    with served(course, scratch) as address, opened(address) as page:
        submission_page(page, address, submission)
        shown = page.inner_text("body")
        for words in (GUIDE_HEADING.split("**")[1], MODEL_ANSWER, RUBRIC, "Twice is times two."):
            assert words in shown
        give(page, "1.5", "Say what it costs.")

        course.record("ada", folder, tiny_result(double=3.0, total=2.0))
        submission_page(page, address, submission)
        page.wait_for_function("Array.from(document.querySelectorAll('input.score')).at(-1).value !== ''")
        assert page.locator("input.score").last.input_value() == "1.5"

    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        assert book.find_grade("question_01", "tiny", "tiny", "ada").manual_score == 1.5
        assert book.find_submission("tiny", "ada").score == 6.5
    (feedback,) = write_feedback(course.course, course.assignment)
    text = feedback.read_text()
    assert "<strong>6.5</strong> of 7 points" in " ".join(text.split())
    assert "Say what it costs." in text
    assert {file: (feedback.parent / file).read_text() for file in HANDED_IN} == HANDED_IN  # for the exchange
    assert RUBRIC not in text
    assert MODEL_ANSWER not in text
    table = tmp_path / "grades.csv"
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "export", f"--to={table}"], cwd=course.root, check=True, capture_output=True
    )
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["student_id"], float(row["score"]), float(row["max_score"])) == ("ada", 6.5, 7.0)


def test_one_student_goes_through_formgrader_by_its_buttons(released_course: TinyCourse, tmp_path: Path) -> None:
    course, scratch = released_course, tmp_path / "jupyter"
    scratch.mkdir()
    exchange = use_exchange(course.root)
    hand_in(course, "def double(x):\n    return 2.0 * x\n")

    with served(course, scratch) as address, opened(address) as page:
        twice = "2030-10-27T02:30"  # in Berlin, where clocks are put back then
        assert "Say which: 02:30 +02:00 (CEST)" in save_due_date(page, address, twice, "Europe/Berlin")
        assert save_due_date(page, address, twice, "+0100") == "2030-10-27 01:30:00 UTC"
        go(page, address, "manage_submissions/tiny", "td.status .label")
        assert page.inner_text("td.status") == "needs autograding"
        press(page, address, "tiny", "autograde")
        assert page.inner_text("td.status") == "needs manual grading"
        assert page.inner_text("td.score") == "3 / 7"  # nothing was written in the cell of `total`
        with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
            submission = book.find_submission_notebook("tiny", "tiny", "ada").id
        submission_page(page, address, submission)
        give(page, "1.5", "Say what it costs.")
        press(page, address, "tiny", "generate-feedback")
        assert page.inner_text("td.status") == "graded"
        assert page.inner_text("td.score") == "4.5 / 7"
        press(page, address, "tiny", "release-feedback")

    feedback = (course.root / "feedback/ada/tiny/tiny.html").read_text()
    assert "<strong>4.5</strong> of 7 points" in " ".join(feedback.split())
    assert "Say what it costs." in feedback
    assert MODEL_ANSWER not in feedback
    handed_out = {path.read_text() for path in exchange.glob("vision-transformers/feedback/*.html")}
    assert handed_out == {feedback}
