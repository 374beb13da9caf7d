"""CSV files that spreadsheets can open safely.

Everything is quoted as RFC 4180 says. A text that a spreadsheet would run as a formula gets an apostrophe before it;
numbers stay numbers.

Reference:
    OWASP, "CSV Injection".
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

from autograder.text import clean

Value = str | float | None

NBGRADER_COLUMNS = (
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
)
"""What nbgrader's own CSV has, in its order."""
_SIGN = "[=+\\-@\uff1d\uff0b\uff0d\uff20]"  # spreadsheets take the wide forms for the narrow ones
_FORMULA = re.compile(rf"[\t\r\n]|\s*{_SIGN}")
_OTHER_CELL = re.compile(rf"(?<=[;\t\r\n])(?={_SIGN})")
"""Where a formula would begin if a spreadsheet split cells at semicolons, as many do by their country."""
_NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?")


def safe_cell(value: Value) -> str:
    """Return a cell that no spreadsheet takes for a formula; numbers are left alone."""
    if isinstance(value, int | float):
        return f"{round(value, 4):.10g}"
    if not value or value == "-" or _NUMBER.fullmatch(value):
        return value or ""
    inside = _OTHER_CELL.sub("'", value)
    return clean(f"'{inside}" if _FORMULA.match(value) else inside)


def csv_bytes(rows: Iterable[Sequence[Value]], encoding: str = "utf-8", delimiter: str = ",") -> bytes:
    """Return rows as a CSV file.

    Args:
        rows: The first one holds the headings.
        delimiter: What separates cells.
        encoding: `utf-8-sig` for files that people open in Excel, which otherwise garbles names.
    """
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([safe_cell(value) for value in row] for row in rows)
    return file.getvalue().encode(encoding, "replace")
