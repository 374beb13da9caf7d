"""Lay out a platform's download as `submitted/<student>/<assignment>/`, and remember where everything came from.

Nothing is lost: what a later hand-in replaces is stored, and each file of the download is accounted for.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import cached_property
from pathlib import Path

import msgspec

from autograder.collecting.hand_ins import Download, HandIn, Owner
from autograder.collecting.lists import read_times, with_groups, worksheet_times
from autograder.collecting.platforms import ByStudent, RefusedHandIn, sort_by_hand_in, sort_by_student
from autograder.collecting.records import Collected, HandInRow, HandInState, Record, Records, read_folder
from autograder.collecting.roster import Roster, course_roster
from autograder.collecting.source import Source, opened_source
from autograder.collecting.work import NOT_OURS, Fate, find_work, names_other_cells
from autograder.course.archives import MemberUnreadable
from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import grade_id_of, load_cells
from autograder.course.course import Course
from autograder.deadlines.times import TIMESTAMP_FILE, UnreadableTime, nbgrader_text, read_timestamp
from autograder.errors import UsageError
from autograder.files import digest_of, folders_of, replaced_folder, write_whole
from autograder.gradebook.course_lock import course_lock
from autograder.ledger.connections import utc_now
from autograder.text import one_form


@dataclass(frozen=True)
class CollectRequest:
    """What to collect.

    Attributes:
        source: The download: a zip file or a folder.
        platform: Where it comes from; None recognises it.
        roster: Who is who; None takes `roster.csv` of the course, if there is one.
        times: A table of times; None if the download has to tell them.
        groups: Who works with whom; None where the roster tells it, or nobody does.
        dry_run: Write nothing.
    """

    source: Path
    platform: str | None = None
    roster: Path | None = None
    times: Path | None = None
    groups: Path | None = None
    dry_run: bool = False


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
    _check_source(request.source.resolve(), course, submitted)
    roster = course_roster(course, request.roster)
    if request.groups:
        roster = with_groups(roster, request.groups)
    times = _times(roster, request, course.settings.zone)
    lock = nullcontext() if request.dry_run else course_lock(course.state_dir)  # which makes a file
    with opened_source(request.source) as source, lock:
        groups = frozenset(person.group for person in roster.people if person.group)
        download = Download(source, request.source.resolve().name.removesuffix(".zip"), assignment.name, groups)
        contents = sort_by_hand_in(download, request.platform)
        records, there = Records(course, assignment.name), folders_of(submitted)
        layout = _Layout(course, assignment, submitted, records, contents.platform, request, there)
        rows: list[HandInRow] = []
        sorted_out = sort_by_student(contents, roster)
        times = _also_of_groups(times, sorted_out)
        for student, hand_ins in sorted(sorted_out.hand_ins.items()):
            rows += layout.add(source, student, hand_ins, times.get(student))
        formerly = layout.formerly(sorted_out)
        layout.finish()
    rows += [_nobodys(refused) for refused in sorted_out.refused]
    return Collected(
        contents.platform, tuple(rows), contents.others, sorted_out.doubtful, sorted_out.unchecked, formerly
    )


def _check_source(source: Path, course: Course, submitted: Path) -> None:
    """Refuse folders of the course in place of a download: solutions would become somebody's work.

    Raises:
        UsageError: With what the folder is.
    """
    what = "where hand-ins are laid out" if source.is_relative_to(submitted.resolve()) else ""
    what = "the course folder, or one around it" if course.root.resolve().is_relative_to(source) else what
    if what:
        raise UsageError(f"{source} is {what}.", "Name what the platform gave you.")


def _times(roster: Roster, request: CollectRequest, zone: tzinfo) -> dict[str, datetime]:
    told = worksheet_times(roster.where, roster, zone) if roster.where else {}
    return told | (read_times(request.times, roster, zone) if request.times else {})


def _also_of_groups(times: Mapping[str, datetime], sorted_out: ByStudent) -> dict[str, datetime]:
    """Return the times of all members of a group, where they are told of one: they handed in once."""
    told = {
        id(hand_in): times[student]
        for student, hand_ins in sorted_out.hand_ins.items()
        for _, hand_in in hand_ins
        if student in times
    }
    shared = {
        student: told[id(hand_in)]
        for student, hand_ins in sorted_out.hand_ins.items()
        for _, hand_in in hand_ins
        if id(hand_in) in told
    }
    return {**shared, **times}


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

    @cached_property
    def cells(self) -> frozenset[str]:
        """The names of the assignment's cells; nothing is known of them before it is built."""
        path = self.assignment.notebook_path
        return frozenset(map(grade_id_of, load_cells(path.read_bytes()))) - {""} if path.is_file() else frozenset()

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

    def formerly(self, sorted_out: ByStudent) -> dict[str, str]:
        """Return under which other id somebody was collected before, where that still lies there."""
        before = self.records.students_by_id(self.platform)
        found = (
            (student, other)
            for student, hand_ins in sorted_out.hand_ins.items()
            for owner, _ in hand_ins
            for item in owner.ids.items()
            for other in before.get(item, ())
        )
        return {student: other for student, other in found if other != student and one_form(other) in self.there}

    def finish(self) -> None:
        """Write the records, unless this only shows what would be done."""
        if not self.request.dry_run:
            self.records.save()

    def _add_one(self, source: Source, student: str, owner: Owner, hand_in: HandIn) -> HandInRow:
        work = find_work(source, hand_in, self.assignment.name, self.course.settings)
        digest = digest_of(work.files or work.others)
        late = hand_in.late and hand_in.time is None
        row = HandInRow(owner.shown, student, "nothing to grade", hand_in.time, work.fates, late=late)
        if not work.files:
            self._keep_others(student, digest, work.others)
            return replace(row, why=f"holds neither {self.assignment.name}.ipynb nor {MODULE}.py")
        if names_other_cells(work.files.get(f"{self.assignment.name}.ipynb", b""), self.cells):
            why = f"{work.notebook} has not the cells of {self.assignment.name}: is it another assignment's?"
            return replace(row, state="refused", fates=_refused(hand_in), why=why)
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


def _nobodys(refused: RefusedHandIn) -> HandInRow:
    fates = tuple(Fate(name, why="belongs to nobody") for name in refused.hand_in.files)
    return HandInRow(refused.owner.shown, "", "refused", refused.hand_in.time, fates, refused.why)


def _refused(hand_in: HandIn) -> tuple[Fate, ...]:
    return tuple(Fate(name, why="was not taken") for name in hand_in.files)


def _without_extras(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if name not in NOT_OURS}
