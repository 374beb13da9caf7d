"""Hidden checks hear the replies of right work with one field changed.

What a submission says may cost points, but must never make a check raise, take the grader's memory or time, or earn
anything by itself. Before each recorded reply the process forks, as often as there are lies to try: the fork hears the
lie and goes on with the check, the process itself with the truth. So only what follows a lie is computed for it.
"""

from __future__ import annotations

import gc
import os
import random
import resource
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from autograder.course.assignment import Assignment, load_assignment
from autograder.grading.check_runner import Checks, collected_checks
from autograder.results import CheckResult
from tests.lies import Reply, changed_reply, places_in
from tests.parrots import Interfere, Parrot, Recording, record

ROOT = Path(__file__).parents[1]
MOST_SECONDS = 2.0
"""Of the grader's processor, that all may cost which follows one wrong reply."""
MOST_MIB = 200
"""Of the grader's memory, that checks may take while they hear one wrong reply."""
_KILLED_AFTER = 20
"""Seconds of the processor."""


@dataclass(frozen=True)
class Lies:
    """Which lies are told in one run of a task's checks.

    Attributes:
        each: Lies in place of each reply.
        turn: Number of the run; each goes on with further fields.
        seed: Draws what stands in the fields.
    """

    each: int
    turn: int
    seed: int

    def about(self, task: str, number: int, reply: Reply, *, spoilt: bool) -> Iterator[bytes]:
        """Yield the bodies of lies in place of a task's reply of this number."""
        places = places_in(reply, arrays=not spoilt)
        random.Random(f"{task} {number}").shuffle(places)  # noqa: S311 - reproducible, not secret
        for lie in range(self.turn * self.each, (self.turn + 1) * self.each):
            rng = random.Random(f"{self.seed} {task} {number} {lie} {spoilt}")  # noqa: S311 - as above
            yield changed_reply(rng, reply, places[lie % len(places)], arrays=not spoilt)


class Found(msgspec.Struct):
    """What came of some lies.

    Attributes:
        outcomes: How many ended how.
        faults: What must not be, with the lie that led there.
    """

    outcomes: dict[str, int] = {}
    faults: list[str] = []


class Ended(msgspec.Struct):
    """What a fork tells of the checks that heard its lie.

    Attributes:
        checks: Outcome and message of each.
        seconds: What all of it took of the processor.
    """

    checks: dict[str, tuple[str, str]]
    seconds: float


class Teller:
    """Forks before each reply and lets the forks hear lies.

    Args:
        lies: Which.
        task: Whose checks hear them.
        spoilt: Whether all arrays are wrong, and lies are testimony alone.
        judge: Told how each fork ended (None if it was killed), the number and kind of the reply, and the lie.
    """

    def __init__(
        self, lies: Lies, task: str, *, spoilt: bool, judge: Callable[[Ended | None, str, bytes], None]
    ) -> None:
        self._lies, self._task, self._spoilt, self._judge = lies, task, spoilt, judge
        self._heard = 0
        self._answer: int | None = None

    def interfere(self, reply: Reply, kind: str) -> bytes | None:
        """Let a fork hear each lie; see `Interfere`."""
        if self._answer is not None:
            return None
        self._heard += 1
        for body in self._lies.about(self._task, self._heard, reply, spoilt=self._spoilt):
            reading, writing = os.pipe()
            with warnings.catch_warnings():  # Python 3.12 warns where other threads run; the fork needs none
                warnings.simplefilter("ignore", DeprecationWarning)
                fork = os.fork()
            if fork == 0:
                os.close(reading)
                self._answer = writing
                _take_little()
                return body
            os.close(writing)
            with os.fdopen(reading, "rb") as file:
                told = file.read()
            os.waitpid(fork, 0)
            ended = msgspec.msgpack.decode(told, type=Ended) if told else None
            self._judge(ended, f"reply {self._heard} ({kind})", body)
        return None

    def run(self, checks: Callable[[Interfere], tuple[CheckResult, ...]]) -> tuple[CheckResult, ...]:
        """Run checks and return what they found when they heard the truth; no fork returns from here."""
        try:
            found = checks(self.interfere)
            if self._answer is not None:
                ended = Ended({check.id: (check.outcome, check.message) for check in found}, time.process_time())
                os.write(self._answer, msgspec.msgpack.encode(ended))
            return found
        finally:
            if self._answer is not None:
                os._exit(0)


