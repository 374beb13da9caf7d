"""How long work tells how far it is, whoever listens: a callable, so that no part of the package prints."""

from __future__ import annotations

from typing import Protocol


class Watch(Protocol):
    """Hears how far a piece of work is."""

    def __call__(self, done: int, total: int, current: str, *, free: int = 0) -> None:
        """Hear it.

        Args:
            done: Items that are finished.
            total: Items that there are.
            current: What is worked on now, such as a student's id; empty at the end.
            free: How many of the finished ones cost no time, such as results that were kept.
        """


def run_of(number: int, runs: int, watch: Watch) -> Watch:
    """Return a watch for one of several equal runs, which together are one piece of work.

    Args:
        number: Which run, from 0.
        runs: How many there are.
        watch: Hears how far all of them are.
    """

    def hear(done: int, total: int, current: str, *, free: int = 0) -> None:
        watch(number * total + done, runs * total, current, free=free)

    return hear


def unwatched(done: int, total: int, current: str, *, free: int = 0) -> None:
    """Hear nothing."""
