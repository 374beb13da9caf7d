"""Canvas' "Download Submissions".

All files lie in one folder, as `<last name first name>_LATE_<user>_<attachment>_<name of the file>`, without `LATE_`
where they were in time; where students are anonymous, as `anon_<id>_<attachment>_<name of the file>`. Only the last
attempt is in it, and no times.

Where students hand in as groups, the group's name stands in the place of the student's, and the user is the first
member by name, whoever uploaded. Who else is in the group the download does not tell; the group set's CSV does.

Reference:
    Canvas, `lib/content_zipper.rb`; `Assignment#representatives`; `GroupCategoriesController#export`.
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner
from autograder.collecting.moodle import TYPED

_FORM = r"(?P<prefix>(?:(?P<name>{name})_)?(?P<late>LATE_)?(?P<user>\d+))_(?P<attachment>\d+)_(?P<file>.+)"
_NAME = re.compile(_FORM.format(name=".*?"), re.DOTALL)
_ANONYMOUS = re.compile(r"(?P<prefix>(?P<late>LATE_)?anon_(?P<user>[^_]+))_(?P<attachment>\d+)_(?P<file>.+)", re.DOTALL)
NAMELESS = "_"
"""The name of a group whose name has neither letters nor digits."""
_TYPED = re.compile(r"(?:.*_)?(?:\d+|anon_[^_]+)_(?:text|link)\.html", re.DOTALL)


def fits(download: Download) -> bool:
    """Whether a download has Canvas' names, all in one folder."""
    files = [PurePosixPath(name) for name in download.names]
    alike = [file for file in files if any(form.fullmatch(file.name) for form in (_NAME, _ANONYMOUS, _TYPED))]
    return len({file.parent for file in files}) == 1 and len(alike) > len(files) / 2


def contents(download: Download) -> Contents:
    """Sort by what stands before the attachment; attachments in the order in which they were uploaded."""
    found: dict[str, list[tuple[int, str, re.Match[str]]]] = {}
    others: dict[str, str] = {}
    forms = _forms(download)
    for name in download.names:
        file = PurePosixPath(name).name
        match = next((match for form in forms if (match := form.fullmatch(file))), None)
        if match:
            found.setdefault(match["prefix"], []).append((int(match["attachment"]), name, match))
        else:
            others[name] = TYPED if _TYPED.fullmatch(file) else "names no student"
    return Contents("canvas", tuple(_hand_in(sorted(files, key=_first)) for files in found.values()), others)


def _forms(download: Download) -> tuple[re.Pattern[str], ...]:
    """Return the forms of a file's name, the surest first.

    Names of groups may have numbers in them that look like a user's, and an anonymous id may be a number.
    """
    names = [PurePosixPath(name).name for name in download.names]
    if all(name.startswith(("anon_", "LATE_anon_")) for name in names):
        return (_ANONYMOUS,)
    groups = sorted(filter(None, map(_as_canvas_writes, download.groups)), key=len, reverse=True)
    known = "|".join(map(re.escape, groups))
    return (*((re.compile(_FORM.format(name=known), re.DOTALL),) if known else ()), _NAME, _ANONYMOUS)


def _as_canvas_writes(group: str) -> str:
    """Return a group's name as it stands in the names of files."""
    lowered = re.sub(r"_(\d+)_", r"\1", group).lower()
    return "".join(sign for sign in lowered if unicodedata.category(sign) in ("Nd", "Pc") or _is_letter(sign))


def _is_letter(sign: str) -> bool:
    return unicodedata.category(sign)[0] in "LM"


def _first(file: tuple[int, str, re.Match[str]]) -> int:
    return file[0]


def _hand_in(files: list[tuple[int, str, re.Match[str]]]) -> HandIn:
    """Return one user's hand-in; feedback comes back under the name of an attachment, best the notebook's."""
    notebook = next((match for _, _, match in files if match["file"].lower().endswith(".ipynb")), files[0][2])
    if notebook.re is _ANONYMOUS:
        owner = Owner(notebook["prefix"], {"canvas_anonymous": notebook["user"]})
    else:
        owner = Owner(notebook["prefix"], {"canvas": notebook["user"]}, notebook["name"] or NAMELESS)
    return HandIn(
        (owner,),
        {name: match["file"] for _, name, match in files},
        in_order=True,
        late=bool(notebook["late"]),
        way_back={"prefix": notebook["prefix"], "attachment": notebook["attachment"]},
    )
