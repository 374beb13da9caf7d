"""Confine the calling process, layer by layer, before it reads one byte of a submission.

Linux only. Everything here runs in a fresh fork of the zygote: `enter_namespaces` in a process that
stays outside as the watchdog, `confine` in its child, process 1 of the new namespaces. Kernel
interfaces without a maintained Python library are called through libc, here alone.

Reference: man pages user_namespaces(7), pivot_root(2), landlock(7), capabilities(7), prctl(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import os
import platform
import resource
import signal
from collections.abc import Callable
from pathlib import Path

from autograder.errors import SandboxUnavailable
from autograder.sandbox.new_root import check, enter_new_root
from autograder.sandbox.policy import SCRATCH, SUBMISSION, Places, Policy, gpu_paths, private_folders, readable_paths
from autograder.sandbox.remedies import unavailable

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 24, 36, 38
LAST_CAPABILITY = 63
CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def enter_namespaces() -> None:
    """Move into new user, mount, network, IPC and UTS namespaces; children into a new PID namespace.

    Raises:
        SandboxUnavailable: If the kernel or its settings forbid it.
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWPID
    if _libc.unshare(flags) != 0:
        reason = os.strerror(ctypes.get_errno())
        raise unavailable("namespaces", f"this machine does not allow new user namespaces ({reason}).")
    try:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{uid} {uid} 1")
        Path("/proc/self/gid_map").write_text(f"{gid} {gid} 1")
    except OSError as error:
        raise unavailable("namespaces", f"user and group could not be mapped ({error}).") from error


def confine(policy: Policy) -> Places:
    """Put up the policy's layers around the calling process, for good.

    Raises:
        SandboxUnavailable: If a layer cannot be put up.
    """
    own_root = "namespaces" in policy.layers
    places = Places(SUBMISSION, SCRATCH) if own_root else _outside(policy)
    steps: tuple[tuple[str, bool, Callable[[], None]], ...] = (
        ("namespaces", own_root, lambda: enter_new_root(policy)),
        ("privileges", bool(policy.layers), _drop_privileges),
        ("landlock", "landlock" in policy.layers, lambda: _restrict_files(places, policy.gpu, own_root)),
        ("rlimits", "rlimits" in policy.layers, functools.partial(_limit_resources, policy, _address_space())),
        # last: the others make calls that it refuses
        ("seccomp", "seccomp" in policy.layers, lambda: _filter_calls(policy.gpu)),
    )
    for layer, wanted, put_up in steps:
        if wanted:
            _guarded(layer, put_up)
    os.chdir(places.scratch)
    return places


def _outside(policy: Policy) -> Places:
    scratch = Path(policy.work) / "scratch"
    scratch.mkdir()
    return Places(policy.submission, str(scratch))


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that forked it ends."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """Become the parent of all descendants whose own parent ends, so that none escapes."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def load_libraries() -> None:
    """Load what the layers need; a confined process could not find it."""
    importlib.import_module("autograder.sandbox.seccomp")
    seccompy = importlib.import_module("seccompy")
    with contextlib.suppress(seccompy.SeccompError):  # a layer that is missing is told when it is put up
        seccompy.supported()  # finds libc
    landlock_version()  # so does this


def hide_memory(*, hidden: bool = True) -> None:
    """Let no other process of this user look into this one's memory, or let it again; forks inherit what holds.

    The kernel then gives this process's files in /proc to root, so user and group cannot be mapped meanwhile.
    """
    _prctl(PR_SET_DUMPABLE, 0 if hidden else 1)


def landlock_version() -> int:
    """Return the kernel's Landlock version, 0 if it has none."""
    from landlockpy import LandlockError, abi_version

    try:
        return abi_version()
    except LandlockError:
        return 0


def _guarded(layer: str, put_up: Callable[[], None]) -> None:
    try:
        put_up()
    except SandboxUnavailable:
        raise
    except Exception as error:  # a layer that fails in any way does not hold
        raise unavailable(layer, f"could not be put up ({type(error).__name__}: {error}).") from error


def _restrict_files(places: Places, gpu: bool, own_root: bool) -> None:
    """Allow what is listed; Landlock also refuses TCP and, from version 6, abstract sockets and signals outwards.

    /tmp, shared memory and the whole of /proc are allowed only below the new root: elsewhere they are everyone's.
    """
    from landlockpy import AccessFS, Ruleset, Scope

    read_file, read_all = AccessFS.READ_FILE, AccessFS.READ_FILE | AccessFS.READ_DIR
    write = (
        AccessFS.WRITE_FILE | AccessFS.TRUNCATE | AccessFS.MAKE_REG | AccessFS.MAKE_DIR | AccessFS.MAKE_SYM
        | AccessFS.REMOVE_FILE | AccessFS.REMOVE_DIR | AccessFS.REFER
    )  # fmt: skip
    with Ruleset(scoped=Scope.ABSTRACT_UNIX_SOCKET | Scope.SIGNAL) as rules:
        for path in (*readable_paths(gpu), places.submission, "/proc" if own_root else "/proc/self"):
            rules.allow_path(path, read_all if Path(path).is_dir() else read_file)
        for path in (places.scratch, *(private_folders(gpu) if own_root else ())):
            rules.allow_path(path, read_all | write)
        devices = gpu_paths() if gpu else ()
        for path in ("/dev/null", *devices):
            if Path(path).is_char_device():
                rules.allow_path(path, read_file | AccessFS.WRITE_FILE | AccessFS.IOCTL_DEV)
        if gpu:  # CUDA does not start where it cannot write its threads' names to /proc/self/task/*/comm
            rules.allow_path("/proc/self/task", read_all | AccessFS.WRITE_FILE | AccessFS.TRUNCATE)
        rules.restrict()


def _limit_resources(policy: Policy, held: int) -> None:
    mib = 1 << 20
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_CPU: policy.cpu_seconds,
        resource.RLIMIT_FSIZE: policy.scratch_mib * mib,
        resource.RLIMIT_NOFILE: policy.max_descriptors,
        resource.RLIMIT_NPROC: policy.max_processes,
        resource.RLIMIT_MEMLOCK: 64 * mib,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if not policy.gpu:  # CUDA reserves far more address space than it uses
        limits[resource.RLIMIT_AS] = held + policy.memory_mib * mib
    for kind, value in limits.items():
        hard = resource.getrlimit(kind)[1]
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (bound, bound))


def _filter_calls(gpu: bool) -> None:
    from autograder.sandbox import seccomp  # its library is installed on Linux alone

    if platform.machine() not in seccomp.MACHINES:
        raise OSError(f"no table of system calls for {platform.machine()}")
    seccomp.filter_for(platform.machine(), os.getpid(), gpu=gpu).load()


def _address_space() -> int:
    """Return the bytes of address space this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def _drop_privileges() -> None:
    """Give up all capabilities and every way to win one back: what each layer rests on."""
    _prctl(PR_SET_NO_NEW_PRIVS, 1)
    for capability in range(LAST_CAPABILITY + 1):
        _libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)  # fails for numbers the kernel does not know
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    nothing = (ctypes.c_uint32 * 6)()
    check(_libc.capset(header, nothing), "capset")


def _prctl(option: int, value: int) -> None:
    check(_libc.prctl(option, value, 0, 0, 0), "prctl")
