"""Recognise a platform's download by its names, sort its files by hand-in, and say whose each hand-in is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from autograder.collecting import canvas, folders, gradescope, moodle
from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner
from autograder.collecting.roster import ROSTER, Nobody, OtherName, Roster, RosterEntry, folded
from autograder.errors import UsageError
from autograder.text import one_form, problem_with_id

PLATFORMS: dict[str, Callable[[Download], Contents]] = {
    "moodle": moodle.contents,
    "canvas": canvas.contents,
    "gradescope": gradescope.contents,
    "github": folders.github_contents,
    "folder": folders.contents,
}
"""Where hand-ins come from, and what sorts a download."""
TITLES = {
    "moodle": "Moodle",
    "canvas": "Canvas",
    "gradescope": "Gradescope",
    "github": "GitHub",
    "folder": "a folder for each student",
}
_SIGNS: dict[str, Callable[[Download], bool]] = {
    "moodle": moodle.fits,
    "canvas": canvas.fits,
    "gradescope": gradescope.fits,
    "github": folders.is_github,
}
"""What says that a download is a platform's; where nothing does it is a folder for each student."""
_GROUPED = ("moodle", "canvas", "github")
"""Platforms whose downloads name a group and not its members."""


class RefusedHandIn(NamedTuple):
    """A hand-in that is nobody's, and why."""

    owner: Owner
    hand_in: HandIn
    why: str


@dataclass
class ByStudent:
    """The hand-ins of a download, by student.

    Attributes:
        hand_ins: Student to owner, as the platform has it, and hand-in.
        refused: Those of nobody.
        doubtful: How the platform writes it to the student, where the id is a student's and the name is not quite.
        unchecked: How many were placed by Canvas' number alone, since the roster has no name.
    """

    hand_ins: dict[str, list[tuple[Owner, HandIn]]]
    refused: list[RefusedHandIn]
    doubtful: dict[str, str]
    unchecked: int = 0


def sort_by_hand_in(download: Download, platform: str | None = None) -> Contents:
    """Return the hand-ins of a download.

    Args:
        download: What was downloaded.
        platform: A key of `PLATFORMS`; None recognises it.

    Raises:
        UsageError: If it cannot be read as one platform's download, or as more than one.
    """
    if not download.names:
        raise UsageError(f"There is no student's file in {download.name}.", "Look into it, and download it again.")
    platform = platform or _recognised(download)
    found = PLATFORMS[platform](download)
    if not found.hand_ins:
        raise UsageError(
            f"Nothing in {download.name} looks like a hand-in from {TITLES[platform]}.",
            f"If it comes from another platform, say --from {'|'.join(PLATFORMS)}.",
        )
    left_out = {lost.name: lost.why for lost in download.source.left_out}
    return Contents(platform, found.hand_ins, {**download.junk, **left_out, **found.others})


def sort_by_student(contents: Contents, roster: Roster) -> ByStudent:
    """Return the hand-ins of each student, and those of nobody; each member of a group gets the group's."""
    found, has_groups = ByStudent({}, [], {}), False
    owned = ((owner, hand_in) for hand_in in contents.hand_ins for owner in hand_in.owners)
    for owner, hand_in in owned:
        members = roster.members(owner) if contents.platform in _GROUPED else ()
        try:
            people = members or (_person(owner, roster, contents.platform),)
            _check_ids(people)
        except Nobody as error:
            found.refused.append(RefusedHandIn(owner, hand_in, str(error)))
            has_groups |= isinstance(error, OtherName)
            continue
        if not members and contents.platform == "canvas" and owner.name:
            if not people[0].names:
                found.unchecked += 1
            elif not people[0].is_called(owner.name):
                found.doubtful[owner.shown] = people[0].student
        if members and contents.platform == "moodle":  # a group's number is that of no participant
            hand_in = replace(hand_in, way_back={})
        for person in people:
            shown = _with_own_id(owner, person, contents.platform) if members or owner.accounts else owner
            found.hand_ins.setdefault(person.student, []).append((shown, hand_in))
    found = _without_lookalikes(found)
    return _without_doubtful(found) if has_groups else found


def _without_lookalikes(found: ByStudent) -> ByStudent:
    """Refuse ids that differ in case alone, as no roster has them: they are one student's, or one folder elsewhere."""
    spellings: dict[str, list[str]] = {}
    for student in found.hand_ins:
        spellings.setdefault(folded(student), []).append(student)
    alike = {student: " and ".join(names) for names in spellings.values() if len(names) > 1 for student in names}
    refused = [
        RefusedHandIn(owner, hand_in, f"{names} differ in case alone: give one student's files one name")
        for student, names in alike.items()
        for owner, hand_in in found.hand_ins[student]
    ]
    sure = {student: owned for student, owned in found.hand_ins.items() if student not in alike}
    return ByStudent(sure, [*found.refused, *refused], found.doubtful, found.unchecked)


def _without_doubtful(found: ByStudent) -> ByStudent:
    """Refuse what has not quite a student's name, too: other names in this download are those of groups."""
    refused = [
        RefusedHandIn(owner, hand_in, f"has the id of {student} and not quite the name")
        for student in found.doubtful.values()
        for owner, hand_in in found.hand_ins[student]
    ]
    sure = {name: owned for name, owned in found.hand_ins.items() if name not in found.doubtful.values()}
    return ByStudent(sure, [*found.refused, *refused], {}, found.unchecked)


def _with_own_id(owner: Owner, person: RosterEntry, platform: str) -> Owner:
    """Return the owner with the person's own id, in place of a group's or of what may be an account."""
    return replace(owner, ids={platform: person.ids[platform]} if platform in person.ids else {})


def _person(owner: Owner, roster: Roster, platform: str) -> RosterEntry:
    """Return who handed in.

    Raises:
        Nobody: If it is nobody, or may be more than one.
    """
    if roster.people:
        return roster.find(owner)
    if platform == "folder":
        return RosterEntry(one_form(owner.ids["student"]), {})
    raise Nobody(f"is nobody yet: there is no {ROSTER}, and no --roster")


def _check_ids(people: Sequence[RosterEntry]) -> None:
    """Refuse an id that cannot name a folder.

    Raises:
        Nobody: With what is wrong with it.
    """
    for person in people:
        if problem := problem_with_id(person.student):
            raise Nobody(problem.removesuffix("."))


def _recognised(download: Download) -> str:
    found = [platform for platform, fits in _SIGNS.items() if fits(download)]
    if len(found) > 1:
        words = " or ".join(TITLES[platform] for platform in found)
        raise UsageError(f"{download.name} may come from {words}.", f"Say which: --from {'|'.join(found)}.")
    return found[0] if found else "folder"
