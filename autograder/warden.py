"""The warden: stays outside, watches one student process, and ends it where it uses more than it may.

Everything here is read from /proc, once every few milliseconds: a sampling watchdog, for machines where no
control group is delegated. A process may overrun its bound for as long as one sample takes.

Reference: man pages proc(5), prctl(2).
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from autograder.cgroup import Group
from autograder.errors import SandboxUnavailable
from autograder.mends import mend
from autograder.sandbox import Policy, adopt_orphans

PROC = Path("/proc")
INTERVAL = 0.05
_THREADS, _RESIDENT = 17, 21  # fields of /proc/<pid>/stat behind the name
_GONE = (FileNotFoundError, ProcessLookupError)
_MIB = 1 << 20


class Warden:
    """What is prepared before the fork and used after it.

    Args:
        policy: The student process's.

    Raises:
        SandboxUnavailable: If a layer that works from outside cannot.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._group = None
        if "cgroup" in policy.layers:
            bound = (policy.memory_mib + policy.scratch_mib) * _MIB
            self._group = Group(Path(policy.cgroup), bound, policy.max_processes)
        if "watchdog" in policy.layers:
            self._bound = _resident_here() + policy.memory_mib * _MIB
        adopt_orphans()

    def take_in(self) -> None:
        """Called by the student process: move it where it can be held.

        Raises:
            SandboxUnavailable: If that is not allowed.
        """
        if self._group is not None:
            self._group.join()

    def watch(self, child: int, channel: socket.socket) -> None:
        """Wait until the student process ends, or end it; then tell the grader which bound it overran, if any."""
        pidfd = os.pidfd_open(child)
        poller = select.poll()
        poller.register(pidfd, select.POLLIN)
        interval = INTERVAL * 1000 if "watchdog" in self._policy.layers else None
        overrun = ""
        while not overrun and not poller.poll(interval):
            overrun = self.overrun(child)
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitpid(child, 0)
        end_children()
        if self._group is not None:
            overrun = self._group.overrun()
            self._group.remove()
        with suppress(OSError):  # the grader need not be there any more
            channel.sendall(overrun.encode())

    def overrun(self, child: int) -> str:
        """Return the bound that the student process and all its descendants overrun: `processes`, `memory` or none."""
        alone = "seccomp" in self._policy.layers  # then it cannot have descendants
        family = [child] if alone else [pid for pid in descendants(os.getpid())]
        samples = [sample for pid in family if (sample := _sample(pid)) is not None]
        if sum(threads for threads, _ in samples) > self._policy.max_processes:
            return "processes"
        # what is resident counts shared pages in every process: cheap, and never too low
        if sum(resident for _, resident in samples) <= self._bound:
            return ""
        return "memory" if sum(map(_proportional, family)) > self._bound else ""


def descendants(pid: int) -> Iterator[int]:
    """Yield all living descendants of a process."""
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


def _sample(pid: int) -> tuple[int, int] | None:
    """Return the threads and resident bytes of a process, or None if it is gone."""
    try:
        text = (PROC / str(pid) / "stat").read_text(errors="replace")
    except _GONE:
        return None
    fields = text.rpartition(")")[2].split()
    return int(fields[_THREADS]), int(fields[_RESIDENT]) * resource.getpagesize()


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
        raise SandboxUnavailable(f"watchdog: {PROC} does not say what processes use.", mend("watchdog"))
    return sample[1]
