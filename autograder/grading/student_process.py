"""The grader's end of a student process: start it, ask it questions, end it."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from autograder import wire
from autograder.checking.reasons import raised
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import (
    AutograderError,
    GpuUnavailable,
    MachineBusy,
    MalformedReply,
    StudentDied,
    StudentFault,
    StudentTimeout,
    ZygoteError,
)
from autograder.grading.gpu import require_gpu
from autograder.grading.processor_share import FairClock
from autograder.grading.zygote_client import SPAWN_SECONDS, Zygote, first_reply
from autograder.results import Environment
from autograder.sandbox import cgroup
from autograder.sandbox.policy import Policy
from autograder.sandbox.remedies import unavailable
from autograder.sandbox.watchdog import WHAT_WAS_PRINTED, Ended, Printed, receive_report
from autograder.text import escape_controls

END_SECONDS = 30.0
"""How long a process that was killed may take to end."""
REPORT_SECONDS = 5.0
"""How long the watchdog may take to report."""
PATIENCE = 5
"""How many times its limit a question may take while the process is kept waiting for a processor."""
LEAST_PATIENCE = 60.0
"""The least wait on a busy machine, however short the limit: a busy machine is not the submission's fault."""
AT_ONCE = 0.1
"""Seconds in which nearly all answers come: until then the kernel is not asked for the share that the process got."""
SHORTEST_WAIT = 0.05
"""Seconds after which it is looked at again how long the process was kept waiting."""
_BUSY = "The machine was too busy: this submission's process waited for a processor and ran into its time limit."
_LESS_BESIDE = "End other programs, or grade with fewer --jobs, then grade it again."


