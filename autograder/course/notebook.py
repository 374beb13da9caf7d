"""Notebooks: build the instructor's, read what stands in it, and put its structure back into a student's."""

from __future__ import annotations

import hashlib
import json
import re

from autograder.course.cells import Cell, StudentCell, flag, grade_id_of, load_cells, read_cells, text_of
from autograder.course.rubrics import METADATA, check_rubric, rubric_as_markdown, rubric_of
from autograder.course.solution_regions import BEGIN, find_regions
from autograder.errors import AssignmentError

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

_NBGRADER_DEFAULTS = {"schema_version": 3, "grade": False, "locked": False, "solution": False, "task": False}
_KEPT_METADATA = ("nbgrader", METADATA, "tags", "deletable", "editable")
_JUPYTEXT_METADATA = ("title", "cell_depth", "lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker")
_GRADE_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")


def build_notebook(percent: str) -> bytes:
    """Return the nbgrader source notebook of a percent script, byte for byte the same at every call.

    Args:
        percent: The notebook as text, in jupytext's percent format with nbgrader's metadata in cell headers.

    Raises:
        AssignmentError: If it cannot be read, or nbgrader's metadata does not fit the cells.
    """
    import jupytext  # slow to import, and graders only read notebooks that are built
    import nbformat

    try:
        cells = [_plain_cell(cell) for cell in jupytext.reads(percent, fmt="py:percent").cells]
    except nbformat.ValidationError as error:
        raise AssignmentError(f"The notebook's text cannot be read as percent format: {error}.") from error
    _check_cells(cells)
    _set_ids(cells)
    metadata = {"kernelspec": KERNEL, "language_info": {"name": "python"}}
    notebook = nbformat.from_dict({"nbformat": 4, "nbformat_minor": 5, "metadata": metadata, "cells": cells})
    nbformat.validate(notebook)
    return (str(nbformat.writes(notebook)).rstrip("\n") + "\n").encode()


