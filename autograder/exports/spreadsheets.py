"""Marks as CSV files: nbgrader's own table, Canvas's gradebook, Moodle's grade import and grading worksheet.

Everything is quoted as RFC 4180 says. A text that a spreadsheet would run as a formula gets an apostrophe before it;
numbers stay numbers.

Reference:
    Canvas, "How do I import grades in the Gradebook?"; Moodle, "Grade import" and "Using the grading worksheet";
    OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import UsageError
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.safe_csv import NBGRADER_COLUMNS, Value, csv_bytes

CANVAS_FILE, MOODLE_FILE = "canvas.csv", "moodle.csv"
CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
CANVAS_POINTS = "Points Possible"
MOODLE_COLUMNS = ("Username", "First name", "Last name", "Email address")
KEYS = {
    "Username": ("id", "email"),
    "SIS Login ID": ("id", "email"),
    "SIS User ID": ("id", "lms_user_id"),
    "ID number": ("id", "lms_user_id"),
    "Email address": ("email", "id"),
    "ID": ("lms_user_id",),
}
"""Columns of downloaded files that name a student, and what each may hold of what the gradebook knows."""
WORKSHEET_COLUMNS = ("Identifier", "Grade", "Maximum Grade")
"""Columns of Moodle's grading worksheet that are needed to fill it in."""


@dataclass(frozen=True)
class Export:
    """Files for another tool.

    Attributes:
        files: Name to content.
        left_out: Ids of students with marks whom the downloaded file does not name.
    """

    files: Mapping[str, bytes]
    left_out: tuple[str, ...] = ()


def nbgrader_csv(marks: ClassMarks) -> bytes:
    """Return one assignment in the columns of nbgrader's own export."""
    return csv_bytes([NBGRADER_COLUMNS, *(_nbgrader_row(marks, student) for student in marks.students)])


def canvas_csv(marks: ClassMarks, column: str = "", downloaded: Path | None = None) -> Export:
    """Return a file for Canvas: Grades, Import. Who handed in nothing gets no mark there.

    Args:
        marks: The class.
        column: The assignment's heading in Canvas, such as `Vision transformers (1234)`; by default its name. Canvas
            asks what to do with a heading that it does not know.
        downloaded: The gradebook as Canvas exported it, whose students and sections are kept; by default students
            are named by the gradebook's ids, as SIS Login ID.

    Raises:
        UsageError: If the downloaded file is no gradebook of Canvas, or has another number of points.
    """
    column = column or marks.assignment
    if downloaded is not None:
        return _filled_canvas(marks, column, downloaded)
    points: list[Value] = [f"    {CANVAS_POINTS}", "", "", "", "", marks.max_score]
    rows: list[list[Value]] = [
        [one.person.name, one.person.lms_user_id, "", one.person.id, "", one.total if one.submitted else ""]
        for one in marks.students
    ]
    return Export({CANVAS_FILE: csv_bytes([[*CANVAS_COLUMNS, column], points, *rows])})


def moodle_csv(marks: ClassMarks, column: str = "", downloaded: Path | None = None) -> Export:
    """Return a file for Moodle: Grades, Import, CSV file; or a grading worksheet that is filled in.

    Args:
        marks: The class.
        column: Heading of the marks; by default `Assignment: <name> (Real)`, as Moodle's own exports have it.
        downloaded: The assignment's grading worksheet as Moodle gave it out.

    Raises:
        UsageError: If the downloaded file is no grading worksheet, or has another greatest grade.
    """
    if downloaded is not None:
        return _filled_worksheet(marks, downloaded)
    column = column or f"Assignment: {marks.assignment} (Real)"
    rows: list[list[Value]] = [
        [one.person.id, one.person.first_name, one.person.last_name, one.person.email, one.total]
        for one in marks.students
        if one.submitted
    ]
    return Export({MOODLE_FILE: csv_bytes([[*MOODLE_COLUMNS, column], *rows])})


def _nbgrader_row(marks: ClassMarks, one: StudentMarks) -> list[Value]:
    person = one.person
    times = [str(time) if time else "" for time in (one.due, one.handed_in)]
    known = [person.id, person.last_name, person.first_name, person.email]
    return [marks.assignment, *times, *known, one.raw, one.penalty, one.total, marks.max_score]


def _filled_canvas(marks: ClassMarks, column: str, path: Path) -> Export:
    heading, rows = _downloaded(path, CANVAS_COLUMNS[:2], "gradebook exported from Canvas")
    points = next((row for row in rows if row[0].strip() == CANVAS_POINTS), None)
    if points is None:
        raise UsageError(f'{path} has no row "{CANVAS_POINTS}".', "Export the gradebook from Canvas anew.")
    if column in heading:
        _check_points(path, points[heading.index(column)], marks)
    kept = [heading.index(name) for name in CANVAS_COLUMNS if name in heading]
    named = [(row, _find(marks, heading, row)) for row in rows if row is not points]
    filled: list[list[Value]] = [[*(heading[place] for place in kept), column]]
    filled.append([*(points[place] for place in kept), marks.max_score])
    for row, one in named:
        if one is not None and one.submitted:
            filled.append([*(row[place] for place in kept), one.total])
    return Export({CANVAS_FILE: csv_bytes(filled)}, _left_out(marks, [one for _, one in named]))


def _filled_worksheet(marks: ClassMarks, path: Path) -> Export:
    heading, rows = _downloaded(path, WORKSHEET_COLUMNS, "grading worksheet of Moodle")
    filled: list[list[Value]] = [list(heading)]
    named = [_find(marks, heading, row) for row in rows]
    for row, one in zip(rows, named, strict=True):
        cells: list[Value] = list(row)
        if one is not None and one.submitted:
            _check_points(path, row[heading.index("Maximum Grade")], marks)
            cells[heading.index("Grade")] = one.total
        filled.append(cells)
    return Export({MOODLE_FILE: csv_bytes(filled)}, _left_out(marks, named))


def _left_out(marks: ClassMarks, named: Sequence[StudentMarks | None]) -> tuple[str, ...]:
    there = {one.person.id for one in named if one is not None}
    return tuple(one.person.id for one in marks.students if one.submitted and one.person.id not in there)


def _downloaded(path: Path, needed: Sequence[str], what: str) -> tuple[list[str], list[list[str]]]:
    """Return headings and rows of a file that a learning platform gave out, every row as long as the headings."""
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}.") from error
    heading = rows[0] if rows else []
    missing = [name for name in needed if name not in heading]
    if missing:
        raise UsageError(f"{path} is no {what}: it has no column {missing[0]!r}.", f"Expected {', '.join(needed)}.")
    return heading, [[*row, *[""] * len(heading)][: len(heading)] for row in rows[1:] if row]


def _find(marks: ClassMarks, heading: Sequence[str], row: Sequence[str]) -> StudentMarks | None:
    """Return the student that a row names, by the first of its columns that names one."""
    for column, fields in KEYS.items():
        key = row[heading.index(column)].strip().casefold() if column in heading else ""
        for field in fields if key else ():
            for one in marks.students:
                if getattr(one.person, field).casefold() == key:
                    return one
    return None


def _check_points(path: Path, points: str, marks: ClassMarks) -> None:
    try:
        same = not points.strip() or float(points.replace(",", ".")) == marks.max_score
    except ValueError:
        same = True  # Canvas writes words there for columns that it computes itself
    if not same:
        raise UsageError(
            f"{path} gives {marks.assignment} {points} points, and here it has {marks.max_score:g}.",
            "Set the same number of points on both sides, then export again.",
        )
