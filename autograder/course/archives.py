"""Read zip files that others made: within bounds, into memory, and every member that is left out is named.

Nothing is unpacked to disk. Names that lead outside, links, encrypted members, members that unpack to more than is
allowed: each is left out with its reason, and the others are read.
"""

from __future__ import annotations

import io
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from autograder.errors import ArchiveUnreadable

MOST_MEMBERS = 200_000
"""Members of the largest download of a class."""
LONGEST_PART = 255
"""Bytes of a file's name on most file systems."""
LONGEST_PATH = 500
"""Bytes of a whole path: a few of them must fit into one another."""
_ENTRY = 1 << 10
"""Bytes that the archive's list may have for each member: it is held in memory as a whole."""
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Others may ask for gigabytes of memory before the first byte."""
_END, _END64 = b"PK\5\6", b"PK\6\6"
_END_SIZE, _LOCATOR_SIZE, _END64_SIZE, _LONGEST_COMMENT = 22, 20, 56, 1 << 16
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, OverflowError, struct.error)


@dataclass(frozen=True)
class LeftOut:
    """A file that was not taken, and why, as the end of a sentence that begins with its name."""

    name: str
    why: str


class MemberUnreadable(Exception):
    """One member cannot be read; the message says why, as the end of a sentence that begins with its name."""


class ZipReader:
    """An open zip file.

    Args:
        archive: The zip file.

    Attributes:
        sizes: Path of each member that may be read, and its size as the archive tells it.
        left_out: Members that may not be read.
    """

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._members: dict[str, zipfile.ZipInfo] = {}
        self.left_out: list[LeftOut] = []
        for member in archive.infolist():
            self._add(member)
        for name in [name for name in self._members if any(map(self._members.get, _folders_above(name)))]:
            del self._members[name]
            self.left_out.append(LeftOut(name, "lies in a folder whose name is also that of a file"))
        self.sizes = {name: member.file_size for name, member in self._members.items()}

    def read(self, name: str, most_bytes: int) -> bytes:
        """Return a member's content.

        Args:
            name: A key of `sizes`.
            most_bytes: Size from which on it is not read, whatever the archive says of it.

        Raises:
            MemberUnreadable: If it is larger or broken.
        """
        if self.sizes[name] > most_bytes:  # no more is read than the archive tells
            raise MemberUnreadable("is larger than the course allows")
        try:
            with self._archive.open(self._members[name]) as file:
                content = file.read(most_bytes + 1)
        except _BROKEN as error:
            raise MemberUnreadable("is broken in the zip file") from error
        if len(content) > most_bytes:
            raise MemberUnreadable("is larger than the course allows")
        return content

    def _add(self, member: zipfile.ZipInfo) -> None:
        name = _real_name(member)
        if name.endswith("/"):  # a folder
            return
        parts, why = _parts(name), _why_not(member)
        if parts is None:
            self.left_out.append(
                LeftOut(name or "a nameless file", "has a name that no folder can hold, or that leads out of it")
            )
        elif why:
            self.left_out.append(LeftOut(name, why))
        else:
            path = "/".join(parts)
            if path in self._members:
                self.left_out.append(LeftOut(path, "stands twice in the zip file; the last one was taken"))
            self._members[path] = member


@contextmanager
def opened_zip(source: Path | bytes, most_members: int = MOST_MEMBERS) -> Iterator[ZipReader]:
    """Open a zip file.

    Args:
        source: Its path, or its content.
        most_members: How many members it may have.

    Raises:
        ArchiveUnreadable: If it is no zip file, or has more members.
    """
    with _opened(source) as file:
        try:
            _check_list(file, most_members)
            archive = zipfile.ZipFile(file)
        except (*_BROKEN, NotImplementedError) as error:
            raise ArchiveUnreadable("It is no zip file, or broken.", "Make it again, as a .zip.") from error
        with archive:
            if len(archive.infolist()) > most_members:
                raise too_many_members(most_members)
            yield ZipReader(archive)


def folder_of_work(names: Iterable[str], wanted: Collection[str]) -> str:
    """Return the folder that holds most of the wanted files, as the beginning of a path; empty if it is the outermost.

    Args:
        names: Paths of files.
        wanted: Names of the files that make up the work.
    """
    folders = Counter(folder for folder, _, file in (name.rpartition("/") for name in names) if file in wanted)
    if not folders:
        return ""
    best = min(folders, key=lambda folder: (-folders[folder], len(PurePosixPath(folder).parts), folder))
    return f"{best}/" if best else ""


def _opened(source: Path | bytes) -> io.BufferedReader | io.BytesIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    try:
        return source.open("rb")
    except OSError as error:
        raise ArchiveUnreadable(f"{source} cannot be opened: {error.strerror}.") from error


def _check_list(file: io.BufferedReader | io.BytesIO, most_members: int) -> None:
    """Refuse an archive whose list of members is too long, before zipfile reads it as a whole."""
    end = file.seek(0, io.SEEK_END)
    file.seek(max(0, end - _LONGEST_COMMENT - _END_SIZE - _LOCATOR_SIZE - _END64_SIZE))
    tail = file.read()
    place = len(tail) - _END_SIZE
    if place < 0 or not (tail[place:].startswith(_END) and tail.endswith(b"\0\0")):
        place = tail.rfind(_END)
    size = struct.unpack_from("<L", tail, place + 12)[0] if 0 <= place <= len(tail) - _END_SIZE else 0
    large = place - _LOCATOR_SIZE - _END64_SIZE
    if large >= 0 and tail[large:].startswith(_END64):
        size = struct.unpack_from("<Q", tail, large + 40)[0]
    if size > most_members * _ENTRY:
        raise too_many_members(most_members)
    file.seek(0)


def too_many_members(most_members: int) -> ArchiveUnreadable:
    """Return the error that says so."""
    return ArchiveUnreadable(f"It holds more than {most_members} files.", "Hand in the work alone.")


def _real_name(member: zipfile.ZipInfo) -> str:
    """Return a member's name; many programs write UTF-8 without saying so, which zipfile takes for an old code page."""
    if not member.flag_bits & 0x800:
        try:
            return member.filename.encode("cp437").decode("utf-8")
        except (UnicodeEncodeError, UnicodeDecodeError):
            pass
    return member.filename


def _parts(name: str) -> tuple[str, ...] | None:
    """Return the parts of a member's path, whatever separates them; None if it leads outside or cannot be a path."""
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    if not parts or name.startswith(("/", "\\")) or parts[0].endswith(":"):
        return None
    long = len(name.encode("utf-8", "replace")) > LONGEST_PATH
    if long or any(
        part == ".." or "\0" in part or len(part.encode("utf-8", "replace")) > LONGEST_PART for part in parts
    ):
        return None
    return parts


def _folders_above(name: str) -> Iterator[str]:
    return (str(folder) for folder in PurePosixPath(name).parents)


def _why_not(member: zipfile.ZipInfo) -> str:
    """Return why a member may not be read; empty if it may."""
    mode = member.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        return "is a link" if stat.S_ISLNK(mode) else "is no file"
    if member.flag_bits & 0x1:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return "is compressed in an unusual way"
    return ""
