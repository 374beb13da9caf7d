"""Marks as CSV files: nbgrader's own table, Canvas's gradebook, Moodle's grade import and grading worksheet.

Reference:
    Canvas, "How do I import grades in the Gradebook?"; Moodle, "Grade import" and "Using the grading worksheet".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from autograder.collecting.roster import folded, person_columns
from autograder.errors import UsageError
from autograder.exports.downloaded import KnownIds, check_points, left_out, number_in, open_downloaded
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.safe_csv import NBGRADER_COLUMNS, Value, csv_bytes
from autograder.rendering.tables import TextTable

CANVAS_FILE, MOODLE_FILE = "canvas.csv", "moodle.csv"
CANVAS_COLUMNS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
CANVAS_POINTS = "Points Possible"
MOODLE_COLUMNS = ("Username", "First name", "Last name", "Email address")
CANVAS_NAMES = (*CANVAS_COLUMNS, "LastName", "FirstName", "Integration ID", "Root Account")
"""Columns by which Canvas finds a student again."""
WORKSHEET = ("Identifier", "Grade", "Maximum Grade")
"""Columns of Moodle's grading worksheet that are needed to fill it in, in English."""
GRADE_HEADINGS = (
    "grade",
    "bewertung",
    "note",
    "calificación",
    "cualificación",
    "nota",
    "avaliação",
    "valutazione",
    "cijfer",
)
"""Headings of the grade in a worksheet, by language, in small letters."""


@dataclass(frozen=True)
class Export:
    """Files for another tool.

    Attributes:
        files: Name to content.
        left_out: Ids of students with marks whom the downloaded file does not name.
        differing: Ids of students of a group who would get one page, and whose pages are not the same.
        new_column: The heading of the marks, where the downloaded file has no such column.
    """

    files: Mapping[str, bytes]
    left_out: tuple[str, ...] = ()
    differing: tuple[str, ...] = ()
    new_column: str = ""


def nbgrader_csv(marks: ClassMarks) -> bytes:
    """Return one assignment in the columns of nbgrader's own export."""
    return csv_bytes([NBGRADER_COLUMNS, *(_nbgrader_row(marks, student) for student in marks.students)])


def canvas_csv(
    marks: ClassMarks, column: str = "", downloaded: Path | None = None, known: KnownIds | None = None
) -> Export:
    """Return a file for Canvas: Grades, Import. Who handed in nothing gets no mark there.

    Args:
        marks: The class.
        column: The assignment's heading in Canvas, such as `Vision transformers (1234)`; by default its name. Canvas
            asks what to do with a heading that it does not know.
        downloaded: The gradebook as Canvas exported it, whose students and sections are kept; by default students
            are named by the gradebook's ids, as SIS Login ID.
        known: Ids that the gradebook does not hold.

    Raises:
        UsageError: If the downloaded file is no gradebook of Canvas, or has another number of points.
    """
    column = column or marks.assignment
    if downloaded is not None:
        return _filled_canvas(marks, column, downloaded, known or {})
    points: list[Value] = [f"    {CANVAS_POINTS}", "", "", "", "", marks.max_score]
    return Export({CANVAS_FILE: csv_bytes([[*CANVAS_COLUMNS, column], points, *map(_canvas_row, marks.students)])})


def moodle_csv(
    marks: ClassMarks, column: str = "", downloaded: Path | None = None, known: KnownIds | None = None
) -> Export:
    """Return a file for Moodle: Grades, Import, CSV file; or a grading worksheet that is filled in.

    Args:
        marks: The class.
        column: Heading of the marks; by default `Assignment: <name> (Real)`, as Moodle's own exports have it.
        downloaded: The assignment's grading worksheet as Moodle gave it out.
        known: Ids that the gradebook does not hold.

    Raises:
        UsageError: If the downloaded file is no grading worksheet, or has another maximum grade.
    """
    if downloaded is not None:
        return _filled_worksheet(marks, downloaded, known or {})
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


