"""Students' answers to questions that a person marks, as graded notebooks hold them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import sqlalchemy

from autograder.course.cells import Bundle
from autograder.ledger.book_marks import BookRow, write_book_mark
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
    """Return the answers in a graded notebook that a person marks, by grade_id; none where there is no notebook."""
    try:
        cells = msgspec.json.decode(notebook.read_bytes(), type=_Notebook).cells
        flagged = [(_flags(cell), cell) for cell in cells if "nbgrader" in cell.metadata]
        return {flags.grade_id: _answer(cell) for flags, cell in flagged if flags.grade and flags.solution}
    except (FileNotFoundError, NotADirectoryError, msgspec.MsgspecError):
        return {}


def _answer(cell: _Cell) -> GradedAnswer:
    text = cell.source if isinstance(cell.source, str) else "".join(cell.source)
    text = without_surrogates(text)
    found = hashlib.sha256(f"{cell.cell_type}\n{text.strip()}".encode())
    pictures: dict[str, Bundle] = {}
    if bytes(cell.attachments) != b"{}":
        pictures = msgspec.json.decode(cell.attachments, type=dict[str, Bundle])
        found.update(msgspec.json.encode(pictures, order="deterministic"))
    return GradedAnswer(text, cell.cell_type, pictures, found.hexdigest()[:32])


def _flags(cell: _Cell) -> _Flags:
    return msgspec.json.decode(cell.metadata["nbgrader"], type=_Flags)


def settle_unchanged(
    connection: sqlalchemy.Connection,
    key: SubmissionKey,
    rows: Mapping[str, BookRow],
    old: Mapping[str, GradedAnswer],
    new: Mapping[str, GradedAnswer],
) -> None:
    """Let marks by hand stand where the answer is the one that was marked; nothing is committed here.

    nbgrader asks for another look at each mark by hand whenever a submission is graded again. Here it does so only
    for answers that changed.

    Args:
        connection: Of the transaction that records the submission, after nbgrader's rows were written.
        key: The submission.
        rows: What nbgrader held before that, by question.
        old: The answers in the graded notebook before.
        new: The answers that are recorded.
    """
    last = last_standings_of(connection, *key)
    for question, answer in new.items():
        row = rows.get(question)
        if row is None or row.mark.points is None:
            continue
        standing = standing_now(row.mark, last.get(question))
        is_same = question in old and old[question].digest == answer.digest
        waits = not is_settled(standing, answer.digest) or not (is_same or standing.is_ours)
        write_book_mark(connection, row, msgspec.structs.replace(row.mark, waits=waits))
