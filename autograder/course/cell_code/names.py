"""What a cell of a notebook reads and what it makes, by name: read off its text, nothing is run.

What cannot be read makes nothing and ends nowhere.
"""

from __future__ import annotations

import ast
import functools
import symtable
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from autograder.course.cell_code.statements import UNREADABLE, statements_of
from autograder.course.cell_code.traces import leaves_traces

NOTHING: frozenset[str] = frozenset()

_CHANGING_METHODS = frozenset("add append clear discard extend insert pop popitem remove setdefault update".split())
_LOOKING_METHODS = frozenset("close describe head hist imshow info plot save savefig show summary tail".split())
"""What is called for what it shows or writes."""
_LIBRARIES = frozenset(
    "gc json keras logging math matplotlib np numpy os pandas pd pickle plt random shutil sns sys tensorflow tf time "
    "warnings".split()
)
"""Names under which nobody keeps an object that a method could change."""
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class CellNames:
    """The names of one cell at its top level.

    Attributes:
        reads: What it, or a function in it, takes from elsewhere; names of Python itself are among them.
        makes: What it defines, assigns or imports.
    """

    reads: frozenset[str] = NOTHING
    makes: frozenset[str] = NOTHING


@functools.lru_cache(maxsize=512)
def names_of(source: str) -> CellNames:
    """Return the names of a cell."""
    at_once, later, made = set[str](), set[str](), set[str]()
    for _, names in _statements_with_names(source):
        at_once |= names.at_once - made
        later |= names.later
        made |= names.makes
    return CellNames(frozenset(at_once | (later - made)), frozenset(made))


@functools.lru_cache(maxsize=512)
def names_changed_by(source: str) -> frozenset[str]:
    """Return the names that a cell makes, or whose objects it changes or may change in place, as by `scaler.fit(X)`."""
    return frozenset(name for _, names in _statements_with_names(source) for name in names.may_change)


def names_used_by(source: str, *, but: Callable[[ast.stmt], bool]) -> frozenset[str]:
    """Return the names that the statements of a cell use as they run, leaving out some; a lambda counts as called."""
    found = (
        (_names_of_statement(part), isinstance(part, _DEFINITIONS)) for part in statements_of(source) if not but(part)
    )
    return frozenset(name for names, defines in found for name in names.at_once | (NOTHING if defines else names.later))


def statements_beyond(source: str, original: str) -> str:
    """Return the statements of a changed cell that make names, none of which the original makes, or change these.

    Args:
        source: The cell as changed.
        original: As it was. Of an import of several names, those that are new are left. A setting of a library is new
            where the original has no such statement.
    """
    makes = names_of(original).makes
    known = {ast.unparse(statement) for statement in statements_of(original)}
    new: list[ast.stmt] = []
    made_here = set[str]()
    for statement in statements_of(source):
        names = _names_of_statement(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom):
            aliases = [alias for alias in statement.names if (alias.asname or alias.name.split(".")[0]) not in makes]
            if aliases:
                statement.names = aliases
                new.append(statement)
        elif names.makes and not names.makes & makes:
            new.append(statement)
            made_here |= names.makes
        elif names.changes and names.changes <= made_here:
            new.append(statement)
        elif not names.makes and (text := ast.unparse(statement)) not in known and leaves_traces(text, ""):
            new.append(statement)
    return "\n".join(ast.unparse(statement) for statement in new)


def defines_functions(source: str) -> bool:
    """Whether all statements of a cell define a function or a class."""
    return all(isinstance(statement, _DEFINITIONS) for statement in statements_of(source))


@functools.lru_cache(maxsize=512)
def end_of_definitions(source: str, wanted: frozenset[str], *, functions: bool) -> int:
    """Return the last line of a cell that has a part in what it defines under these names; 0 if some are not there.

    Args:
        source: The cell.
        wanted: Names that it must define.
        functions: Whether these are functions, which are not called before the cell has ended.
    """
    statements = _statements_with_names(source)
    if not wanted <= {name for _, names in statements for name in names.makes}:
        return 0
    needed = _needed_with(wanted, [names for _, names in statements]) if functions else wanted
    return max(last_line for last_line, names in statements if names.changes & needed)


