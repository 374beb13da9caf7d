"""One submission being asked: its student process, started when first needed and again after it ended.

A plain respondent is the submission as handed in. One with replaced tasks has reference parts in
place of the student's wrong ones; nothing that such a process says is ever shown.
"""

from __future__ import annotations

import builtins
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.notebook import GradingCell, GradingNotebook, answer_sources
from autograder.course.solution_regions import complete_functions, only_needed
from autograder.course.submission import Snapshot
from autograder.errors import CheckFailed, StudentFault, StudentRaised, StudentTimeout, ZygoteError
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote
from autograder.results import Environment

SHORTENED = 4  # once a task ran into its limit, the rest of that task gets this fraction of it


@dataclass(frozen=True)
class Reference:
    """The instructor's texts that grading needs, read once.

    Attributes:
        given: The released module; its complete functions replace the student's copies of them.
        modules: The given modules beside it, by name; imports find them, whatever was handed in.
        helpers: Names of the functions that the released module holds or imports complete.
        solved: The solved module, from which reference parts stand in.
        source: The built nbgrader notebook.
        answers: The instructor's solution cells by grade_id.
        parameters: Text that grading runs after the notebook's parameters cell.
        stand_ins: Text put after the solved module where its parts stand in: parts that fit more callers.
        otherwise: Reference parts that are right in another way, such as with the class token last; a student's own
            parts may only fit together with those.
    """

    given: str
    modules: dict[str, str]
    helpers: frozenset[str]
    solved: str
    source: bytes
    answers: dict[str, str]
    parameters: str
    stand_ins: str
    otherwise: str

    @classmethod
    def read(cls, assignment: Assignment) -> Reference:
        """Read them from the course folder."""
        source = assignment.notebook_path.read_bytes()
        given = (assignment.source_dir / f"{MODULE}.py").read_text("utf-8")
        modules = {path.stem: path.read_text("utf-8") for path in assignment.given_modules}

        def text_if_there(name: str) -> str:
            path = assignment.checks_dir / name
            return path.read_text("utf-8") if path.exists() else ""

        return cls(
            given=given,
            modules=modules,
            helpers=complete_functions(given, modules),
            solved=(assignment.solution_dir / f"{MODULE}.py").read_text("utf-8"),
            source=source,
            answers=answer_sources(source),
            parameters=text_if_there("parameters.py"),
            stand_ins=text_if_there("stand_ins.py"),
            otherwise=text_if_there("otherwise.py"),
        )


@dataclass(frozen=True)
class Case:
    """What stays the same while one submission is graded.

    Attributes:
        ends: `time.monotonic()` at which the submission's time is up.
    """

    settings: Settings
    assignment: Assignment
    reference: Reference
    zygote: Zygote
    snapshot: Snapshot
    notebook: GradingNotebook
    ends: float