def _filled_canvas(marks: ClassMarks, column: str, path: Path, known: KnownIds) -> Export:
    """Fill in a gradebook of Canvas; its own rows, its separator and the columns that name students stay."""
    downloaded = open_downloaded(path, marks, known)
    heading, rows = downloaded.table.heading, downloaded.table.rows
    if "ID" not in heading or not {"Student", "LastName"} & {*heading[:2]}:
        raise _not_one(
            path, "gradebook exported from Canvas", "ID" if "Student" in heading else "Student", CANVAS_COLUMNS
        )
    points = next((row for row in rows if row[0].strip() == CANVAS_POINTS), None)
    if points is None:
        raise UsageError(f'{path} has no row "{CANVAS_POINTS}".', "Export the gradebook from Canvas again.")
    if column in heading:
        check_points(path, points[heading.index(column)], marks)
    places = [place for place, name in enumerate(heading) if name in CANVAS_NAMES]
    filled: list[list[Value]] = [[*(heading[place] for place in places), column]]
    filled.append([*(f"    {CANVAS_POINTS}" if place == 0 else points[place] for place in places), marks.max_score])
    people = [row for row in rows if row is not points and row[heading.index("ID")].strip()]
    named = downloaded.named(people)
    for row, student in zip(people, named, strict=True):
        if student is not None and student.submitted:
            filled.append([*(row[place] for place in places), student.total])
    content = csv_bytes(filled, delimiter=downloaded.table.delimiter)
    new_column = "" if column in heading else column
    return Export({CANVAS_FILE: content}, left_out(marks, named), new_column=new_column)


def _filled_worksheet(marks: ClassMarks, path: Path, known: KnownIds) -> Export:
    """Fill in a worksheet of Moodle in any of its languages; it reads nothing but commas."""
    downloaded = open_downloaded(path, marks, known)
    grade, most = _grade_columns(path, downloaded.table, marks)
    filled: list[list[Value]] = [list(downloaded.table.heading)]
    named = downloaded.named(downloaded.table.rows)
    for row, student in zip(downloaded.table.rows, named, strict=True):
        cells: list[Value] = list(row)
        if student is not None and student.submitted:
            if row[most].strip(" -") and number_in(row[most]) is None:
                raise UsageError(
                    f"{path} grades by a scale.", "Set points as the grade in Moodle, then download again."
                )
            check_points(path, row[most], marks)
            cells[grade] = student.total
        filled.append(cells)
    return Export({MOODLE_FILE: csv_bytes(filled)}, left_out(marks, named))


def _grade_columns(path: Path, table: TextTable, marks: ClassMarks) -> tuple[int, int]:
    """Return the places of the grade and of the maximum grade, which stands right after it."""
    headings = [folded(heading) for heading in table.heading]
    place = next((headings.index(name) for name in GRADE_HEADINGS if name in headings), None)
    place = _before_maximum(table, marks) if place is None else place
    if place is None or place + 1 >= len(headings) or "moodle" not in person_columns(table):
        raise _not_one(path, "grading worksheet of Moodle", "Grade" if place is None else "Identifier", WORKSHEET)
    return place, place + 1


def _before_maximum(table: TextTable, marks: ClassMarks) -> int | None:
    """Return the place before the column with the maximum in every row: it is the grade in whatever language."""
    columns = zip(*table.rows, strict=True)
    places = [
        place
        for place, (grades, most) in enumerate(pairwise(columns))
        if all(number_in(cell) == marks.max_score for cell in most)
        and all(not cell.strip() or number_in(cell) is not None for cell in grades)
    ]
    return places[0] if len(places) == 1 else None


def _not_one(path: Path, what: str, missing: str, expected: Sequence[str]) -> UsageError:
    return UsageError(f"{path} is no {what}: it has no column {missing!r}.", f"Expected {', '.join(expected)}.")
