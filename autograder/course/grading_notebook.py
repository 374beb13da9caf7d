"""What the grader runs of a student's notebook: the given cells, the answers, and on demand cells that they added.

Nothing of a student's notebook is trusted. An answer is found by its `grade_id` and runs in the place that it has in
the released notebook; metadata, tags and outputs have no effect. A cell that a student added, or what they added to a
given one, runs only where it supplies or changes what an answer depends on.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from autograder.course.cell_code.names import CellNames, names_changed_by, names_of, statements_beyond
from autograder.course.cell_code.statements import is_unreadable, plain_code, without_pictures
from autograder.course.cells import Cell, StudentCell, flag, grade_id_of, load_cells, read_cells, text_of
from autograder.course.notebook import describe_changes
from autograder.course.solution_regions import counting_copy

GRADING_TAG = "grading"
PARAMETERS_TAG = "parameters"
WEIGHTLESS_TAG = "weightless"
MOST_ADDED, MOST_ADDED_TEXT = 400, 200_000
"""Cells of a student's own, and their characters, that are looked at for names which are lacking elsewhere."""
_TENSORFLOWS_VARIABLE = re.compile(
    r"""(?:^|;)[ \t]*(?:(?:os\.)?environ(?:\[|\.setdefault\()['"]|%(?:set_)?env +)"""
    r"""(TF_\w+)(?:['"](?:\] ?= ?|, ?)|[ =])['"]?(\w+)""",
    re.MULTILINE,
)
"""A cell sets a variable of the environment that TensorFlow reads, such as TF_USE_LEGACY_KERAS."""


