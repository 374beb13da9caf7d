"""What the command line writes: text and tables on standard output, problems on standard error, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from autograder.cli.arguments import Options

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
