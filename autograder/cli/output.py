"""What the command line writes: text and tables on standard output, problems on standard error, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from autograder.cli.arguments import Options
from autograder.course.assignment import Assignment
from autograder.text import clean_name, printable

if TYPE_CHECKING:
    from autograder.batch.outcome import GradedSubmission
    from autograder.collecting.records import Collected
    from autograder.reports.similarity import Pair
    from autograder.results import TaskResult

out = Console(soft_wrap=True, highlight=False, markup=False)
err = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)


def complain(text: str) -> None:
    """Print a problem, whatever `--quiet` says."""
    err.print(Text.assemble(("autograder:", "bold red"), f" {text}"))


def print_table(table: Table) -> None:
    """Print a table that stays readable where the terminal is narrow: it is wrapped, not cut."""
    needed = Measurement.get(out, out.options.update(max_width=sys.maxsize), table).maximum
    Console(width=max(out.width, needed), markup=False, highlight=False, quiet=out.quiet).print(table)


def write_json(options: Options, content: bytes) -> None:
    """Write what `--json` asks for, if it does."""
    from autograder.files import write_whole

    if options.prints_json:
        sys.stdout.write(content.decode())
    elif options.json:
        write_whole(options.json, content)


def write_record(options: Options, record: object) -> None:
    """Write a record as `--json` asks for, if it does."""
    import msgspec

    write_json(options, bytes(msgspec.json.format(msgspec.json.encode(record), indent=2)) + b"\n")


def write_paths(options: Options, assignment: str, paths: Sequence[Path], **further: object) -> None:
    """Write the JSON of a command that writes files."""
    wrote = [str(path.absolute()) for path in paths]
    record = {"schema": 1, "command": options.command, "assignment": assignment, "wrote": wrote}
    write_record(options, record | further)


def marks_table(assignment: Assignment, rows: Sequence[GradedSubmission]) -> Table:
    """Return the automatic marks by student and task."""
    table = Table(title=f"{assignment.name}: automatic marks", title_justify="left", box=SIMPLE)
    table.add_column("student", no_wrap=True, vertical="bottom")
    for task in assignment.tasks:
        heading = task.title.replace(" ", "\n")
        table.add_column(f"{heading}\n/{task.points:g}", justify="right", no_wrap=True)
    table.add_column(f"sum\n/{assignment.max_score:g}", justify="right", no_wrap=True)
    if any(row.untimed for row in rows):
        table.add_column("handed in", vertical="bottom")
    for row in rows:
        if row.result is None or row.has_earlier_mark:
            state = "earlier" if row.has_earlier_mark else "error"
            table.add_row(printable(row.student), *("?" for _ in assignment.tasks), state)
            continue
        cells = [_points(task) for task in row.result.tasks]
        time = ["time unknown"] if row.untimed else []
        table.add_row(printable(row.student), *cells, f"{row.result.score:g}", *time)
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


def collected_table(assignment: str, collected: Collected) -> Table:
    """Return who handed in what, when, and what was done with it."""
    from autograder.collecting.platforms import TITLES

    platform = TITLES[collected.platform]
    table = Table(title=f"{assignment}: hand-ins from {platform}", title_justify="left", box=SIMPLE)
    for heading in ("student", "as the platform has it", "handed in (UTC)", "files", ""):
        table.add_column(heading, justify="right" if heading == "files" else "left")
    for row in collected.rows:
        time = f"{row.time:%Y-%m-%d %H:%M}" if row.time else "late, unknown by how much" if row.late else "unknown"
        files = sum(bool(fate.became) for fate in row.fates)
        table.add_row(printable(row.student) or "?", clean_name(row.owner), time, str(files), row.state)
    return table
