"""Take the pictures of the guides from real pages: `python -m tests.screenshots [DIR]`.

One is of a feedback page with a mistake. For those of formgrader a miniature course is built and released, and one
submission is handed in, graded by formgrader's own buttons, and marked.
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

from autograder.course.course import read_course
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.release.build import build
from tests.browsers import launched, opened_file
from tests.feedback_example import example_page
from tests.formgrader import HANDED_IN, give, go, opened, press, served, submission_page, use_exchange
from tests.marking.class_course import by_student, make_class
from tests.marking.made_answers import made_answers
from tests.marking.served import opened_as
from tests.marking.served import served as marking_page
from tests.tiny import REPOSITORY, TinyCourse, write_tiny_sources

STUDENT = "student-1"
COLOURS = 160
"""Colours of a picture: enough to tell, few enough for a small file."""
FEW_COLOURS = 24
"""Of a picture that is all text."""
MARGIN = 24
MODULE = "def double(x):\n    return 2.0 * x\n"
ANSWERS = {"total_answer": "total = size", "question_01": "Doubling is multiplying by two."}


def make_course(root: Path) -> TinyCourse:
    """Build and release the miniature course and hand in one submission with a mistake in it."""
    write_tiny_sources(root)
    use_exchange(root)
    build(root, "tiny")
    course = read_course(root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "tiny")))
    tiny = TinyCourse(course, course.assignment("tiny"))
    notebook = tiny.released_notebook()
    for cell in notebook["cells"]:
        grade_id = cell["metadata"].get("nbgrader", {}).get("grade_id")
        cell["source"] = ANSWERS.get(grade_id, cell["source"])
    folder = tiny.hand_in(STUDENT, json.dumps(notebook).encode(), MODULE)
    for file, text in HANDED_IN.items():
        (folder / file).write_text(text)
    return tiny


def take(page: Page, path: Path, last: str) -> None:
    """Save a page, down to the end of the last element that a selector finds, as a small PNG."""
    page.wait_for_load_state("networkidle")
    box = page.locator(last).last.bounding_box()
    if box is None:
        raise SystemExit(f"{path.name}: the page shows no {last}.")
    clip = {"x": 0, "y": 0, "width": 1200, "height": box["y"] + box["height"] + MARGIN}
    save(page.screenshot(clip=clip), path)  # type: ignore[arg-type]


def save(screenshot: bytes, path: Path, colours: int = COLOURS) -> None:
    """Save a picture with few colours, which makes it small."""
    picture = Image.open(io.BytesIO(screenshot))
    picture.convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)


def take_feedback(scratch: Path, folder: Path) -> None:
    """Take a picture of the first task of a feedback page."""
    (scratch / "vit.html").write_text(example_page(), "utf-8")
    with launched() as browser:
        page = opened_file(browser, scratch / "vit.html", width=900)
        save(page.locator("article").first.screenshot(), folder / "feedback.png")


def take_all(course: TinyCourse, scratch: Path, folder: Path) -> None:
    """Go through formgrader as the guide does, and take a picture at each station."""
    with served(course, scratch) as address, opened(address) as page:
        go(page, address, "", "td.status .label")
        take(page, folder / "formgrader-assignments.png", "table:has(#main-table)")
        go(page, address, "manage_submissions/tiny", "td.status .label")
        take(page, folder / "formgrader-handed-in.png", "table:has(#main-table)")
        press(page, address, "tiny", "autograde")
        take(page, folder / "formgrader-autograded.png", "table:has(#main-table)")
        with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
            submission = book.find_submission_notebook("tiny", "tiny", STUDENT).id
        submission_page(page, address, submission)
        give(page, "1.5", "Say what it costs.")
        page.evaluate("document.activeElement.blur()")
        take(page, folder / "formgrader-marking.png", "textarea.comment")
        press(page, address, "tiny", "generate-feedback")
        press(page, address, "tiny", "release-feedback")
        take(page, folder / "formgrader-feedback.png", "table:has(#main-table)")


def take_marking(root: Path, folder: Path) -> None:
    """Mark some groups of a made class, and take a picture of the page, and of moving an answer."""
    make_class(root, by_student(made_answers(60)))
    with marking_page(root) as address, launched() as browser:
        page = opened_as(browser, address, "Kim", viewport={"width": 1280, "height": 720})
        for number, keys in enumerate(("0", "a", "12", "1")):
            for key in keys:
                page.keyboard.press(key)
            page.keyboard.press("Enter")
            page.wait_for_selector(f"#list button.done >> nth={number}")
        page.keyboard.press("1")
        page.get_by_label("Comment, which").fill("Name the reason, too.")
        page.evaluate("document.activeElement.blur()")
        page.wait_for_timeout(5000)  # until what was said last has gone
        save(page.screenshot(), folder / "marking.png", FEW_COLOURS)
        page.keyboard.press("m")
        save(page.locator("#dialog").screenshot(), folder / "marking-move.png", FEW_COLOURS)


def main() -> None:
    """Take all pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name, "jupyter")
        scratch.mkdir()
        take_feedback(Path(name), folder)
        take_marking(Path(name, "class"), folder)
        take_all(make_course(Path(name, "course")), scratch, folder)


if __name__ == "__main__":
    main()
