"""Files and folders that are written whole or not at all, and the digest that tells them apart."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from autograder.text import one_form

OPEN_NO_LINK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
"""How files that others wrote are opened: no link is followed, and no pipe waited for."""
_CHUNK = 1 << 20


class FileTooLarge(Exception):
    """A file is larger than is read; the message says so, as the end of a sentence that begins with its name."""

    def __init__(self, size: int) -> None:
        super().__init__(f"has {max(size >> 20, 1):,} MiB, more than is read")


@contextmanager
def opened_folder(folder: str | Path, within: int | None = None) -> Iterator[int]:
    """Yield the descriptor of a folder, which is no link; `within` is an open folder that its path begins in."""
    descriptor = os.open(folder, OPEN_NO_LINK | os.O_DIRECTORY, dir_fd=within)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def read_bounded(descriptor: int, limit: int) -> bytes:
    """Return what an open file holds.

    Raises:
        FileTooLarge: If that is more than the limit.
    """
    size = os.fstat(descriptor).st_size
    content = bytearray()
    while size <= limit and (chunk := os.read(descriptor, _CHUNK)):
        content += chunk
        size = max(size, len(content))  # it may grow while it is read
    if size > limit:
        raise FileTooLarge(size)
    return bytes(content)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all: temporary name, fsync, rename."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # the name itself may be as long as can be
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


@contextmanager
def replaced_folder(final: Path) -> Iterator[Path]:
    """Yield where to make a folder, which then takes the place of another.

    Where this is cut short there is the old folder, the new one or none.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=final.parent, prefix=f".{final.name}-", ignore_cleanup_errors=True) as name:
        new = Path(name, "new")
        yield new
        if final.exists():
            final.rename(Path(name, "old"))
        new.rename(final)


def digest_of(files: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of all names and contents, as `sha256:<hex>`."""
    whole = hashlib.sha256()
    for name, content in sorted(files.items()):
        whole.update(f"{len(name.encode())} {len(content)}\n".encode() + name.encode() + content)
    return f"sha256:{whole.hexdigest()}"


def folders_of(submitted: Path) -> dict[str, list[str]]:
    """Return the names in `submitted/` by the one form of each that is a student's id."""
    try:
        names = sorted(os.listdir(submitted))  # noqa: PTH208 - names alone, for there may be many
    except (FileNotFoundError, NotADirectoryError):
        return {}
    found: dict[str, list[str]] = {}
    for name in names:
        found.setdefault(one_form(name), []).append(name)
    return found


def two_folders(submitted: Path, assignment: str) -> dict[str, str]:
    """Return who handed in under both Unicode forms of a name, and a sentence on that: nobody can say which counts."""
    found: dict[str, str] = {}
    for student, folders in folders_of(submitted).items():
        if len(folders) > 1 and sum((submitted / folder / assignment).is_dir() for folder in folders) > 1:
            names = " and ".join(ascii(folder) for folder in folders)
            found[student] = (
                f"Two folders in {submitted} are one student, {student}: {names}. Remove the one that does not count."
            )
    return found
