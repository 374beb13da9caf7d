"""Snapshots of what was graded, by digest: they can be shown and compared after the folder has changed."""

from __future__ import annotations

import zlib
from contextlib import suppress
from pathlib import Path

import msgspec

from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.files import write_whole

MOST_BYTES = 2 << 30
"""Size of all stored snapshots of a course; beyond it those that were used longest ago are removed."""
_KEPT_SHARE = 0.75  # of MOST_BYTES, after some were removed: so that they are seldom looked through


class SnapshotStore:
    """Stores snapshots in a course's folder for state; each is written whole or not at all.

    Args:
        course: The course.
        most_bytes: Size of all of them.
    """

    def __init__(self, course: Course, most_bytes: int = MOST_BYTES) -> None:
        self._folder = course.state_dir / "snapshots"
        self._most_bytes = most_bytes
        self._bytes: int | None = None  # of all files, as far as this process knows

    def save(self, snapshot: Snapshot) -> None:
        """Store a snapshot, and remove the oldest ones where there are too many.

        Raises:
            OSError: If it cannot be written.
        """
        path = self._path(snapshot.digest)
        if path.is_file():
            path.touch()
            return
        content = zlib.compress(msgspec.msgpack.encode(snapshot), level=1)
        write_whole(path, content)
        if self._bytes is None:
            self._bytes = sum(size for _, size, _ in self._files())
        else:
            self._bytes += len(content)
        if self._bytes > self._most_bytes:
            self._remove_oldest()

    def load(self, digest: str) -> Snapshot | None:
        """Return the snapshot with this digest; None if it is not stored, or damaged."""
        with suppress(OSError, zlib.error, msgspec.MsgspecError):
            snapshot = msgspec.msgpack.decode(zlib.decompress(self._path(digest).read_bytes()), type=Snapshot)
            if snapshot.digest == digest:
                return snapshot
        return None

    def _path(self, digest: str) -> Path:
        name = digest.removeprefix("sha256:")
        return self._folder / name[:2] / name

    def _files(self) -> list[tuple[float, int, Path]]:
        """Return when each file was last used, its size and its path."""
        found = []
        for path in self._folder.glob("??/*"):
            with suppress(FileNotFoundError):  # another process may remove it
                state = path.stat()
                found.append((state.st_mtime, state.st_size, path))
        return found

    def _remove_oldest(self) -> None:
        files = sorted(self._files(), reverse=True)
        stored = 0
        for _, size, path in files:
            if stored + size > self._most_bytes * _KEPT_SHARE:
                path.unlink(missing_ok=True)
            else:
                stored += size
        self._bytes = stored
