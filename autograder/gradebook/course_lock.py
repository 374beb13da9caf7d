"""One writer at a time: a lock for each course."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from autograder.errors import RecordingError

LOCK_SECONDS = 120.0
"""How long to wait for another process that records."""
_POLL_SECONDS = 0.02


@contextmanager
def course_lock(state_dir: Path) -> Iterator[None]:
    """Hold the course's lock, so that no other process records or writes feedback meanwhile.

    The kernel releases the lock when this process ends, however it ends. A thread that holds the lock may take it
    again.

    Args:
        state_dir: The course's folder for state; made if it is missing.

    Raises:
        RecordingError: If another process holds the lock for too long.
        OSError: If the folder cannot be written, or its file system has no locks.
    """
    path = state_dir.resolve() / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    # A singleton, so that a thread can take the lock twice. Never a soft lock, which would outlive a killed process.
    lock = FileLock(path, is_singleton=True, fallback_to_soft=False)
    try:
        lock.acquire(timeout=LOCK_SECONDS, poll_interval=_POLL_SECONDS)
    except Timeout as error:
        raise RecordingError(
            f"Another process has held {path} for {LOCK_SECONDS:.0f} s.",
            "Let the other grading run end, then run the same command again.",
        ) from error
    try:
        yield
    finally:
        lock.release()
