"""Formgrader in a real browser: markers see question, model answer and rubric; marks given there last."""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import Page, sync_playwright

from autograder.feedback import write_feedback
from autograder.gradebook import GUIDE_HEADING, record
from tests.tiny import TinyCourse, tiny_result

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
START_MILLISECONDS = 60_000
RUBRIC = "Marking: 1 point for the factor; 1 point for its cost."
MODEL_ANSWER = "Doubling is multiplying by two"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason=f"needs a browser: none of {', '.join(BROWSERS)} is installed"),
]


@contextmanager
def served(course: TinyCourse, scratch: Path) -> Iterator[str]:
    """Serve the course with Jupyter and nbgrader's formgrader; yields the address of its first page."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    words += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={course.root}", "--ServerApp.port_retries=0"]
    own = {name: str(scratch) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    with (scratch / "server.log").open("wb") as log:
        server = subprocess.Popen(words, cwd=course.root, env=os.environ | own, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}/formgrader/?token={token}"
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextmanager
def opened(address: str) -> Iterator[Page]:
    """Open an address in a browser, as soon as something answers there."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=list(SWITCHES))
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        deadline = START_MILLISECONDS // 500
        for _ in range(deadline):
            try:
                page.goto(address)
                break
            except Exception as error:
                if "ERR_CONNECTION_REFUSED" not in str(error):
                    raise
                page.wait_for_timeout(500)
        yield page
        browser.close()


def submission_page(page: Page, address: str, submission: str) -> None:
    """Go to one student's submitted notebook."""
    page.goto(address.replace("/formgrader/", f"/formgrader/submissions/{submission}/"))
    page.wait_for_selector(".score")


def hand_in(course: TinyCourse) -> Path:
    """Hand in the release with an answer in words."""
    notebook = course.released_notebook()
    notebook["cells"][-1]["source"] = "Twice is times two."
    return course.hand_in("ada", json.dumps(notebook).encode())


def test_marks_given_in_formgrader_last(released_course: TinyCourse, tmp_path: Path) -> None:
    course, scratch = released_course, tmp_path / "jupyter"
    scratch.mkdir()
    folder = hand_in(course)
    record(course.config, course.assignment, "ada", folder, tiny_result(double=3.0, total=1.0))
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        submission = book.find_submission_notebook("tiny", "tiny", "ada").id

    with served(course, scratch) as address, opened(address) as page:
        submission_page(page, address, submission)
        shown = page.inner_text("body")
        for words in (GUIDE_HEADING.split("**")[1], MODEL_ANSWER, RUBRIC, "Twice is times two."):
            assert words in shown
        mark = page.locator("input.score").last
        mark.fill("1.5")
        mark.press("Tab")
        page.locator("textarea.comment").last.fill("Say what it costs.")
        page.locator("textarea.comment").last.press("Tab")
        page.wait_for_load_state("networkidle")

        record(course.config, course.assignment, "ada", folder, tiny_result(double=3.0, total=2.0))
        submission_page(page, address, submission)
        page.wait_for_function("Array.from(document.querySelectorAll('input.score')).at(-1).value !== ''")
        assert page.locator("input.score").last.input_value() == "1.5"

    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        assert book.find_grade("question_01", "tiny", "tiny", "ada").manual_score == 1.5
        assert book.find_submission("tiny", "ada").score == 6.5
    (feedback,) = write_feedback(course.config, course.assignment)
    text = feedback.read_text()
    assert "6.5 / 7.0" in " ".join(text.split())
    assert "Say what it costs." in text
    assert RUBRIC not in text
    assert MODEL_ANSWER not in text
    table = tmp_path / "grades.csv"
    subprocess.run(
        [sys.executable, "-m", "nbgrader", "export", f"--to={table}"], cwd=course.root, check=True, capture_output=True
    )
    (row,) = csv.DictReader(table.read_text().splitlines())
    assert (row["student_id"], float(row["score"]), float(row["max_score"])) == ("ada", 6.5, 7.0)
