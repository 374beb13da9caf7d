"""Canvas' "Download Submissions".

All files lie in one folder, as `<last name first name>_LATE_<user>_<attachment>_<name of the file>`, without `LATE_`
where they were in time; where students are anonymous, as `anon_<id>_<attachment>_<name of the file>`. Only the last
attempt is in it, and no times.

Reference:
    Canvas, `lib/content_zipper.rb`.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner
from autograder.collecting.moodle import TYPED

_NAME = re.compile(
    r"(?P<prefix>(?:(?P<name>.*?)_)?(?:LATE_)?(?:anon_(?P<anonymous>[^_]+)|(?P<user>\d+)))"
    r"_(?P<attachment>\d+)_(?P<file>.+)",
    re.DOTALL,
)
_TYPED = re.compile(r"(?:.*_)?(?:\d+|anon_[^_]+)_(?:text|link)\.html", re.DOTALL)


def fits(download: Download) -> bool:
    """Whether a download has Canvas' names, all in one folder."""
    files = [PurePosixPath(name) for name in download.names]
    alike = [file for file in files if _NAME.fullmatch(file.name) or _TYPED.fullmatch(file.name)]
    return len({file.parent for file in files}) == 1 and len(alike) > len(files) / 2


def contents(download: Download) -> Contents:
    """Sort by user; attachments of one user in the order in which they were uploaded."""
    found: dict[str, list[tuple[int, str, re.Match[str]]]] = {}
    others: dict[str, str] = {}
    for name in download.names:
        file = PurePosixPath(name).name
        match = _NAME.fullmatch(file)
        if match:
            key = match["user"] or f"anon {match['anonymous']}"
            found.setdefault(key, []).append((int(match["attachment"]), name, match))
        else:
            others[name] = TYPED if _TYPED.fullmatch(file) else "names no student"
    return Contents("canvas", tuple(_hand_in(sorted(files, key=_first)) for files in found.values()), others)


def _first(file: tuple[int, str, re.Match[str]]) -> int:
    return file[0]


def _hand_in(files: list[tuple[int, str, re.Match[str]]]) -> HandIn:
    """Return one user's hand-in; feedback comes back under the name of an attachment, best the notebook's."""
    notebook = next((match for _, _, match in files if match["file"].lower().endswith(".ipynb")), files[0][2])
    ids = {"canvas": notebook["user"]} if notebook["user"] else {"canvas_anonymous": notebook["anonymous"]}
    name = (notebook["name"] or "").removesuffix("_LATE").removeprefix("LATE")
    owner = Owner(notebook["prefix"], ids, name if notebook["user"] else "")
    way_back = {"prefix": notebook["prefix"], "attachment": notebook["attachment"]}
    return HandIn((owner,), {name: match["file"] for _, name, match in files}, in_order=True, way_back=way_back)