class Respondent:
    """See the module.

    Args:
        case: The submission and all that grading needs.
        replaced: Tasks for which reference parts stand in.
        otherwise: Let those parts stand in that are right in another way.

    Attributes:
        printed: What the student's own module printed while it was loaded, before anything hidden reached it.
    """

    def __init__(self, case: Case, replaced: tuple[Task, ...] = (), *, otherwise: bool = False) -> None:
        self._case = case
        self._replaced = replaced
        texts = case.reference
        self._names = frozenset(name for task in replaced for name in task.provides)
        solved = "\n".join([texts.solved, texts.stand_ins, texts.otherwise if otherwise else ""])
        self._solved = only_needed(solved, self._names)  # student code can find what stands beside it
        self._process: StudentProcess | None = None
        self.printed = ""
        self._load_fault: StudentFault | None = None
        self._fatal_module = False  # importing the module ended a process: it is not tried again
        self._ran: dict[str, StudentFault | None] = {}
        self._share = 1

    def student(self, task: Task) -> Student:
        """Return the submission as the checks of one task see it."""
        self._share = 1
        if task.preload:
            self._renew_if_early()
        return Student(self.ask, lambda: self._run_up_to(task), self._case.settings.training_seconds, self._running)

    def _renew_if_early(self) -> None:
        """End a process that was forked before the modules to preload were there: the next one has them."""
        if self._process is not None and not self._process.complete:
            self._process.stop()

    def environment(self) -> Environment:
        """Return what the student process runs on and which layers confine it."""
        return self._running().environment

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stop()

    def ask(self, question: wire.Question, seconds: float | None = None) -> Any:  # noqa: ANN401 - plain Python
        """Ask within the time that is left; see `StudentProcess.ask`.

        Raises:
            StudentFault: Whatever the submission did wrong.
        """
        process = self._running()
        if self._load_fault is not None and self._needs_module(question):
            raise self._load_fault
        limit = self._limit(seconds or self._case.settings.request_seconds)
        try:
            return process.ask(question, limit)
        except StudentTimeout:
            self._share = SHORTENED
            raise
        except StudentRaised as error:
            if self._replaced:
                _withhold(error)
            raise

    def _limit(self, wanted: float) -> float:
        left = self._case.ends - time.monotonic()
        if left <= 0:
            total = self._case.settings.submission_seconds
            raise StudentTimeout(f"Your submission had used up its {total:g} s before this check was reached.")
        return min(wanted / self._share, left)

    def _needs_module(self, question: wire.Question) -> bool:
        ours = self._names | self._case.reference.helpers
        if isinstance(question, wire.BuildModel):
            return any(node.name not in ours and not node.name.startswith("keras.") for node in question.nodes)
        if isinstance(question, wire.Count):
            return question.name not in ours
        return isinstance(question, wire.Call) and question.space == "module" and question.name not in ours

    def _running(self) -> StudentProcess:
        if self._process is None or not self._process.alive:
            self._ran = {}
            self._process = self._start()
        return self._process

    def _start(self) -> StudentProcess:
        """Start a process and load the module; where loading ends the process, start one without it."""
        case = self._case
        process = StudentProcess(case.zygote, case.snapshot, case.settings)
        own = case.snapshot.module_bytes is not None and not self._fatal_module
        if not own and self._load_fault is None:
            self._load_fault = StudentFault(f"You handed in no {MODULE}.py.")
        try:
            load = wire.Load(case.reference.given, own, case.reference.modules)
            process.ask(load, self._limit(case.settings.load_seconds))
        except StudentFault as fault:
            if self._load_fault is None:
                self._load_fault = _not_loaded(fault)
            if not process.alive:
                if not own:
                    raise ZygoteError("A student process ended before it loaded anything of the student's.") from fault
                self._fatal_module = True
                return self._start()
        if own and not self._replaced:
            self.printed = process.printed()
        self._stand_in(process)
        return process

    def _stand_in(self, process: StudentProcess) -> None:
        if self._names:
            try:
                process.ask(wire.StandIn(self._solved, sorted(self._names)))
            except StudentFault:  # its module does not let itself be changed
                process.stop()
                raise

    def _run_up_to(self, task: Task) -> None:
        """Run the trusted cells and the needed solution cells, in the notebook's order, each once.

        Raises:
            CheckFailed: If one of the task's own cells is missing or raised.
        """
        needed = self._case.assignment.answers_for(task)
        process = self._running()
        for cell in self._cells_up_to(needed):
            if cell.id not in self._ran:
                self._ran[cell.id] = self._run(process, cell)
        for name in task.answers:
            fault = self._ran.get(name)
            if fault is not None:
                raise fault

    def _cells_up_to(self, needed: frozenset[str]) -> list[GradingCell]:
        cells = self._case.notebook.cells
        last = max((index for index, cell in enumerate(cells) if cell.id in needed), default=-1)
        return [cell for cell in cells[: last + 1] if cell.given or cell.id in needed]

    def _run(self, process: StudentProcess, cell: GradingCell) -> StudentFault | None:
        replaced = {answer for task in self._replaced for answer in task.answers}
        source = self._case.reference.answers[cell.id] if cell.id in replaced else cell.source
        cells = [wire.Cell(cell.id, source, cell.weightless)]
        if cell.parameters:
            cells.append(wire.Cell("grading_parameters", self._case.reference.parameters))
        if cell.id in self._case.notebook.missing and cell.id not in replaced:
            return CheckFailed(f"The notebook's cell `{cell.id}` is missing from what you handed in.")
        errors = process.ask(wire.RunCells(cells), self._limit(self._case.settings.load_seconds))
        error = errors.get(cell.id) if isinstance(errors, dict) else None
        if error is None:
            return None
        if self._replaced:
            return CheckFailed(f"The notebook's cell `{cell.id}` stops with an error.")
        text = " ".join(str(error.get("message")).split())
        return CheckFailed(
            f"The notebook's cell `{cell.id}` stops with {error.get('exception')}: {text} (line {error.get('line')})"
        )


def _not_loaded(fault: StudentFault) -> StudentFault:
    """Return the reason why every check of the module fails, said once in each."""
    return CheckFailed(f"{MODULE}.py could not be imported. {fault.message}")


def _withhold(error: StudentRaised) -> NoReturn:
    """Say no more than the kind of error: this process held reference code."""
    known = isinstance(getattr(builtins, error.exception, None), type)
    kind = error.exception if known else "an error"
    raise StudentRaised(f"With a correct earlier part in place of yours, your code still raised {kind}.", kind)
