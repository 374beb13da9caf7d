"""A submission that can be asked questions: its student process, started when needed and again after it ended.

Without stand-ins it is the submission as handed in. With stand-ins, reference parts take the place of the
student's wrong ones; nothing that such a process says is ever shown (see `carried_forward`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.assignment import MODULE, Assignment, Task
from autograder.course.grading_notebook import GradingNotebook, assemble
from autograder.course.submission import Snapshot
from autograder.errors import CheckFailed, StudentFault, StudentRaised, ZygoteError
from autograder.grading.notebook.cell_process import ENDS_PROCESS, CellProcess, Deadly, missing_packages
from autograder.grading.notebook.run import NotebookRun
from autograder.grading.processor_share import TimeLeft
from autograder.grading.reference import NO_STAND_INS, CellTexts, Reference, StandIns
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote
from autograder.results import Environment

INTERRUPTED_AT = 5 / 6
"""Share of the time for loading after which the module is interrupted: what it has defined stays, if it stops then."""


@dataclass(frozen=True)
class GradingCase:
    """What stays the same while one submission is graded.

    Attributes:
        notebook: What to run of the submission's notebook.
        time: What is left of the submission's.
        allowance: What is left of what its replies may hold.
    """

    settings: Settings
    assignment: Assignment
    reference: Reference
    zygote: Zygote
    snapshot: Snapshot
    notebook: GradingNotebook
    time: TimeLeft
    allowance: wire.Allowance = field(default_factory=wire.Allowance)

    @classmethod
    def begin(
        cls, settings: Settings, assignment: Assignment, reference: Reference, zygote: Zygote, snapshot: Snapshot
    ) -> GradingCase:
        """Return the case of a submission whose time begins now, or when the zygote is ready, which may take longer."""
        zygote.wait_until_ready()
        notebook = assemble(reference.source, snapshot.notebook_bytes)
        return cls(settings, assignment, reference, zygote, snapshot, notebook, TimeLeft(settings))

    def answers_for(self, task: Task) -> frozenset[str]:
        """Return the notebook's answers that a task needs: its own, and those before it that cost little to run."""
        before = self.assignment.answers_for(task) - set(task.answers)
        weightless = {cell.id for cell in self.notebook.cells if cell.weightless}
        return frozenset(task.answers) | (before - weightless)


@dataclass
class ModuleState:
    """What became of loading the student's module, in whichever process.

    Attributes:
        fault: Why it is not there, or only a part of it; each check that lacks something fails with it.
        ended_a_process: Loading it did: it is not tried again.
        printed: What it printed meanwhile, before anything hidden reached it.
    """

    fault: StudentFault | None = None
    ended_a_process: bool = False
    printed: str = ""

    def note_absence(self, snapshot: Snapshot) -> None:
        """Note that there is none to load, unless it is known already why."""
        reason = snapshot.left_out.get(f"{MODULE}.py", f"You handed in no {MODULE}.py.")
        self.fault = self.fault or StudentFault(reason)

    def note_fault(self, fault: StudentFault) -> list[str]:
        """Remember the first fault while loading, and return what the student should know of it."""
        if self.fault is not None:
            return []
        if isinstance(fault, StudentRaised) and fault.interrupted:
            where = f" (line {fault.line})" if fault.line else ""
            self.fault = CheckFailed(f"{MODULE}.py takes longer than grading waits for its import{where}.")
        else:
            self.fault = CheckFailed(f"{MODULE}.py could not be imported. {fault.message}")
            self.fault.exception = fault.exception
        message = self.fault.message
        unread = isinstance(fault, ENDS_PROCESS) or fault.exception in ("SyntaxError", "IndentationError", "TabError")
        graded = "Nothing in it" if unread else "What it defines all the same"
        return [f"{message}{'' if message.endswith(('.', '?')) else '.'} {graded} is graded."]


