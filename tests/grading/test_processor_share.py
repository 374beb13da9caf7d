"""Whether a time-out is a process's own fault or the machine's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from autograder.grading.processor_share import ProcessorTime, processor_time

SPIN = "while True: pass"
SLEEP = "import time; time.sleep(600)"


@contextmanager
def running(program: str) -> Iterator[int]:
    """Run a program on one processor, and yield a descriptor of it."""
    processor = str(min(os.sched_getaffinity(0)))
    words = [sys.executable, "-c", f"import os; os.sched_setaffinity(0, {{{processor}}})\n{program}"]
    with subprocess.Popen(words) as process:
        pidfd = os.pidfd_open(process.pid)
        yield pidfd
        os.close(pidfd)
        process.kill()


def starved(program: str, beside: int) -> bool:
    """Return whether a program is kept from running by some that spin on the same processor."""
    with ExitStack() as stack:
        for _ in range(beside):
            stack.enter_context(running(SPIN))
        pidfd = stack.enter_context(running(program))
        time.sleep(1.0)  # all have begun
        before, began = processor_time(pidfd), time.monotonic()
        time.sleep(1.5)
        return processor_time(pidfd).starved_since(before, time.monotonic() - began)


def test_who_waits_for_a_processor_is_starved() -> None:
    assert starved(SPIN, beside=5)


def test_who_sleeps_is_not() -> None:
    assert not starved(SLEEP, beside=0)


def test_a_process_that_ended_had_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pidfd = os.pidfd_open(process.pid)
    assert processor_time(pidfd) == ProcessorTime()
    os.close(pidfd)


def test_half_of_a_processor_is_a_fair_share() -> None:
    """Who has many threads keeps itself waiting, and uses a processor."""
    assert not ProcessorTime(6.0, 9.0).starved_since(ProcessorTime(1.0, 1.0), 10.0)
    assert ProcessorTime(5.0, 7.0).starved_since(ProcessorTime(1.0, 1.0), 10.0)
    assert not ProcessorTime(5.0, 5.0).starved_since(ProcessorTime(1.0, 1.0), 10.0)
