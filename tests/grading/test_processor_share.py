"""Whether a time-out is a process's own fault or the machine's."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from autograder.grading.processor_share import FairClock, ProcessorTime, processor_time

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


def own_share(program: str, beside: int) -> float:
    """Return the share of a program's time that is its own, where some others spin on the same processor."""
    with ExitStack() as stack:
        for _ in range(beside):
            stack.enter_context(running(SPIN))
        pidfd = stack.enter_context(running(program))
        time.sleep(1.0)  # all have begun
        clock = FairClock(pidfd)
        time.sleep(1.5)
        return clock.own() / clock.wall()


def test_who_waits_for_a_processor_is_given_that_time() -> None:
    assert own_share(SPIN, beside=5) < 0.5


def test_who_sleeps_is_not() -> None:
    assert own_share(SLEEP, beside=0) > 0.9


def test_a_process_that_ended_had_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pidfd = os.pidfd_open(process.pid)
    assert processor_time(pidfd) == ProcessorTime()
    os.close(pidfd)


def test_only_what_others_took_is_taken_off() -> None:
    """Who has many threads keeps itself waiting, and uses a processor all the time."""
    before = ProcessorTime(1.0, {1: 1.0})
    assert ProcessorTime(1.0, {1: 1.0}).own_share(before, 10.0) == 10.0
    assert ProcessorTime(4.0, {1: 8.0}).own_share(before, 10.0) == 3.0
    assert ProcessorTime(11.0, {1: 10.9}).own_share(before, 10.0) == 10.0


def test_a_thread_that_waited_long_ago_hides_no_other_that_waits_now() -> None:
    before = ProcessorTime(1.0, {1: 1.0, 2: 60.0})
    assert ProcessorTime(2.0, {1: 7.0, 2: 60.0}).own_share(before, 10.0) == 4.0
    assert ProcessorTime(2.0, {1: 1.0, 3: 5.0}).own_share(before, 10.0) == 5.0  # one that is new
