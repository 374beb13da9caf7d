"""Notebooks: build the instructor's, read it, put its structure back into a student's, and say what they changed."""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from autograder.course.cells import (
    Cell,
    CellSettings,
    StudentCell,
    flag,
    grade_id_of,
    load_cells,
    read_cells,
    settings_of,
    text_of,
)
from autograder.course.rubrics import METADATA, check_rubric, rubric_as_markdown, rubric_of
from autograder.course.solution_regions import BEGIN, counting_copy, find_regions
from autograder.errors import AssignmentError

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}

_NBGRADER_DEFAULTS = {"schema_version": 3, "grade": False, "locked": False, "solution": False, "task": False}
_KEPT_METADATA = ("nbgrader", METADATA, "tags", "deletable", "editable")
_JUPYTEXT_METADATA = ("title", "cell_depth", "lines_to_next_cell", "lines_to_end_of_cell_marker", "cell_marker")
_GRADE_ID = re.compile(r"[A-Za-z0-9_-]{1,60}")
MOST_NOTES = 12
_SHOWN_NAMES = 5
_NOT_THE_LAB = (
    "None of the lab's cells is in your notebook, so its answers count as empty. Did you start a new notebook, or was "
    "it saved by a program that drops the names of cells? Copy your answers into the notebook that you were given, "
    "and hand in that one."
)


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
    theirs, problem = read_cells(student_notebook, released["cells"])
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


def describe_changes(trusted: Sequence[Cell], theirs: Sequence[StudentCell]) -> list[str]:
    """Return a sentence for each change to a cell that has a grade_id; none for cells that students added.

    Args:
        trusted: All cells of the source notebook.
        theirs: All cells of the student's.
    """
    named = [cell for cell in trusted if grade_id_of(cell)]
    if not {grade_id_of(cell) for cell in named} & {cell.grade_id for cell in theirs}:
        return [_NOT_THE_LAB]
    answers_first = sorted(named, key=lambda cell: not flag(cell, "solution"))
    notes = [note for cell in answers_first for note in _changes(cell, theirs)]
    notes += _unknown_names({grade_id_of(cell) for cell in named}, theirs)
    notes += _moved([grade_id_of(cell) for cell in named], theirs)
    more = len(notes) - MOST_NOTES
    return notes if more <= 0 else [*notes[:MOST_NOTES], f"There are {more} more changes of this kind."]


def _changes(trusted: Cell, theirs: Sequence[StudentCell]) -> Iterator[str]:
    """Yield what happened to one cell."""
    same_name = [cell for cell in theirs if cell.grade_id == grade_id_of(trusted)]
    found = [cell for cell in same_name if cell.kind == trusted["cell_type"]]
    if not found:
        yield _lost(trusted, same_name)
        return
    name = grade_id_of(trusted)
    if len(found) > 1:
        what = "answer cell" if flag(trusted, "solution") else "cell"
        counts = found.index(counting_copy(trusted, found))
        which = "first one" if not counts else "last one" if counts == len(found) - 1 else f"one no. {counts + 1}"
        yield f"The {what} {name} is in your notebook {len(found)} times; the {which} counts."
    released = found[0].is_as_released  # then it was the course that changed something since
    if _settings(found[0].settings, released) != _settings(settings_of(trusted["metadata"]), released):
        yield f"The settings of the cell {name} (points, locks, tags) were changed; that has no effect on grading."
    is_same = released or _lines(found[0].source) == _lines(text_of(trusted))
    if not flag(trusted, "solution") and not is_same:
        yield f"The given cell {name} was changed; grading uses the original."


def _settings(settings: CellSettings, tags_alone: bool) -> CellSettings:
    """Return what of a cell's settings is compared: the release's checksum speaks for all but the tags."""
    return tuple(setting for setting in settings if not tags_alone or setting[0] == "tags")


def _lost(trusted: Cell, same_name: Sequence[StudentCell]) -> str:
    """Say what it means that a cell is not there, or only as a cell of another type."""
    name, code = grade_id_of(trusted), trusted["cell_type"] == "code"
    if flag(trusted, "solution") and code:
        remedy = " Make it a code cell again: select it, press Esc, then Y." if same_name else ""
        sought = "What it must define is looked for in your other cells."
        return f"The answer cell {name} is not in your notebook as a code cell. {sought}{remedy}"
    if flag(trusted, "solution") and same_name:
        return f"The answer {name} stands in a {same_name[0].kind} cell; it is read as text all the same."
    if flag(trusted, "solution"):
        return f"The answer {name} is not in your notebook, so it counts as not given."
    problem = f"is a {same_name[0].kind} cell" if same_name else "is not"
    return f"The given cell {name} {problem} in your notebook; grading uses the original."


def _unknown_names(known: set[str], theirs: Sequence[StudentCell]) -> Iterator[str]:
    """Yield a note on cells whose grade_id is none of the lab's: renamed ones."""
    unknown = {cell.grade_id for cell in theirs if cell.grade_id is not None} - known
    if not unknown:
        return
    shown = sorted(name for name in unknown if _GRADE_ID.fullmatch(name))[:_SHOWN_NAMES]
    listed = f": {', '.join(shown)}" if shown else ""
    yield (
        f"Your notebook has {len(unknown)} cell name(s) that are not the lab's{listed}. Cells are found by name: if "
        "one is an answer, give it its old name back, or copy its text into the cell of that name."
    )


def _moved(order: Sequence[str], theirs: Sequence[StudentCell]) -> Iterator[str]:
    """Yield a note on cells that stand elsewhere: the fewest whose return would restore the order."""
    places = {name: place for place, name in enumerate(order)}
    found = list(dict.fromkeys(cell.grade_id for cell in theirs if cell.grade_id in places))
    sequence = [places[name] for name in found if name is not None]
    stayed = set(_longest_rising(sequence))
    moved = [order[place] for place in sequence if place not in stayed]
    if moved:
        more = f" and {len(moved) - _SHOWN_NAMES} more" if len(moved) > _SHOWN_NAMES else ""
        listed = ", ".join(moved[:_SHOWN_NAMES])
        yield f"These cells were moved: {listed}{more}. Grading runs all cells in the lab's own order."


def _longest_rising(numbers: Sequence[int]) -> list[int]:
    """Return a longest rising subsequence, by patience sorting."""
    tops: list[int] = []
    before: dict[int, int | None] = {}
    for number in numbers:
        pile = bisect_left(tops, number)
        before[number] = tops[pile - 1] if pile else None
        tops[pile : pile + 1] = [number]
    rising: list[int] = []
    last = tops[-1] if tops else None
    while last is not None:
        rising.append(last)
        last = before[last]
    return rising[::-1]


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]
