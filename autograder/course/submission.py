"""Read a submission once, safely, into a snapshot that grading, recording and caching share."""

from __future__ import annotations

import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.machinery import PathFinder
from itertools import islice
from pathlib import Path

from autograder.config import Settings
from autograder.course.archives import MemberUnreadable, ZipReader, folder_of_work, opened_zip, too_many_members
from autograder.course.assignment import MODULE
from autograder.course.cells import without_outputs
from autograder.errors import ArchiveUnreadable, SubmissionUnreadable, UsageError
from autograder.files import OPEN_NO_LINK, FileTooLarge, digest_of, opened_folder, read_bounded
from autograder.text import clean_name, is_source_text, without_surrogates

_IGNORED = {"__pycache__", ".ipynb_checkpoints", ".git", "feedback"}
_DEEPEST = 8
_LARGEST_BESIDE = 8 << 20  # one file beside module and notebook: a picture, not a checkpoint
_MOST_NOTES = 12
_MEMBERS = 40  # in a zip file, for each file of a submission: most lie in folders that are passed over
_OUTPUTS_SHARE = 2  # a notebook alone may have this many times the size of a submission, if that is outputs
_STARTUP = {"sitecustomize", "usercustomize"}


@dataclass(frozen=True)
class Snapshot:
    """The files of one submission as they were when they were read.

    Attributes:
        files: Relative POSIX path to content; links and special files are left out.
        notebook: Name of the assignment's notebook file.
        notes: What was left out or cannot work, in words for the student.
        left_out: Name of what was not read, or not as a whole, to the sentence on it.
    """

    files: dict[str, bytes]
    notebook: str
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over all names and contents, as `sha256:<hex>`."""
        return digest_of(self.files)

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


def read_submission(path: Path, assignment: str, settings: Settings) -> Snapshot:
    """Read a submission folder, a zip file with one in it, or one bare module or notebook file.

    Every file is reached from its folder's descriptor and read through its own: links are never followed,
    special files never opened. What is too large, too much or too deep is left out, with a note that names it.

    Args:
        path: The folder `<student>/<assignment>`, or one file.
        assignment: Name of the assignment, which is its notebook's name.
        settings: For the bounds on size and number of files.

    Raises:
        UsageError: If there is nothing at `path`.
        SubmissionUnreadable: If it is a link, or a folder that cannot be opened.
    """
    notebook = f"{assignment}.ipynb"
    reader = _Reader(notebook, settings)
    if path.is_symlink():
        raise SubmissionUnreadable("The submission is a link to another place.", "Hand in the folder itself.")
    if path.is_file() and path.suffix.lower() == ".zip":
        reader.read_archive(path)
    elif path.is_file():
        renamed = notebook if path.suffix == ".ipynb" else f"{MODULE}.py"
        with opened_folder(path.parent) as folder:
            reader.read_file(folder, path.name, renamed)
    elif path.is_dir():
        try:
            with opened_folder(path) as folder:
                reader.read_folder(folder)
        except OSError as error:
            raise SubmissionUnreadable("The folder could not be read.", "Hand it in again.") from error
    else:
        raise UsageError(f"No submission at {path}.", f"Name a folder that holds {MODULE}.py and {notebook}.")
    return Snapshot(reader.files, notebook, tuple(reader.all_notes()), reader.left_out)


class _Reader:
    """Collects what may be taken of one submission, and notes on the rest.

    Module and notebook come first and have bounds of their own, so nothing that lies beside them takes their place.
    """

    def __init__(self, notebook: str, settings: Settings) -> None:
        self._notebook = notebook
        self._first = (f"{MODULE}.py", notebook)
        self._most_bytes = settings.max_submission_mib << 20
        self._bytes_left = self._most_bytes
        self._entries_left = settings.max_submission_files
        self.files: dict[str, bytes] = {}
        self.left_out: dict[str, str] = {}

    def read_folder(self, folder: int) -> None:
        """Read module and notebook of an open folder, then small files beside and below them."""
        for name in self._first:
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                    self._leave_out(name, "is a folder. Hand in the file itself.")
                else:
                    self.read_file(folder, name, name)
        self._read_others(folder, ())

    def read_file(self, folder: int, name: str, relative: str) -> None:
        """Read one file of an open folder under the name `relative`; anything but a regular file gives a note."""
        try:
            relative.encode()
            self.files[relative] = self._content(folder, name, relative)
        except UnicodeEncodeError:
            note = f"The name {clean_name(relative)} is not UTF-8; the file was left out. Rename it."
            self.left_out[without_surrogates(relative)] = note
        except _LeftOut as reason:
            self._leave_out(relative, str(reason))
        except FileTooLarge as error:
            self._leave_out(relative, f"{error}; it was left out.")
        except OSError:
            self._leave_out(relative, "could not be opened; it was left out.")

    def read_archive(self, path: Path) -> None:
        """Read a zip file into memory; a folder around the work is taken off.

        Raises:
            SubmissionUnreadable: If it is no zip file, or larger than the course allows.
        """
        try:
            with opened_zip(path, self._entries_left * _MEMBERS) as archive:
                self._read_members(archive)
        except ArchiveUnreadable as error:
            raise SubmissionUnreadable(f"{clean_name(path.name)}: {error.problem}", error.remedy) from error

    def all_notes(self) -> Iterator[str]:
        """Yield sentences for the student: on what was left out, then on what cannot work."""
        yield from islice(self.left_out.values(), _MOST_NOTES)
        if len(self.left_out) > _MOST_NOTES:
            yield f"{len(self.left_out) - _MOST_NOTES} more files were left out."
        yield from _module_notes(self.files)
        others = sorted(name for name in self.files if name.lower().endswith(".ipynb"))
        if others and self._notebook not in self.files:
            yield f"There is no {self._notebook}, but {clean_name(others[0])}. Hand it in as {self._notebook}."
        yield from _shadow_notes(self.files)

    def _read_members(self, archive: ZipReader) -> None:
        """Read module and notebook, wherever they lie together, then what lies beside and below them."""
        for file in archive.left_out:
            self._leave_out(
                file.name, f"{file.why}." if file.name in archive.sizes else f"{file.why}; it was left out."
            )
        names = [name for name in archive.sizes if not _IGNORED & set(name.split("/"))]
        if len(names) > self._entries_left:
            raise too_many_members(self._entries_left)
        folder = folder_of_work(names, self._first)
        for name in sorted(names, key=lambda name: (name.removeprefix(folder) not in self._first, name)):
            if name.startswith(folder):
                self._read_member(archive, name, name.removeprefix(folder))
            elif name.rpartition("/")[2] in self._first:
                self._leave_out(name, f"lies outside {clean_name(folder)}, which was read; it was left out.")

    def _read_member(self, archive: ZipReader, name: str, relative: str) -> None:
        try:
            self.files[relative] = self._within_bounds(relative, partial(archive.read, name))
        except (MemberUnreadable, FileTooLarge) as error:
            self._leave_out(relative, f"{error}; it was left out.")

    def _read_others(self, folder: int, parents: tuple[str, ...]) -> None:
        """Read what else is in an open folder, all of it or, where that is too much, nothing."""
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, self._entries_left + 1))
        if len(names) > self._entries_left:
            which = clean_name("/".join(parents)) if parents else "Your hand-in"
            rest = "it was left out" if parents else f"of it only {MODULE}.py and {self._notebook} were read"
            self.left_out[without_surrogates("/".join(parents))] = f"{which} holds more files than are read; {rest}."
            return
        self._entries_left -= len(names)
        folders = []
        for name in names:
            if name in _IGNORED or (name in self._first and not parents):
                continue
            if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
                folders.append(name)
            else:
                self.read_file(folder, name, "/".join((*parents, name)))
        for name in folders:
            self._read_below(folder, name, (*parents, name))

    def _read_below(self, folder: int, name: str, parents: tuple[str, ...]) -> None:
        if len(parents) > _DEEPEST:
            self._leave_out("/".join(parents), "lies too deep; it was left out.")
            return
        try:
            with opened_folder(name, folder) as below:
                self._read_others(below, parents)
        except OSError:
            self._leave_out("/".join(parents), "could not be opened; it was left out.")

    def _content(self, folder: int, name: str, relative: str) -> bytes:
        """Return a regular file's content.

        Raises:
            _LeftOut: If it is anything else, or another user's file under a second name.
            FileTooLarge: If it is larger than is read.
        """
        seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(seen.st_mode):
            what = "is a link" if stat.S_ISLNK(seen.st_mode) else "is no file but a pipe, a socket or a device"
            raise _LeftOut(f"{what}; it was left out. Hand in the file itself.")
        descriptor = os.open(name, OPEN_NO_LINK, dir_fd=folder)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise _LeftOut("is no file; it was left out. Hand in the file itself.")
            if found.st_nlink > 1 and found.st_uid != os.fstat(folder).st_uid:
                raise _LeftOut("is a link to a file of somebody else; it was left out. Hand in the file itself.")
            return self._within_bounds(relative, partial(read_bounded, descriptor))
        finally:
            os.close(descriptor)

    def _within_bounds(self, relative: str, read: Callable[[int], bytes]) -> bytes:
        """Return what `read` gives if that is no more bytes than a file with this name may have."""
        if relative == self._notebook:
            return self._slim(read(self._most_bytes * _OUTPUTS_SHARE))
        if relative == f"{MODULE}.py":
            return read(self._most_bytes)
        content = read(min(self._bytes_left, _LARGEST_BESIDE))
        self._bytes_left -= len(content)
        return content

    def _slim(self, notebook: bytes) -> bytes:
        """Return the notebook; without its outputs if it is too large with them."""
        if len(notebook) <= self._most_bytes:
            return notebook
        slim = without_outputs(notebook)
        if slim is None or len(slim) > self._most_bytes:
            raise FileTooLarge(len(notebook))
        size = len(notebook) >> 20
        note = f"Your notebook has {size} MiB; its outputs were left out. Clear them before you hand in."
        self.left_out[self._notebook] = note
        return slim

    def _leave_out(self, name: str, why: str) -> None:
        self.left_out[without_surrogates(name)] = f"{clean_name(name)} {why}"


class _LeftOut(Exception):
    """A file that is not read; the message says, after its name, what it is and what to do."""


def _module_notes(files: dict[str, bytes]) -> Iterator[str]:
    """Yield what keeps Python from reading the module, or where one of another name may be it."""
    module = files.get(f"{MODULE}.py")
    if module is None:
        near = sorted(name for name in files if MODULE in name.lower() and ".py" in name.lower())
        packed = sorted(name for name in files if name.lower().endswith(".zip"))
        if near:
            yield f"There is no {MODULE}.py, but {clean_name(near[0])}. Hand it in as {MODULE}.py, in no other folder."
        elif packed:
            yield f"There is no {MODULE}.py, but {clean_name(packed[0])}, which is not unpacked. Hand in what is in it."
    elif b"\0" in module:
        yield f"{MODULE}.py holds NUL bytes, so Python cannot read it. Save it as plain text in UTF-8."
    elif not is_source_text(module):
        yield f"{MODULE}.py is not UTF-8 text, which Python expects. Save it as UTF-8 in your editor."


def _shadow_notes(names: Iterable[str]) -> Iterator[str]:
    """Yield a note for each module of the student's that has a library's name: grading imports the library."""
    own = {name.partition("/")[0].partition(".")[0] for name in names if name.endswith((".py", ".so"))}
    shadowing = sorted(name for name in own if name.isidentifier() and name != MODULE and _is_library(name))
    for name in shadowing[:_MOST_NOTES]:
        yield f"{name} is the name of a library, which is imported in place of your own file. Rename your file."


def _is_library(name: str) -> bool:
    if name in sys.stdlib_module_names or name in _STARTUP:
        return True
    paths = sysconfig.get_paths()
    spec = PathFinder.find_spec(name, [paths["purelib"], paths["platlib"]])
    return spec is not None and spec.origin is not None
