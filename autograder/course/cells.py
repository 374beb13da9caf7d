"""The cells of notebooks: our own, as they are; a student's, as far as anything in them is taken."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from autograder.rendering.picture_kinds import picture_of
from autograder.text import clean, without_surrogates

Cell = dict[str, Any]
CellSettings = tuple[tuple[str, str], ...]
Bundle = dict[str, str]
"""A picture as notebooks hold it: media type to Base64 text; or `NOTE` to why it cannot be shown."""
NOTE = "text/plain"

_FLAGS = ("grade", "locked", "solution", "task", "points")
_LONGEST_SETTING = 100
_LONGEST_NOTE = 200
_LARGEST = 16 << 20
_MOST_VALUES = 1_000_000  # each takes up to a hundred bytes, however short it is written
_MOST_CELLS = 6_000


@dataclass(frozen=True)
class StudentCell:
    """All that is taken from one cell of a student's notebook.

    Attributes:
        attachments: Pictures pasted into it, each safe to show or with a note in its place.
        settings: What nbgrader goes by, and tags: only to tell the student that changing them has no effect.
        is_as_released: Whether text and flags are those that the release wrote a checksum of into the cell.
        cell_id: The id that Jupyter gives each cell, and that the release gave this one; empty if there is none.
    """

    kind: str
    source: str
    grade_id: str | None
    attachments: dict[str, Bundle]
    settings: CellSettings
    is_as_released: bool = False
    cell_id: str = ""


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
    """Return the cells of one of the course's own notebooks."""
    cells: list[Cell] = json.loads(trusted)["cells"]
    return cells


def text_of(cell: Cell) -> str:
    """Return a cell's source as one string."""
    source = cell["source"]
    return source if isinstance(source, str) else "".join(source)


def read_cells(student_notebook: bytes | None, trusted: Sequence[Cell] = ()) -> tuple[list[StudentCell], str]:
    """Return the cells of a student's notebook, and what is wrong with it (empty if nothing is).

    Args:
        student_notebook: The notebook; None if there is none.
        trusted: The released cells, or those of the source: a student's whose metadata some program has dropped get
            the name that goes with their id.
    """
    data, problem = parse_notebook(student_notebook)
    return _named_by_ids(trusted, [cell for cell in map(_student_cell, data["cells"]) if cell is not None]), problem


def _named_by_ids(trusted: Sequence[Cell], theirs: Sequence[StudentCell]) -> list[StudentCell]:
    there = {cell.grade_id for cell in theirs}
    lost = {cell["id"]: cell for cell in trusted if grade_id_of(cell) and grade_id_of(cell) not in there}
    found: list[StudentCell] = []
    for cell in theirs:
        trusted_cell = lost.pop(cell.cell_id, None) if cell.grade_id is None else None
        if trusted_cell is None:
            found.append(cell)
        else:
            settings = settings_of(trusted_cell["metadata"])
            found.append(replace(cell, grade_id=grade_id_of(trusted_cell), settings=settings))
    return found


def parse_notebook(student_notebook: bytes | None) -> tuple[dict[str, list[object]], str]:
    """Return a student's notebook as it is, with at least a list `cells`, and what is wrong with it."""
    nothing: dict[str, list[object]] = {"cells": []}
    if student_notebook is None:
        return nothing, "There is no notebook in your hand-in. Hand in the notebook together with your module."
    again = "Open it in Jupyter, save it, check that it opens again, and hand it in again."
    if not _is_parsable(student_notebook):
        student_notebook = without_outputs(student_notebook) or b""
        if not student_notebook or not _is_parsable(student_notebook):
            return nothing, "Your notebook is too large to be read. Clear its outputs, save it, and hand it in again."
    try:
        data = json.loads(student_notebook)
    except (ValueError, RecursionError):
        return nothing, f"Your notebook is not a readable notebook file (it is not valid JSON). {again}"
    problem = _problem_with(data)
    return (nothing, f"{problem} {again}") if problem else (data, "")


