"""Time how long the marking page takes to open a question, in a real browser: `python -m benchmarks.marking_page`.

The course has whole notebooks. What is timed is a click on a question until the first answer of it is laid out; the
first time the question's answers are compared, later they are known.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page

from tests.browsers import launched
from tests.marking.class_course import by_student, make_class
from tests.marking.made_answers import SENTENCES, made_answers
from tests.marking.served import opened_as, served


def seconds_to_open(page: Page, number: int) -> float:
    """Return how long a question takes from the click until its first answer is there."""
    began = time.perf_counter()
    page.locator("#questions button").nth(number).click()
    page.wait_for_function(
        "number => document.getElementById('heading').textContent === `Question ${number}`"
        " && document.querySelector('#cards .answer > :not(.nothing)')",
        arg=number + 1,
    )
    return time.perf_counter() - began


def row(students: int, scratch: Path) -> str:
    """Return a row of a table in Markdown for a class of so many."""
    root = scratch / str(students)
    make_class(root, by_student(made_answers(students)), whole=True)
    with served(root) as address, launched() as browser:
        page = opened_as(browser, address, "Kim")
        numbers = range(1, len(SENTENCES))
        first = [seconds_to_open(page, number) for number in numbers]
        again = [seconds_to_open(page, number) for number in numbers]
    parts = [f"{statistics.median(times):.2f} s (at most {max(times):.2f} s)" for times in (first, again)]
    return f"| {students:,} | {parts[0]} | {parts[1]} |\n"


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking_page", description=__doc__)
    parser.add_argument("--students", type=int, nargs="*", default=[200, 2000])
    options = parser.parse_args()
    sys.stdout.write("| students | opened first | opened again |\n|---|---|---|\n")
    with tempfile.TemporaryDirectory() as name:
        for students in options.students:
            sys.stdout.write(row(students, Path(name)))
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
