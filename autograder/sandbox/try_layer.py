"""Try each layer of confinement alone, or a GPU behind several, in a child process that ends at once. Linux only."""

from __future__ import annotations

import os
import platform
import resource
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import msgspec

from autograder.errors import GpuUnavailable, SandboxUnavailable
from autograder.sandbox.cgroup import delegated
from autograder.sandbox.confine import confine, enter_namespaces, landlock_version, load_libraries
from autograder.sandbox.gpu_trial import use_gpu
from autograder.sandbox.policy import Policy
from autograder.sandbox.remedies import unavailable
from autograder.sandbox.watchdog import Watchdog

MEMORY_MIB = 4096
"""A GPU's driver alone may take a gibibyte."""
LANDLOCK_SINCE = {
    "truncation": 3, "TCP": 4, "device controls": 5, "abstract sockets and signals": 6,
    "sockets that have a file": 9, "UDP": 10,
}  # fmt: skip
"""What Landlock holds from which version on."""


class Trial(msgspec.Struct, frozen=True):
    """What a child process says of what it tried.

    Attributes:
        held: Whether the layers were put up, and what was to be tried behind them worked.
        reason: Why not; see `SandboxUnavailable`.
    """

    held: bool
    reason: str = ""


def try_layer(layer: str) -> None:
    """Put one layer up in a child process, which ends at once.

    Raises:
        SandboxUnavailable: If it cannot be put up here.
    """
    if layer == "cgroup" and delegated() is None:
        raise unavailable("cgroup", "no control group (v2) is delegated to this process")
    trial = _tried((layer,))
    if not trial.held:
        raise unavailable(layer, trial.reason)


def try_gpu(layers: tuple[str, ...]) -> None:
    """Use a GPU behind layers of confinement, in a child process, which ends at once; see `use_gpu`.

    Raises:
        GpuUnavailable: If it cannot be used, or a layer cannot be put up.
    """
    load_libraries()
    trial = _tried(layers, gpu=True)
    if not trial.held:
        raise GpuUnavailable(trial.reason)


def layer_in_the_way(layers: tuple[str, ...]) -> str:
    """Return what `try_gpu`, which failed, does with fewer layers: that tells which one is in the way, if any is."""
    if not _uses_gpu(()):
        return "without any layer it is the same"
    for layer in layers:
        if _uses_gpu(tuple(other for other in layers if other != layer)):
            return f"the layer {layer} is in the way"
    return "several layers are in the way"


def _uses_gpu(layers: tuple[str, ...]) -> bool:
    return _tried(layers, gpu=True).held


def _tried(layers: tuple[str, ...], *, gpu: bool = False) -> Trial:
    """Confine a child process, on demand use a GPU there, and return what it says."""
    with tempfile.TemporaryDirectory(prefix="autograder-", ignore_cleanup_errors=True) as work:
        submission = Path(work) / "submission"
        submission.mkdir()
        policy = Policy(
            submission=str(submission), work=work, layers=layers, memory_mib=MEMORY_MIB, scratch_mib=16,
            scratch_files=1000, max_processes=512, max_descriptors=256, cpu_seconds=60, gpu=gpu,
            cgroup=str(delegated() or ""),
        )  # fmt: skip
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _report(writing, lambda: _stand_behind(policy, writing), None)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            said = answer.read()
        os.waitpid(child, 0)
    return msgspec.msgpack.decode(said, type=Trial) if said else Trial(False, "cannot be tried here.")


def _stand_behind(policy: Policy, writing: int) -> None:
    """Do as the zygote does: prepare outside, fork, confine inside."""
    watchdog = Watchdog(policy)
    if "namespaces" in policy.layers:
        enter_namespaces()
    child = os.fork()
    if child == 0:
        _report(writing, lambda: _confine(watchdog, policy), Trial(True))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        watchdog.watch(child, theirs)


def _confine(watchdog: Watchdog, policy: Policy) -> None:
    watchdog.hold_caller()
    confine(policy)
    if policy.gpu:
        use_gpu()


def _report(writing: int, work: Callable[[], None], success: Trial | None) -> NoReturn:
    """Do the work, write why it failed or `success`, if given, and end this process."""
    trial: Trial | None = None
    try:
        work()
        trial = success
    except SandboxUnavailable as error:
        trial = Trial(False, error.reason)
    except GpuUnavailable as error:
        trial = Trial(False, error.problem)
    finally:
        if trial is not None:
            os.write(writing, msgspec.msgpack.encode(trial))
        os._exit(0)


def _describe_landlock() -> str:
    version = landlock_version()
    lacks = [what for what, since in LANDLOCK_SINCE.items() if version < since]
    return f"version {version}" + (f", without {', '.join(lacks)}: other layers hold those" if lacks else "")


FOUND: dict[str, Callable[[], str]] = {
    "namespaces": lambda: "user, mount, pid, network, ipc and uts namespaces can be made",
    "landlock": _describe_landlock,
    "seccomp": lambda: f"filter for {platform.machine()} loads",
    "rlimits": lambda: f"file descriptors up to {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}",
    "cgroup": lambda: f"memory and processes can be bounded below {delegated()}",
    "watchdog": lambda: "memory, processes and threads can be watched",
}
