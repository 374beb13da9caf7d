"""Run a submission's notebook in its student process: the given cells, and the answers that a task needs.

Each task begins with an empty notebook, so that its marks do not depend on the tasks before it. What an answer reads
and nobody has defined yet is supplied: by the student's own answers above it, by a quick stand-in for what takes long,
by given cells that grading leaves out otherwise, or by cells that the student added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Literal

from autograder import wire
from autograder.course.cell_names import end_of_definitions, names_of
from autograder.course.grading_notebook import GradingCell, GradingNotebook
from autograder.errors import (
    CellStopped,
    CheckFailed,
    MalformedReply,
    StudentDied,
    StudentFault,
    StudentRaised,
    StudentTimeout,
)
from autograder.grading.reference import Reference, StandIns
from autograder.grading.student_process import StudentProcess

REST_SECONDS = 3.0
"""How long grading waits for what follows in a cell after it has defined what it must."""
SUPPLY_SECONDS = 10.0
"""How long it waits for a cell that only supplies a name."""
MOST_PACKAGES = 5
CellPart = Literal["definitions", "rest"]
"""All up to where a cell has defined what it must, or what follows."""


class NotebookRun:
    """The notebook of one task in one student process; each cell is run once.

    Args:
        task: The id of the task, whose graded cell ends what counts.
        notebook: What to run of the submission's notebook.
        reference: The instructor's texts.
        stand_ins: Whose cells are run in place of the student's.
        process: Where the cells are run.
        limit: Returns how many seconds the next cell may take.
        deadly: What became of parts of cells that ended a process, by the cell's id: not tried again. Grows.

    Attributes:
        notes: Sentences for the student about cells that were not run as they stand.
        ended_by_rest: What follows in a cell after its definitions ended the process. It is left out next time.
    """

    def __init__(
        self,
        task: str,
        notebook: GradingNotebook,
        reference: Reference,
        stand_ins: StandIns,
        process: StudentProcess,
        limit: Callable[[], float],
        deadly: dict[tuple[str, CellPart], StudentFault],
    ) -> None:
        self.task = task
        self.notes: list[str] = []
        self.ended_by_rest = False
        self._notebook = notebook
        self._reference = reference
        self._stand_ins = stand_ins
        self._process = process
        self._limit = limit
        self._end = notebook.places.get(task, len(notebook.cells))
        self._deadly = deadly
        self._faults: dict[str, StudentFault | None] = {
            cell: fault for (cell, part), fault in deadly.items() if part == "definitions"
        }
        process.ask(wire.Restart(), limit())

    @property
    def faults(self) -> Mapping[str, StudentFault | None]:
        """What went wrong in each cell that was run, by its id."""
        return self._faults

    def run_up_to(self, answers: frozenset[str]) -> None:
        """Run the given cells and these answers, in the notebook's order, up to the last of the answers.

        Args:
            answers: grade_ids of solution cells; all others run only where a name is lacking.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        cells, places = self._notebook.cells, self._notebook.places
        last = max((places[answer] for answer in answers), default=-1)
        for cell in cells[: last + 1]:
            if (not cell.on_demand and not cell.is_answer) or cell.id in answers:
                self._run_once(cell)
        for answer in answers:
            wanted = self._reference.wanted_of(answer) | names_of(self._parts_of(cells[places[answer]])[0]).reads
            self._supply(wanted, self._end, frozenset({answer}))

    def run_again(self, variables: Mapping[str, wire.Value]) -> None:
        """Set variables, and run the answers with them that were run before.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        self._process.ask(wire.Assign(dict(variables)), self._limit())
        for cell in self._notebook.cells:
            if not cell.given and cell.id in self._faults and (cell.id, "definitions") not in self._deadly:
                del self._faults[cell.id]
                self._run_once(cell)

    def hint(self, name: str) -> str:
        """Say where the student defines a name that an answer misses; nothing if nowhere."""
        return self._notebook.where_else(name, self._end)

    def _run_once(self, cell: GradingCell) -> None:
        if cell.id not in self._faults:
            self._faults[cell.id] = None  # a cell that needs what itself makes is not run for that
            self._faults[cell.id] = self._run(cell)

    def _run(self, cell: GradingCell) -> StudentFault | None:
        """Run one cell and return what went wrong."""
        if cell.id in self._notebook.missing and cell.id not in self._stand_ins.cells:
            return CheckFailed(f"The notebook's cell `{cell.id}` is missing from what you handed in.")
        definitions, rest = self._parts_of(cell)
        if cell.on_demand or cell.is_answer:
            self._supply(names_of(definitions).reads, self._notebook.places[cell.id], frozenset({cell.id}))
        try:
            self._ask(cell, definitions, SUPPLY_SECONDS if cell.on_demand else 0.0)
        except StudentRaised as error:
            return CellStopped(cell.id, error, self.hint(error.missing))
        if cell.parameters:
            with suppress(StudentRaised):
                self._ask(replace(cell, id="grading_parameters"), self._reference.parameters)
        if rest and self._reference.defines_functions(cell.id):
            self.notes.append(f"The cell `{cell.id}` is graded for what it defines; what follows there is not run.")
        elif rest and not cell.weightless:
            self._run_rest(cell, rest)
        return None

    def _parts_of(self, cell: GradingCell) -> tuple[str, str]:
        """Return the text up to where a cell has defined what it must, and what follows, its lines numbered on."""
        source = self._stand_ins.cells.get(cell.id, cell.source)
        wanted = self._reference.wanted_of(cell.id) if cell.is_answer else frozenset()
        functions = self._reference.defines_functions(cell.id)
        end = end_of_definitions(source, wanted, functions=functions) if wanted else 0
        lines = source.split("\n")
        if not end or all(line.lstrip().startswith("#") for line in lines[end:] if line.strip()):
            return source, ""
        return "\n".join(lines[:end]), "#\n" * end + "\n".join(lines[end:])

    def _run_rest(self, cell: GradingCell, rest: str) -> None:
        """Run what follows in a cell after it has defined what it must: what goes wrong there is a note."""
        if (cell.id, "rest") in self._deadly:
            return
        try:
            self._ask(cell, rest, REST_SECONDS, part="rest")
        except (StudentDied, StudentTimeout, MalformedReply) as fault:
            self.ended_by_rest = True
            self.notes.append(f"The cell `{cell.id}` is graded for what it defines. What follows: {fault.message}")
            raise
        except StudentRaised as error:
            if error.interrupted:
                what = "takes longer than grading waits for it"
            elif error.missing and self._notebook.makers(error.missing, self._end):
                return  # it would be there in the whole notebook
            else:
                what = CellStopped(cell.id, error).what
            self.notes.append(f"The cell `{cell.id}` is graded for what it defines; what follows there {what}.")

    def _ask(self, cell: GradingCell, source: str, seconds: float = 0.0, part: CellPart = "definitions") -> None:
        """Run a text in the name of a cell."""
        try:
            found = self._process.ask(wire.RunCell(cell.id, source, cell.weightless, seconds), self._limit())
        except (StudentDied, StudentTimeout, MalformedReply) as fault:
            self._deadly[cell.id, part] = fault
            raise
        self.notes += missing_packages(found, f"a cell of your notebook (`{cell.id}`)")

    def _supply(self, names: Iterable[str], before: int, asking: frozenset[str]) -> None:
        """Have these names defined, as far as cells before a place define them.

        Args:
            names: Some of them may be there already.
            before: The place.
            asking: Answers that do not get from elsewhere what they must define themselves.
        """
        own = {name for answer in asking for name in self._reference.wanted_of(answer)}
        for name in self._lacking(names):
            for supplier in self._suppliers(name, before, quick=name not in own):
                if not self._lacking([name]):
                    break
                self._run_once(supplier)

    def _suppliers(self, name: str, before: int, *, quick: bool) -> Iterator[GradingCell]:
        """Yield cells that define a name, in the order in which to try them."""
        makers = [maker for maker in self._notebook.makers(name, before) if maker.id not in self._faults]
        yield from (maker for maker in makers if maker.is_answer)
        if name not in self._reference.quick:
            yield from (maker for maker in makers if maker.given)
        elif quick and self._is_made(name, before):
            yield GradingCell(f"quick {name}", self._reference.quick_source(name), given=True)
        yield from (maker for maker in makers if maker.added)

    def _is_made(self, name: str, before: int) -> bool:
        """Whether a name is there at a place of the solved notebook."""
        cells = self._notebook.cells[:before]
        return any(name in (cell.names.makes if cell.given else self._reference.wanted_of(cell.id)) for cell in cells)

    def _lacking(self, names: Iterable[str]) -> list[str]:
        """Return which of these names are not there, as far as the process says so in words that can be read."""
        wanted = sorted(names)
        found = self._process.ask(wire.Lacking(wanted), self._limit()) if wanted else ()
        return [name for name in wanted if isinstance(found, tuple) and name in found]


def missing_packages(found: object, where: str) -> list[str]:
    """Return notes on packages that a student process says it could not import; what it says may be anything."""
    names = [name for name in found if isinstance(name, str)] if isinstance(found, tuple) else []
    good = dict.fromkeys(name for name in names if len(name) <= 60 and name.replace(".", "").isidentifier())
    return [
        f"`{name}`, which {where} imports, is not installed where work is graded. What does not use it is graded."
        for name in list(good)[:MOST_PACKAGES]
    ]
