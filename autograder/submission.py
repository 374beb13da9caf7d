"""Read a submission once, safely, into a snapshot that grading, recording and caching share."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import MODULE
from autograder.config import CourseConfig
from autograder.errors import SubmissionUnreadable, UsageError

_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".git", "feedback"}
_DEEPEST = 8
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Snapshot:
    """The files of one submission as they were when they were read.

    Attributes:
        files: Relative POSIX path to content; links and special files are left out.
        notebook: Name of the assignment's notebook file.
        notes: What was left out, in words for the student.
    """

    files: dict[str, bytes]
    notebook: str
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """SHA-256 over all names and contents, as `sha256:<hex>`."""
        whole = hashlib.sha256()
        for name, content in sorted(self.files.items()):
            whole.update(f"{len(name.encode())} {len(content)}\n".encode() + name.encode() + content)
        return f"sha256:{whole.hexdigest()}"

    @property
    def module_bytes(self) -> bytes | None:
        """The student's module, or None."""
        return self.files.get(f"{MODULE}.py")

    @property
    def notebook_bytes(self) -> bytes | None:
        """The student's notebook, or None."""
        return self.files.get(self.notebook)

    def write_to(self, folder: Path) -> None:
        """Write all files below a new, empty folder that the student process may read."""
        folder.mkdir(parents=True)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def read_submission(path: Path, assignment: str, config: CourseConfig) -> Snapshot:
    """Read a submission folder, or one bare module or notebook file.

    Links are never followed, special files never opened.

    Args:
        path: The folder `<student>/<assignment>`, or one file.
        assignment: Name of the assignment, which is its notebook's name.
        config: For the bounds on size and number of files.

    Raises:
        UsageError: If there is nothing at `path`.
        SubmissionUnreadable: If it is larger than the course allows.
    """
    notebook = f"{assignment}.ipynb"
    if path.is_file() and not path.is_symlink():
        name = notebook if path.suffix == ".ipynb" else f"{MODULE}.py"
        content = _read_regular(path.parent, path.name)
        return Snapshot({name: content} if content is not None else {}, notebook)
    if not path.is_dir():
        raise UsageError(f"No submission at {path}.", f"Name a folder that holds {MODULE}.py and {notebook}.")
    return _read_folder(path, notebook, config)


def _read_folder(folder: Path, notebook: str, config: CourseConfig) -> Snapshot:
    files: dict[str, bytes] = {}
    notes: list[str] = []
    size = 0
    for parent, name in _walk(folder):
        relative = (parent / name).relative_to(folder).as_posix()
        content = _read_regular(parent, name, (config.max_submission_mib << 20) - size)
        if content is None:
            notes.append(f"{relative} is not a regular file (a link, a folder or a device); it was left out.")
            continue
        size += len(content)
        files[relative] = content
        if len(files) > config.max_submission_files:
            raise SubmissionUnreadable(
                f"The submission has more than {config.max_submission_files} files.",
                f"Hand in {MODULE}.py and {notebook} alone.",
            )
    return Snapshot(files, notebook, tuple(sorted(notes)))


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield parent and name of everything that is not a real folder, in a fixed order."""
    for parent, folders, names in os.walk(folder, followlinks=False):
        deep = len(Path(parent).relative_to(folder).parts) >= _DEEPEST
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        folders[:] = [] if deep else sorted(set(folders) - _IGNORED - set(links))
        for name in sorted([*names, *links]):
            yield Path(parent), name


def _read_regular(parent: Path, name: str, limit: int | None = None) -> bytes | None:
    """Return a regular file's content, read through one descriptor, or None for anything else."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(parent / name, flags)
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return _read_bounded(descriptor, limit)
    finally:
        os.close(descriptor)


def _read_bounded(descriptor: int, limit: int | None) -> bytes:
    content = bytearray()
    while chunk := os.read(descriptor, _CHUNK):
        content += chunk
        if limit is not None and len(content) > limit:
            raise SubmissionUnreadable(
                "The submission is larger than the course allows.",
                "Clear the notebook's outputs and remove data files.",
            )
    return bytes(content)
