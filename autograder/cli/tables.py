"""The tables that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.table import Table

from autograder.course.assignment import Assignment
from autograder.text import printable

if TYPE_CHECKING:
    from autograder.batch.outcome import GradedSubmission
    from autograder.reports.similarity import Pair
    from autograder.results import TaskResult


def marks_table(assignment: Assignment, rows: Sequence[GradedSubmission]) -> Table:
    """Return the automatic marks by student and task."""
    table = Table(title=f"{assignment.name}: automatic marks", title_justify="left", box=SIMPLE)
    table.add_column("student", no_wrap=True, vertical="bottom")
    for task in assignment.tasks:
        heading = task.title.replace(" ", "\n")
        table.add_column(f"{heading}\n/{task.points:g}", justify="right", no_wrap=True)
    table.add_column(f"sum\n/{assignment.max_score:g}", justify="right", no_wrap=True)
    for row in rows:
        if row.result is None:
            state = "earlier" if row.has_earlier_mark else "error"
            table.add_row(printable(row.student), *("?" for _ in assignment.tasks), state)
            continue
        cells = [_points(task) for task in row.result.tasks]
        table.add_row(printable(row.student), *cells, f"{row.result.score:g}")
    return table


def _points(task: TaskResult) -> str:
    """Return a task's points with a star where a stand-in was used, and an exclamation mark where it is held."""
    return f"{task.score:g}{'*' if task.carried_forward else ''}{'!' if task.held else ''}"


def similarity_table(pairs: Sequence[Pair]) -> Table:
    """Return pairs of students whose work is alike."""
    table = Table("first", "second", box=SIMPLE)
    for heading in ("similarity", "nobody else has"):
        table.add_column(heading, justify="right")
    for pair in pairs:
        table.add_row(printable(pair.first), printable(pair.second), f"{pair.similarity:.0%}", str(pair.rare))
    return table