@dataclass(frozen=True)
class GradingCell:
    """One code cell that the grader runs.

    Attributes:
        id: grade_id, or the cell's own id where it has none; for a cell that a student added, its place in words.
        given: The instructor's cell, as it is.
        added: A cell of the student's own; a cell that is neither given nor added is an answer.
        on_demand: It runs only where something that it defines is lacking.
        parameters: Sizes are set here; the grader puts its own after it.
        weightless: Only builds models that are too large for grading: they can be counted and no more.
    """

    id: str
    source: str
    given: bool = False
    added: bool = False
    on_demand: bool = False
    parameters: bool = False
    weightless: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether it is an answer."""
        return not self.given and not self.added

    @property
    def where(self) -> str:
        """What a sentence for the student calls it."""
        return self.id if self.added else f"the cell `{self.id}`"

    @property
    def names(self) -> CellNames:
        """What it reads and makes."""
        return names_of(self.source)

    @property
    def changes(self) -> frozenset[str]:
        """Names that it makes or whose objects it changes."""
        return names_changed_by(self.source)


@dataclass(frozen=True)
class GradingNotebook:
    """What the grader runs of a submission's notebook.

    Attributes:
        cells: In the released notebook's order, added ones after the named cell that they follow.
        missing: grade_ids of answers that the student's notebook lacks; their source is empty.
        notes: Sentences for the student.
    """

    cells: tuple[GradingCell, ...]
    missing: tuple[str, ...]
    notes: tuple[str, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """Where each cell stands, by its id."""
        return {cell.id: place for place, cell in enumerate(self.cells)}

    @cached_property
    def environment(self) -> dict[str, str]:
        """TensorFlow's variables of the environment that the student's own cells set: the module may depend on them."""
        own = "\n".join(cell.source for cell in self.cells if cell.added)
        return dict(_TENSORFLOWS_VARIABLE.findall(own))

    def makers(self, name: str, before: int) -> list[GradingCell]:
        """Return the cells before a place that define a name, first those that supply it: answers, given, added ones.

        Of several of one kind the last one comes first.
        """
        found = [cell for cell in self.cells[:before] if name in cell.names.makes]
        return sorted(reversed(found), key=lambda cell: (cell.added, cell.given))

    def where_else(self, name: str, before: int) -> str:
        """Say where the student has a name: below a place, or in a cell that cannot be read; nothing if nowhere."""
        below = (cell for cell in self.cells[before:] if not cell.given and name in cell.names.makes)
        if cell := next(below, None):
            return f"You define `{name}` further down, in {cell.where}. Move it up, into the answer that needs it."
        word = re.compile(rf"\b{re.escape(name)}\b")
        unread = (cell for cell in self.cells if cell.added and word.search(cell.source) and is_unreadable(cell.source))
        if name and (cell := next(unread, None)):
            here = f"Python {sys.version_info.major}.{sys.version_info.minor}"
            return f"`{name}` stands in {cell.where}, which {here}, with which work is graded, cannot read."
        return ""


def assemble(source_notebook: bytes, student_notebook: bytes | None) -> GradingNotebook:
    """Put a student's answers into the trusted notebook; never raises for anything in the student's.

    Args:
        source_notebook: The built source notebook.
        student_notebook: The submission's notebook, or None if it has none.
    """
    trusted = load_cells(source_notebook)
    theirs, problem = read_cells(student_notebook, trusted)
    code = [cell for cell in trusted if cell["cell_type"] == "code"]
    found = {grade_id_of(cell): copy for cell in code if (copy := _counting(cell, theirs)) is not None}
    answers = {grade_id_of(cell): found.get(grade_id_of(cell)) for cell in code if flag(cell, "solution")}
    missing = tuple(name for name, copy in answers.items() if copy is None)
    added = _added_cells(trusted, theirs, found)
    cells = list(added.get("", []))
    for cell in trusted:
        name = grade_id_of(cell)
        if cell["cell_type"] == "code":
            cells.append(_grading_cell(cell, answers.get(name), is_answer=name in answers))
            cells += [] if name in answers else _changed(cell, found.get(name))
        cells += added.get(name or cell["id"], [])
    notes = (problem,) if problem else tuple(describe_changes(trusted, theirs))
    return GradingNotebook(tuple(cells), missing, notes)


def _counting(trusted: Cell, theirs: Sequence[StudentCell]) -> StudentCell | None:
    """Return the student's cell of a trusted one's name; of several, the one that counts."""
    name = grade_id_of(trusted)
    found = [cell for cell in theirs if name and cell.grade_id == name and cell.kind == trusted["cell_type"]]
    return counting_copy(trusted, found) if found else None


def _changed(trusted: Cell, theirs: StudentCell | None) -> list[GradingCell]:
    """Return what a student added to a given cell, as a cell of their own behind it."""
    if theirs is None or theirs.is_as_released or _stripped(theirs.source) == _stripped(text_of(trusted)):
        return []
    source = statements_beyond(theirs.source, text_of(trusted))
    where = f"your version of the given cell `{grade_id_of(trusted)}`"
    return [GradingCell(where, source, added=True, on_demand=True)] if source else []


def _grading_cell(cell: Cell, found: StudentCell | None, *, is_answer: bool) -> GradingCell:
    tags = cell["metadata"].get("tags", [])
    name = grade_id_of(cell) or cell["id"]
    if is_answer:
        source = plain_code(found.source) if found else ""
        return GradingCell(name, source, weightless=WEIGHTLESS_TAG in tags)
    on_demand = GRADING_TAG not in tags
    return GradingCell(name, text_of(cell), given=True, on_demand=on_demand, parameters=PARAMETERS_TAG in tags)


def _added_cells(
    trusted: Sequence[Cell], theirs: Sequence[StudentCell], found: Mapping[str, StudentCell]
) -> dict[str, list[GradingCell]]:
    """Return the student's own code cells by the trusted cell that they follow, empty for those before the first.

    A cell of which another one of its name counts is among them: an editor that splits a cell gives both halves its
    name, and the first of two attempts may make what the second one uses.
    """
    given = {
        _stripped(text_of(cell)): grade_id_of(cell) or cell["id"] for cell in trusted if not flag(cell, "solution")
    }
    names = {grade_id_of(cell) for cell in trusted} - {""}
    order = {grade_id_of(cell) or cell["id"]: place for place, cell in enumerate(trusted)}
    added: dict[str, list[GradingCell]] = {}
    left, cells_left = MOST_ADDED_TEXT, MOST_ADDED
    for number, anchor, cell in _unclaimed(theirs, names, found, given, order):
        if cell.kind == "code" and _stripped(cell.source) not in given:
            length = len(without_pictures(cell.source))
            if length > left or not cells_left:
                continue
            left, cells_left = left - length, cells_left - 1
            where = f"a cell of your own (the notebook's code cell no. {number})"
            added.setdefault(anchor, []).append(GradingCell(where, plain_code(cell.source), added=True, on_demand=True))
    return added


def _unclaimed(
    theirs: Sequence[StudentCell],
    names: Collection[str],
    found: Mapping[str, StudentCell],
    given: Mapping[str, str],
    order: Mapping[str, int],
) -> Iterator[tuple[int, str, StudentCell]]:
    """Yield cells that no released name claims: number among code cells, the trusted cell before, cell.

    A trusted cell that was moved takes none along: the one before is then the last that belongs above the next one.

    Args:
        theirs: The student's cells.
        names: The released names.
        found: The cell that counts, by name.
        given: What cells without a name are known by: their text, and the id that goes with it.
        order: Where each trusted cell stands.
    """
    claimed = [
        str(cell.grade_id) if cell.grade_id in names else given.get(_stripped(cell.source), "") for cell in theirs
    ]
    firsts = {name: place for place, name in reversed(list(enumerate(claimed))) if name}
    anchors = _anchors([name if firsts.get(name) == place else "" for place, name in enumerate(claimed)], order)
    number = 0
    for place, (cell, name) in enumerate(zip(theirs, claimed, strict=True)):
        number += cell.kind == "code"
        first = firsts.get(name) == place
        if cell.grade_id in names and cell is not found.get(name) and (cell.kind == "code" or not first):
            yield number, anchors[place], cell
        elif cell.grade_id not in names and not first:
            yield number, anchors[place], cell


def _anchors(trusted: Sequence[str], order: Mapping[str, int]) -> list[str]:
    """Return for each place in a student's notebook the trusted cell above it that belongs last above the next one.

    Args:
        trusted: The trusted cell that stands there, or nothing.
        order: Where each of them belongs.
    """
    ends: list[int] = []
    end = len(order)
    for name in reversed(trusted):
        ends.append(end)
        end = order.get(name, end)
    above: list[str] = []
    anchors = []
    for name, end in zip(trusted, reversed(ends), strict=True):
        anchors.append(max((cell for cell in above if order[cell] < end), key=order.__getitem__, default=""))
        above += [name] if name else []
    return anchors


def _stripped(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))
