"""What became of each hand-in of a download, and what is remembered of it, in `.autograder/collected/<assignment>/`.

`hand_ins.json` says where each came from, when, and what its files were called. Earlier hand-ins, and files that gave
way to others, lie beside it in `<student>/<digest>/`.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from autograder.collecting.roster import Roster, course_roster, folded
from autograder.collecting.source import FolderReader
from autograder.collecting.work import NOT_OURS, SHARE, Fate
from autograder.config import Settings
from autograder.course.archives import MemberUnreadable
from autograder.course.course import Course
from autograder.errors import ConfigError
from autograder.files import write_whole

RECORDS = "hand_ins.json"
LONGEST_NAME = 60
"""Characters of the name that a stored file gets."""
HandInState = Literal["new", "replaced", "unchanged", "older", "nothing to grade", "refused"]


@dataclass(frozen=True)
class HandInRow:
    """What became of one hand-in.

    Attributes:
        owner: As the platform writes it.
        student: The id in the gradebook; empty if that is not known.
        time: When the platform took it, in UTC; None if that is not known.
        late: Whether the platform calls it late, where it tells no time.
        state: What was done with it.
        fates: What became of each of its files.
        why: Why it was refused.
    """

    owner: str
    student: str
    state: HandInState
    time: datetime | None = None
    fates: tuple[Fate, ...] = ()
    why: str = ""
    late: bool = False


@dataclass(frozen=True)
class Collected:
    """What became of a download.

    Attributes:
        others: Each file that belongs to no hand-in, and why.
        doubtful: How the platform writes it to the student, where the id is a student's and the name is not quite.
        unchecked: How many were placed by Canvas' number alone, since the roster has no name.
        formerly: Student to the other id under which the same person was collected before, and still is laid out.
    """

    platform: str
    rows: tuple[HandInRow, ...]
    others: Mapping[str, str]
    doubtful: Mapping[str, str] = field(default_factory=dict)
    unchecked: int = 0
    formerly: Mapping[str, str] = field(default_factory=dict)

    @property
    def outrun(self) -> tuple[str, ...]:
        """Students for whom nothing came but what is older than what is laid out."""
        current = {row.student for row in self.rows if row.state != "older"}
        return tuple(dict.fromkeys(row.student for row in self.rows if row.student not in current))

    @property
    def problems(self) -> tuple[HandInRow, ...]:
        """Hand-ins that a person has to look at."""
        return tuple(row for row in self.rows if row.state in ("refused", "nothing to grade"))


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """One hand-in.

    Attributes:
        digest: Of its files.
        platform: Where it came from.
        download: Name of the zip file or folder.
        owner: As the platform writes it.
        time: When the platform took it, in UTC; None where that is not known.
        collected: In UTC.
        files: Path in the submission to the path in the download.
        left_out: Path in the download to the reason.
        ids: Kind of id to the id that the platform has for the owner.
        way_back: What the platform needs to find the owner of a feedback file again.
    """

    digest: str
    platform: str
    download: str
    owner: str
    collected: datetime
    time: datetime | None = None
    files: dict[str, str] = {}
    left_out: dict[str, str] = {}
    ids: dict[str, str] = {}
    way_back: dict[str, str] = {}


class _File(msgspec.Struct):
    """All records of an assignment: student to hand-ins, the one that counts last."""

    schema: int = 1
    students: dict[str, list[Record]] = {}


class Records:
    """The records of an assignment.

    Args:
        course: The course.
        assignment: Name of the assignment.

    Raises:
        ConfigError: If the file cannot be read.
    """

    def __init__(self, course: Course, assignment: str) -> None:
        self.folder = course.state_dir / "collected" / assignment
        path = self.folder / RECORDS
        try:
            self._known = msgspec.json.decode(path.read_bytes(), type=_File) if path.is_file() else _File()
        except (OSError, msgspec.MsgspecError) as error:
            raise ConfigError(f"{path} cannot be read: {error}.", "Put an older copy in its place.") from error

    def of(self, student: str) -> tuple[Record, ...]:
        """Return the hand-ins of a student, the one that counts last."""
        return tuple(self._known.students.get(student, ()))

    @property
    def students(self) -> Mapping[str, Sequence[Record]]:
        """All hand-ins by student."""
        return self._known.students

    def students_by_id(self, platform: str) -> dict[tuple[str, str], list[str]]:
        """Return whose last hand-in has which of a platform's ids, by kind and id."""
        found: dict[tuple[str, str], list[str]] = {}
        for student, record in self.last(platform).items():
            for item in record.ids.items():
                found.setdefault(item, []).append(student)
        return found

    def groups(self) -> dict[str, tuple[str, str]]:
        """Return what everyone's last hand-in is called who shares it with others: platform and owner."""
        owners = {
            student: (records[-1].platform, records[-1].owner)
            for student, records in self._known.students.items()
            if records
        }
        shared = Counter(owners.values())
        return {student: owner for student, owner in owners.items() if shared[owner] > 1}

    def last(self, platform: str) -> dict[str, Record]:
        """Return the hand-in that counts, by student, of everyone whose came from a platform."""
        lasts = {student: records[-1] for student, records in self._known.students.items() if records}
        return {student: record for student, record in lasts.items() if record.platform == platform}

    def add(self, student: str, record: Record) -> None:
        """Remember a hand-in as the one that counts; one with the same files before gives way to it."""
        before = [known for known in self.of(student) if known.digest != record.digest]
        self._known.students[student] = [*before, record]

    def store(self, student: str, digest: str, files: Mapping[str, bytes]) -> None:
        """Write an earlier hand-in."""
        for name, content in files.items():
            write_whole(self._folder_of(student, digest) / name, content)

    def store_others(self, student: str, digest: str, files: Mapping[str, bytes]) -> None:
        """Write what belongs to a hand-in and is no part of it, by its path in the download."""
        for name, content in files.items():
            mark = hashlib.sha256(content).hexdigest()[:8]  # the same work may come again with other files beside it
            last = re.split("[/!]", name)[-1]
            write_whole(self._folder_of(student, digest) / "others" / f"{mark}-{last}"[:LONGEST_NAME], content)

    def _folder_of(self, student: str, digest: str) -> Path:
        return self.folder / student / digest.removeprefix("sha256:")[:16]

    def save(self) -> None:
        """Write the records."""
        content = msgspec.json.format(msgspec.json.encode(self._known, order="sorted"), indent=2)
        write_whole(self.folder / RECORDS, bytes(content) + b"\n")


