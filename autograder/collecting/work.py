"""Find the notebook and the module in what was handed in, however it was packed and named, and lose nothing else."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from autograder.collecting.hand_ins import HandIn
from autograder.collecting.source import Source, junk_in
from autograder.config import Settings
from autograder.course.archives import MemberUnreadable, opened_zip
from autograder.course.assignment import MODULE
from autograder.course.cells import read_cells
from autograder.errors import ArchiveUnreadable

NOT_OURS = {
    "timestamp.txt": "is the student's own, and the platform's time counts",
    "submission_secret.txt": "belongs to nbgrader's exchange",
}
"""Files that decide something where nbgrader's exchange wrote them, and nothing in a platform's download."""
_DEEPEST = 3
"""Zip files in zip files."""
_MEMBERS = 20
"""A zip file may have this many times the files of a submission: whole installations of Python are left out of it."""
SHARE = 2
"""A notebook with its outputs, and all files together, may have this many times the size of a submission."""
_COPY = re.compile(r"(?:\s*\((?P<a>\d+)\)|[-_](?P<b>\d+)|[\s_-]+(?:copy|kopie|copie|copia)(?:\s*(?P<c>\d+))?)$")
"""What browsers, platforms and file managers add to the name of a second copy."""
_ARCHIVES = (".rar", ".7z", ".tar", ".gz", ".tgz", ".bz2", ".xz")
_PACKED = "is an archive that is not unpacked: unpack it, or ask for a .zip"


@dataclass(frozen=True)
class Fate:
    """What became of one file of a download.

    Attributes:
        original: Its path in the download; `!` stands before a path in a zip file.
        became: Its path in the submission; empty if it was left out.
        why: Why it was left out, or has another name, as the end of a sentence.
    """

    original: str
    became: str = ""
    why: str = ""


@dataclass(frozen=True)
class HandedInWork:
    """What is graded of one hand-in.

    Attributes:
        files: The submission; empty if there is neither a notebook nor a module.
        fates: What became of each file.
        others: Further versions of notebook and module, by their original paths; all files if nothing can be graded.
        notebook: The name that the notebook had; empty if there is none.
    """

    files: dict[str, bytes]
    fates: tuple[Fate, ...]
    others: dict[str, bytes] = field(default_factory=dict)
    notebook: str = ""


@dataclass(frozen=True)
class _File:
    """One file that was handed in, zip files unpacked."""

    original: str
    path: PurePosixPath
    content: bytes
    place: int

    @property
    def name(self) -> str:
        """Its name, in one form of Unicode."""
        return unicodedata.normalize("NFC", self.path.name)

    @property
    def is_packed(self) -> bool:
        """Whether it is an archive of a kind that is not unpacked."""
        return self.path.suffix.lower() in _ARCHIVES


@dataclass(frozen=True)
class _Location:
    """Where a file of a hand-in stands.

    Attributes:
        original: Its path in the download, with `!` before a path in a zip file.
        path: Its path in the hand-in, zip files taken for folders.
        number: Which of the hand-in's own files it is, or is packed in.
        depth: Zip files around it.
    """

    original: str
    path: PurePosixPath
    number: int
    depth: int = 0

    def inside(self, name: str) -> _Location:
        """Return the place of a file in this zip file."""
        return _Location(f"{self.original}!{name}", self.path.parent / name, self.number, self.depth + 1)


def find_work(source: Source, hand_in: HandIn, assignment: str, settings: Settings) -> HandedInWork:
    """Read a hand-in and find what is to be graded.

    Args:
        source: The download.
        hand_in: Which of its files.
        assignment: Name of the assignment, which is its notebook's name.
        settings: For the bounds on sizes and numbers of files.
    """
    unpacking = _Unpacking(settings)
    files = list(unpacking.all_files(source, hand_in))
    fates = list(unpacking.fates)
    chosen: dict[str, _File] = {}
    others: list[_File] = []
    for wanted in (f"{assignment}.ipynb", f"{MODULE}.py"):
        versions = _versions(files, wanted, hand_in.in_order)
        if versions:
            chosen[wanted] = versions[0]
            others += versions[1:]
            fates += _version_fates(versions, wanted)
    rest = [file for file in files if file not in others and file not in chosen.values()]
    if not chosen:
        fates += [Fate(file.original, why=_neither(file)) for file in rest]
        return HandedInWork({}, tuple(fates), {file.original: file.content for file in rest})
    work = {name: file.content for name, file in chosen.items()}
    base = next(iter(chosen.values())).path.parent
    for file in rest:
        name = str(file.path.relative_to(base) if file.path.is_relative_to(base) else file.path)
        if _is_taken(name, work) or file.is_packed:
            why = _PACKED if file.is_packed else f"has the name of another file, {name}"
            fates.append(Fate(file.original, why=why))
            others.append(file)
        else:
            work[name] = file.content
            fates.append(Fate(file.original, name))
    notebook = chosen.get(f"{assignment}.ipynb")
    left = {file.original: file.content for file in others}
    return HandedInWork(work, tuple(fates), left, notebook.name if notebook else "")


def names_other_cells(notebook: bytes, cells: frozenset[str]) -> bool:
    """Whether most of the names that nbgrader goes by in a notebook are none of these.

    A few may be the same in all of a course's notebooks; where a program has dropped them all, nobody can tell.
    """
    named = {cell.grade_id for cell in read_cells(notebook)[0] if cell.grade_id}
    return bool(cells) and 2 * len(named & cells) < len(named)


def _is_taken(name: str, files: Iterable[str]) -> bool:
    """Whether a file of this name is there, or stands where a folder would have to be."""
    return any(name == other or name.startswith(f"{other}/") or other.startswith(f"{name}/") for other in files)


class _Unpacking:
    """Reads the files of a hand-in and of zip files in it, what may matter most first, as long as there is room."""

    def __init__(self, settings: Settings) -> None:
        self._most_bytes = settings.max_submission_mib << 20
        self._most_files = settings.max_submission_files
        self._bytes_left = self._most_bytes * SHARE
        self._count = 0
        self._told: set[str] = set()
        self.fates: list[Fate] = []

    def all_files(self, source: Source, hand_in: HandIn) -> Iterator[_File]:
        """Yield all files; what is left out is in `fates`."""
        names = list(hand_in.files)
        for name in sorted(names, key=lambda name: _rank(hand_in.files[name])):
            place = _Location(name, PurePosixPath(hand_in.files[name]), names.index(name))
            yield from self._file(source, name, place)

    def _file(self, source: Source, name: str, place: _Location) -> Iterator[_File]:
        if why := self._why_not(place.path):
            junk = junk_in(name)  # a folder of these is named once, and not file by file
            self._leave_out(place.original.removesuffix(name) + junk.name if junk else place.original, why)
            return
        self._count += 1
        try:
            content = source.read(name, self._bytes_left)
        except MemberUnreadable as error:
            if source.sizes[name] <= self._bytes_left:  # it may have been unpacked until it broke
                self._bytes_left -= source.sizes[name]
            self.fates.append(Fate(place.original, why=str(error)))
            return
        self._bytes_left -= len(content)
        if place.path.suffix.lower() == ".zip":
            self._bytes_left += len(content)  # its files are counted instead
            yield from self._zip(content, place)
        else:
            yield _File(place.original, place.path, content, place.number)

    def _leave_out(self, original: str, why: str) -> None:
        if original not in self._told:
            self._told.add(original)
            self.fates.append(Fate(original, why=why))

    def _why_not(self, path: PurePosixPath) -> str:
        junk = junk_in(str(path))
        if junk is not None:
            return junk.why
        if self._count >= self._most_files:
            return "is one file too many"
        return next((NOT_OURS[part] for part in path.parts if part in NOT_OURS), "")

    def _zip(self, content: bytes, place: _Location) -> Iterator[_File]:
        if place.depth >= _DEEPEST:
            self.fates.append(Fate(place.original, why="is a zip file in too many others"))
            return
        try:
            with opened_zip(content, self._most_files * _MEMBERS) as archive:
                self.fates += [Fate(place.inside(lost.name).original, why=lost.why) for lost in archive.left_out]
                self.fates.append(Fate(place.original, why="was unpacked"))
                for name in sorted(archive.sizes, key=_rank):
                    yield from self._file(archive, name, place.inside(name))
        except ArchiveUnreadable as error:
            self.fates.append(Fate(place.original, why=f"could not be unpacked. {error.problem}"))


def _rank(name: str) -> tuple[int, int]:
    """Return how late a file is read: notebooks first, then code, what may hold code, the rest; deep ones last."""
    path = PurePosixPath(name)
    kinds = (".ipynb", ".py", ".zip")
    suffix = path.suffix.lower()
    return kinds.index(suffix) if suffix in kinds else len(kinds), len(path.parts)


def _versions(files: list[_File], wanted: str, in_order: bool) -> list[_File]:
    """Return the files that may be the wanted one, the one to take first."""
    suffix = PurePosixPath(wanted).suffix
    alike = [file for file in files if file.path.suffix.lower() == suffix]
    stem = wanted.removesuffix(suffix)
    versions = [file for file in alike if _plain(file.name, suffix)[0] == stem.casefold()]
    if not versions:
        near = [file for file in alike if suffix == ".ipynb" or stem.casefold() in file.name.casefold()]
        return near if len(near) == 1 else []

    def preference(file: _File) -> tuple[int, int, bool, int, str]:
        depth, number = len(file.path.parts), _plain(file.name, suffix)[1]
        return -file.place if in_order else 0, depth, file.name != wanted, -number, str(file.path)

    return sorted(versions, key=preference)


def _plain(name: str, suffix: str) -> tuple[str, int]:
    """Return a name without case, ending and what copies are named by, and the number of the copy."""
    stem = name.casefold().removesuffix(suffix).removeprefix("copy of ").strip()
    number = 0
    while match := _COPY.search(stem):
        number = max(number, *(int(digits or 0) for digits in match.groups()), 1)
        stem = stem[: match.start()].strip()
    return stem, number


def _version_fates(versions: list[_File], wanted: str) -> Iterator[Fate]:
    taken = versions[0]
    yield Fate(taken.original, wanted, "" if taken.name == wanted else f"was taken as {wanted}")
    for other in versions[1:]:
        same = other.content == taken.content
        yield Fate(other.original, why=f"is the same as {taken.original}" if same else f"gave way to {taken.original}")


def _neither(file: _File) -> str:
    return _PACKED if file.is_packed else "is neither the notebook nor the module"