class LiveSubmission:
    """See the module. Close it, or use it as a context manager.

    Args:
        case: The submission and all that grading needs.
        stand_ins: Reference parts in place of the student's own.
    """

    def __init__(self, case: GradingCase, stand_ins: StandIns = NO_STAND_INS) -> None:
        self._case = case
        self._texts = CellTexts(case.notebook, case.reference, stand_ins)
        self._stand_ins = stand_ins
        self._process: StudentProcess | None = None
        self._notebook: NotebookRun | None = None
        self._deadly_cells: Deadly = {}
        self._notes: list[str] = []
        self._module = ModuleState()
        self._closed = False
        self._time = case.time
        if stand_ins.tasks:
            self._time.patience.renew()

    def __enter__(self) -> LiveSubmission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the process for good, and wait until it is gone."""
        self._closed = True
        if self._process is not None:
            self._process.stop()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for the student about what did not run as it stands."""
        return tuple(dict.fromkeys(self._notes))

    @property
    def printed(self) -> str:
        """What the student's own module printed while it was loaded."""
        return self._module.printed

    def environment(self) -> Environment:
        """Return what the student process runs on and which layers confine it."""
        return self._running().environment

    def student(self, task: Task, *, hurried: bool = False) -> Student:
        """Return the submission as the checks of one task see it.

        Args:
            task: The task.
            hurried: Time is short, and little lost where it runs out; see `Patience`.
        """
        self._time.patience.begin(task.id, hurried=hurried)
        if task.preload and self._process is not None and not self._process.complete:
            self._process.stop()  # forked before the modules to preload were there: the next one has them
        if self._process is not None and self._process.alive:
            with suppress(StudentFault):
                self.ask(wire.OtherKeras())  # what earlier tasks made is not asked of this one
        seconds = self._case.settings.training_seconds
        return Student(self.ask, lambda variables: self._run_answers(task, variables), seconds, self._running)

    def ask(self, question: wire.Question, seconds: float | None = None) -> Any:  # noqa: ANN401 - plain Python
        """Ask within the time that is left; see `StudentProcess.ask`.

        Raises:
            StudentFault: Whatever the submission did wrong.
        """
        wanted = self._time.wanted_for(question, seconds)
        process = self._running()
        limit = self._time.within(wanted)  # to start the process has taken some of it
        try:
            answer = process.ask(question, limit)
        except StudentRaised as error:
            self._time.patience.note_answer(question)
            self._explain(error, question)
            raise
        except StudentFault as fault:
            self._time.patience.note_fault(question, fault)
            raise
        self._time.patience.note_answer(question)
        return answer

    def _ask_about_cells(self, process: StudentProcess, question: wire.Question) -> Any:  # noqa: ANN401 - plain Python
        """Ask what running the notebook takes, within the time of a cell."""
        limit = self._time.for_cell()
        try:
            answer = process.ask(question, limit)
        except StudentFault as fault:
            self._time.patience.note_liveness(question, fault)
            raise
        self._time.patience.note_liveness(question)
        return answer

    def _explain(self, error: StudentRaised, question: wire.Question) -> None:
        """Say why a name is missing that an answer asked for.

        Raises:
            StudentFault: What went wrong while the module was loaded, if that is the reason.
        """
        if error.missing and self._module.fault is not None and not _is_of_the_notebook(question):
            raise self._module.fault from error
        if self._notebook is not None:
            functions = [question.name] if isinstance(question, wire.Train | wire.Call) else []
            error.add_hint(self._notebook.hint_for(error, functions if _is_of_the_notebook(question) else []))

    def _running(self) -> StudentProcess:
        """Return the process, started afresh if it ended."""
        if self._closed:
            raise RuntimeError("this submission was closed: nothing may be asked of it any more")
        if self._process is None or not self._process.alive:
            self._time.patience.expect_answers()
            self._notebook = None
            self._process = self._start()
        return self._process

    def _notebook_of(self, task: Task) -> NotebookRun:
        """Return the notebook of a task, begun afresh if the process last ran that of another one."""
        process = self._running()
        if self._notebook is None or self._notebook.task != task.id:
            cells = CellProcess(partial(self._ask_about_cells, process), self._deadly_cells)
            self._notebook = NotebookRun(task.id, self._texts, cells)
        return self._notebook

    def _start(self) -> StudentProcess:
        """Start a process and load the module; if loading ends the process, start one without the module."""
        own = self._case.snapshot.module_bytes is not None and not self._module.ended_a_process
        if not own:
            self._module.note_absence(self._case.snapshot)
        case = self._case
        process = StudentProcess(case.zygote, case.snapshot, case.settings, case.allowance)
        self._load(process, own)
        if not process.alive:
            if not own:
                raise ZygoteError("A student process ended before it loaded anything of the student's.")
            self._module.ended_a_process = True
            return self._start()
        if own and not self._stand_ins.tasks:
            self._module.printed = process.printed()
        if self._stand_ins.names:
            self._put_stand_ins(process)
        return process

    def _load(self, process: StudentProcess, own: bool) -> None:
        """Load the module and remember the first fault: each check that needs the module fails with it."""
        reference = self._case.reference
        try:
            limit = self._time.for_loading()
            seconds, environment = limit * INTERRUPTED_AT, self._case.notebook.environment
            question = wire.Load(MODULE, reference.given, own, reference.modules, seconds, environment)
            missing = process.ask(question, limit)
        except StudentFault as fault:
            self._notes += self._module.note_fault(fault)
        else:
            self._notes += missing_packages(missing, f"your {MODULE}.py")

    def _put_stand_ins(self, process: StudentProcess) -> None:
        question = wire.StandIn(self._stand_ins.source, sorted(self._stand_ins.names))
        try:
            process.ask(question, self._time.for_loading())
        except StudentFault as fault:  # its module does not let itself be changed, or its time is up
            if not process.alive:  # it was asked, and stopped
                self._time.patience.note_liveness(question, fault)
            process.stop()
            raise
        self._time.patience.note_liveness(question)

    def _run_answers(self, task: Task, variables: Mapping[str, wire.Value]) -> None:
        """Run the notebook up to a task's answers; where variables are given, run its answers once more with them.

        Raises:
            StudentFault: If one of these answers is missing or stopped with an error.
        """
        notebook = self._notebook_of(task)
        answers = self._case.answers_for(task)
        try:
            notebook.run_up_to(answers)
            if variables:
                notebook.run_again(variables)
        except StudentFault:
            alive = self._process is not None and self._process.alive
            if alive or not notebook.ended_by_rest:
                raise
            self._run_answers(task, variables)  # in another process, without what ended this one
            return
        finally:
            self._notes += notebook.take_notes()
        for answer in task.answers:
            fault = notebook.faults.get(answer)
            if fault is not None:
                raise fault


def _is_of_the_notebook(question: wire.Question) -> bool:
    """Whether a question is about what the notebook defines, not the module."""
    return isinstance(question, wire.Read | wire.Train) or (
        isinstance(question, wire.Call) and question.space == "notebook"
    )
