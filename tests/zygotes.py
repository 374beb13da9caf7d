"""Zygotes that serve one test after another: to start one takes seconds, and no student's code runs in it."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from autograder.grading import result_store
from autograder.grading.result_store import CachedGrader
from autograder.grading.zygote_client import Zygote, environment_of
from autograder.sandbox.confine import hide_memory

Kind = tuple[object, ...]
"""What a zygote was started with: its environment and the modules to preload."""
MOST = 5
"""Processes that are idle; each holds some 300 MB."""


class IdleZygotes:
    """Takes zygotes that are closed, one of each kind, and gives them out again."""

    def __init__(self) -> None:
        self._idle: dict[Kind, dict[str, Any]] = {}
        self._begin, self._end = Zygote.__init__, Zygote.close

    def begin(self, zygote: Zygote, *, threads: int = 0, gpu: bool = False, preload: Sequence[str] = ()) -> None:
        """Make a new object of a process that is idle, or start one; for the arguments see `Zygote`."""
        kind = (gpu, *sorted(environment_of(threads, gpu).items()), *preload)
        state = self._idle.pop(kind, None)
        if state is not None:
            vars(zygote).update(state)
        if state is not None and zygote.alive:
            hide_memory()
        else:
            if state is not None:
                self._end(zygote)
            self._begin(zygote, threads=threads, gpu=gpu, preload=preload)
        vars(zygote)["kind"] = kind

    def end(self, zygote: Zygote) -> None:
        """End all that a zygote forked and, unless its process is to be idle, the process."""
        kind = vars(zygote).pop("kind", None)
        if kind is None:  # closed before
            return
        state = dict(vars(zygote))
        if kind in self._idle or not (state["_started"] and zygote.alive):
            self._end(zygote)
            return
        for child in psutil.Process(state["_process"].pid).children():
            child.kill()
        self._idle[kind] = state
        if len(self._idle) > MOST:
            self._end_idle(next(iter(self._idle)))
        zygote._control = socket.socket()  # whoever uses the closed one fails, as with a process that has ended
        zygote._control.close()

    def close(self) -> None:
        """End all that are idle."""
        for kind in list(self._idle):
            self._end_idle(kind)

    def _end_idle(self, kind: Kind) -> None:
        zygote = Zygote.__new__(Zygote)
        vars(zygote).update(self._idle.pop(kind))
        self._end(zygote)


@contextmanager
def zygotes_used_again() -> Iterator[None]:
    """Let closed zygotes serve whoever starts one."""
    idle = IdleZygotes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Zygote, "__init__", lambda zygote, **arguments: idle.begin(zygote, **arguments))
        patch.setattr(Zygote, "close", lambda zygote: idle.end(zygote))
        yield
    idle.close()


@contextmanager
def graders_of_commands() -> Iterator[list[CachedGrader]]:
    """Yield the graders that commands made, which else end with the process; one that is closed can be used again."""
    graders: list[CachedGrader] = []

    class Noted(CachedGrader):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            graders.append(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(result_store, "CachedGrader", Noted)
        yield graders
