"""Run texts of a notebook's cells in a student process, and read what it says about them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal

import numpy as np

from autograder import wire
from autograder.course.grading_notebook import GradingCell
from autograder.errors import MalformedReply, StudentDied, StudentFault, StudentRaised, StudentTimeout

MOST_PACKAGES = 5
LONGEST_NAME = 60
ENDS_PROCESS = (StudentDied, StudentTimeout, MalformedReply)
"""Faults after which a process is over."""
CellPart = Literal["definitions", "rest"]
"""All up to where a cell has defined what it must, or what follows."""

Deadly = dict[tuple[str, CellPart], StudentFault]
"""What became of parts of cells that ended a process, by the cell's id."""


class CellProcess:
    """Runs texts of cells in a student process, from an empty notebook on.

    Args:
        ask: Asks the process one question, for as long as a cell may take.
        deadly: What ended earlier processes: not tried again. Grows.

    Attributes:
        notes: Sentences for the student about cells that were not run as they stand.
    """

    def __init__(self, ask: Callable[[wire.Question], Any], deadly: Deadly) -> None:
        self._ask = ask
        self._deadly = deadly
        self.notes: list[str] = []
        ask(wire.Restart())

    def faults_of(self, part: CellPart) -> dict[str, StudentFault]:
        """Return how this part of some cells ended a process, by the cell's id."""
        return {cell: fault for (cell, ending), fault in self._deadly.items() if ending == part}

    def run(self, cell: GradingCell, source: str, seconds: float = 0.0, part: CellPart = "definitions") -> None:
        """Run a text in the name of a cell.

        Args:
            cell: The cell.
            source: All of its text, or a part.
            seconds: How long the process lets it take; 0 leaves it to the limit.
            part: Which part of the cell it is.

        Raises:
            StudentFault: If it raises, or the process gives no answer.
        """
        try:
            found = self._ask(wire.RunCell(cell.id, source, cell.weightless, seconds, to_its_end=cell.added))
        except ENDS_PROCESS as fault:
            self._deadly[cell.id, part] = fault
            raise
        self.notes += missing_packages(found, cell.where if cell.added else f"a cell of your notebook (`{cell.id}`)")

    def assign(self, variables: Mapping[str, wire.Value]) -> None:
        """Set variables of the notebook."""
        self._ask(wire.Assign(dict(variables)))

    def forget(self, names: Iterable[str]) -> None:
        """Forget variables of the notebook, and the files that its cells wrote."""
        self._ask(wire.Forget(sorted(names)))

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of these names are not there, as far as the process says so in words that can be read."""
        wanted = sorted(names)
        found = self._ask(wire.Lacking(wanted)) if wanted else ()
        return [name for name in wanted if isinstance(found, tuple) and name in found]

    def is_alike(self, name: str, value: wire.Value) -> bool:
        """Whether a variable is an array of the same shape as a value."""
        try:
            found = self._ask(wire.Read(name))
        except StudentRaised:
            return False
        return isinstance(found, np.ndarray) and isinstance(value, wire.Array) and list(found.shape) == value.shape


def missing_packages(found: object, where: str) -> list[str]:
    """Return notes on what a student process says it could not import; what it says may be anything.

    Args:
        found: Names of packages, and `module:name` where a module has no such name.
        where: What imports it.
    """
    names = [name for name in found if isinstance(name, str)] if isinstance(found, tuple) else []
    good = dict.fromkeys(name for name in names if len(name) <= LONGEST_NAME and _is_name(name))
    return [
        f"`{name}`, which {where} imports, {_why_not(module)}. What does not use it is graded."
        for module, _, name in (text.rpartition(":") for text in list(good)[:MOST_PACKAGES])
    ]


def _is_name(text: str) -> bool:
    return text.replace(".", "").replace(":", "", 1).isidentifier()


def _why_not(module: str) -> str:
    if module.partition(".")[0] in sys.stdlib_module_names:
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"could not be imported: in Python {here}, with which work is graded, `{module}` has no such name"
    if module:
        return f"could not be imported: `{module}` has no such name, or two files import each other"
    return "is neither installed where work is graded nor among the files that you handed in"
