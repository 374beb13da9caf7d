"""Lay out a platform's download as `submitted/<student>/<assignment>/`, and remember where everything came from.

Nothing is lost: what a later hand-in replaces is stored, and each file of the download is accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from autograder.collecting.hand_ins import Download, HandIn, Owner
from autograder.collecting.platforms import sort_by_hand_in
from autograder.collecting.records import Record, Records, read_folder
from autograder.collecting.roster import ROSTER, Nobody, Roster, course_roster
from autograder.collecting.source import Source, opened_source
from autograder.collecting.times import read_times, worksheet_times
from autograder.collecting.work import NOT_OURS, Fate, find_work
from autograder.course.archives import MemberUnreadable
from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course
from autograder.deadlines.times import TIMESTAMP_FILE, UnreadableTime, nbgrader_text, read_timestamp
from autograder.files import digest_of, folders_of, replaced_folder, write_whole
from autograder.gradebook.course_lock import course_lock
from autograder.ledger.connections import utc_now
from autograder.text import one_form, problem_with_id

HandInState = Literal["new", "replaced", "unchanged", "older", "nothing to grade", "refused"]


@dataclass(frozen=True)
class CollectRequest:
    """What to collect.

    Attributes:
        source: The download: a zip file or a folder.
        platform: Where it comes from; None recognises it.
        roster: Who is who; None takes `roster.csv` of the course, if there is one.
        times: A table of times; None if the download has to tell them.
        dry_run: Write nothing.
    """

    source: Path
    platform: str | None = None
    roster: Path | None = None
    times: Path | None = None
    dry_run: bool = False


@dataclass(frozen=True)
class HandInRow:
    """What became of one hand-in.

    Attributes:
        owner: As the platform writes it.
        student: The id in the gradebook; empty if that is not known.
        time: When the platform took it, in UTC; None if that is not known.
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


@dataclass(frozen=True)
class Collected:
    """What became of a download.

    Attributes:
        others: Each file that belongs to no hand-in, and why.
    """

    platform: str
    rows: tuple[HandInRow, ...]
    others: Mapping[str, str]

    @property
    def problems(self) -> tuple[HandInRow, ...]:
        """Hand-ins that a person has to look at."""
        return tuple(row for row in self.rows if row.state in ("refused", "nothing to grade"))


def collect(course: Course, assignment: Assignment, submitted: Path, request: CollectRequest) -> Collected:
    """Lay out the hand-ins of a download.

    Args:
        course: The course.
        assignment: What they are for.
        submitted: Where folders `<student>/<assignment>/` are.
        request: What to collect.

    Raises:
        UsageError: If the download, the roster or the times cannot be read.
        ArchiveUnreadable: If the download is a file and no zip file.
    """
    roster = course_roster(course, request.roster)
    times = _times(roster, request, course.settings.zone)
    with opened_source(request.source) as source, course_lock(course.state_dir):
        download = Download(source, request.source.resolve().name.removesuffix(".zip"), assignment.name)
        contents = sort_by_hand_in(download, request.platform)
        records, there = Records(course, assignment.name), folders_of(submitted)
        layout = _Layout(course, assignment, submitted, records, contents.platform, request, there)
        rows: list[HandInRow] = []
        by_student, refused = _by_student(contents.hand_ins, roster, contents.platform)
        for student, hand_ins in sorted(by_student.items()):
            rows += layout.add(source, student, hand_ins, times.get(student))
        layout.finish()
    return Collected(contents.platform, (*rows, *refused), contents.others)


def _times(roster: Roster, request: CollectRequest, zone: tzinfo) -> dict[str, datetime]:
    told = worksheet_times(roster.where, roster, zone) if roster.where else {}
    return told | (read_times(request.times, roster, zone) if request.times else {})


def _by_student(
    hand_ins: Sequence[HandIn], roster: Roster, platform: str
) -> tuple[dict[str, list[tuple[Owner, HandIn]]], list[HandInRow]]:
    """Return the hand-ins of each student, and those of nobody."""
    found: dict[str, list[tuple[Owner, HandIn]]] = {}
    refused = []
    for hand_in in hand_ins:
        for owner in hand_in.owners:
            try:
                students = _students(owner, roster, platform)
            except Nobody as error:
                fates = tuple(Fate(name, why="belongs to nobody") for name in hand_in.files)
                refused.append(HandInRow(owner.shown, "", "refused", hand_in.time, fates, str(error)))
                continue
            if students.of_group:  # its number in the download is that of no participant
                owner, own = replace(owner, ids={}), replace(hand_in, way_back={})
            else:
                own = hand_in
            for student in students.ids:
                found.setdefault(student, []).append((owner, own))
    return found, refused


class _Students(NamedTuple):
    """The students whose hand-in it is, and whether a group handed it in."""

    ids: tuple[str, ...]
    of_group: bool


def _students(owner: Owner, roster: Roster, platform: str) -> _Students:
    """Return the ids of those who handed in.

    Raises:
        Nobody: If it is nobody, or may be more than one, or one of the ids cannot be used.
    """
    members = roster.members(owner) if platform == "moodle" else ()
    if members:
        ids = tuple(person.student for person in members)
    elif roster.people:
        ids = (roster.find(owner).student,)
    elif platform == "folder":
        ids = (owner.ids["student"],)
    else:
        raise Nobody(f"is nobody yet: there is no {ROSTER}, and no --roster")
    for student in ids:
        if problem := problem_with_id(student):
            raise Nobody(problem.removesuffix("."))
    return _Students(ids, bool(members))


