"""Rubrics: what each point of a question is for, so that two people who mark give the same points.

A rubric stands in the metadata of the question's answer cell, under `autograder.rubric`, as a list of items:
`{"id": "quadratic", "points": 1, "text": "Time grows with the square of N."}`. Only the instructor's notebook has it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

from autograder.course.cells import Cell, flag, grade_id_of, load_cells
from autograder.errors import AssignmentError

METADATA = "autograder"
"""The key of a cell's metadata that is ours; a release has none."""
RUBRIC = "rubric"
_ID = re.compile(r"[a-z][a-z0-9_]{0,39}")
_FORM = 'An item is {"id": "short_name", "points": 1, "text": "what earns them"}.'


@dataclass(frozen=True)
class RubricItem:
    """One thing that earns points.

    Attributes:
        id: Short name, unique within the question.
        points: What it earns.
        text: What must be said, and what does not count.
    """

    id: str
    points: float
    text: str


def rubric_of(cell: Cell) -> tuple[RubricItem, ...]:
    """Return the items of the rubric in a cell of the source notebook; empty if it has none."""
    items = cell["metadata"].get(METADATA, {}).get(RUBRIC, [])
    return tuple(RubricItem(item["id"], float(item["points"]), item["text"]) for item in items)


def rubrics_of(root: Path, assignment: str) -> dict[str, tuple[RubricItem, ...]]:
    """Return the rubrics of an assignment by question; none where its built notebook is not here."""
    notebook = root / "source" / assignment / f"{assignment}.ipynb"
    cells = load_cells(notebook.read_bytes()) if notebook.is_file() else []
    rubrics = {grade_id_of(cell): rubric_of(cell) for cell in cells}
    return {name: rubric for name, rubric in rubrics.items() if rubric}


def rubric_as_markdown(items: tuple[RubricItem, ...]) -> str:
    """Return a rubric as people read it beside the model answer."""
    lines = (f"- **{_in_words(item.points)}** ({item.id}): {item.text}" for item in items)
    return "\n".join(("*Rubric*", "", *lines))


def check_rubric(cell: Cell) -> None:
    """Check that a cell's rubric, if there is one, can be read and fits the cell.

    Raises:
        AssignmentError: If it is no list of items, an id stands twice, the cell is no answer that a person marks, or
            the points of the items do not sum to the cell's.
    """
    if METADATA not in cell["metadata"]:
        return
    name = grade_id_of(cell)
    ours = cell["metadata"][METADATA]
    items = ours.get(RUBRIC) if isinstance(ours, dict) and set(ours) == {RUBRIC} else None
    if not isinstance(items, list) or not all(map(_is_item, items)):
        raise AssignmentError(f"The rubric of the cell {name!r} cannot be read.", _FORM)
    if not (flag(cell, "grade") and flag(cell, "solution")):
        raise AssignmentError(f"The cell {name!r} has a rubric, but is no answer that a person marks.")
    ids = [item["id"] for item in items]
    if len(set(ids)) < len(ids):
        raise AssignmentError(f"The rubric of {name!r} has two items with the same id.", "Rename one of them.")
    points, total = cell["metadata"]["nbgrader"]["points"], sum(item["points"] for item in items)
    if not math.isclose(total, points):
        raise AssignmentError(f"The rubric of {name!r} has items of {total:g} points in all; the cell has {points:g}.")


def _in_words(points: float) -> str:
    return "1 point" if points == 1 else f"{points:g} points"


def _is_item(item: object) -> bool:
    """Whether something is an item of a rubric."""
    if not isinstance(item, dict) or set(item) != {"id", "points", "text"}:
        return False
    points, name, text = item["points"], item["id"], item["text"]
    return (
        isinstance(name, str)
        and _ID.fullmatch(name) is not None
        and isinstance(points, int | float)
        and 0 < points < math.inf
        and isinstance(text, str)
        and bool(text.strip())
    )
