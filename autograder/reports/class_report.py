"""The class report: one HTML page that needs nothing else, and the same table as CSV beside it.

Names and messages are what students and their code say, so the template escapes everything, and the page's own policy
lets nothing run but its one script and nothing load from anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from markupsafe import Markup

from autograder.files import write_whole
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.page_templates import load_asset, load_template, policy_hash
from autograder.rendering.safe_csv import Value, csv_bytes
from autograder.reports import charts
from autograder.reports.item_analysis import (
    FEWEST,
    CheckFigures,
    check_figures,
    misconceptions,
    seconds_spent,
    task_figures,
)
from autograder.reports.similarity import Pair

MOST_PAIRS = 50
"""Similar pairs that are shown."""
PAGE, TABLE = "report.html", "report.csv"
STATES = {
    "late": "late",
    "error": "error of ours",
    "waiting": "waiting for marking",
    "unknown": "no result kept",
    "missing": "nothing handed in",
}
"""What may be the matter with a student, and its words; the keys stand in the page."""


@dataclass(frozen=True)
class Row:
    """One student in the table.

    Attributes:
        states: Keys of `STATES`.
        errors: Checks that ended in an error of ours.
        seconds: Wall-clock time of all checks; None where no result is kept.
    """

    marks: StudentMarks
    states: tuple[str, ...]
    automatic: float
    by_hand: float
    errors: int
    seconds: float | None


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
    rows = [student_row(marks, one) for one in marks.students]
    write_whole(folder / PAGE, render_report(marks, pairs, made).encode("utf-8", "replace"))
    write_whole(folder / TABLE, csv_bytes(_table(marks, rows), "utf-8-sig"))
    return [folder / PAGE, folder / TABLE]


def render_report(marks: ClassMarks, pairs: Sequence[Pair], made: datetime) -> str:
    """Return the page; see `write_report`."""
    rows = [student_row(marks, one) for one in marks.students]
    results = {one.person.id: one.result for one in marks.students if one.result}
    tasks, checks = task_figures(marks), check_figures(list(results.values()))
    totals = [row.marks.total for row in rows if row.marks.submitted]
    page = load_template(PAGE, number=_number, share=_share)
    style, script = load_asset("base.css", "report.css"), load_asset("report.js")
    return page.render(
        marks=marks,
        made=made,
        rows=rows,
        states={key: (words, sum(key in row.states for row in rows)) for key, words in STATES.items()},
        totals=totals,
        median=float(np.median(totals)) if totals else 0.0,
        mean=float(np.mean(totals)) if totals else 0.0,
        spread=float(np.std(totals)) if totals else 0.0,
        seconds=[row.seconds for row in rows if row.seconds is not None],
        tasks=tasks,
        checks=checks,
        fewest=FEWEST,
        few=len(results) < FEWEST,
        mistakes=misconceptions(results),
        errors=list(_errors(marks, rows)),
        waiting=_waiting(marks),
        pairs=pairs[:MOST_PAIRS],
        more_pairs=len(pairs) - MOST_PAIRS,
        table=TABLE,
        plots=_plots(marks, totals, checks),
        style=style,
        script=script,
        script_hash=policy_hash(script),
    )


def student_row(marks: ClassMarks, one: StudentMarks) -> Row:
    """Return what the table says of one student."""
    automatic = sum(one.scores.get(name, 0.0) for name in marks.automatic)
    checks = [check for task in one.result.tasks for check in task.checks] if one.result else []
    errors = sum(check.outcome == "error" for check in checks)
    matter = {
        "late": one.seconds_late > 0,
        "error": errors > 0 or bool(one.failed_tasks),
        "waiting": any(name not in one.failed_tasks for name in one.waiting),
        "unknown": one.submitted and one.result is None,
        "missing": not one.submitted,
    }
    return Row(
        marks=one,
        states=tuple(key for key, true in matter.items() if true),
        automatic=round(automatic, 2),
        by_hand=round(one.raw - automatic, 2),
        errors=errors,
        seconds=seconds_spent(one.result) if one.result else None,
    )


def _table(marks: ClassMarks, rows: Sequence[Row]) -> Iterator[Sequence[Value]]:
    """Yield headings and rows of the CSV."""
    known = ("student", "last_name", "first_name", "email")
    figures = ("total", "max_score", "automatic", "by_hand", "late_penalty", "hours_late", "errors", "seconds", "state")
    yield [*known, *figures, *marks.points]
    for row in rows:
        one, person = row.marks, row.marks.person
        state = ", ".join(STATES[key] for key in row.states)
        marks_of: list[Value] = [one.total, marks.max_score, row.automatic, row.by_hand, one.penalty]
        late: list[Value] = [one.seconds_late / 3600, row.errors, row.seconds if row.seconds is not None else "", state]
        scores: list[Value] = [one.scores.get(name, 0.0) if one.submitted else "" for name in marks.points]
        yield [person.id, person.last_name, person.first_name, person.email, *marks_of, *late, *scores]


def _errors(marks: ClassMarks, rows: Sequence[Row]) -> Iterator[tuple[str, str, str]]:
    """Yield student, check or task, and message of every error of ours."""
    for row in rows:
        if row.marks.result is None:
            for name in row.marks.failed_tasks:
                yield row.marks.person.id, name, "held open in the gradebook; grade prints the reason"
        for task in row.marks.result.tasks if row.marks.result else ():
            for check in task.checks:
                if check.outcome == "error":
                    yield row.marks.person.id, check.id, check.message


def _waiting(marks: ClassMarks) -> dict[str, int]:
    """Return how many submissions wait for a person, by grade_id."""
    open_tasks = [set(one.waiting) - set(one.failed_tasks) for one in marks.students]
    counts = {name: sum(name in tasks for tasks in open_tasks) for name in marks.points}
    return {name: count for name, count in counts.items() if count}


def _plots(marks: ClassMarks, totals: Sequence[float], checks: Sequence[CheckFigures]) -> dict[str, Markup]:
    """Return the pictures as SVG that `charts` made and escaped."""
    if not totals:
        return {}
    drawn = {
        "distribution": charts.distribution(totals, marks.max_score),
        "tasks": charts.marks_by_task(task_figures(marks)),
    }
    if any(one.discrimination is not None for one in checks):
        drawn["checks"] = charts.items(checks)
    return {name: Markup(svg) for name, svg in drawn.items()}  # noqa: S704


def _number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}".rstrip("0").rstrip(".") if digits else f"{value:.0f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
