"""One writer at a time: a lock for each course."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autograder.errors import RecordingError

LOCK_SECONDS = 120.0
"""How long to wait for another process that records."""
_POLL_SECONDS = 0.02
_held: set[Path] = set()


@contextmanager
def course_lock(state_dir: Path) -> Iterator[None]:
    """Hold the course's lock, so that no other process records or writes feedback meanwhile.

    The kernel takes the lock back when this process ends, however it ends. Within one process the lock may be
    taken again while it is held; it does not part threads.

    Args:
        state_dir: The course's folder for state; made if it is missing.

    Raises:
        RecordingError: If another process keeps the lock.
        OSError: If the folder cannot be written.
    """
    path = state_dir.resolve() / "lock"
    if path in _held:
        yield
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o664)
    try:
        _wait_for(descriptor, path)
        _held.add(path)
        yield
    finally:
        _held.discard(path)
        os.close(descriptor)


def _wait_for(descriptor: int, path: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > deadline:
                raise RecordingError(
                    f"Another process has held {path} for {LOCK_SECONDS:.0f} s.",
                    "Let the other grading run end, then run the same command again.",
                ) from error
        time.sleep(_POLL_SECONDS)
