"""Which of a student's own cells may change what an answer takes from them, in ways that no single line shows.

A decorator may register the function below it, a function may fill a list that it is given or that stands beside it, a
class may count its instances. So the names that a cell makes and uses hang together, and every cell above an answer
counts that has one of those which hang together with what the answer reads, unless it only shows something or trains.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Collection, Iterable, Iterator, Sequence

from autograder.course.cell_code.names import names_of, names_used_by
from autograder.course.cell_code.statements import statements_of
from autograder.course.grading_notebook import GradingCell

_SHOWING = frozenset(
    "abs bool close describe dir display figure float format head help hist imshow info int isinstance len legend list "
    "max mean min plot plot_training_examples print repr round savefig show std str subplot subplots sum summary tail "
    "title tuple type xlabel ylabel".split()
)
"""Functions and methods that are called for what they show, and those that only look."""
_TRAINING = frozenset("evaluate measure_footprint predict run_experiment".split())
"""Functions and methods that take long."""
_OF_TRAINING = frozenset("batch_size callbacks epochs steps_per_epoch validation_data validation_split".split())
"""Names of arguments by which others are known that do, such as `fit`."""


def cells_in_touch(reads: Collection[str], cells: Sequence[GradingCell]) -> list[GradingCell]:
    """Return the student's own cells that have to do, directly or not, with what a reader takes from their own cells.

    Args:
        reads: The names that the reader reads.
        cells: The cells above it, in the notebook's order.
    """
    added = [cell for cell in cells if cell.added and not _trains(cell.source)]
    own = {name for cell in added for name in cell.names.makes}
    own -= {name for cell in cells if not cell.added for name in cell.names.makes}
    touched = {cell.id: own & _touched_by(cell) for cell in added} if own.intersection(reads) else {}
    groups = _groups(touched.values())
    wanted = {id(groups[name]) for name in own.intersection(reads) & groups.keys()}
    return [cell for cell in added if any(id(groups[name]) in wanted for name in touched.get(cell.id, ()))]


def going_on_without(names: Collection[str], source: str, wanted: Collection[str] = frozenset()) -> tuple[str, bool]:
    """Return what is worth running of a text without the statements that use these names, or what comes of them.

    What trains is left out, too, and variables that no other statement here reads. The lines of all that is left out
    become comments, so that lines keep their numbers. A function may use the names if it is wanted: it is not called.

    Args:
        names: What is not to be used.
        source: The text.
        wanted: What it is to define all the same.

    Returns:
        The text, empty if no statement is left; whether something uses the names or trains.
    """
    without, left_out = set(names), set[ast.stmt]()
    statements = [(statement, names_of(ast.unparse(statement))) for statement in statements_of(source)]
    for statement, found in statements:
        if found.reads & without or _statement_trains(statement):
            without |= found.makes
            left_out.add(statement)
    read, lines = set(wanted), set[int]()
    for statement, found in reversed(statements):
        defines = isinstance(statement, ast.FunctionDef | ast.ClassDef)
        wanted_here = not read.isdisjoint(found.makes)
        if statement in left_out:
            runs = defines and wanted_here
        else:
            runs = wanted_here or not found.makes or _is_decorated(statement)
        if runs:
            read |= found.reads
            lines |= set(range(statement.lineno, (statement.end_lineno or 0) + 1))
            left_out.discard(statement)
    text = "\n".join(line if number in lines else "#" for number, line in enumerate(source.split("\n"), 1))
    return text if lines else "", bool(left_out)


def _is_decorated(statement: ast.stmt) -> bool:
    """Whether a definition may be registered by what decorates it."""
    return isinstance(statement, ast.FunctionDef | ast.ClassDef) and bool(statement.decorator_list)


def _groups(sets: Iterable[Collection[str]]) -> dict[str, set[str]]:
    """Return for each name the group of all names with which it hangs together, through one set or several."""
    groups: dict[str, set[str]] = {}
    for names in sets:
        parts = list({id(part): part for part in (groups.get(name, {name}) for name in names)}.values())
        largest = max(parts, key=len, default=set())
        for part in parts:
            if part is not largest:
                largest |= part
                groups |= dict.fromkeys(part, largest)
        groups |= dict.fromkeys(largest - groups.keys(), largest)
    return groups


def _touched_by(cell: GradingCell) -> frozenset[str]:
    """Return the names that a cell makes, with those that it reads for them, and those that it uses as it runs."""
    made = cell.names.makes
    return (made | cell.names.reads if made else made) | _used_by(cell.source)


@functools.lru_cache(maxsize=512)
def _trains(source: str) -> bool:
    """Whether a cell calls what takes long."""
    return any(map(_statement_trains, statements_of(source)))


def _statement_trains(statement: ast.stmt) -> bool:
    return any(
        _name_of(call) in _TRAINING or _OF_TRAINING & {word.arg for word in call.keywords}
        for call in _calls_of(statement)
    )


@functools.lru_cache(maxsize=512)
def _used_by(source: str) -> frozenset[str]:
    """Return the names that a cell uses as it runs, but for those that it only looks at."""
    return names_used_by(source, but=_only_shows)


def _only_shows(statement: ast.stmt) -> bool:
    """Whether a statement makes nothing, and calls nothing that could change an object."""
    return isinstance(statement, ast.Expr | ast.Assert) and {*map(_name_of, _calls_of(statement))} <= _SHOWING


def _calls_of(statement: ast.stmt) -> Iterator[ast.Call]:
    """Yield the calls that run with a statement: not those in functions that it defines."""
    left: list[ast.AST] = [statement]
    while left:
        part = left.pop()
        if isinstance(part, ast.Call):
            yield part
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
            left += part.decorator_list
        else:
            left += ast.iter_child_nodes(part)


def _name_of(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