def read_folder(folder: Path, settings: Settings) -> dict[str, bytes]:
    """Return the plain files below a folder, by path; empty if it is not there.

    Args:
        folder: Such as `submitted/<student>/<assignment>`.
        settings: For the bounds, which are those of a hand-in.

    Raises:
        MemberUnreadable: If there are more or larger files than a hand-in may have.
    """
    reader = FolderReader(folder)
    left = SHARE * (settings.max_submission_mib << 20)
    if len(reader.sizes) > settings.max_submission_files + len(NOT_OURS):
        raise MemberUnreadable("has more files than the course allows")
    files: dict[str, bytes] = {}
    for name in sorted(reader.sizes):
        files[name] = reader.read(name, left)
        left -= len(files[name])
    return files


def known_ids(course: Course, assignment: str, named: Path | None = None) -> dict[str, dict[str, str]]:
    """Return kind of id to id to student; an id that two sources give to two students is left out.

    Raises:
        UsageError: If the roster cannot be read.
        ConfigError: If the records cannot be read.
    """
    known: dict[str, dict[str, str]] = {}
    doubtful: set[tuple[str, str]] = set()
    for kind, value, student in _all(course_roster(course, named), Records(course, assignment)):
        if known.setdefault(kind, {}).setdefault(folded(value), student) != student:
            doubtful.add((kind, folded(value)))
    for kind, value in doubtful:
        del known[kind][value]
    return known


def _all(roster: Roster, records: Records) -> Iterator[tuple[str, str, str]]:
    for person in roster.people:
        for kind, value in person.ids.items():
            yield kind, value, person.student
    for student, hand_ins in records.students.items():
        for record in hand_ins:
            for kind, value in record.ids.items():
                yield kind, value, student
