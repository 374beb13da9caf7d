"""Run a submission's notebook in its student process: the given cells, and the answers that a task needs.

Each task begins with an empty notebook, so its marks do not depend on earlier ones. What an answer reads and nobody
has defined is supplied: by the student's own answers above it, by a quick stand-in for what takes long, by given cells
that are left out otherwise, or by cells that the student added, which also run where they change what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal

import numpy as np

from autograder import wire
from autograder.course.cell_names import makes_unseen, names_of
from autograder.course.grading_notebook import GradingCell
from autograder.course.solution_regions import NOT_WRITTEN
from autograder.errors import (
    CellStopped,
    CheckFailed,
    MalformedReply,
    StudentDied,
    StudentFault,
    StudentRaised,
    StudentTimeout,
)
from autograder.grading.reference import CellTexts
from autograder.grading.student_process import StudentProcess

REST_SECONDS = 3.0
"""How long grading waits for what follows in a cell after it has defined what it must."""
SUPPLY_SECONDS = 10.0
"""How long it waits for a cell that only supplies a name."""
MOST_PACKAGES, MISSING = 5, "is missing from what you handed in"
ENDS_PROCESS = (StudentDied, StudentTimeout, MalformedReply)
"""Faults after which a process is over."""
CellPart = Literal["definitions", "rest"]
"""All up to where a cell has defined what it must, or what follows."""

Deadly = dict[tuple[str, CellPart], StudentFault]
"""What became of parts of cells that ended a process, by the cell's id."""


