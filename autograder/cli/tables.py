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
            table.add_row(printable(row.student), *("?" for _ in assignment.tasks), "error")
            continue
        cells = [f"{task.score:g}{'*' if task.carried_forward else ''}" for task in row.result.tasks]
        table.add_row(printable(row.student), *cells, f"{row.result.score:g}")
    return table


def similarity_table(pairs: Sequence[Pair]) -> Table:
    """Return pairs of students whose work is alike."""
    table = Table("first", "second", box=SIMPLE)
    for heading in ("similarity", "nobody else has"):
        table.add_column(heading, justify="right")
    for pair in pairs:
        table.add_row(printable(pair.first), printable(pair.second), f"{pair.similarity:.0%}", str(pair.rare))
    return table
