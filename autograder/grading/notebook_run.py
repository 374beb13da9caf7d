"""Run a submission's notebook in its student process: the trusted cells, and the answers that a task needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress

from autograder import wire
from autograder.course.notebook import GradingCell, GradingNotebook
from autograder.errors import CellStopped, CheckFailed, StudentFault, StudentRaised
from autograder.grading.reference import StandIns
from autograder.grading.student_process import StudentProcess


class NotebookRun:
    """The notebook in one student process; each cell is run once.

    Args:
        notebook: What to run of the submission's notebook.
        parameters: Text that is run after the notebook's parameters cell.
        stand_ins: Whose cells are run in place of the student's.
        process: Where the cells are run.
        limit: Returns how many seconds the next cell may take.
    """

    def __init__(
        self,
        notebook: GradingNotebook,
        parameters: str,
        stand_ins: StandIns,
        process: StudentProcess,
        limit: Callable[[], float],
    ) -> None:
        self._notebook = notebook
        self._parameters = parameters
        self._stand_ins = stand_ins
        self._process = process
        self._limit = limit
        self._faults: dict[str, StudentFault | None] = {}

    @property
    def faults(self) -> Mapping[str, StudentFault | None]:
        """What went wrong in each cell that was run, by its id."""
        return self._faults

    def run_up_to(self, answers: frozenset[str]) -> None:
        """Run the trusted cells and these answers, in the notebook's order, up to the last of the answers.

        Args:
            answers: grade_ids of solution cells; all others are left out.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        cells = self._notebook.cells
        last = max((index for index, cell in enumerate(cells) if cell.id in answers), default=-1)
        for cell in cells[: last + 1]:
            if (cell.given or cell.id in answers) and cell.id not in self._faults:
                self._faults[cell.id] = self._run(cell)

    def run_again(self, answers: frozenset[str], variables: Mapping[str, wire.Value]) -> None:
        """Set variables, and run these answers with them, which were run before.

        Raises:
            StudentFault: If the process gives no answer; what cells raise is noted in `faults`.
        """
        self._process.ask(wire.Assign(dict(variables)), self._limit())
        for answer in answers:
            self._faults.pop(answer, None)
        self.run_up_to(answers)

    def _run(self, cell: GradingCell) -> StudentFault | None:
        """Run one cell and return what went wrong."""
        source = self._stand_ins.cells.get(cell.id)
        if source is None:
            if cell.id in self._notebook.missing:
                return CheckFailed(f"The notebook's cell `{cell.id}` is missing from what you handed in.")
            source = cell.source
        fault: StudentFault | None = None
        try:
            self._process.ask(wire.RunCell(cell.id, source, cell.weightless), self._limit())
        except StudentRaised as error:
            fault = CellStopped(cell.id, error)
        if cell.parameters:
            with suppress(StudentRaised):
                self._process.ask(wire.RunCell("grading_parameters", self._parameters), self._limit())
        return fault