class CellProcess:
    """Runs texts of cells in a student process, from an empty notebook on.

    Args:
        process: The process.
        limit: Returns how many seconds the next cell may take.
        deadly: What ended earlier processes: not tried again. Grows.

    Attributes:
        notes: Sentences for the student about cells that were not run as they stand.
    """

    def __init__(self, process: StudentProcess, limit: Callable[[], float], deadly: Deadly) -> None:
        self._process = process
        self._limit = limit
        self._deadly = deadly
        self.notes: list[str] = []
        process.ask(wire.Restart(), limit())

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
            found = self._process.ask(wire.RunCell(cell.id, source, cell.weightless, seconds), self._limit())
        except ENDS_PROCESS as fault:
            self._deadly[cell.id, part] = fault
            raise
        self.notes += missing_packages(found, cell.where if cell.added else f"a cell of your notebook (`{cell.id}`)")

    def assign(self, variables: Mapping[str, wire.Value]) -> None:
        """Set variables of the notebook."""
        self._process.ask(wire.Assign(dict(variables)), self._limit())

    def lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of these names are not there, as far as the process says so in words that can be read."""
        wanted = sorted(names)
        found = self._process.ask(wire.Lacking(wanted), self._limit()) if wanted else ()
        return [name for name in wanted if isinstance(found, tuple) and name in found]

    def is_alike(self, name: str, value: wire.Value) -> bool:
        """Whether a variable is an array of the same shape as a value."""
        try:
            found = self._process.ask(wire.Read(name), self._limit())
        except StudentRaised:
            return False
        return isinstance(found, np.ndarray) and isinstance(value, wire.Array) and list(found.shape) == value.shape


class NotebookRun:
    """The notebook of one task in one student process; each cell is run once.

    Args:
        task: The id of the task, whose graded cell ends what counts.
        texts: What there is to run.
        process: Where it is run.

    Attributes:
        ended_by_rest: What follows in a cell after its definitions ended the process, or a cell that the student
            added. It is left out next time.
    """

    def __init__(self, task: str, texts: CellTexts, process: CellProcess) -> None:
        self.task = task
        self.ended_by_rest = False
        self._texts = texts
        self._process = process
        self._cells, self._places = texts.notebook.cells, texts.notebook.places
        self._end = self._places.get(task, len(self._cells))
        self._changers: dict[str, set[str]] = {}
        self._faults: dict[str, StudentFault | None] = {**process.faults_of("definitions")}

    @property
    def faults(self) -> Mapping[str, StudentFault | None]:
        """What went wrong in each cell that was run, by its id."""
        return self._faults

    def take_notes(self) -> list[str]:
        """Return the sentences for the student about cells that were not run as they stand, each of them once."""
        notes, self._process.notes = self._process.notes, []
        return notes

    def run_up_to(self, answers: frozenset[str]) -> None:
        """Run the given cells and these answers, in the notebook's order, up to the last of the answers.

        Args:
            answers: grade_ids of solution cells; all others run only where a name is lacking.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        last = max((self._places[answer] for answer in answers), default=-1)
        changers = {cell for answer in answers for cell in self._changers_of(answer)}
        for cell in self._cells[: last + 1]:
            if (not cell.on_demand and not cell.is_answer) or cell.id in answers or cell.id in changers:
                self._run_once(cell)
        for answer in answers:
            cell, own = self._cells[self._places[answer]], self._texts.reference.wanted_of(answer)
            self._supply(cell, own | self._texts.reads_of(cell), self._end, own)
            self._judge_elsewhere(cell, own)

    def run_again(self, variables: Mapping[str, wire.Value]) -> None:
        """Set variables, and run the answers with them that were run before.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        self._process.assign(variables)
        for cell in self._cells:
            if not cell.given and cell.id in self._faults and self._is_worth_repeating(cell):
                del self._faults[cell.id]
                self._run_once(cell)
                self._keep(cell, variables)
        for cell in self._cells:
            if cell.is_answer and self._faults.get(cell.id) is not None:
                self._judge_elsewhere(cell, self._texts.reference.wanted_of(cell.id))

    def hint(self, name: str) -> str:
        """Say where the student defines a name that an answer misses, and why it is not there; nothing if nowhere."""
        for cell in self._texts.notebook.makers(name, self._end):
            fault = self._faults.get(cell.id)
            if fault is not None and not cell.given:
                return f"You define `{name}` in {cell.where}{_what_became(fault)}"
        return self._texts.notebook.where_else(name, self._end)

    def _is_worth_repeating(self, cell: GradingCell) -> bool:
        """Whether a cell that was run neither ended a process nor took too long."""
        fault = self._faults[cell.id]
        slow = isinstance(fault, CellStopped) and fault.interrupted
        return not slow and cell.id not in self._process.faults_of("definitions")

    def hint_for(self, error: StudentRaised, wanted: Iterable[str]) -> str:
        """Say where the student has what an answer lacks: a name, or what it must define where it is not written."""
        names = sorted(wanted) if error.exception == NOT_WRITTEN else [error.missing]
        return next(filter(None, map(self.hint, names)), "")

    def _changers_of(self, answer: str) -> set[str]:
        """Return the own cells above an answer that change what it reads, and those that change what these read."""
        if answer not in self._changers:
            seen, left = set[str](), [answer]
            while left:
                reader = self._cells[self._places[left.pop()]]
                found = self._texts.changers(reader, self._texts.reads_of(reader), self._places[reader.id])
                left += [cell.id for cell in found if cell.id not in seen]
                seen |= {cell.id for cell in found}
            self._changers[answer] = seen
        return self._changers[answer]

    def _keep(self, cell: GradingCell, variables: Mapping[str, wire.Value]) -> None:
        """Set variables again that a student's own cell made of other sizes: the grader knows its own values."""
        for name in sorted(cell.changes & variables.keys()) if cell.added else ():
            if not self._process.is_alike(name, variables[name]):
                self._process.assign({name: variables[name]})

    def _judge_elsewhere(self, answer: GradingCell, wanted: frozenset[str]) -> None:
        """Take what other cells of the student's define for an answer that is not there, is not written or stops."""
        fault = self._faults.get(answer.id)
        what = MISSING if self._texts.is_missing(answer) else fault.what if isinstance(fault, CellStopped) else ""
        if not wanted or not what:
            return
        ran = [cell for cell in self._cells[: self._end] if self._faults.get(cell.id, fault) is None]
        cells = [cell for cell in ran if not cell.given and cell.names.makes & wanted]
        if wanted <= {name for cell in cells for name in cell.names.makes} and not self._process.lacking(wanted):
            self._faults[answer.id] = None
            where = ", ".join(cell.where for cell in cells)
            self._process.notes.append(
                f"The cell `{answer.id}` {what}. What it must define is graded as you define it in {where}."
            )

    def _run_once(self, cell: GradingCell) -> None:
        if cell.id not in self._faults:
            self._faults[cell.id] = None  # a cell that needs what itself makes is not run for that
            self._faults[cell.id] = self._run(cell)

    def _run(self, cell: GradingCell) -> StudentFault | None:
        """Run one cell and return what went wrong."""
        if self._texts.is_missing(cell):
            return CheckFailed(f"The notebook's cell `{cell.id}` {MISSING}.")
        definitions, rest = self._texts.parts_of(cell)
        reference = self._texts.reference
        if cell.on_demand or cell.is_answer:
            self._supply(cell, names_of(definitions).reads, self._places[cell.id], reference.wanted_of(cell.id))
        try:
            self._process.run(cell, definitions, SUPPLY_SECONDS if cell.on_demand else 0.0)
        except ENDS_PROCESS:
            self.ended_by_rest = self.ended_by_rest or cell.added
            raise
        except StudentRaised as error:
            return CellStopped(cell.id, error, self.hint_for(error, reference.wanted_of(cell.id)))
        if cell.parameters:
            with suppress(StudentRaised):
                self._process.run(replace(cell, id="grading_parameters"), reference.parameters)
        if rest and reference.defines_functions(cell.id):
            self._note_of_rest(cell, "; what follows there is not run.")
        elif rest and not cell.weightless:
            self._run_rest(cell, rest)
        return None

    def _run_rest(self, cell: GradingCell, rest: str) -> None:
        """Run what follows in a cell after it has defined what it must: what goes wrong there is a note."""
        if cell.id in self._process.faults_of("rest"):
            return
        try:
            self._process.run(cell, rest, REST_SECONDS, part="rest")
        except ENDS_PROCESS as fault:
            self.ended_by_rest = True
            self._note_of_rest(cell, f". What follows: {fault.message}")
            raise
        except StudentRaised as error:
            if error.missing and self._texts.notebook.makers(error.missing, self._end):
                return  # it would be there in the whole notebook
            self._note_of_rest(cell, f"; what follows there {CellStopped(cell.id, error).what}.")

    def _note_of_rest(self, cell: GradingCell, what: str) -> None:
        self._process.notes.append(f"The cell `{cell.id}` is graded for what it defines{what}")

    def _supply(self, reader: GradingCell, names: Collection[str], before: int, own: frozenset[str]) -> None:
        """Have these names defined, as far as cells before a place define them, and as the student's own change them.

        Args:
            reader: The cell that reads them.
            names: Some of them may be there already.
            before: The place.
            own: What the cell that reads them must define itself: no quick stand-in supplies it.
        """
        for name in self._process.lacking(names):
            for supplier in self._texts.suppliers(name, before, quick=name not in own):
                if supplier.id in self._faults:
                    continue  # it was run, and did not supply the name
                if not self._process.lacking([name]):
                    break
                self._run_once(supplier)
            self._search(name, before)
        for cell in self._texts.changers(reader, names, before):
            self._run_once(cell)

    def _search(self, name: str, before: int) -> None:
        """Run the student's own cells that may make a name without its being seen, if nothing else makes it."""
        if self._texts.notebook.makers(name, before):
            return
        for cell in self._cells[:before]:
            if cell.added and makes_unseen(cell.source) and self._process.lacking([name]):
                self._run_once(cell)


def _what_became(fault: StudentFault) -> str:
    """Say what went wrong in a cell that should have supplied a name, as the end of a sentence."""
    if isinstance(fault, CellStopped) and fault.interrupted:
        return f", which takes longer than the {SUPPLY_SECONDS:g} s that grading waits for it."
    if isinstance(fault, CellStopped):
        return f", which {fault.what.rstrip('.')}."
    return f". {fault.message}"


def missing_packages(found: object, where: str) -> list[str]:
    """Return notes on packages that a student process says it could not import; what it says may be anything."""
    names = [name for name in found if isinstance(name, str)] if isinstance(found, tuple) else []
    good = dict.fromkeys(name for name in names if len(name) <= 60 and name.replace(".", "").isidentifier())
    return [
        f"`{name}`, which {where} imports, is not installed where work is graded. What does not use it is graded."
        for name in list(good)[:MOST_PACKAGES]
    ]
