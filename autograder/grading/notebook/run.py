"""Run a submission's notebook in its student process: the given cells, and the answers that a task needs.

Each task begins with an empty notebook, so its marks do not depend on earlier ones. What an answer reads and nobody
has defined is supplied: by the student's own answers above it, by a quick stand-in for what takes long, by given cells
that are left out otherwise, or by cells that the student added, which also run where they change what it reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace

from autograder import wire
from autograder.course.cell_code.names import names_of
from autograder.course.cell_code.traces import makes_unseen
from autograder.course.grading_notebook import GradingCell
from autograder.course.solution_regions import NOT_WRITTEN
from autograder.errors import CellStopped, CheckFailed, StudentFault, StudentRaised
from autograder.grading.notebook.cell_process import ENDS_PROCESS, CellProcess
from autograder.grading.reference import CellTexts

REST_SECONDS = 3.0
"""How long grading waits for what follows in a cell after it has defined what it must."""
SUPPLY_SECONDS = 10.0
"""How long it waits for a cell that only supplies a name."""
MISSING = "is missing from what you handed in"


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
        self._new_names: dict[str, list[str]] = {}  # that were not there before a cell of the student's ran, by its id
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
        """Set variables, and run the answers and own cells with them that were run before.

        What they made is forgotten first: a cell may keep what it made, so that it can be run twice.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        again = [cell for cell in self._cells if cell.id in self._new_names and self._is_worth_repeating(cell)]
        self._process.forget({name for cell in again for name in self._new_names[cell.id]} - variables.keys())
        self._process.assign(variables)
        for cell in again:
            del self._faults[cell.id]
        for cell in again:
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
        if not cell.given:
            self._new_names[cell.id] = self._process.lacking(cell.names.makes)
        try:
            self._process.run(cell, definitions, SUPPLY_SECONDS if cell.on_demand else 0.0)
        except ENDS_PROCESS:
            self.ended_by_rest = self.ended_by_rest or cell.added
            raise
        except StudentRaised as error:
            lacking = reference.wanted_of(cell.id) - names_of(cell.source).makes
            return CellStopped(cell.id, error, self.hint_for(error, lacking))
        if cell.parameters:
            with suppress(StudentRaised):
                self._process.run(replace(cell, id="grading_parameters"), reference.parameters)
        if rest and not cell.weightless:
            self._run_rest(cell, rest)
        return None

    def _run_rest(self, cell: GradingCell, rest: str) -> None:
        """Run what follows in a cell after it has defined what it must: what goes wrong there is a note.

        What uses the functions of an answer is left out, and so is what trains: it may take long.
        """
        follows, uses_it = self._texts.following(cell, rest)
        if uses_it:
            self._note_of_rest(cell, "; what uses it there, or trains, is not run.")
        if not follows or cell.id in self._process.faults_of("rest"):
            return
        if follows != rest:
            self._supply(cell, names_of(follows).reads, self._places[cell.id], frozenset())
        try:
            self._process.run(cell, follows, REST_SECONDS, part="rest")
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
        """Run own cells that may make a name without its being seen, unless a cell that makes it went wrong."""
        if any(self._faults.get(cell.id) is not None for cell in self._texts.notebook.makers(name, before)):
            return  # what went wrong there is the reason
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