def restore(release_notebook: bytes, student_notebook: bytes | None) -> bytes:
    """Return the student's notebook with the release's structure put back, as JSON of format 4.5.

    The student's texts stay, also of cells that the student added. What nbgrader goes by comes from the release:
    flags, points, ids, and cells that were deleted. Outputs and all other metadata are dropped. A notebook
    that cannot be read gives the release notebook, untouched.
    """
    released = json.loads(release_notebook)
    theirs, problem = read_cells(student_notebook)
    if not problem:
        released["cells"] = _restored_cells(released["cells"], theirs)
    return (json.dumps(released, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def answer_sources(source_notebook: bytes) -> dict[str, str]:
    """Return the instructor's text of each code solution cell, by grade_id."""
    cells = load_cells(source_notebook)
    answers = (cell for cell in cells if cell["cell_type"] == "code" and flag(cell, "solution"))
    return {grade_id_of(cell): text_of(cell) for cell in answers}


def marking_guides(source_notebook: bytes) -> dict[str, str]:
    """Return model answer and rubric of each answer that a person marks, by grade_id.

    The model answer is what stands in the solution regions, the rubric what stands in the cell's metadata.
    """
    answers = model_answers(source_notebook)
    guides: dict[str, str] = {}
    for cell in _manual_cells(source_notebook):
        rubric = rubric_of(cell)
        parts = [answers[grade_id_of(cell)], rubric_as_markdown(rubric) if rubric else ""]
        if any(parts):
            guides[grade_id_of(cell)] = "\n\n".join(filter(None, parts))
    return guides


def model_answers(source_notebook: bytes) -> dict[str, str]:
    """Return what stands in the solution regions of each answer that a person marks, by grade_id."""
    answers: dict[str, str] = {}
    for cell in _manual_cells(source_notebook):
        lines = text_of(cell).split("\n")
        regions = find_regions(text_of(cell), f"The cell {grade_id_of(cell)!r}")
        answers[grade_id_of(cell)] = "\n\n".join("\n".join(lines[part.first + 1 : part.last]) for part in regions)
    return answers


def _manual_cells(source_notebook: bytes) -> list[Cell]:
    cells = load_cells(source_notebook)
    return [cell for cell in cells if flag(cell, "task") or (flag(cell, "grade") and flag(cell, "solution"))]


def _plain_cell(cell: Cell) -> Cell:
    metadata = {key: value for key, value in cell["metadata"].items() if key not in _JUPYTEXT_METADATA}
    unknown = sorted(set(metadata) - set(_KEPT_METADATA))
    if unknown:
        known = ", ".join(_KEPT_METADATA)
        raise AssignmentError(f"A cell header has the unknown key {unknown[0]!r}.", f"Known keys: {known}.")
    if "nbgrader" in metadata:
        metadata["nbgrader"] = _NBGRADER_DEFAULTS | metadata["nbgrader"]
    plain = {"cell_type": cell["cell_type"], "metadata": metadata, "source": cell["source"]}
    if cell["cell_type"] == "code":
        plain |= {"execution_count": None, "outputs": []}
    return plain


def _check_cells(cells: list[Cell]) -> None:
    seen: set[str] = set()
    for cell in cells:
        check_rubric(cell)
        if "nbgrader" in cell["metadata"]:
            _check_graded(cell)
            grade_id = grade_id_of(cell)
            if grade_id in seen:
                raise AssignmentError(f"Two cells have the grade_id {grade_id!r}.", "Rename one of them.")
            seen.add(grade_id)
        if BEGIN in cell["source"] and not flag(cell, "solution"):
            raise AssignmentError(
                f"A solution region stands in a cell that is no solution cell: {cell['source'][:60]!r}.",
                'Give its header "solution": true and a grade_id.',
            )


def _check_graded(cell: Cell) -> None:
    grade_id = cell["metadata"]["nbgrader"].get("grade_id")
    if not isinstance(grade_id, str) or not _GRADE_ID.fullmatch(grade_id):
        raise AssignmentError(f"A cell has the grade_id {grade_id!r}.", "Use 1 to 60 letters, digits, _ and -.")
    graded = flag(cell, "grade") or flag(cell, "task")
    if graded and not isinstance(cell["metadata"]["nbgrader"].get("points"), int | float):
        raise AssignmentError(f"The graded cell {grade_id!r} has no points.", 'Give its header "points".')
    if "BEGIN HIDDEN TESTS" in cell["source"]:
        raise AssignmentError(
            f"The cell {grade_id!r} has hidden tests in it, and nbgrader's feedback would show them.",
            "Hidden checks belong into autograder/checks.",
        )
    find_regions(cell["source"], f"The cell {grade_id!r}")


def _set_ids(cells: list[Cell]) -> None:
    used: set[str] = set()
    for cell in cells:
        digest = hashlib.sha256(f"{cell['cell_type']}\n{cell['source']}".encode()).hexdigest()[:12]
        wanted = grade_id_of(cell).replace("_", "-") or digest
        name, count = wanted, 1
        while name in used:
            count += 1
            name = f"{wanted}-{count}"
        used.add(name)
        cell["id"] = name


def _restored_cells(released: list[Cell], theirs: list[StudentCell]) -> list[Cell]:
    """Return the student's cells in their own order, each named one within the release's cell of that name.

    A named cell that was deleted comes back after the one that it follows in the release.
    """
    named = [cell for cell in released if grade_id_of(cell)]
    frames = {number: cell for cell in named if (number := _place(cell, theirs)) is not None}
    cells = [_with_text(frames.get(number, _added(number, cell)), cell) for number, cell in enumerate(theirs)]
    follows = 0
    for cell in named:
        ids = [other["id"] for other in cells]
        if cell["id"] in ids:
            follows = ids.index(cell["id"]) + 1
        else:
            cells.insert(follows, cell)
            follows += 1
    return cells


def _place(trusted: Cell, theirs: list[StudentCell]) -> int | None:
    """Return where a released cell is in the student's notebook; words may be in a cell of another type."""
    name = grade_id_of(trusted)
    same_name = [number for number, cell in enumerate(theirs) if cell.grade_id == name]
    same_kind = [number for number in same_name if theirs[number].kind == trusted["cell_type"]]
    if not same_kind and trusted["cell_type"] == "markdown":
        return next(iter(same_name), None)
    return next(iter(same_kind), None)


def _added(number: int, cell: StudentCell) -> Cell:
    added = {"cell_type": cell.kind, "id": f"student-cell-{number}", "metadata": {}}
    return added | ({"execution_count": None, "outputs": []} if cell.kind == "code" else {})


def _with_text(frame: Cell, cell: StudentCell) -> Cell:
    filled = frame | {"source": cell.source}
    if cell.attachments and frame["cell_type"] == "markdown":
        filled["attachments"] = frame.get("attachments", {}) | cell.attachments
    return filled