@dataclass(frozen=True)
class _Layout:
    """Puts hand-ins where they are graded."""

    course: Course
    assignment: Assignment
    submitted: Path
    records: Records
    platform: str
    request: CollectRequest
    there: Mapping[str, list[str]]

    def add(
        self, source: Source, student: str, hand_ins: list[tuple[Owner, HandIn]], time: datetime | None
    ) -> list[HandInRow]:
        """Lay out a student's hand-ins: the last counts, the others are stored."""
        timed = [(owner, replace(hand_in, time=time or hand_in.time)) for owner, hand_in in hand_ins]
        if len(timed) > 1:
            known = {hand_in.time for _, hand_in in hand_ins if hand_in.time}
            if len(known) < len(timed):
                names = " and ".join(owner.shown for owner, _ in timed)
                why = f"{names} are both {student}'s, and nothing says which came last: leave one out"
                return [
                    HandInRow(owner.shown, student, "refused", hand_in.time, _refused(hand_in), why)
                    for owner, hand_in in timed
                ]
            timed = sorted(hand_ins, key=lambda pair: pair[1].time or datetime.min)
        return [self._add_one(source, student, owner, hand_in) for owner, hand_in in timed]

    def finish(self) -> None:
        """Write the records, unless this only shows what would be done."""
        if not self.request.dry_run:
            self.records.save()

    def _add_one(self, source: Source, student: str, owner: Owner, hand_in: HandIn) -> HandInRow:
        work = find_work(source, hand_in, self.assignment.name, self.course.settings)
        digest = digest_of(work.files or work.others)
        row = HandInRow(owner.shown, student, "nothing to grade", hand_in.time, work.fates)
        if not work.files:
            self._keep_others(student, digest, work.others)
            return replace(row, why=f"holds neither {self.assignment.name}.ipynb nor {MODULE}.py")
        record = Record(
            digest=digest,
            platform=self.platform,
            download=self.request.source.name,
            owner=owner.shown,
            collected=utc_now(),
            time=hand_in.time,
            files={fate.became: fate.original for fate in work.fates if fate.became},
            left_out={fate.original: fate.why for fate in work.fates if not fate.became},
            ids={kind: value for kind, value in owner.ids.items() if kind != "student"},
            way_back=dict(hand_in.way_back),
        )
        try:
            there = read_folder(self._folder_of(student), self.course.settings)
        except MemberUnreadable as error:
            why = f"what lies in {self._folder_of(student)} {error}: move it away, then collect again"
            return replace(row, state="refused", fates=_refused(hand_in), why=why)
        state = self._state(student, record, there)
        self._keep_others(student, digest, work.others)
        if not self.request.dry_run:
            if state == "older":
                self.records.store(student, digest, work.files)
            else:
                if state == "replaced":
                    before = _without_extras(there)
                    self.records.store(student, digest_of(before), before)
                self._put(student, work.files, record, state)
        return replace(row, state=state)

    def _folder_of(self, student: str) -> Path:
        """Return where a student's work lies, perhaps under another Unicode form of the name."""
        return self.submitted / next(iter(self.there.get(one_form(student), ())), student) / self.assignment.name

    def _state(self, student: str, record: Record, there: Mapping[str, bytes]) -> HandInState:
        """Return what is to be done with a hand-in, where this lies in its place."""
        if not there:
            return "new"
        if digest_of(_without_extras(there)) == record.digest:
            return "unchanged"
        known = self.records.of(student)
        before = known[-1].time if known else _time_of(there)
        if record.time and before:
            return "older" if record.time < before else "replaced"
        return "older" if record.digest in {earlier.digest for earlier in known[:-1]} else "replaced"

    def _put(self, student: str, files: Mapping[str, bytes], record: Record, state: HandInState) -> None:
        folder = self._folder_of(student)
        if state != "unchanged":
            with replaced_folder(folder) as new:
                for name, content in files.items():
                    write_whole(new / name, content)
        before = next((known for known in self.records.of(student) if known.digest == record.digest), None)
        if before is not None:
            time = record.time or before.time
            record = msgspec.structs.replace(record, collected=before.collected, download=before.download, time=time)
        if record.time:
            write_whole(folder / TIMESTAMP_FILE, f"{nbgrader_text(record.time)}\n".encode())
        self.records.add(student, record)

    def _keep_others(self, student: str, digest: str, files: Mapping[str, bytes]) -> None:
        if not self.request.dry_run:
            self.records.store_others(student, digest, files)


def _time_of(files: Mapping[str, bytes]) -> datetime | None:
    """Return when a submission was handed in, in UTC, by its `timestamp.txt`; None if it does not say."""
    with suppress(UnreadableTime):
        return read_timestamp(files.get(TIMESTAMP_FILE, b""), TIMESTAMP_FILE)
    return None


def _refused(hand_in: HandIn) -> tuple[Fate, ...]:
    return tuple(Fate(name, why="was not taken") for name in hand_in.files)


def _without_extras(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in NOT_OURS}
