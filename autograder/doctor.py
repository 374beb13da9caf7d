"""Say what this machine can do: the layers of confinement, the GPU, the libraries, the gradebook."""

from __future__ import annotations

import os
import platform
import resource
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NoReturn

import msgspec

from autograder.cgroup import delegated
from autograder.config import CourseConfig
from autograder.errors import AutograderError, SandboxUnavailable
from autograder.mends import mend
from autograder.sandbox import Policy, confine, enter_namespaces, landlock_version
from autograder.session import gpu_present
from autograder.warden import Warden

LIBRARIES = ("tensorflow", "tf-keras", "numpy", "nbgrader", "nbconvert", "transformers", "carbontracker", "pytest")


HELD = "held"
LANDLOCK_SINCE = {"truncation": 3, "TCP": 4, "device controls": 5, "abstract sockets and signals": 6}


class Finding(msgspec.Struct, frozen=True):
    """One thing looked at.

    Attributes:
        name: What it is, such as `sandbox: landlock`.
        good: Whether grading can rely on it.
        found: What was seen.
        mend: What to do where it is not good.
        needed: Whether the course's settings demand it.
    """

    name: str
    good: bool
    found: str
    mend: str = ""
    needed: bool = True


def examine(config: CourseConfig) -> Iterator[Finding]:
    """Yield one finding after another; nothing is changed."""
    yield _system()
    yield from _layers(config)
    yield Finding(
        "gpu", gpu_present(), "NVIDIA device" if gpu_present() else "none: training runs on the CPU", needed=False
    )
    for name in LIBRARIES:
        yield _library(name)
    yield _gradebook(config)


def _system() -> Finding:
    good = sys.platform.startswith("linux") and sys.version_info >= (3, 11)
    found = f"{platform.system()} {platform.release()}, Python {platform.python_version()}, {os.cpu_count()} processors"
    return Finding("system", good, found, "" if good else "Grading needs Linux and Python 3.11 or later.")


def _layers(config: CourseConfig) -> Iterator[Finding]:
    """Try each layer in a child process, alone; of the two bounds of memory the course needs only one."""
    required = config.required_layers if config.sandbox == "required" else ()
    bounded = "cgroup" if delegated() else "watchdog"
    for layer, shown in FOUND.items():
        needed = layer in required or ("memory" in required and layer == bounded)
        try:
            _try_layer(layer)
            yield Finding(f"sandbox: {layer}", True, shown(), needed=needed)
        except AutograderError as error:
            problem = error.problem.removeprefix(f"{layer}: ")
            yield Finding(f"sandbox: {layer}", False, problem, error.mend, needed)


def _try_layer(layer: str) -> None:
    """Put one layer up in a child process, which ends at once.

    Raises:
        SandboxUnavailable: If it cannot be put up here.
    """
    group = delegated()
    if layer == "cgroup" and group is None:
        raise SandboxUnavailable("cgroup: no control group (v2) is delegated to this process", mend(layer))
    with tempfile.TemporaryDirectory(prefix="autograder-", ignore_cleanup_errors=True) as work:
        submission = Path(work) / "submission"
        submission.mkdir()
        policy = Policy(
            submission=str(submission), work=work, layers=(layer,), memory_mib=1024, scratch_mib=16, scratch_files=1000,
            max_processes=512, max_descriptors=256, cpu_seconds=60, cgroup=str(group or ""),
        )  # fmt: skip
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            _report(writing, lambda: _stand_behind(policy, writing))
        os.close(writing)
        with os.fdopen(reading, encoding="utf-8") as answer:
            text = answer.read()
        os.waitpid(child, 0)
    if text != HELD:
        raise SandboxUnavailable(*text.split("\0")) if text else SandboxUnavailable(f"{layer}: cannot be tried here.")


def _stand_behind(policy: Policy, writing: int) -> None:
    """Do as the zygote does: prepare outside, fork, confine inside."""
    warden = Warden(policy)
    if "namespaces" in policy.layers:
        enter_namespaces()
    child = os.fork()
    if child == 0:
        _report(writing, lambda: _confine(warden, policy), HELD)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        warden.watch(child, theirs)


def _confine(warden: Warden, policy: Policy) -> None:
    warden.take_in()
    confine(policy)


def _report(writing: int, work: Callable[[], None], good: str = "") -> NoReturn:
    """Do the work, write the reason if it fails, and end this process."""
    text = ""
    try:
        work()
        text = good
    except SandboxUnavailable as error:
        text = f"{error.problem}\0{error.mend}"
    finally:
        os.write(writing, text.encode())
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


def _library(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "not installed", "Run: make install")


def _gradebook(config: CourseConfig) -> Finding:
    from sqlalchemy import create_engine
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import SQLAlchemyError

    from autograder.steps import course_directory

    url = make_url(course_directory(config, config.assignment).db_url)
    shown = url.render_as_string(hide_password=True)
    if url.drivername.startswith("sqlite"):
        there = url.database and Path(url.database).exists()
        return Finding("gradebook", True, shown if there else f"{shown} (made by the first release)")
    try:
        create_engine(url).connect().close()
    except (SQLAlchemyError, ImportError) as error:
        reason = str(error).splitlines()[0]
        return Finding(
            "gradebook", False, f"{shown}: {reason}", "Look at c.CourseDirectory.db_url in course_config.py."
        )
    return Finding("gradebook", True, shown)
