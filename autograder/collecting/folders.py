"""A folder for each student, and GitHub's clones, which are such folders with names of their own.

GitHub's program writes clones to `<assignment>-submissions/<assignment>-<account>/`; Classroom 50 names repositories
`<classroom>-<assignment>-<account>`. When work was pushed only the student's own commits say, so times are unknown.
"""

from __future__ import annotations

from pathlib import PurePosixPath

from autograder.collecting.hand_ins import Contents, Download, HandIn, Owner

CLONES = "-submissions"
"""End of the name of the folder that GitHub's program writes clones to."""


def is_github(download: Download) -> bool:
    """Whether every folder is a clone, or they lie where GitHub's program writes clones."""
    if _title(download):
        return True
    paths = [PurePosixPath(name).parts for name in download.source.sizes]
    clones = {parts[0] for parts in paths if len(parts) > 2 and parts[1] == ".git"}
    return bool(clones) and clones == {parts[0] for parts in paths}


def github_contents(download: Download) -> Contents:
    """Sort a folder of cloned repositories by clone."""
    title = _title(download)
    depth = 1 if title and not download.name.endswith(CLONES) else 0
    files: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for name in download.names:
        parts = name.split("/")
        if len(parts) > depth + 1:
            files.setdefault(parts[depth], {})[name] = "/".join(parts[depth + 1 :])
        else:
            others[name] = "lies in no clone"
    hand_ins = (
        HandIn((_account(clone, title),), found, way_back={"repository": clone}) for clone, found in files.items()
    )
    return Contents("github", tuple(hand_ins), others)


def contents(download: Download) -> Contents:
    """Sort by folder; a file that lies beside the folders is named `<student>.zip` or `<student>_<name>`."""
    depth = _depth(download)
    files: dict[str, dict[str, str]] = {}
    others: dict[str, str] = {}
    for name in download.names:
        parts = name.split("/")[depth:]
        student, inner = (parts[0], "/".join(parts[1:])) if len(parts) > 1 else _from_file(parts[0])
        if student:
            files.setdefault(student, {})[name] = inner
        else:
            others[name] = "names no student: put it into a folder with the student's name"
    hand_ins = (HandIn((Owner(name, {"student": name}, name),), found) for name, found in files.items())
    return Contents("folder", tuple(hand_ins), others)


def _title(download: Download) -> str:
    """Return what stands before the account in the names of clones; empty if that is not known."""
    tops = {name.split("/")[0] for name in download.source.sizes}
    for folder in (download.name, *(tops if len(tops) == 1 else ())):
        if folder.endswith(CLONES):
            return str(folder.removesuffix(CLONES))
    return ""


def _account(clone: str, title: str) -> Owner:
    if title and clone.startswith(f"{title}-"):
        return Owner(clone, {"github": clone.removeprefix(f"{title}-")})
    return Owner(clone, {"repository": clone})


def _depth(download: Download) -> int:
    """Return how many folders stand around the students' folders: one, if a folder of this name was zipped."""
    tops = {name.partition("/")[0] for name in download.names}
    return int(tops == {download.name} and all(name.count("/") > 1 for name in download.names))


def _from_file(name: str) -> tuple[str, str]:
    """Return the student and the rest of the name of a file; no student if there is none in it."""
    if name.lower().endswith(".zip"):
        return name[:-4], name
    student, _, rest = name.partition("_")
    return (student, rest) if rest else ("", name)
