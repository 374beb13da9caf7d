"""What a worker on another machine must have: the files of the course that grading reads, and the same versions."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from autograder import __version__
from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course, course_secret
from autograder.grading.rules_digest import LIBRARIES, PACKAGE, grading_digest

SAME_VERSIONS = (*LIBRARIES, "msgspec", "cloudpickle", "dask", "distributed")
"""Libraries of which both machines need the same versions, besides Python and this package."""


@dataclass(frozen=True)
class Parcel:
    """What a worker must know of the course.

    Attributes:
        course: With its settings; the worker puts a folder of its own in place of `root`.
        assignment: Name of the assignment.
        files: Relative POSIX path to content of the files that grading reads.
        versions: What is installed where the course is.
    """

    course: Course
    assignment: str
    files: Mapping[str, bytes]
    versions: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over all of it but the course's own folder."""
        settings = {name: value for name, value in asdict(self.course.settings).items() if name != "root"}
        whole = hashlib.sha256(
            repr((self.assignment, sorted(settings.items()), sorted(self.versions.items()))).encode()
        )
        for name, content in sorted(self.files.items()):
            whole.update(f"{len(name.encode())} {len(content)}\n{name}".encode() + content)
        return whole.hexdigest()


def pack(course: Course, assignment: Assignment) -> Parcel:
    """Return the course's rules as they are now: checks, built notebook, stubs, solution and secret."""
    course_secret(course)  # makes it where there is none
    below_checks = (path for path in sorted(assignment.checks_dir.rglob("*")) if path.is_file())
    paths = [
        *(path for path in below_checks if "__pycache__" not in path.parts),
        assignment.notebook_path,
        assignment.source_dir / f"{MODULE}.py",
        assignment.solution_dir / f"{MODULE}.py",
        course.state_dir / "secret",
    ]
    files = {path.relative_to(course.root).as_posix(): path.read_bytes() for path in paths}
    return Parcel(course.for_workers(), assignment.name, files, installed_versions())


def unpack(parcel: Parcel, folder: Path) -> Course:
    """Write a parcel's files, readable by this user alone, and return the settings of a course in that folder.

    Args:
        parcel: From `pack`.
        folder: An empty one that nobody else can enter, such as `tempfile.mkdtemp` makes.
    """
    for name, content in parcel.files.items():
        path = folder / name
        for parent in reversed(path.relative_to(folder).parents):
            (folder / parent).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return replace(parcel.course, root=folder)


def installed_versions() -> dict[str, str]:
    """Return the versions, and the code, that the results of this process depend on."""
    own = {"python": platform.python_version(), "autograder": f"{__version__} (code {grading_digest(PACKAGE)[:12]})"}
    return own | {name: _version(name) for name in SAME_VERSIONS}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
