"""The cells of notebooks: our own, as they are; a student's, as far as anything in them is taken."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from autograder.text import without_surrogates

Cell = dict[str, Any]
CellSettings = tuple[tuple[str, str], ...]

_FLAGS = ("grade", "locked", "solution", "task", "points")
_PICTURES = ("image/png", "image/jpeg")
_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]*")
_LONGEST_SETTING = 100
_LARGEST = 16 << 20  # parsing may take 25 times the size of the text


@dataclass(frozen=True)
class StudentCell:
    """All that is taken from one cell of a student's notebook.

    Attributes:
        attachments: Pictures pasted into it.
        settings: What nbgrader goes by, and tags: only to tell the student that changing them has no effect.
    """

    kind: str
    source: str
    grade_id: str | None
    attachments: dict[str, dict[str, str]]
    settings: CellSettings


class _LargeCell(msgspec.Struct):
    """One cell of a large notebook, not taken apart; what is not named here is skipped unread."""

    cell_type: msgspec.Raw
    source: msgspec.Raw
    metadata: msgspec.Raw = msgspec.Raw(b"{}")
    attachments: msgspec.Raw = msgspec.Raw(b"{}")


class _LargeNotebook(msgspec.Struct):
    nbformat: int
    cells: list[_LargeCell]


def load_cells(trusted: bytes) -> list[Cell]:
    """Return the cells of a notebook of our own."""
    cells: list[Cell] = json.loads(trusted)["cells"]
    return cells


def text_of(cell: Cell) -> str:
    """Return a cell's source as one string."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def read_cells(student_notebook: bytes | None) -> tuple[list[StudentCell], str]:
    """Return the cells of a student's notebook, and what is wrong with it (empty if nothing is)."""
    if student_notebook is None:
        return [], "There is no notebook in your hand-in. Hand in the notebook together with your module."
    again = "Open it in Jupyter, save it, check that it opens again, and hand it in again."
    if len(student_notebook) > _LARGEST:
        student_notebook = without_outputs(student_notebook) or b""
        if not 0 < len(student_notebook) <= _LARGEST:
            return [], "Your notebook is too large to be read. Clear its outputs, save it, and hand it in again."
    try:
        data = json.loads(student_notebook)
    except (ValueError, RecursionError):
        return [], f"Your notebook is not a readable notebook file (it is not valid JSON). {again}"
    if not isinstance(data, dict):
        return [], f"Your notebook file holds no notebook (expected a JSON object). {again}"
    version = data.get("nbformat")
    if type(version) is not int or version != 4:
        came = version if type(version) is int else "none"
        return [], f"Your notebook has format {came}; expected format 4. {again}"
    if not isinstance(data.get("cells"), list):
        return [], f"Your notebook has no list of cells. {again}"
    return [cell for cell in map(_student_cell, data["cells"]) if cell is not None], ""


def without_outputs(notebook: bytes) -> bytes | None:
    """Return a large notebook as it is but for its outputs and its own metadata; None if it cannot be read.

    Unlike a whole parse this takes little memory, whatever the outputs hold.
    """
    try:
        return msgspec.json.encode(msgspec.json.decode(notebook, type=_LargeNotebook))
    except (ValueError, RecursionError):  # msgspec's errors are among them
        return None


def flag(cell: Cell, name: str) -> bool:
    """Whether one of nbgrader's flags is set in a cell of our own."""
    return bool(cell["metadata"].get("nbgrader", {}).get(name))


def grade_id_of(cell: Cell) -> str:
    """Return a cell's grade_id; empty if it has none."""
    return str(cell["metadata"].get("nbgrader", {}).get("grade_id", ""))


def settings_of(metadata: dict[str, Any]) -> CellSettings:
    """Return what nbgrader goes by in a cell's metadata, and its tags, in a form that can be compared."""
    nbgrader, tags = metadata.get("nbgrader"), metadata.get("tags")
    known = nbgrader if isinstance(nbgrader, dict) else {}
    flags = tuple((name, _plain(known.get(name))) for name in _FLAGS)
    return (*flags, ("tags", repr(sorted(map(str, tags)) if isinstance(tags, list) else [])))


def _plain(value: object) -> str:
    """Return a flag or a number of points as text: none, false and 0 are the same, as are 2 and 2.0."""
    if not isinstance(value, bool | int | float):
        return repr(value)[:_LONGEST_SETTING] if value else "0"
    try:
        return f"{value:g}"
    except OverflowError:  # a whole number that no float can be
        return "too large"


def _student_cell(cell: object) -> StudentCell | None:
    if not isinstance(cell, dict) or cell.get("cell_type") not in ("code", "markdown", "raw"):
        return None
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata")
    nbgrader = metadata.get("nbgrader") if isinstance(metadata, dict) else None
    grade_id = nbgrader.get("grade_id") if isinstance(nbgrader, dict) else None
    name = grade_id if isinstance(grade_id, str) else None
    pictures = _pictures(cell.get("attachments"))
    settings = settings_of(metadata if isinstance(metadata, dict) else {})
    return StudentCell(cell["cell_type"], without_surrogates(source), name, pictures, settings)


def _pictures(attachments: object) -> dict[str, dict[str, str]]:
    if not isinstance(attachments, dict):
        return {}
    pictures: dict[str, dict[str, str]] = {}
    for name, bundle in attachments.items():
        kept = {kind: bundle.get(kind) for kind in _PICTURES} if isinstance(bundle, dict) else {}
        good = {kind: data for kind, data in kept.items() if isinstance(data, str) and _BASE64.fullmatch(data)}
        if good:
            pictures[without_surrogates(name)] = good
    return pictures
