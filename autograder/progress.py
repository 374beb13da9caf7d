"""How long work tells how far it is: by calling a listener, since only the command line prints."""

from __future__ import annotations

from typing import Protocol


class ProgressListener(Protocol):
    """Receives progress updates."""

    def __call__(self, done: int, total: int, current: str, *, free: int = 0) -> None:
        """Receive an update.

        Args:
            done: Items that are finished.
            total: Items that there are.
            current: What is worked on now, such as a student's id; empty at the end.
            free: How many of the finished ones cost no time, such as cached results.
        """


def part_of(number: int, runs: int, whole: ProgressListener) -> ProgressListener:
    """Return a listener for one of several equal runs, which together are one piece of work.

    Args:
        number: Which run, from 0.
        runs: How many there are.
        whole: Receives the progress of all of them together.
    """

    def listen(done: int, total: int, current: str, *, free: int = 0) -> None:
        whole(number * total + done, runs * total, current, free=free)

    return listen


def no_progress(done: int, total: int, current: str, *, free: int = 0) -> None:
    """Ignore an update."""
