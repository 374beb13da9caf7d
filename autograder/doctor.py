"""Say what this machine can do: the layers of confinement, the GPU, the libraries, the gradebook."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import msgspec

from autograder.config import CourseConfig
from autograder.errors import AutograderError, SandboxUnavailable
from autograder.session import gpu_present

LIBRARIES = ("tensorflow", "tf-keras", "numpy", "nbgrader", "nbconvert", "transformers", "carbontracker", "pytest")


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
    probes: dict[str, Callable[[], str]] = {
        "namespaces": _probe_namespaces,
        "landlock": _probe_landlock,
        "rlimits": _probe_rlimits,
    }
    for layer, probe in probes.items():
        needed = config.sandbox == "required" and layer in config.required_layers
        try:
            yield Finding(f"sandbox: {layer}", True, probe(), needed=needed)
        except AutograderError as error:
            yield Finding(f"sandbox: {layer}", False, error.problem, error.mend, needed)


def _probe_namespaces() -> str:
    """Try in a child process, which ends at once."""
    from autograder.sandbox import enter_namespaces

    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            enter_namespaces()
        except SandboxUnavailable as error:
            os.write(writing, f"{error.problem}\0{error.mend}".encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answer:
        text = answer.read()
    os.waitpid(child, 0)
    if text:
        raise SandboxUnavailable(*text.split("\0"))
    return "user, mount, pid, network, ipc and uts namespaces can be made"


def _probe_landlock() -> str:
    from autograder.sandbox import landlock_version

    found = landlock_version()
    if not found:
        raise SandboxUnavailable(
            "the kernel has no Landlock, or it is switched off",
            "Use Linux 5.13 or later with landlock in the kernel's lsm= list; inside a container, ask for a newer "
            "runtime whose seccomp profile allows the landlock_* calls.",
        )
    return f"version {found}"


def _probe_rlimits() -> str:
    import resource

    return f"file descriptors up to {resource.getrlimit(resource.RLIMIT_NOFILE)[1]}"


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