@dataclass(frozen=True)
class _StatementNames:
    """The names of one statement at the top level of a cell.

    Attributes:
        at_once: What it reads when it runs.
        later: What functions in it read when they are called.
        changes: What it makes, or changes in place as far as one can see.
        may_change: These, and what a method may change that it calls.
    """

    at_once: frozenset[str]
    later: frozenset[str]
    makes: frozenset[str]
    changes: frozenset[str]
    may_change: frozenset[str]


def _needed_with(wanted: frozenset[str], statements: Sequence[_StatementNames]) -> set[str]:
    """Return some names, and those that are read, directly or not, by the statements which change them."""
    changed_by: dict[str, list[_StatementNames]] = {}
    for names in statements:
        for name in names.changes:
            changed_by.setdefault(name, []).append(names)
    needed, left = set(wanted), list(wanted)
    while left:
        for names in changed_by.pop(left.pop(), ()):
            found = (names.at_once | names.later) - needed
            needed |= found
            left += found
    return needed


@functools.lru_cache(maxsize=2)  # of the cell that is being looked at
def _statements_with_names(source: str) -> tuple[tuple[int, _StatementNames], ...]:
    """Return the last line and the names of each statement."""
    return tuple((statement.end_lineno or 0, _names_of_statement(statement)) for statement in statements_of(source))


class _WithoutAwait(ast.NodeTransformer):
    """Leaves out `await`, which stands at the top of a cell only in Jupyter."""

    def visit_Await(self, node: ast.Await) -> ast.expr:
        value: ast.expr = self.visit(node.value)
        return value

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AsyncFunctionDef:
        return node


def _names_of_statement(statement: ast.stmt) -> _StatementNames:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            text = ast.unparse(statement)
            if "await" in text:
                text = ast.unparse(_WithoutAwait().visit(ast.parse(text)))
            table = symtable.symtable(text, "cell", "exec")
    except UNREADABLE:
        return _StatementNames(NOTHING, NOTHING, NOTHING, NOTHING, NOTHING)
    symbols = table.get_symbols()
    at_once = {symbol.get_name() for symbol in symbols if symbol.is_referenced()}
    bound = {symbol.get_name() for symbol in symbols if symbol.is_assigned() or symbol.is_imported()}
    makes = NOTHING if isinstance(statement, ast.Delete) else bound
    if isinstance(statement, ast.AugAssign):
        at_once |= makes
    later = {name for inner in table.get_children() for name in globals_of(inner)}
    changes = bound | set(_changed_in_place(statement))
    may_change = frozenset(changes.union(_perhaps_changed(statement)))
    return _StatementNames(frozenset(at_once), frozenset(later), frozenset(makes), frozenset(changes), may_change)


def globals_of(table: symtable.SymbolTable) -> Iterator[str]:
    """Yield the names that a function or class takes from the cell's own level or from beyond."""
    for symbol in table.get_symbols():
        if symbol.is_global() and symbol.is_referenced():
            yield symbol.get_name()
    for inner in table.get_children():
        yield from globals_of(inner)


def _changed_in_place(statement: ast.stmt) -> Iterator[str]:
    """Yield names whose objects a statement changes: `d[key] = …`, `f.attribute = …`, `l.append(…)`."""
    for part in ast.walk(statement):
        if isinstance(part, ast.Subscript | ast.Attribute) and isinstance(part.ctx, ast.Store | ast.Del):
            yield from _root_of(part)
        elif isinstance(part, ast.Expr) and isinstance(part.value, ast.Call):
            function = part.value.func
            if isinstance(function, ast.Attribute) and function.attr in _CHANGING_METHODS:
                yield from _root_of(function)


def _perhaps_changed(statement: ast.stmt) -> Iterator[str]:
    """Yield names whose objects a method may change that is called for what it does, and those that are shuffled."""
    for part in ast.walk(statement):
        if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Call)):
            continue
        method = part.value.func
        name = method.attr if isinstance(method, ast.Attribute) else method.id if isinstance(method, ast.Name) else ""
        if name == "shuffle":
            yield from (root for argument in part.value.args for root in _root_of(argument))
        if isinstance(method, ast.Attribute) and name not in _LOOKING_METHODS:
            yield from (root for root in _root_of(method) if root not in _LIBRARIES)


def _root_of(part: ast.expr) -> Iterator[str]:
    while isinstance(part, ast.Subscript | ast.Attribute):
        part = part.value
    if isinstance(part, ast.Name):
        yield part.id