def _take_little() -> None:
    """Allow this process so much more memory than it has now, and end it if it does not end by itself."""
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (MOST_MIB << 20),) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (_KILLED_AFTER,) * 2)


class Replay:
    """Lets the hidden checks hear lies.

    Args:
        recording: What was asked and answered.
        checks: The hidden checks of all tasks, collected.
        assignment: Whose they are.
    """

    def __init__(self, recording: Recording, checks: Checks, assignment: Assignment) -> None:
        self._recording = recording
        self._checks = checks
        self._tasks = {task.id: task for task in assignment.tasks}
        self._true: dict[tuple[str, bool], tuple[CheckResult, ...]] = {}

    @property
    def tasks(self) -> list[str]:
        """The ids of all tasks."""
        return list(self._tasks)

    def without_lies(self, task: str, *, spoilt: bool) -> tuple[CheckResult, ...]:
        """Return what a task's checks find where no field is changed, but maybe every array is wrong."""
        if (task, spoilt) not in self._true:
            self._true[task, spoilt] = self._run(task, lambda reply, kind: None, spoilt=spoilt)
        return self._true[task, spoilt]

    def with_lies(self, task: str, lies: Lies, *, spoilt: bool) -> Found:
        """Change fields of every reply that a task's checks hear and return what came of it.

        Args:
            task: Its id.
            lies: Which fields.
            spoilt: Whether every array is wrong, and the fields are of testimony alone.
        """
        passed = {check.id for check in self.without_lies(task, spoilt=spoilt) if check.outcome == "passed"}
        found = Found()

        def judge(ended: Ended | None, what: str, body: bytes) -> None:
            fault, outcome = _verdict(ended, passed)
            if fault:
                where = f"{task}, {what}, turn {lies.turn}, seed {lies.seed}, arrays wrong: {spoilt}, {body[:300]!r}"
                found.faults.append(f"{fault}: {where}")
            found.outcomes[outcome] = found.outcomes.get(outcome, 0) + 1

        teller = Teller(lies, task, spoilt=spoilt, judge=judge)
        gc.freeze()  # what is there already is not written to in the forks
        teller.run(lambda interfere: self._run(task, interfere, spoilt=spoilt))
        return found

    def _run(self, task: str, interfere: Interfere, *, spoilt: bool) -> tuple[CheckResult, ...]:
        parrot = Parrot(self._recording, task, spoilt=spoilt, interfere=interfere)
        return self._checks.run(self._tasks[task], parrot.student(), self._recording.seeds[task])


def _verdict(ended: Ended | None, passed: set[str]) -> tuple[str, str]:
    """Return what must not be, if anything, and in a word how the checks ended that heard a lie.

    Args:
        ended: What the fork told.
        passed: The checks that pass without the lie.
    """
    if ended is None:
        return "killed", "faulty"
    now = {name for name, (outcome, _) in ended.checks.items() if outcome == "passed"}
    raised = {name: said for name, said in ended.checks.items() if said[0] not in ("passed", "failed")}
    fault = ""
    if raised:
        fault = f"raised: {raised}"
    elif ended.seconds > MOST_SECONDS:
        fault = f"took {ended.seconds:.1f} s"
    elif not now <= passed:
        fault = f"passed by testimony: {now - passed}"
    return fault, "faulty" if fault else "unnoticed" if now == passed else "some failed" if now else "all failed"


@contextmanager
def replays(folder: Path, styles: Sequence[str] = ("",)) -> Iterator[list[Replay]]:
    """Record the replies of right work in some styles and collect the checks to replay them to; see `record`."""
    assignment = load_assignment(ROOT, "vit")
    recordings = [record(folder, assignment, style) for style in styles]
    with collected_checks(assignment.tasks) as checks:
        yield [Replay(recording, checks, assignment) for recording in recordings]
