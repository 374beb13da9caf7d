"""Reads what goes back to Canvas and Classroom 50 as they read it, with the standard library alone."""

from __future__ import annotations

import csv
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.collecting.independent_people import STUDENTS, Student

NUMBER = re.compile(r"-?[0-9.,]+%?")


def canvas_grades(path: Path, assignment: str) -> dict[str, str]:
    """Return the grade that Canvas' importer reads for each student of the course, by id.

    Canvas finds a student by the column `ID`, then by the SIS columns; it takes `;` for the separator where that gives
    more columns, in the same number in the first three lines; its numbers may have a decimal comma.
    """
    text = path.read_text(encoding="utf-8-sig")
    first = text.splitlines()[:3]
    counts = {mark: {len(next(csv.reader([line], delimiter=mark))) for line in first} for mark in ";,"}
    fields = {mark: min(found) if len(found) == 1 else 0 for mark, found in counts.items()}
    rows = list(csv.reader(text.splitlines(), delimiter=";" if fields[";"] > fields[","] else ","))
    header = rows[0]
    if len(header) <= 3 or "Student" not in header[0] or "ID" not in header[1]:
        raise ValueError(f"Canvas refuses the header {header}")
    (column,) = (place for place, name in enumerate(header) if re.fullmatch(rf"{assignment}(?: \(\d+\))?", name))
    known = {str(student.canvas): student for student in STUDENTS}
    grades: dict[str, str] = {}
    for row in rows[1:]:
        if not row or "Points Possible" in row[0]:
            continue
        student = known.get(row[1])
        if student is None:
            continue
        if student.id in grades:
            raise ValueError(f"Canvas reads {student.id} twice")
        grades[student.id] = _normal(row[column].strip())
    return grades


def _normal(field: str) -> str:
    """Return a number with a decimal point, as Canvas normalises it; other text as it is."""
    if not NUMBER.fullmatch(field):
        return field
    *whole, last = re.split("[,.]", field)
    return f"{''.join(whole)}.{last}" if whole else last


@dataclass(frozen=True)
class Comment:
    """A file that Canvas attaches as a comment: to whom, and in place of which of their attachments."""

    user: int
    attachment: int
    content: bytes


def canvas_comments(path: Path, group_names: tuple[str, ...]) -> tuple[list[Comment], list[str]]:
    """Return the comments that Canvas makes of a zip of feedback, and the files that it ignores.

    Canvas drops a group's name from the front, then `LATE`; the first two parts that are numbers are the user and the
    attachment.
    """
    comments, ignored = [], []
    lowered = [re.sub(r"_(\d+)_", r"\1", name).lower() for name in group_names]
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            if entry.is_dir():
                continue
            name = entry.filename.rpartition("/")[2]
            group = next((group for group in lowered if name.startswith(f"{group}_")), None)
            name = name if group is None else name[len(group) + 1 :]
            parts = [part for part in name.split("_") if part != "LATE"]
            numbers = [int(part) for part in parts if part.isascii() and part.isdigit()][:2]
            if len(numbers) < 2 or parts[-1].startswith("link"):
                ignored.append(entry.filename)
                continue
            comments.append(Comment(numbers[0], numbers[1], archive.read(entry)))
    return comments, ignored


def each_own(pages: dict[str, str], is_of: Callable[[str, Student], bool]) -> list[str]:
    """Return what is wrong where pages should each be about the student whom they are for."""
    wrong = []
    for student in STUDENTS:
        page = pages.get(student.id)
        if page is not None and not is_of(page, student):
            wrong.append(f"{student.id} got the page of another")
    return wrong


def table(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV with a header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))
