"""Bound a student process by a control group of its own, if this user may make one (cgroup v2).

Reference: the kernel's Documentation/admin-guide/cgroup-v2.rst, sections on delegation.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from autograder.sandbox.remedies import unavailable

CONTROLLERS = ("memory", "pids")
OWN_GROUP, OWN_MOUNTS = Path("/proc/self/cgroup"), Path("/proc/self/mountinfo")


def delegated() -> Path | None:
    """Return the control group below which groups with a memory bound may be made, or None.

    Looks at this process's own group and the one above it: a group with processes in it cannot have bounded groups
    below it, and further up might be outside the bounds of a cluster's job.
    """
    own = _own_group()
    if own is None:
        return None
    mount, name = own
    folder = mount / name
    around = (folder,) if folder == mount else (folder, folder.parent)
    return next((group for group in around if _may_bound(group)), None)


class ControlGroup:
    """One control group, made and removed by the watchdog.

    Args:
        parent: What `delegated` returned.
        memory: Bytes of memory, written files included.
        processes: Processes and threads.

    Raises:
        SandboxUnavailable: If it cannot be made or bounded.
    """

    def __init__(self, parent: Path, memory: int, processes: int) -> None:
        self._folder = parent / f"autograder-{os.getpid()}"
        try:
            self._folder.mkdir(exist_ok=True)
            (self._folder / "memory.max").write_text(str(memory))
            (self._folder / "pids.max").write_text(str(processes))
        except OSError as error:
            raise unavailable("cgroup", f"no group could be made in {parent} ({error}).") from error
        with suppress(OSError):  # not every kernel counts swap
            (self._folder / "memory.swap.max").write_text("0")

    def join(self) -> None:
        """Move the calling process into the group.

        Raises:
            SandboxUnavailable: If the kernel does not allow it.
        """
        try:
            (self._folder / "cgroup.procs").write_text("0")
        except OSError as error:
            raise unavailable("cgroup", f"{self._folder} could not be joined ({error}).") from error

    def ran_out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for using too much memory."""
        with suppress(OSError):
            events = dict(line.split() for line in (self._folder / "memory.events").read_text().splitlines())
            return int(events.get("oom_kill", 0)) > 0
        return False

    def remove(self) -> None:
        """Remove the group; its processes have ended."""
        with suppress(OSError):
            self._folder.rmdir()


def _own_group() -> tuple[Path, str] | None:
    """Return where cgroup v2 is mounted and this process's group below that."""
    try:
        mounts = [line.split() for line in OWN_MOUNTS.read_text().splitlines()]
        names = [line.split(":", 2) for line in OWN_GROUP.read_text().splitlines()]
    except OSError:
        return None
    places = [Path(fields[4]) for fields in mounts if _file_system(fields) == "cgroup2"]
    own = [name.lstrip("/") for number, _, name in names if number == "0"]
    return (places[0], own[0]) if places and own else None


def _file_system(fields: list[str]) -> str:
    return fields[fields.index("-") + 1]


def _may_bound(folder: Path) -> bool:
    if not all(os.access(path, os.W_OK) for path in (folder, folder / "cgroup.procs")):
        return False
    missing = _missing(folder, "cgroup.subtree_control")
    if not missing:
        return True
    with suppress(OSError):  # the kernel refuses if there are processes in the group itself
        (folder / "cgroup.subtree_control").write_text(" ".join(f"+{name}" for name in missing))
    return not _missing(folder, "cgroup.subtree_control")


def _missing(folder: Path, file: str) -> Iterable[str]:
    try:
        there = (folder / file).read_text().split()
    except OSError:
        there = []
    return [name for name in CONTROLLERS if name not in there]
