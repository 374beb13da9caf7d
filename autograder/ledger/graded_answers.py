"""Students' answers to questions that a person marks, as graded notebooks hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import sqlalchemy

from autograder.course.cells import Bundle
from autograder.ledger.book_marks import BookRow, write_waits
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.markings import is_settled, last_standings_of, standing_now
from autograder.text import without_surrogates


@dataclass(frozen=True)
class GradedAnswer:
    """What one student answered to one question.

    Attributes:
        text: As it was written.
        kind: Of the cell: `markdown`, `code` or `raw`.
        pictures: What was pasted into it, as notebooks hold it.
        digest: Of all this; two answers with the same one are the same.
    """

    text: str
    kind: str
    pictures: dict[str, Bundle] = field(default_factory=dict)
    digest: str = ""


class _Cell(msgspec.Struct):
    """A cell of a graded notebook: of pictures and outputs only what is asked for is taken apart."""

    cell_type: str = ""
    source: str | list[str] = ""
    metadata: dict[str, msgspec.Raw] = {}
    attachments: msgspec.Raw = msgspec.Raw(b"{}")


class _Flags(msgspec.Struct):
    """What nbgrader goes by in a cell; recording takes it from the release, never from a student."""

    grade_id: str = ""
    grade: bool = False
    solution: bool = False


class _Notebook(msgspec.Struct):
    cells: list[_Cell]


def read_answers(notebook: Path) -> dict[str, GradedAnswer]:
    """Return the answers in a graded notebook that a person marks, by grade_id; none where there is no notebook.

    Raises:
        OSError: If there is one that cannot be opened.
    """
    try:
        cells = msgspec.json.decode(notebook.read_bytes(), type=_Notebook).cells
        flagged = [(_flags(cell), cell) for cell in cells if "nbgrader" in cell.metadata]
        return {flags.grade_id: _answer(cell) for flags, cell in flagged if flags.grade and flags.solution}
    except (FileNotFoundError, NotADirectoryError, RecursionError, msgspec.MsgspecError):
        return {}


def _answer(cell: _Cell) -> GradedAnswer:
    text = cell.source if isinstance(cell.source, str) else "".join(cell.source)
    text = without_surrogates(text)
    found = hashlib.sha256(f"{cell.cell_type}\n{text.strip()}".encode())
    pictures: dict[str, Bundle] = {}
    if bytes(cell.attachments) != b"{}":
        with suppress(msgspec.MsgspecError):  # what is no picture is left out, and costs nobody their words
            pictures = msgspec.json.decode(cell.attachments, type=dict[str, Bundle])
            found.update(msgspec.json.encode(pictures, order="deterministic"))
    return GradedAnswer(text, cell.cell_type, pictures, found.hexdigest()[:32])


def _flags(cell: _Cell) -> _Flags:
    return msgspec.json.decode(cell.metadata["nbgrader"], type=_Flags)


def settle_marked(
    connection: sqlalchemy.Connection,
    key: SubmissionKey,
    rows: Mapping[str, BookRow],
    answers: Mapping[str, GradedAnswer],
) -> None:
    """Let marks that were given on our page ask for another look only where they are for another answer.

    It is known which answer they are for, also where others were handed in meanwhile. Nothing is committed here.

    Args:
        connection: Of the transaction that records the submission, after nbgrader's rows were written.
        key: The submission.
        rows: What nbgrader held before that, by question.
        answers: What is recorded.
    """
    last = last_standings_of(connection, *key)
    for question in last.keys() & rows.keys() & answers.keys():
        standing = standing_now(rows[question].mark, last[question])
        if standing.is_ours and standing.book.points is not None:
            write_waits(connection, rows[question], waits=not is_settled(standing, answers[question].digest))
