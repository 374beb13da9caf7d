"""Files that learning platforms gave out, to be filled in: which student each row names, by ids that are sure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from autograder.collecting.roster import folded, person_columns
from autograder.errors import UsageError
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.tables import TextTable, read_table

KnownIds = Mapping[str, Mapping[str, str]]
"""Kind of id, such as `moodle` or `canvas`, to id to student, from the roster and from what was collected."""
PERSON_FIELDS = {
    "login": ("id", "email"),
    "gradescope": ("id", "lms_user_id"),
    "email": ("email", "id"),
    "canvas": ("lms_user_id",),
    "student": ("id",),
    "github": ("id",),
}
"""Columns that name a student (`roster.HEADINGS`), and what each may hold of what the gradebook knows."""


@dataclass(frozen=True)
class Downloaded:
    """A downloaded table and the students of the gradebook that its rows name.

    Attributes:
        known: Ids that the gradebook does not hold.
    """

    table: TextTable
    marks: ClassMarks
    known: KnownIds = field(default_factory=dict)

    def named(self, rows: Sequence[list[str]]) -> list[StudentMarks | None]:
        """Return whom each row names; None where it is nobody of the gradebook.

        Raises:
            UsageError: If a row names two students, or two rows name one.
        """
        found = [self._student(row) for row in rows]
        first: dict[str, list[str]] = {}
        for row, student in zip(rows, found, strict=True):
            if student is not None and first.setdefault(student.person.id, row) is not row:
                raise UsageError(
                    f"{self.table.path}: two rows name {student.person.id}: {_shown(first[student.person.id])} and "
                    f"{_shown(row)}.",
                    "Give each student an id of their own: nbgrader db student add NAME --lms-user-id ID.",
                )
        return found

    def _student(self, row: list[str]) -> StudentMarks | None:
        students = {student.person.id: student for kind in self._kinds for student in self._by(kind, row)}
        if len(students) > 1:
            raise UsageError(
                f"{self.table.path}: the row {_shown(row)} names two students: {' and '.join(students)}.",
                "One of its ids belongs to somebody else: nbgrader db student add NAME --lms-user-id ID.",
            )
        return next(iter(students.values()), None)

    def _by(self, kind: str, row: list[str]) -> Iterator[StudentMarks]:
        """Yield the students whom one column of a row may name."""
        value = folded(self._columns[kind](row))
        if not value:
            return
        student = self.known.get(kind, {}).get(value)
        if student in self._students:
            yield self._students[student]
            return
        for name in PERSON_FIELDS.get(kind, ()):
            if name == "lms_user_id" and kind != "canvas" and self._holds_platform_ids:
                continue  # these are ids of another column
            matches = [student for student in self.marks.students if folded(getattr(student.person, name)) == value]
            if matches:
                yield from matches
                return

    @cached_property
    def _columns(self) -> Mapping[str, Callable[[list[str]], str]]:
        return person_columns(self.table)

    @property
    def _kinds(self) -> list[str]:
        order = ("canvas", "moodle", *PERSON_FIELDS)
        return [kind for kind in dict.fromkeys(order) if kind in self._columns]

    @cached_property
    def _students(self) -> dict[str, StudentMarks]:
        return {student.person.id: student for student in self.marks.students}

    @cached_property
    def _holds_platform_ids(self) -> bool:
        """Whether the gradebook's `lms_user_id` is what the file has in its column ID."""
        ids = {folded(student.person.lms_user_id) for student in self.marks.students} - {""}
        read = self._columns.get("canvas")
        return read is not None and any(folded(read(row)) in ids for row in self.table.rows)


def open_downloaded(path: Path, marks: ClassMarks, known: KnownIds) -> Downloaded:
    """Read a file that a learning platform gave out.

    Raises:
        UsageError: If it cannot be read as CSV.
    """
    return Downloaded(read_table(path), marks, known)


def left_out(marks: ClassMarks, named: Sequence[StudentMarks | None]) -> tuple[str, ...]:
    """Return the ids of students with marks whom no row names."""
    there = {student.person.id for student in named if student is not None}
    submitted = (student.person.id for student in marks.students if student.submitted)
    return tuple(name for name in submitted if name not in there)


def number_in(cell: str) -> float | None:
    """Return the number that a cell holds, with a point or a comma; None if it holds none."""
    try:
        return float(cell.replace(",", "."))
    except ValueError:
        return None


def check_points(path: Path, points: str, marks: ClassMarks) -> None:
    """Refuse a file that gives the assignment another number of points.

    Raises:
        UsageError: With both numbers.
    """
    number = number_in(points)  # Canvas writes words there for columns that it computes itself
    if number is not None and number != marks.max_score:
        raise UsageError(
            f"{path} gives {marks.assignment} {points} points, and here it has {marks.max_score:g}.",
            "Set the same number of points on both sides, then export again.",
        )


def _shown(row: Sequence[str]) -> str:
    return ", ".join(cell for cell in row[:4] if cell)
