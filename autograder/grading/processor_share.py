"""The time that a student process could run: what others took of the processor is not counted against it."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class ProcessorTime:
    """What all threads of a process had of the processors since it began.

    Attributes:
        used: Seconds in which one of them ran.
        waited: The most seconds that one of them could have run, and waited for a processor.
    """

    used: float = 0.0
    waited: float = 0.0

    def own_share(self, before: ProcessorTime, seconds: float) -> float:
        """Return how many of the last seconds the process could run, or did nothing of its own accord.

        A process whose own threads keep each other waiting uses a processor all the time, so that nothing is taken off.

        Args:
            before: What it had at the beginning.
            seconds: Wall-clock time since then.
        """
        return max(self.used - before.used, seconds - (self.waited - before.waited))


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
        waited = [_waited(thread) for thread in (folder / "task").iterdir()]
        return ProcessorTime((int(fields[11]) + int(fields[12])) / _TICKS, max(waited))
    return ProcessorTime()


def _number(pidfd: int) -> str:
    lines = Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith("Pid:"))


def _waited(thread: Path) -> float:
    with suppress(OSError):  # it ended meanwhile
        return int((thread / "schedstat").read_text().split()[1]) / 1e9
    return 0.0