class StudentProcess:
    """One confined process that holds one submission.

    Args:
        zygote: To fork it from.
        snapshot: The submission's files.
        settings: Layers and limits.
        allowance: What the replies of this submission may hold, those of its other processes among them.

    Attributes:
        alive: Whether it can still be asked.
        complete: Whether it found the modules to preload imported.
        environment: What it runs on and which layers hold.
    """

    def __init__(
        self, zygote: Zygote, snapshot: Snapshot, settings: Settings, allowance: wire.Allowance | None = None
    ) -> None:
        self._settings = settings
        self._allowance = allowance or wire.Allowance()
        self._next_id = 1
        self._folder = tempfile.TemporaryDirectory(prefix="autograder-", ignore_cleanup_errors=True)
        try:
            submission = Path(self._folder.name) / "submission"
            snapshot.write_to(submission)
            policy = _policy(settings, submission, Path(self._folder.name), zygote.gpu)
            self._requests, self._replies, self._pidfd, self._watchdog = zygote.spawn(policy)
        except BaseException:
            self._folder.cleanup()
            raise
        self.alive = True
        self.complete = zygote.complete
        self.environment = self._await_ready()
        if zygote.gpu:
            self._require_gpu()

    def ask(self, question: wire.Question, seconds: float | None = None) -> Any:  # noqa: ANN401 - plain Python
        """Ask one question and wait for its answer.

        Args:
            question: See `wire`.
            seconds: Wall-clock limit; by default the course's limit of one request.

        Returns:
            Plain Python: arrays as NumPy, lists and tuples as tuples, mappings as dicts, objects that
            stay over there as `wire.Ref`.

        Raises:
            StudentRaised: The student's code raised.
            StudentTimeout: No answer in time; the process is stopped.
            StudentDied: The process ended.
            MalformedReply: What came is no answer; the process is stopped.
            MachineBusy: No answer in time, since the process was kept from running; it is stopped.
        """
        return answer_in(self._exchange(question, seconds or self._settings.request_seconds))

    def printed(self) -> str:
        """Return the beginning of what the process has printed, control characters escaped; empty once it ended."""
        with suppress(OSError):
            self._watchdog.settimeout(REPORT_SECONDS)
            self._watchdog.send(WHAT_WAS_PRINTED)
            report = receive_report(self._watchdog)
            if isinstance(report, Printed):
                return escape_controls(report.output.decode(errors="replace"))
        return ""

    def stop(self) -> None:
        """Kill the process and everything it started, wait until it is gone, and remove its files.

        May be called twice.

        Raises:
            ZygoteError: If it does not end.
        """
        if not self.alive:
            return
        self.alive = False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        # The first process of its namespace: the last to end.
        ended, _, _ = select.select([self._pidfd], [], [], END_SECONDS)
        for descriptor in (self._requests, self._replies, self._pidfd):
            os.close(descriptor)
        self._watchdog.close()
        self._folder.cleanup()
        if not ended:
            raise ZygoteError("A student process that was killed does not end.")

    def _exchange(self, question: wire.Question, seconds: float) -> wire.Answer | wire.Raised:
        """Send a question and return the reply to it; stop the process if none comes that can be read."""
        if not self.alive:
            raise StudentDied("Your code's process had already ended.")
        self._allowance.check()
        number, self._next_id = self._next_id, self._next_id + 1
        try:
            request = wire.encode_frame(wire.Request(number, question))
            wire.write_frame(self._requests, request, time.monotonic() + seconds)
            self._await_reply(seconds)
            body = wire.read_frame(self._replies, self._settings.max_reply_mib << 20, time.monotonic() + seconds)
            reply = wire.decode_reply(body, self._allowance)
        except MachineBusy:
            self.stop()
            raise
        except StudentTimeout as error:
            self.stop()
            raise StudentTimeout(
                f"Your code gave no answer within {seconds:.3g} s and was stopped. Is there a loop that never ends?"
            ) from error
        except StudentDied as error:
            overrun = self._overrun()
            self.stop()
            raise StudentDied(overrun or error.message) from error
        except MalformedReply:
            self.stop()
            raise
        if not isinstance(reply, (wire.Answer, wire.Raised)) or reply.id != number:
            self.stop()
            raise MalformedReply("Your code's answer does not belong to the question.")
        return reply

    def _await_reply(self, seconds: float) -> None:
        """Wait until a reply begins, for as long as the process itself may take.

        Raises:
            StudentTimeout: If none came in its own share of the time.
            MachineBusy: If it still has some left after several times as long, or a minute.
        """
        at_once = min(AT_ONCE, seconds)
        if select.select([self._replies], [], [], at_once)[0]:
            return
        clock = FairClock(self._pidfd)
        left = seconds - at_once
        while not select.select([self._replies], [], [], max(left, SHORTEST_WAIT))[0]:
            left = seconds - at_once - clock.own()
            if left <= 0:
                raise StudentTimeout("No answer came in time.")
            if clock.wall() > max(PATIENCE * seconds, LEAST_PATIENCE):
                raise MachineBusy(_BUSY, _LESS_BESIDE)

    def _overrun(self) -> str:
        """Return a sentence on the bound for which the watchdog ended the process; empty if it did not."""
        with suppress(OSError):
            self._watchdog.settimeout(REPORT_SECONDS)
        report = receive_report(self._watchdog)
        if not isinstance(report, Ended) or not report.overrun:
            return ""
        bounds = {
            "memory": f"{self._settings.memory_mib} MiB of memory",
            "processes": f"{self._settings.max_processes} processes and threads",
        }
        return f"Your code used more than {bounds[report.overrun]} and was stopped."

    def _require_gpu(self) -> None:
        """End the process if the course demands a GPU and it has none."""
        try:
            require_gpu(self._settings, self.environment)
        except GpuUnavailable:
            self.stop()
            raise

    def _await_ready(self) -> Environment:
        """Wait until the process is confined, and return its environment."""
        try:
            reply = first_reply(self._replies, SPAWN_SECONDS)
            if not isinstance(reply, wire.Ready):
                raise ZygoteError("The first message of a student process was not the expected one.")
        except StudentFault as error:
            self.stop()
            raise ZygoteError("A student process ended before it read the submission.") from error
        except AutograderError:
            self.stop()
            raise
        return reply.environment


def answer_in(reply: wire.Answer | wire.Raised) -> Any:  # noqa: ANN401 - plain Python
    """Return what a reply holds; for result and errors see `StudentProcess.ask`."""
    if isinstance(reply, wire.Raised):
        raise raised(reply)
    return wire.from_value(reply.value)


def _policy(settings: Settings, submission: Path, work: Path, gpu: bool) -> Policy:
    layers = layers_to_put_up(settings)
    return Policy(
        submission=str(submission),
        work=str(work),
        layers=layers,
        memory_mib=settings.memory_mib,
        scratch_mib=settings.scratch_mib,
        scratch_files=settings.scratch_files,
        max_processes=settings.max_processes,
        max_descriptors=settings.max_descriptors,
        cpu_seconds=int(settings.submission_seconds * (os.cpu_count() or 1)),
        gpu=gpu,
        cgroup=str(cgroup.delegated() or "") if "cgroup" in layers else "",
    )


def layers_to_put_up(settings: Settings) -> tuple[str, ...]:
    """Return the course's layers, with `cgroup` or `watchdog`, whichever this machine has, in place of `memory`.

    Raises:
        SandboxUnavailable: If the course demands a control group and none can be made here.
    """
    if settings.sandbox == "none":
        return ()
    there = cgroup.delegated() is not None
    if "cgroup" in settings.required_layers and not there:
        raise unavailable("cgroup", "no control group (v2) is delegated to this process.")
    bound = "cgroup" if there else "watchdog"
    return tuple(dict.fromkeys(bound if layer == "memory" else layer for layer in settings.required_layers))