def _problem_with(data: object) -> str:
    """Return why what was parsed is no notebook that can be read; empty if it is one."""
    if not isinstance(data, dict):
        return "Your notebook file holds no notebook (expected a JSON object)."
    version = data.get("nbformat")
    if type(version) is not int or version != 4:
        came = version if type(version) is int else "none"
        return f"Your notebook has format {came}; expected format 4."
    cells = data.get("cells")
    if not isinstance(cells, list):
        return "Your notebook has no list of cells."
    return f"Your notebook has more than {_MOST_CELLS} cells." if len(cells) > _MOST_CELLS else ""


def _is_parsable(notebook: bytes) -> bool:
    """Whether a parse of the whole takes little memory."""
    return len(notebook) <= _LARGEST and sum(map(notebook.count, (b",", b"[", b"{"))) <= _MOST_VALUES


def without_outputs(notebook: bytes) -> bytes | None:
    """Return a large notebook as it is but for its outputs and its own metadata; None if it cannot be read.

    Unlike a whole parse this takes little memory, whatever the outputs hold.
    """
    try:
        return msgspec.json.encode(msgspec.json.decode(notebook, type=_LargeNotebook))
    except (ValueError, RecursionError):  # msgspec's errors are among them
        return None


def flag(cell: Cell, name: str) -> bool:
    """Whether one of nbgrader's flags is set in a cell of the course's own."""
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
    unchanged = isinstance(nbgrader, dict) and nbgrader.get("checksum") == _checksum(
        cell["cell_type"], source, nbgrader
    )
    cell_id = cell.get("id")
    return StudentCell(
        cell["cell_type"],
        without_surrogates(source),
        name,
        pictures,
        settings,
        unchanged,
        cell_id if isinstance(cell_id, str) else "",
    )


def _checksum(kind: str, source: str, nbgrader: dict[str, Any]) -> str:
    """Return what nbgrader writes into each cell that it releases: `nbgrader.utils.compute_checksum`."""
    is_grade, is_solution = nbgrader.get("grade", False), nbgrader.get("solution", False)
    is_locked = not is_solution and (bool(is_grade) or nbgrader.get("locked", False))
    parts = [source, kind, str(is_grade), str(is_solution), str(is_locked), str(nbgrader.get("grade_id"))]
    points = nbgrader.get("points")
    if is_grade and isinstance(points, int | float):
        parts.append(_plain_float(points))
    whole = "".join(parts).encode("utf-8", "replace")
    return hashlib.md5(whole, usedforsecurity=False).hexdigest()


def _plain_float(number: float) -> str:
    try:
        return str(float(number))
    except OverflowError:  # a whole number that no float can be: nbgrader never wrote that
        return "too large"


def _pictures(attachments: object) -> dict[str, Bundle]:
    if not isinstance(attachments, dict):
        return {}
    return {without_surrogates(name): _picture(bundle) for name, bundle in attachments.items()}


def _picture(bundle: object) -> Bundle:
    """Return the best picture of those that one attachment offers."""
    if isinstance(bundle, dict) and list(bundle) == [NOTE]:
        return {NOTE: clean(_joined(bundle[NOTE]))[:_LONGEST_NOTE] or "is no picture"}
    problems = []
    for encoded in _encoded_pictures(bundle):
        kind, picture, problem = picture_of(encoded)
        if kind:
            return {kind: picture}
        problems.append(problem)
    return {NOTE: problems[0] if problems else "is no picture"}


def _encoded_pictures(bundle: object) -> Iterator[str]:
    """Yield the pictures of an attachment in Base64; a drawing (SVG), which comes first, may stand there as it is."""
    for kind, content in sorted(bundle.items(), reverse=True) if isinstance(bundle, dict) else ():
        text = _joined(content)
        if kind.startswith("image/") and text:
            is_markup = text.lstrip("\ufeff \n\t\r").startswith("<")
            yield base64.b64encode(text.encode("utf-8", "replace")).decode() if is_markup else text


def _joined(text: object) -> str:
    """Return a text that a notebook may hold as lines; empty if it is none."""
    lines: list[object] = text if isinstance(text, list) else [text]
    return "".join(line for line in lines if isinstance(line, str))
