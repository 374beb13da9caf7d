"""Snapshots by digest: whole or not at all, and never more than a bound."""

from __future__ import annotations

import os
from pathlib import Path

from autograder.course.course import Course
from autograder.course.snapshot_store import SnapshotStore
from autograder.course.submission import Snapshot


def snapshot_of(text: bytes) -> Snapshot:
    return Snapshot({"utilities.py": text, "data/values.bin": bytes(range(256))}, "tiny.ipynb", ("A note.",))


def stored_files(course: Course) -> list[Path]:
    return sorted((course.state_dir / "snapshots").glob("??/*"))


def test_what_was_saved_is_loaded_by_its_digest(tmp_path: Path) -> None:
    store, snapshot = SnapshotStore(Course(tmp_path)), snapshot_of(b"x = 1\n")
    assert store.load(snapshot.digest) is None
    store.save(snapshot)
    store.save(snapshot)
    assert store.load(snapshot.digest) == snapshot
    assert len(stored_files(Course(tmp_path))) == 1


def test_a_damaged_snapshot_is_none(tmp_path: Path) -> None:
    course, first, second = Course(tmp_path), snapshot_of(b"x = 1\n"), snapshot_of(b"x = 2\n")
    store = SnapshotStore(course)
    store.save(first)
    (path,) = stored_files(course)
    content = path.read_bytes()
    store.save(second)
    (other,) = set(stored_files(course)) - {path}
    other.write_bytes(content)  # a whole snapshot, but not the one of this digest
    assert store.load(second.digest) is None
    path.write_bytes(content[:-4])
    assert store.load(first.digest) is None


def test_the_oldest_go_where_there_are_too_many(tmp_path: Path) -> None:
    course = Course(tmp_path)
    one = snapshot_of(os.urandom(1000))
    SnapshotStore(course).save(one)
    size = stored_files(course)[0].stat().st_size
    store = SnapshotStore(course, most_bytes=size * 5)
    snapshots = [one, *(snapshot_of(os.urandom(1000)) for _ in range(8))]
    for number, snapshot in enumerate(snapshots):
        store.save(snapshot)
        for path in stored_files(course):
            if path.name == snapshot.digest.removeprefix("sha256:"):
                os.utime(path, (number, number))
        assert sum(path.stat().st_size for path in stored_files(course)) <= size * 5
    assert store.load(snapshots[0].digest) is None
    assert store.load(snapshots[-1].digest) == snapshots[-1]
