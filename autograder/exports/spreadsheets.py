"""Marks as CSV files: nbgrader's own table, Canvas's gradebook, Moodle's grade import and grading worksheet.

Reference:
    Canvas, "How do I import grades in the Gradebook?"; Moodle, "Grade import" and "Using the grading worksheet".
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
    return Export({CANVAS_FILE: csv_bytes([[*CANVAS_COLUMNS, column], points, *map(_canvas_row, marks.students)])})


def moodle_csv(marks: ClassMarks, column: str = "", downloaded: Path | None = None) -> Export:
    """Return a file for Moodle: Grades, Import, CSV file; or a grading worksheet that is filled in.

    Args:
        marks: The class.
        column: Heading of the marks; by default `Assignment: <name> (Real)`, as Moodle's own exports have it.
        downloaded: The assignment's grading worksheet as Moodle gave it out.

    Raises:
        UsageError: If the downloaded file is no grading worksheet, or has another maximum grade.
    """
    if downloaded is not None:
        return _filled_worksheet(marks, downloaded)
    column = column or f"Assignment: {marks.assignment} (Real)"
    rows = (_moodle_row(student) for student in marks.students if student.submitted)
    return Export({MOODLE_FILE: csv_bytes([[*MOODLE_COLUMNS, column], *rows])})


def _nbgrader_row(marks: ClassMarks, student: StudentMarks) -> list[Value]:
    person = student.person
    times = [str(time) if time else "" for time in (student.due, student.handed_in)]
    known = [person.id, person.last_name, person.first_name, person.email]
    return [marks.assignment, *times, *known, student.raw, student.penalty, student.total, marks.max_score]


def _canvas_row(student: StudentMarks) -> list[Value]:
    person = student.person
    return [person.name, person.lms_user_id, "", person.id, "", student.total if student.submitted else ""]


def _moodle_row(student: StudentMarks) -> list[Value]:
    person = student.person
    return [person.id, person.first_name, person.last_name, person.email, student.total]


@dataclass(frozen=True)
class _Downloaded:
    """A file that a learning platform gave out; every row is as long as the heading."""

    path: Path
    heading: list[str]
    rows: list[list[str]]

    def cell(self, row: Sequence[str], column: str) -> str:
        """Return the text below a heading; empty where there is no such column."""
        return row[self.heading.index(column)] if column in self.heading else ""

    def student(self, row: Sequence[str], marks: ClassMarks) -> StudentMarks | None:
        """Return the student that a row names, by the first of its columns that names one."""
        for column, fields in KEYS.items():
            key = self.cell(row, column).strip().casefold()
            for field in fields if key else ():
                for student in marks.students:
                    if getattr(student.person, field).casefold() == key:
                        return student
        return None


def _filled_canvas(marks: ClassMarks, column: str, path: Path) -> Export:
    table = _read_downloaded(path, CANVAS_COLUMNS[:2], "gradebook exported from Canvas")
    points = next((row for row in table.rows if row[0].strip() == CANVAS_POINTS), None)
    if points is None:
        raise UsageError(f'{path} has no row "{CANVAS_POINTS}".', "Export the gradebook from Canvas again.")
    _check_points(path, table.cell(points, column), marks)
    columns = [name for name in CANVAS_COLUMNS if name in table.heading]
    filled: list[list[Value]] = [[*columns, column]]
    filled.append([*(table.cell(points, name) for name in columns), marks.max_score])
    named = [(row, table.student(row, marks)) for row in table.rows if row is not points]
    for row, student in named:
        if student is not None and student.submitted:
            filled.append([*(table.cell(row, name) for name in columns), student.total])
    return Export({CANVAS_FILE: csv_bytes(filled)}, _left_out(marks, [student for _, student in named]))


def _filled_worksheet(marks: ClassMarks, path: Path) -> Export:
    table = _read_downloaded(path, WORKSHEET_COLUMNS, "grading worksheet of Moodle")
    grade = table.heading.index("Grade")
    filled: list[list[Value]] = [list(table.heading)]
    named = [table.student(row, marks) for row in table.rows]
    for row, student in zip(table.rows, named, strict=True):
        cells: list[Value] = list(row)
        if student is not None and student.submitted:
            _check_points(path, table.cell(row, "Maximum Grade"), marks)
            cells[grade] = student.total
        filled.append(cells)
    return Export({MOODLE_FILE: csv_bytes(filled)}, _left_out(marks, named))


def _left_out(marks: ClassMarks, named: Sequence[StudentMarks | None]) -> tuple[str, ...]:
    """Return the ids of students with marks whom no row names."""
    there = {student.person.id for student in named if student is not None}
    submitted = (student.person.id for student in marks.students if student.submitted)
    return tuple(name for name in submitted if name not in there)


def _read_downloaded(path: Path, needed: Sequence[str], what: str) -> _Downloaded:
    """Read a file that a learning platform gave out.

    Args:
        path: The file.
        needed: Columns that it must have.
        what: What it should be, for the message.

    Raises:
        UsageError: If it is something else.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_text("utf-8-sig"), newline=""), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}.") from error
    heading = rows[0] if rows else []
    missing = [name for name in needed if name not in heading]
    if missing:
        raise UsageError(f"{path} is no {what}: it has no column {missing[0]!r}.", f"Expected {', '.join(needed)}.")
    padding = [""] * len(heading)
    return _Downloaded(path, heading, [[*row, *padding][: len(heading)] for row in rows[1:] if row])


def _check_points(path: Path, points: str, marks: ClassMarks) -> None:
    """Refuse a file that gives the assignment another number of points."""
    try:
        same = not points.strip() or float(points.replace(",", ".")) == marks.max_score
    except ValueError:
        same = True  # Canvas writes words there for columns that it computes itself
    if not same:
        raise UsageError(
            f"{path} gives {marks.assignment} {points} points, and here it has {marks.max_score:g}.",
            "Set the same number of points on both sides, then export again.",
        )
