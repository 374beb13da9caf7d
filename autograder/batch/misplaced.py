"""Files and folders that look like hand-ins and lie where none is looked for, and what to do about each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from autograder.course.assignment import MODULE
from autograder.files import two_folders

COLLECT = "python -m autograder collect"
MOST_LOOKED_AT = 1_000
"""Names in one folder that are looked at."""


def misplaced(submitted: Path, assignment: str) -> Iterator[tuple[str, str]]:
    """Yield a name and a sentence for each thing in `submitted/` that is no student's folder `<student>/<assignment>/`.

    Args:
        submitted: The folder with one folder a student.
        assignment: Name of the assignment.
    """
    yield from two_folders(submitted, assignment).items()
    for name in _names(submitted):
        path = submitted / name
        if name.startswith(".") or (path / assignment).is_dir():
            continue
        if path.is_dir():
            sentence = in_folder(path, assignment)
        else:
            sentence = _about_file(path)
        if sentence:
            yield name, sentence


def in_folder(folder: Path, assignment: str) -> str:
    """Return what looks like a hand-in in a folder that should hold `<assignment>/`; empty if nothing does."""
    names = _names(folder)
    for name in names:
        if name != assignment and name.casefold() == assignment.casefold() and (folder / name).is_dir():
            return f"{folder / name} is not found, since the folder has to be named {assignment}: rename it."
    if {f"{assignment}.ipynb".casefold(), f"{MODULE}.py"} & {name.casefold() for name in names}:
        return f"{folder} is one level too high: move its files into {folder / assignment}/."
    if folder.name == assignment:
        return (
            f"{folder} holds students: the order is <student>/{assignment}/, so move them, or run: {COLLECT} {folder}"
        )
    return next((_about_file(folder / name) for name in names if name.lower().endswith(".zip")), "")


def _about_file(path: Path) -> str:
    if path.suffix.lower() == ".zip":
        return f"{path} is a zip file: move it out of there and run: {COLLECT} {path.name}"
    if path.suffix.lower() in (".ipynb", ".py"):
        return f"{path} lies in no student's folder."
    return ""


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))[:MOST_LOOKED_AT]  # noqa: PTH208 - names alone
    except OSError:
        return []
