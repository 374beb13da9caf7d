"""Tables that platforms and people write: commas, semicolons or tabs, with or without a mark of their encoding."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import UsageError

MOST_BYTES = 64 << 20
_DELIMITERS = ",;\t"
_SAID_DELIMITER = re.compile(rf"sep=([{_DELIMITERS}])\r?\n", re.IGNORECASE)
"""A line above the heading that spreadsheets write and read, and do not show."""


@dataclass(frozen=True)
class TextTable:
    """A table of text; every row is as long as the heading.

    Attributes:
        delimiter: What separates cells.
        bom: Whether the file begins with a byte order mark.
    """

    path: Path
    heading: list[str]
    rows: list[list[str]]
    delimiter: str = ","
    bom: bool = False


def read_table(path: Path) -> TextTable:
    """Read a table.

    Raises:
        UsageError: If it cannot be read as one.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise UsageError(f"{path} is too large for a table of students.")
        content = path.read_bytes()
        text = content.decode(_encoding(content))
        said = _SAID_DELIMITER.match(text)
        text = text[said.end() :] if said else text
        delimiter = said[1] if said else max(_DELIMITERS, key=text.split("\n", 1)[0].count)  # the first of equal ones
        rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path} cannot be read as CSV: {error}.", "Save it as CSV, in UTF-8.") from error
    heading = [cell.strip() for cell in rows[0]] if rows else []
    padding = [""] * len(heading)
    cut = [[*row, *padding][: len(heading)] for row in rows[1:] if any(cell.strip() for cell in row)]
    return TextTable(path, heading, cut, delimiter, content.startswith(b"\xef\xbb\xbf"))


def _encoding(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    zeros = content[:2].find(b"\0")  # a letter of the heading has one beside it where there is no mark
    return "utf-16-be" if zeros == 0 else "utf-16-le" if zeros == 1 else "utf-8-sig"
