"""Tell a student what was changed in the structure of the notebook: nothing of it has an effect on marks."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence

from autograder.course.cells import Cell, CellSettings, StudentCell, flag, grade_id_of, settings_of, text_of

MOST_NOTES = 12
_SHOWN_NAMES = 5
_NOT_THE_LAB = (
    "None of the lab's cells is in your notebook, so its answers count as empty. Did you start a new notebook, or was "
    "it saved by a program that drops the names of cells? Copy your answers into the notebook that you were given, "
    "and hand in that one."
)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,60}")


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
        yield f"The {what} {name} is in your notebook {len(found)} times; the first one counts."
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
        return f"The answer cell {name} is not in your notebook as a code cell, so it counts as empty.{remedy}"
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
    shown = sorted(name for name in unknown if _NAME.fullmatch(name))[:_SHOWN_NAMES]
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
