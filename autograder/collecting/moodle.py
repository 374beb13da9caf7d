"""Moodle's "Download all submissions".

Each participant has a folder `<full name>_<participant number>_assignsubmission_file/`, before 4.1 with `_` at its end.
Where students hand in as groups, each group has one, `<name of the group>_<its number>_assignsubmission_file/`, and who
is in none shares `Default group_assignsubmission_file/`. Where "Download submissions in folders" is switched off, all
that stands before the name of each file. Times are not in it.

Reference:
    Moodle, `mod/assign/classes/downloader.php`.
"""

from __future__ import annotations

import re

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner

_PREFIX = re.compile(
    r"(?P<owner>(?P<name>.*?)(?:_(?P<number>\d+))?)_assignsubmission_(?P<plugin>[a-z]+)(?:_(?P<file>.*))?", re.DOTALL
)
TYPED = "is what was typed into the platform's text box"


def fits(download: Download) -> bool:
    """Whether a download has Moodle's names."""
    return any(_PREFIX.fullmatch(part) for name in download.names for part in name.split("/"))


def contents(download: Download) -> Contents:
    """Sort by participant; a file keeps the folders that the student uploaded."""
    files: dict[str, dict[str, str]] = {}
    owners: dict[str, Owner] = {}
    others: dict[str, str] = {}
    for name in download.names:
        match, below = _split(name)
        if match is None:
            others[name] = "lies in no participant's folder"
        elif match["plugin"] != "file":
            others[name] = TYPED
        else:
            key = match["number"] or match["owner"]
            files.setdefault(key, {})[name] = "/".join(part for part in (match["file"], below) if part)
            owners[key] = Owner(match["owner"], {"moodle": key} if match["number"] else {}, match["name"])
    hand_ins = (
        HandIn((owner,), files[key], way_back={"name": owner.name, "participant": owner.ids.get("moodle", "")})
        for key, owner in owners.items()
    )
    return Contents("moodle", tuple(hand_ins), others)


def _split(name: str) -> tuple[re.Match[str] | None, str]:
    """Return the part of a path that names the participant, and what is below it."""
    parts = name.split("/")
    for place, part in enumerate(parts):
        if match := _PREFIX.fullmatch(part):
            return match, "/".join(parts[place + 1 :])
    return None, ""
