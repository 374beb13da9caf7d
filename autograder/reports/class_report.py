"""The class report: one HTML page that needs nothing else, and the same table as CSV beside it.

Names and messages are what students and their code say, so the template escapes everything, and the page's own policy
lets nothing run but its one script and nothing load from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from autograder.files import write_whole
from autograder.marks import ClassMarks
from autograder.rendering.page_templates import load_asset, load_template, policy_hash
from autograder.rendering.safe_csv import Value, csv_bytes
from autograder.reports.report_page import STATES, ReportPage, StudentRow, report_page
from autograder.reports.similarity import Pair

PAGE, TABLE = "report.html", "report.csv"
PERSON_COLUMNS = ("student", "last_name", "first_name", "email")
FIGURE_COLUMNS = (
    "total",
    "max_score",
    "automatic",
    "by_hand",
    "late_penalty",
    "hours_late",
    "errors",
    "seconds",
    "state",
)
"""Columns of the CSV, before one for each task and question."""


def write_report(marks: ClassMarks, pairs: Sequence[Pair], made: datetime, folder: Path) -> list[Path]:
    """Write page and table.

    Args:
        marks: The class, with results.
        pairs: Students whose work is alike, the most alike first.
        made: When the report is made.
        folder: Where to write.

    Returns:
        The two files.
    """
    report = report_page(marks, pairs, made)
    write_whole(folder / PAGE, render_report(report).encode("utf-8", "replace"))
    write_whole(folder / TABLE, csv_bytes(_table(report), "utf-8-sig"))
    return [folder / PAGE, folder / TABLE]


def render_report(report: ReportPage) -> str:
    """Return the page as HTML."""
    style, script = load_asset("base.css", "report.css"), load_asset("report.js")
    template = load_template(PAGE, number=_number, share=_share)
    return template.render(report=report, table=TABLE, style=style, script=script, script_hash=policy_hash(script))


def _table(report: ReportPage) -> Iterator[Sequence[Value]]:
    """Yield headings and rows of the CSV."""
    yield [*PERSON_COLUMNS, *FIGURE_COLUMNS, *report.marks.points]
    for row in report.rows:
        person, scores = row.marks.person, row.marks.scores
        known = [person.id, person.last_name, person.first_name, person.email]
        points = [scores.get(name, 0.0) if row.marks.submitted else "" for name in report.marks.points]
        yield [*known, *_figures(row, report.marks.max_score), *points]


def _figures(row: StudentRow, max_score: float) -> Iterator[Value]:
    """Yield what stands below `FIGURE_COLUMNS`."""
    yield from (row.marks.total, max_score, row.automatic, row.by_hand)
    yield from (row.marks.penalty, row.marks.seconds_late / 3600)
    yield from (row.errors, "" if row.seconds is None else row.seconds)
    yield ", ".join(STATES[state] for state in row.states)


def _number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    return f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
