"""A folder for each student, and GitHub's clones, which are such folders with names of their own.

GitHub Classroom's program writes clones to `<assignment>-submissions/<assignment>-<account>/`, Classroom 50's to
`<classroom>-<assignment>_submissions_<time>/<classroom>-<assignment>-<account>/`, with what its own tests gave beside
the work. When work was pushed only the student's own commits say, so times are unknown.

Reference:
    github/gh-classroom, `clone student-repos`; foundation50/classroom50, `gh teacher download`.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import PurePosixPath

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner
from autograder.course.assignment import MODULE

CLONES = "-submissions"
"""End of the name of the folder that GitHub Classroom's program writes clones to."""
_CLASSROOM50 = re.compile(r".+_submissions_[\dT_]+")
CLASSROOM50_RESULTS = {
    "result.json": "is what Classroom 50's own tests gave",
    "results.json": "is what Classroom 50's own tests gave",
}
"""Files that Classroom 50 adds to a download, and what they are."""


def is_github(download: Download) -> bool:
    """Whether every folder is a clone, or they lie where a program writes clones."""
    if _program_folder(download) is not None:
        return True
    paths = [PurePosixPath(name).parts for name in download.source.sizes]
    clones = {parts[0] for parts in paths if len(parts) > 2 and parts[1] == ".git"}
    return bool(clones) and clones == {parts[0] for parts in paths}


def github_contents(download: Download) -> Contents:
    """Sort a folder of cloned repositories by clone."""
    folder = _program_folder(download)
    depth = int(folder is not None and {name.split("/")[0] for name in download.source.sizes} == {folder})
    results = CLASSROOM50_RESULTS if folder and _CLASSROOM50.fullmatch(folder) else {}
    files: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for name in download.names:
        parts = name.split("/")[depth:]
        if len(parts) == 2 and parts[1] in results:
            others[name] = results[parts[1]]
        elif len(parts) > 1:
            files.setdefault(parts[0], {})[name] = "/".join(parts[1:])
        else:
            others[name] = "lies in no clone"
    common = _common_start(list(files))
    hand_ins = (
        HandIn((_account(clone, common),), found, way_back={"repository": clone}) for clone, found in files.items()
    )
    return Contents("github", tuple(hand_ins), others)


def contents(download: Download) -> Contents:
    """Sort by folder; a file that lies beside the folders is named `<student>.zip` or `<student>_<name>`."""
    depth = _depth(download)
    files: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for name in download.names:
        parts = name.split("/")[depth:]
        student, inner = (
            (parts[0], "/".join(parts[1:])) if len(parts) > 1 else _from_file(parts[0], download.assignment)
        )
        if student and student.casefold() != download.assignment.casefold():
            files.setdefault(student, {})[name] = inner
        else:
            others[name] = "names no student: put it into a folder with the student's name"
    hand_ins = (HandIn((Owner(name, {"student": name}, name),), found) for name, found in files.items())
    return Contents("folder", tuple(hand_ins), others)


def _program_folder(download: Download) -> str | None:
    """Return the name of the folder that a program wrote clones to; None if there is none."""
    tops = {name.split("/")[0] for name in download.source.sizes}
    for folder in (download.name, *(tops if len(tops) == 1 else ())):
        if folder.endswith(CLONES) or _CLASSROOM50.fullmatch(folder):
            return str(folder)
    return None


def _common_start(clones: list[str]) -> str:
    """Return how most repositories begin, up to a hyphen: with the assignment's name, and perhaps some more."""
    starts = Counter(
        clone[: place + 1] for clone in map(str.lower, clones) for place, letter in enumerate(clone) if letter == "-"
    )
    return max((start for start, count in starts.items() if 2 * count > len(clones)), key=len, default="")


def _account(clone: str, common: str) -> Owner:
    """Return whose a repository is, for the roster to find: what stands after a hyphen in the part that is common.

    Accounts may have hyphens, too: `fall-vit-mary-ann` is not `ann`'s where others are called `fall-vit-ben`. A
    repository that begins in another way is one of another assignment, and nobody's.
    """
    starts = (place + 1 for place, letter in enumerate(clone) if letter == "-")
    shared = [start for start in starts if common.startswith(clone[:start].lower())]
    return Owner(clone, accounts=(clone, *(clone[start:] for start in shared)))


def _depth(download: Download) -> int:
    """Return how many folders stand around the students' folders: one, if the folder of a class was zipped."""
    paths = [name.split("/") for name in download.names]
    if len({parts[0] for parts in paths}) != 1 or min(map(len, paths)) < 2:
        return 0
    students = {parts[1] for parts in paths if len(parts) > 2 and parts[-1].lower().endswith((".ipynb", ".py", ".zip"))}
    if download.assignment in students:  # one student's own folder, as nbgrader lays it out
        return 0
    return int(len(students) > 1 or (paths[0][0] == download.name and min(map(len, paths)) > 2))


def _from_file(name: str, assignment: str) -> tuple[str, str]:
    """Return the student and the rest of the name of a file; no student if there is none in it."""
    if name.lower().endswith(".zip"):
        return name[:-4], name
    for wanted in (f"_{assignment}.ipynb", f"_{MODULE}.py"):  # ids may have underscores, too
        if name.lower().endswith(wanted.lower()):
            return name[: -len(wanted)], name[1 - len(wanted) :]
    student, _, rest = name.partition("_")
    return (student, rest) if rest else ("", name)
