"""How much of a processor a student process got: whether a time-out is its own fault or the machine's."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

FAIR_SHARE = 0.5
"""Share of one processor's time: a process that got this much had a fair chance; one that waited longer did not."""
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

    def starved_since(self, before: ProcessorTime, seconds: float) -> bool:
        """Return whether the process was kept from running.

        A process whose own threads keep each other waiting has used a processor's time; one that sleeps or waits for
        something else did not wait for a processor.

        Args:
            before: What it had at the beginning.
            seconds: Wall-clock time since then.
        """
        fair = FAIR_SHARE * seconds
        return self.used - before.used < fair and self.waited - before.waited > fair


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
