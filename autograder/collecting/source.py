"""What an instructor downloaded, a zip file or a folder: its files by path, each read when needed, within bounds."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from autograder.course.archives import LeftOut, MemberUnreadable, ZipReader, opened_zip
from autograder.errors import UsageError
from autograder.files import OPEN_NO_LINK, FileTooLarge, read_bounded

JUNK_FOLDERS = {
    "__MACOSX": "is what macOS adds",
    ".ipynb_checkpoints": "is an older copy that Jupyter made",
    "__pycache__": "is what Python adds",
    ".git": "is the history of the work, not the work",
    ".venv": "is an installation of Python",
    "venv": "is an installation of Python",
    "site-packages": "is an installation of Python",
    "node_modules": "is an installation of other programs",
    ".pytest_cache": "is what a program adds",
    ".mypy_cache": "is what a program adds",
    ".ruff_cache": "is what a program adds",
    ".github": "is a setting of the repository",
    ".vscode": "is a setting of an editor",
    ".idea": "is a setting of an editor",
}
"""Folders that nobody hands in on purpose, and what they are."""
JUNK_FILES = {
    ".DS_Store": "is what macOS adds",
    "Thumbs.db": "is what Windows adds",
    "desktop.ini": "is what Windows adds",
}
_ONE_STUDENTS = re.compile(r"_\d+_")
"""In the name of a file where platforms put the names of students before it."""
MOST_ZIP_MIB = 1 << 10
"""Size of a zip file in place of the download itself."""


class Source(Protocol):
    """The files of a download."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Path of each file, and its size."""

    @property
    def left_out(self) -> list[LeftOut]:
        """What cannot be read."""

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return the content of one file.

        Raises:
            MemberUnreadable: If it is larger, or broken.
        """


class FolderReader:
    """A folder on this machine; links are never followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.sizes: dict[str, int] = {}
        self.left_out: list[LeftOut] = []
        for parent, folders, names in os.walk(folder, onerror=self._note):
            links = [name for name in folders if Path(parent, name).is_symlink()]
            for name in sorted([*names, *links]):
                self._add(Path(parent, name))

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return the content of one file.

        Raises:
            MemberUnreadable: If it is larger, or cannot be opened.
        """
        try:
            with os.fdopen(os.open(self._folder / name, OPEN_NO_LINK), "rb") as file:
                return read_bounded(file.fileno(), most_bytes)
        except FileTooLarge as error:
            raise MemberUnreadable("is larger than the course allows") from error
        except OSError as error:
            raise MemberUnreadable(f"cannot be opened: {error.strerror}") from error

    def _note(self, error: OSError) -> None:
        name = Path(os.fsdecode(error.filename)).relative_to(self._folder).as_posix()
        self.left_out.append(LeftOut(name, f"cannot be opened: {error.strerror}"))

    def _add(self, path: Path) -> None:
        name = path.relative_to(self._folder).as_posix()
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and _is_text(name):
            self.sizes[name] = found.st_size
        elif stat.S_ISLNK(found.st_mode):
            self.left_out.append(LeftOut(name, "is a link"))
        else:
            self.left_out.append(LeftOut(name, "is no file, or its name is no text"))


@contextmanager
def opened_source(path: Path) -> Iterator[Source]:
    """Open a download; a zip file that holds nothing but another zip file is opened down to the last one.

    Raises:
        UsageError: If there is nothing at `path`.
        ArchiveUnreadable: If it is a file, and no zip file.
    """
    if path.is_dir():
        folder = FolderReader(path)
        only = _only_zip(folder)
        if only is None:
            yield folder
        else:
            with opened_zip(path / only) as archive:
                yield archive
    elif path.is_file():
        with opened_zip(path) as archive:
            only = _only_zip(archive)
            if only is None:
                yield archive
            else:
                with opened_zip(archive.read(only, MOST_ZIP_MIB << 20)) as inner:
                    yield inner
    else:
        raise UsageError(f"There is nothing at {path}.", "Name the zip file that the platform gave you, or its folder.")


def junk_in(path: str) -> LeftOut | None:
    """Return what in a path is no part of anybody's work, one of its folders or the file; None if nothing is."""
    parts = path.split("/")
    for place, part in enumerate(parts[:-1]):
        if part in JUNK_FOLDERS:
            return LeftOut("/".join(parts[: place + 1]) + "/", JUNK_FOLDERS[part])
    why = JUNK_FOLDERS["__MACOSX"] if parts[-1].startswith("._") else JUNK_FILES.get(parts[-1], "")
    return LeftOut(path, why) if why else None


def _only_zip(source: FolderReader | ZipReader) -> str | None:
    """Return the one file that a download consists of, if that is a zip file."""
    names = [name for name in source.sizes if junk_in(name) is None]
    is_zip = len(names) == 1 and "/" not in names[0] and names[0].lower().endswith(".zip")
    return names[0] if is_zip and not _ONE_STUDENTS.search(names[0]) else None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
