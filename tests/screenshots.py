"""Take the pictures of docs/formgrader.md from real pages: `python -m tests.screenshots [DIR]`.

A miniature course is built and released, one submission is handed in, graded by formgrader's own buttons, and marked.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment
from PIL import Image
from playwright.sync_api import Page

from autograder.assignment import load_assignment
from autograder.config import load_config
from autograder.release import build
from autograder.steps import course_directory, make_step, run_step
from tests.formgrader import give, go, opened, press, served, submission_page
from tests.tiny import REPOSITORY, TinyCourse, write_tiny_sources

STUDENT = "student-1"
COLOURS = 64
MODULE = "def double(x):\n    return 2.0 * x\n"
ANSWERS = {"total_answer": "total = size", "question_01": "Doubling is multiplying by two."}


def make_course(root: Path) -> TinyCourse:
    """Build and release the miniature course and hand in one submission with a mistake in it."""
    write_tiny_sources(root)
    build(root, "tiny")
    config = load_config(root)
    run_step(make_step(GenerateAssignment, config, course_directory(config, "tiny")))
    course = TinyCourse(config, load_assignment(root, "tiny"))
    notebook = course.released_notebook()
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = ANSWERS.get(grade_id, cell["source"])
    course.hand_in(STUDENT, json.dumps(notebook).encode(), MODULE)
    return course


def take(page: Page, path: Path, height: int) -> None:
    """Save the upper part of a page as a small PNG."""
    picture = Image.open(io.BytesIO(page.screenshot(clip={"x": 0, "y": 0, "width": 1200, "height": height})))
    picture.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


def take_all(course: TinyCourse, scratch: Path, folder: Path) -> None:
    """Go through formgrader as the guide does, and take a picture at each station."""
    with served(course, scratch) as address, opened(address) as page:
        go(page, address, "", "td.status .label")
        take(page, folder / "formgrader-assignments.png", 320)
        go(page, address, "manage_submissions/tiny", "td.status .label")
        take(page, folder / "formgrader-handed-in.png", 320)
        press(page, address, "tiny", "autograde")
        take(page, folder / "formgrader-autograded.png", 320)
        with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
            submission = book.find_submission_notebook("tiny", "tiny", STUDENT).id
        submission_page(page, address, submission)
        page.wait_for_load_state("networkidle")
        give(page, "1.5", "Say what it costs.")
        page.evaluate("document.activeElement.blur()")
        page.set_viewport_size({"width": 1200, "height": 1500})
        take(page, folder / "formgrader-marking.png", 1500)
        press(page, address, "tiny", "generate-feedback")
        take(page, folder / "formgrader-feedback.png", 320)


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name, "jupyter")
        scratch.mkdir()
        take_all(make_course(Path(name, "course")), scratch, folder)


if __name__ == "__main__":
    main()
