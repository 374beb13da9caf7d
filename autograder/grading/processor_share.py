"""The time that a student process gets: how long an answer may take, and what of that others took of the processor."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from autograder import wire
from autograder.config import Settings
from autograder.errors import StudentFault, StudentTimeout

SHORTENED = 4
"""Limits are divided by it after the first one that a submission ran into, and once more after the second."""
TRIES = 3
"""A part that has failed to answer so often, and never answered, is not asked again."""
SILENT = 2
"""A submission that leaves so many questions unanswered, one after the other, that run hardly any of its code is asked
nothing more."""
_AT_ONCE = wire.Restart | wire.OtherKeras | wire.StandIn
"""Those questions: what they run is the course's, but for a layer's or a class' own ways to be looked at."""
AT_ONCE_SECONDS = 5.0
"""How long the answer to one of them may take, whatever is wanted."""
_SHORT = wire.Call | wire.Apply | wire.Gradients | wire.BuildModel
"""Questions that take well below a second; to train, to count and to import take longer."""
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class ProcessorTime:
    """What all threads of a process had of the processors since it began.

    Attributes:
        used: Seconds in which one of them ran.
        waited: Seconds that each thread, by its number, could have run, and waited for a processor.
    """

    used: float = 0.0
    waited: Mapping[int, float] = field(default_factory=dict)

    def own_share(self, before: ProcessorTime, seconds: float) -> float:
        """Return how many of the last seconds the process could run, or did nothing of its own accord.

        A process whose own threads keep each other waiting uses a processor all the time, so that nothing is taken off.

        Args:
            before: What it had at the beginning.
            seconds: Wall-clock time since then.
        """
        waited = (waited - before.waited.get(thread, 0.0) for thread, waited in self.waited.items())
        return max(self.used - before.used, seconds - max(waited, default=0.0))


