"""The watchdog: stays outside, watches one student process, and ends it if it uses more than it may.

Where no control group is delegated (the layer `watchdog`), it samples /proc every 50 ms; between two samples a
process may overrun its bound. It also reads all that the process prints, keeps the beginning, and tells the grader
on request.

Reference: man pages proc(5), prctl(2).
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from autograder.sandbox.cgroup import ControlGroup
from autograder.sandbox.confine import adopt_orphans
from autograder.sandbox.policy import Policy
from autograder.sandbox.remedies import unavailable

PROC = Path("/proc")
INTERVAL = 0.05
LONGEST_OUTPUT, CHUNK = 4096, 1 << 16
WHAT_WAS_PRINTED = b"?"
"""The only question that the grader asks on the channel."""
LONGEST_REPORT = LONGEST_OUTPUT + 128
"""Bytes of an encoded report, at most."""
_GONE = (FileNotFoundError, ProcessLookupError)
_MIB = 1 << 20

Overrun = Literal["", "memory", "processes"]
"""The bound that a student process overran, if any."""


class Printed(msgspec.Struct, frozen=True, tag="printed"):
    """Answers `WHAT_WAS_PRINTED`: the beginning of all that the student process has printed."""

    output: bytes


class Ended(msgspec.Struct, frozen=True, tag="ended"):
    """The last message: the student process has ended."""

    overrun: Overrun


class _Sample(NamedTuple):
    """What a process uses.

    Attributes:
        threads: How many it has.
        resident: Bytes of its memory, shared ones included.
        tables: Bytes of the kernel's that say where its memory is: they grow with what it merely looks at.
    """

    threads: int
    resident: int
    tables: int


Report = Printed | Ended
_reports: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def receive_report(channel: socket.socket) -> Report | None:
    """Return the watchdog's next message, or None if there is none or the watchdog is gone."""
    with suppress(OSError, msgspec.MsgspecError):
        return _reports.decode(channel.recv(LONGEST_REPORT))
    return None


class Watchdog:
    """Watches one student process: made before the fork, used in the outer process after it.

    Args:
        policy: What the student process may use.

    Raises:
        SandboxUnavailable: If a layer that works from outside cannot.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._printing, self.output = os.pipe()
        self._printed = b""
        self._group = None
        if "cgroup" in policy.layers:
            bound = (policy.memory_mib + policy.scratch_mib) * _MIB
            self._group = ControlGroup(Path(policy.cgroup), bound, policy.max_processes)
        if "watchdog" in policy.layers:
            self._bound = _resident_here() + policy.memory_mib * _MIB
        adopt_orphans()

    def hold_caller(self) -> None:
        """Move the calling process, the student's, into the control group, if there is one.

        Raises:
            SandboxUnavailable: If that is not allowed.
        """
        if self._group is not None:
            self._group.join()

    def watch(self, child: int, channel: socket.socket) -> None:
        """Wait until the student process ends, or end it; then report which bound it overran, if any."""
        os.close(self.output)
        os.set_blocking(self._printing, False)
        pidfd = os.pidfd_open(child)
        overrun = self._until_end(child, pidfd, channel)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(child, 0)
        end_children()
        if self._group is not None:
            overrun = "memory" if self._group.ran_out_of_memory() else ""
            self._group.remove()
        with suppress(OSError):  # the grader need not be there any more
            channel.send(msgspec.msgpack.encode(Ended(overrun)))

    def _until_end(self, child: int, pidfd: int, channel: socket.socket) -> Overrun:
        watched = "watchdog" in self._policy.layers
        poller = select.poll()
        for descriptor in (pidfd, self._printing, channel.fileno()):
            poller.register(descriptor, select.POLLIN)
        due = time.monotonic()
        while True:
            ready = {descriptor for descriptor, _ in poller.poll(INTERVAL * 1000 if watched else None)}
            if pidfd in ready:
                return ""
            if self._printing in ready and not self._keep_printed():
                poller.unregister(self._printing)
            if channel.fileno() in ready and not self._answer(channel):
                poller.unregister(channel)
            if watched and time.monotonic() >= due:
                if overrun := self.overrun(child):
                    return overrun
                due = time.monotonic() + INTERVAL

    def _keep_printed(self) -> bool:
        """Read what was printed and keep the beginning; return whether more can come."""
        with suppress(BlockingIOError):
            chunk = os.read(self._printing, CHUNK)
            self._printed += chunk[: LONGEST_OUTPUT - len(self._printed)]
            return bool(chunk)
        return True

    def _answer(self, channel: socket.socket) -> bool:
        """Answer the grader's question; return whether it is still there."""
        with suppress(OSError):
            if channel.recv(1) == WHAT_WAS_PRINTED:
                self._keep_printed()
                channel.send(msgspec.msgpack.encode(Printed(self._printed)))
                return True
        return False

    def overrun(self, child: int) -> Overrun:
        """Return the bound that the student process and all its descendants together overrun, if any."""
        alone = "seccomp" in self._policy.layers  # then it cannot have descendants
        family = [child] if alone else list(descendants(os.getpid()))
        samples = {pid: sample for pid in family if (sample := _sample(pid)) is not None}
        if sum(sample.threads for sample in samples.values()) > self._policy.max_processes:
            return "processes"
        # resident memory counts a shared page once for each process: cheap to read, and never too low
        if sum(sample.resident + sample.tables for sample in samples.values()) <= self._bound:
            return ""
        held = sum(_proportional(pid) + sample.tables for pid, sample in samples.items())
        return "memory" if held > self._bound else ""


def descendants(pid: int) -> Iterator[int]:
    """Yield all living descendants of a process.

    psutil would read every process of the machine for that, which takes some sixty times as long.
    """
    for child in _children(pid):
        yield child
        yield from descendants(child)


def end_children() -> None:
    """Kill and reap all that is left below this process, orphans included, until nothing is."""
    while True:
        for pid in descendants(os.getpid()):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(*_GONE):
        for task in (PROC / str(pid) / "task").iterdir():
            with suppress(*_GONE):
                found += map(int, (task / "children").read_text().split())
    return found


def _sample(pid: int) -> _Sample | None:
    """Return what a process uses, or None if it is gone."""
    try:
        lines = (PROC / str(pid) / "status").read_text(errors="replace").split("\n")
    except _GONE:
        return None
    said = {name: value.split()[0] for name, _, value in (line.partition(":") for line in lines) if value.strip()}
    threads, resident, tables = (int(said.get(name, 0)) for name in ("Threads", "VmRSS", "VmPTE"))
    return _Sample(threads, resident * 1024, tables * 1024)


def _proportional(pid: int) -> int:
    """Return a process's bytes of memory, each shared page divided by how many share it."""
    with suppress(*_GONE, PermissionError):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _resident_here() -> int:
    own = os.getpid()
    there = (PROC / str(own) / "task" / str(own) / "children").exists()
    sample = _sample(own) if there else None
    if sample is None:
        raise unavailable("watchdog", f"{PROC} does not say what processes use.")
    return sample.resident + sample.tables
