"""Graded notebooks that belong to the gradebook's rows: swapped in so that a kill leaves the old or the new state.

A database and a folder cannot change in one step, so the order decides. First the new folder is written whole and
synced below `.autograder/unfinished/`, under the id of its recording. Then the database commits scores, states and
history with that id: this is the moment at which the recording happens. Only then does the folder take the place of
the old one. Killed before the commit, nothing but a folder without a row is left, and it is removed on the next start.
Killed after it, the row says which folder belongs there, and the next start puts it there. The other order (folder
first) would leave a notebook that shows points which the gradebook does not have, with nothing to tell who is right.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from autograder.files import replaced_folder

_FOLDER, _PLACE = "folder", "place"


def stage(state_dir: Path, recording: str, made: Path, final: Path) -> Path:
    """Move a folder to where it waits for its recording to be committed, and return where it waits.

    Args:
        state_dir: The course's folder for state.
        recording: Id of the recording.
        made: The folder, below `state_dir`, whose files the disk has: see `sync_folder`.
        final: Whose place it will take.

    Raises:
        OSError: If it cannot be written.
    """
    waiting = state_dir / "unfinished" / recording
    waiting.mkdir(parents=True)
    (waiting / _PLACE).write_text(os.path.relpath(final, state_dir), "utf-8")
    made.rename(waiting / _FOLDER)
    _sync(waiting / _PLACE)
    _sync(waiting)
    return waiting


def sync_folder(folder: Path) -> None:
    """Wait until the disk has all files of a folder.

    Raises:
        OSError: If it cannot take them.
    """
    for path in folder.rglob("*"):
        _sync(path)
    _sync(folder)


def finish(waiting: Path) -> None:
    """Put a folder whose recording is committed in its place; done twice it does no harm.

    Raises:
        OSError: If that cannot be done; the folder waits on.
    """
    final = Path(os.path.normpath(waiting.parents[1] / (waiting / _PLACE).read_text("utf-8")))
    for left in final.parent.glob("*"):  # of a process that was killed here
        if left.name.startswith(f".{final.name}-"):
            shutil.rmtree(left, ignore_errors=True)
    with replaced_folder(final) as new:
        # What waits stays whole until its copy is in place; links, so that this costs nothing on one file system.
        shutil.copytree(waiting / _FOLDER, new, copy_function=_link_or_copy)
    _sync(final.parent)
    discard(waiting)


def discard(waiting: Path) -> None:
    """Remove a folder that waits."""
    (waiting / _PLACE).unlink(missing_ok=True)  # first: without it, what a kill leaves here is never put anywhere
    shutil.rmtree(waiting, ignore_errors=True)


def settle(state_dir: Path, is_current: Callable[[str], bool]) -> None:
    """Complete what was cut short after its commit, and remove what was cut short before; under the course's lock.

    A folder that cannot take its place waits on: that is no reason to keep other students from being graded. Whoever
    records its own student next is told.

    Args:
        state_dir: The course's folder for state.
        is_current: Returns whether the database has a recording, and none that made another folder in its place.
    """
    for waiting in sorted((state_dir / "unfinished").glob("*")):
        with suppress(OSError, ValueError):
            if (waiting / _PLACE).is_file() and is_current(waiting.name):
                finish(waiting)
            else:
                discard(waiting)


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