class FairClock:
    """Counts a process's own share of the time, from now on.

    Args:
        pidfd: A descriptor of the process.
    """

    def __init__(self, pidfd: int) -> None:
        self._pidfd = pidfd
        self._began = time.monotonic()
        self._before = processor_time(pidfd)

    def wall(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began

    def own(self) -> float:
        """Return the process's own share of them; see `ProcessorTime.own_share`."""
        return processor_time(self._pidfd).own_share(self._before, self.wall())


def processor_time(pidfd: int) -> ProcessorTime:
    """Return what a process has had so far; nothing once it has ended, or where the kernel does not count.

    Args:
        pidfd: A descriptor of the process.

    Reference: man page proc_pid_stat(5); `Documentation/scheduler/sched-stats.rst` of the kernel for schedstat.
    """
    with suppress(OSError, ValueError, IndexError):
        folder = Path("/proc", _number(pidfd))
        fields = (folder / "stat").read_text().rpartition(")")[2].split()
        waited = {int(thread.name): _waited(thread) for thread in (folder / "task").iterdir()}
        return ProcessorTime((int(fields[11]) + int(fields[12])) / _TICKS, waited)
    return ProcessorTime()


def _number(pidfd: int) -> str:
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Pid:"))


def _waited(thread: Path) -> float:
    with suppress(OSError):  # it ended meanwhile
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    return 0.0


class Patience:
    """How long to wait for a submission: code that never returns must not use up its limit on every question.

    Limits shrink in a task that ran into one, and for tasks after it. A question is not asked where the same part has
    failed to answer TRIES times, and never answered: its last fault stands for the answer. Nor is one asked of a
    SILENT submission: its answering code is not what it was.
    """

    def __init__(self) -> None:
        self._task = ""
        self._slow_tasks: set[str] = set()
        self._limits = 0  # that were run into in this task
        self._gave_up: StudentTimeout | None = None
        self._hurried = False
        self._answered: set[tuple[str, str]] = set()
        self._faults: dict[tuple[str, str], list[StudentFault]] = {}
        self._silence: list[StudentTimeout] = []

    @property
    def ran_out(self) -> bool:
        """Whether any question ran into its limit."""
        return bool(self._slow_tasks)

    def renew(self) -> None:
        """Begin with another process, in which a part that failed may do better: each gets one more try."""
        self._slow_tasks = set(sorted(self._slow_tasks)[:1])
        self._faults = {part: faults[: TRIES - 1] for part, faults in self._faults.items()}

    def begin(self, task: str, *, hurried: bool) -> None:
        """Begin with a task.

        Args:
            task: Its id.
            hurried: Little is lost where time runs out: nothing is asked after the first limit that was run into.
        """
        self._task, self._limits, self._hurried, self._gave_up = task, 0, hurried, None

    def expect_answers(self) -> None:
        """Go on unless the submission is SILENT.

        Raises:
            StudentTimeout: Its last one, if it is.
        """
        if len(self._silence) >= SILENT:
            raise self._silence[-1]

    def seconds_for(self, question: wire.Question, wanted: float) -> float:
        """Return how long an answer may take.

        Args:
            question: What is to be asked.
            wanted: The limit where none was run into yet.

        Raises:
            StudentFault: If it is not worth asking.
        """
        self.expect_answers()
        if self._gave_up is not None:
            raise self._gave_up
        part = self._part_asked(question)
        faults = self._faults.get(part, [])
        if len(faults) >= TRIES and part not in self._answered:
            raise faults[-1]
        if isinstance(question, _AT_ONCE):
            return AT_ONCE_SECONDS
        return wanted / self._divisor(most=2 if isinstance(question, _SHORT) else 1)

    def seconds_for_cell(self, wanted: float) -> float:
        """Return how long a cell of the notebook may take; for the argument see `seconds_for`."""
        self.expect_answers()
        return wanted / self._divisor(most=1)

    def note_liveness(self, question: wire.Question, fault: StudentFault | None = None) -> None:
        """Note whether an answer came in time, if what was asked takes hardly any."""
        if isinstance(question, _AT_ONCE):
            if isinstance(fault, StudentTimeout):
                self._silence.append(fault)
            elif fault is None:
                self._silence.clear()

    def note_answer(self, question: wire.Question) -> None:
        """Note that an answer came, whatever it was."""
        self.note_liveness(question)
        self._answered.add(self._part_asked(question))

    def note_fault(self, question: wire.Question, fault: StudentFault) -> None:
        """Note that none came, in time or at all."""
        self._faults.setdefault(self._part_asked(question), []).append(fault)
        self.note_liveness(question, fault)
        if isinstance(fault, StudentTimeout) and not isinstance(question, _AT_ONCE):
            self._limits += 1
            self._gave_up = fault if self._hurried else None
            if not self._hurried:  # else it may be the fault of an earlier task
                self._slow_tasks.add(self._task)

    def _divisor(self, most: int) -> int:
        """Return by what a limit is divided, after those that were run into before; `most` of them count."""
        before = len(self._slow_tasks - {self._task}) + self._limits + self._hurried
        return int(SHORTENED ** min(before, most))

    def _part_asked(self, question: wire.Question) -> tuple[str, str]:
        """Return which part of a submission answers a question: a layer that can be made need not answer when called.

        Models are of one class, whatever they are made of, so that those of one task say nothing of another's.
        """
        if isinstance(question, wire.Apply | wire.Gradients):
            return self._task, question.target.type_name
        if isinstance(question, wire.BuildModel):
            return "build", " ".join(node.name for node in question.nodes)
        return type(question).__name__, str(getattr(question, "name", ""))


class TimeLeft:
    """What is left of a submission's time, which begins now, and how much of it the next question may take.

    Args:
        settings: The limits.

    Attributes:
        ends: `time.monotonic()` at which all of it is up.
        patience: Shortens limits after some were run into.
    """

    def __init__(self, settings: Settings) -> None:
        self.ends = time.monotonic() + settings.submission_seconds
        self.patience = Patience()
        self._settings = settings

    def wanted_for(self, question: wire.Question, seconds: float | None) -> float:
        """Return how many seconds an answer may take, should as much be left.

        Args:
            question: What is to be asked.
            seconds: The limit where none was run into yet; None means the usual one.

        Raises:
            StudentFault: If it is not worth asking.
        """
        return self.patience.seconds_for(question, seconds or self._settings.request_seconds)

    def within(self, wanted: float) -> float:
        """Return so many seconds, or what is left.

        Raises:
            StudentTimeout: If nothing is.
        """
        left = self.ends - time.monotonic()
        if left <= 0:
            total = self._settings.submission_seconds
            raise StudentTimeout(f"Your submission had used up its {total:g} s before this check was reached.")
        return min(wanted, left)

    def for_cell(self) -> float:
        """Return how many seconds the next cell of the notebook may take; for errors see `within`."""
        return self.within(self.patience.seconds_for_cell(self._settings.load_seconds))

    def for_loading(self) -> float:
        """Return how many seconds the module may take to be loaded; for errors see `within`."""
        return self.within(self._settings.load_seconds)
