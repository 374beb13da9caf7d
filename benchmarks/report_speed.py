"""Measure the report of a large generated class: time to write it, to open it in a browser, and to sort its table.

`python -m benchmarks.report_speed [STUDENTS] [FOLDER]` (200 students; a temporary folder). Needs Chromium.
"""

from __future__ import annotations

import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from playwright.sync_api import Page

from autograder.reports.class_report import write_report
from benchmarks.measuring import say
from tests.browsers import launched
from tests.made_class import made_class

ROUNDS = 5
SORT = """() => new Promise(done => {
  const buttons = document.querySelectorAll("#class thead button"), start = performance.now();
  buttons[1].click();
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""
FILTER = """() => new Promise(done => {
  const field = document.querySelector("input[name=words]"), start = performance.now();
  field.value = field.value ? "" : "7";
  field.dispatchEvent(new Event("input", {bubbles: true}));
  requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)));
})"""


def main() -> None:
    """Print the measurements."""
    students = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(scratch)
        marks, pairs = made_class(students)
        start = time.perf_counter()
        page, _ = write_report(marks, pairs, datetime.now(UTC), folder)
        say(f"{students} students, {page.stat().st_size / 2**20:.2f} MiB")
        say(f"write: {time.perf_counter() - start:.2f} s")
        with launched() as browser:
            measure(browser.new_page(viewport={"width": 1300, "height": 900}), page)


def measure(page: Page, file: Path) -> None:
    """Print the times of opening, sorting and filtering."""
    opened = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        page.goto(file.resolve().as_uri(), wait_until="load")
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
        opened.append(time.perf_counter() - start)
    say(f"open until painted: {_shown(opened)}")
    for name, script in (("sort", SORT), ("filter", FILTER)):
        say(f"{name} until painted: {_shown([page.evaluate(script) / 1000 for _ in range(ROUNDS)])}")


def _shown(seconds: list[float]) -> str:
    ordered = sorted(seconds)
    return f"median {ordered[len(ordered) // 2] * 1000:.0f} ms, worst {ordered[-1] * 1000:.0f} ms of {len(ordered)}"


if __name__ == "__main__":
    main()
