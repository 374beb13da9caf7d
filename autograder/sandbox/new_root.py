"""The root that a student process sees: read-only views, one bounded folder to write to, and of /proc itself alone.

Reference: man pages pivot_root(2), mount_namespaces(7), proc(5).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from pathlib import Path

from autograder.sandbox.policy import SCRATCH, SUBMISSION, Policy, private_folders, readable_paths

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MNT_DETACH = 2
SHARED_PAGES = ("pagemap", "smaps", "smaps_rollup", "numa_maps")
"""Files of a process in /proc that tell which of its pages others have, too."""
# statvfs flags that a bind mount inherits and an unprivileged remount must keep, as mount flags
_KEPT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}

_libc = ctypes.CDLL(None, use_errno=True)


def enter_new_root(policy: Policy) -> None:
    """Build a root of read-only views and a bounded scratch folder, and leave the old one behind."""
    _forbid_new_user_namespaces()
    mount(None, "/", None, MS_REC | MS_PRIVATE, None)
    root = Path(policy.work) / "root"
    root.mkdir()
    mount("tmpfs", str(root), "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755")
    for path in readable_paths(policy.gpu):
        _expose(root, path)
    _bind(policy.submission, f"{root}{SUBMISSION}")
    _make_scratch(root, policy)
    _show_own_process(root / "proc", name_threads=policy.gpu)
    mount(None, str(root), None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, None)
    os.chdir(root)
    check(_libc.pivot_root(b".", b"."), "pivot_root")
    check(_libc.umount2(b".", MNT_DETACH), "umount2")
    os.chdir("/")


def _make_scratch(root: Path, policy: Policy) -> None:
    """Mount the one file system that can be written; /tmp and shared memory are folders of it, within its bounds."""
    scratch = Path(f"{root}{SCRATCH}")
    scratch.mkdir()
    options = f"size={policy.scratch_mib}m,nr_inodes={policy.scratch_files},mode=0755"
    mount("tmpfs", str(scratch), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options)
    for path in private_folders(policy.gpu):
        behind, place = scratch / f".{Path(path).name}", Path(f"{root}{path}")
        behind.mkdir()
        place.mkdir(parents=True)
        mount(str(behind), str(place), None, MS_BIND, None)  # with the flags of the file system


def _expose(root: Path, path: str) -> None:
    """Show `path` read-only below the new root under its own name, links on the way included."""
    real = os.path.realpath(path)
    if real != path:
        link = next(str(part) for part in (*reversed(Path(path).parents), Path(path)) if part.is_symlink())
        place = Path(f"{root}{link}")
        if not place.is_symlink():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.path.realpath(link))
    if not _already_visible(root, real):
        _bind(real, f"{root}{real}")


def _already_visible(root: Path, real: str) -> bool:
    try:
        return Path(f"{root}{real}").samefile(real)
    except FileNotFoundError:
        return False


def _bind(source: str, target: str) -> None:
    place = Path(target)
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    elif not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    mount(source, target, None, MS_BIND | MS_REC, None)
    # A device can be written to on a read-only mount, too: what it forbids is to change the device's own rights.
    _make_read_only(target)


def _make_read_only(target: str) -> None:
    flags = os.statvfs(target).f_flag
    kept = sum(flag for stat, flag in _KEPT_FLAGS.items() if flags & stat)
    mount(None, target, None, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | kept & ~MS_NOSUID, None)


def _show_own_process(place: Path, *, name_threads: bool) -> None:
    """Show this process alone below the new /proc, beside the files of `MACHINE`.

    It is a /proc of this process's own PID namespace, if the kernel allows one. Inside some containers it does not:
    then it is this process's folder of the old /proc, with process numbers as they are outside.

    Args:
        place: Where /proc is to be.
        name_threads: Whether the folder `task` of a new /proc can be written. In an old one that would be of no use:
            threads look there for the numbers that they have inside.
    """
    own = place / "1"
    own.mkdir()
    flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | (0 if name_threads else MS_RDONLY)
    try:
        mount("proc", str(own), "proc", flags, None)
        mount(f"{own}/1", str(own), None, MS_BIND, None)
        if name_threads:  # a mount of its own: making the one around it read-only leaves it as it is
            mount(f"{own}/task", f"{own}/task", None, MS_BIND, None)
            _make_read_only(str(own))
    except PermissionError:
        _bind(os.path.realpath("/proc/self"), str(own))
    (place / "self").symlink_to("1")
    _hide_shared_pages(place, threads=not name_threads)


def _hide_shared_pages(place: Path, *, threads: bool) -> None:
    """Cover what tells of a page of a file whether another process has it in memory, too: a message in one bit.

    Args:
        place: The new /proc.
        threads: Whether to cover the folder of threads, in which each has these files.
    """
    nothing = place / "nothing"
    nothing.touch()
    for name in SHARED_PAGES:
        if (place / "1" / name).exists():
            _bind(str(nothing), f"{place}/1/{name}")
    nothing.unlink()
    if threads:
        mount("tmpfs", f"{place}/1/task", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY, "size=4k")


def _forbid_new_user_namespaces() -> None:
    """Set this user namespace's own limit to 0; containers often show a read-only /proc, then seccomp alone forbids."""
    with contextlib.suppress(OSError):
        Path("/proc/sys/user/max_user_namespaces").write_text("0")


def mount(source: str | None, target: str, kind: str | None, flags: int, options: str | None) -> None:
    """Make a mount, or change one, as the system call of this name does.

    Raises:
        OSError: If the kernel refuses.
    """
    encoded = [None if text is None else text.encode() for text in (source, target, kind, options)]
    status = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    check(status, f"mount {target}")


def check(status: int, what: str) -> None:
    """Raise what the C library says of a call that failed.

    Raises:
        OSError: If the status is not 0.
    """
    if status != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
