"""Marked solution regions: find them, and turn a solved module into the students' stub.

A region starts with a line `### BEGIN SOLUTION: <sentence for the student>` and ends with `### END SOLUTION`.
nbgrader looks for the same two words anywhere in a line, and so do we.
"""

from __future__ import annotations

import ast
import json
import textwrap
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from autograder.course.cell_code.names import names_of
from autograder.course.cell_code.statements import UNREADABLE
from autograder.course.cells import Cell, StudentCell, flag, text_of
from autograder.errors import AssignmentError

BEGIN = "BEGIN SOLUTION"
END = "END SOLUTION"
WIDTH = 110
LONGEST = 200_000
"""Characters of a student's module that is looked at."""
NOT_WRITTEN = "NotImplementedError"
"""What an unwritten part raises."""

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Region:
    """One marked region.

    Attributes:
        first: Index of the line with the begin marker.
        last: Index of the line with the end marker.
        indent: White space before the begin marker.
        sentence: What the student is asked to do; may be empty.
    """

    first: int
    last: int
    indent: str
    sentence: str


def find_regions(text: str, where: str = "The text") -> list[Region]:
    """Return the marked regions in order.

    Args:
        text: A module, or the source of one cell.
        where: What to call the text in an error.

    Raises:
        AssignmentError: If a region is nested, never ends, or ends without a beginning.
    """
    regions: list[Region] = []
    begun: int | None = None
    lines = text.split("\n")
    for index, line in enumerate(lines):
        if BEGIN in line:
            if begun is not None:
                raise _unbalanced(where, index, "a solution region begins inside another one")
            begun = index
        elif END in line:
            if begun is None:
                raise _unbalanced(where, index, "a solution region ends that never began")
            regions.append(_region(lines[begun], begun, index))
            begun = None
    if begun is not None:
        raise _unbalanced(where, begun, "a solution region begins that never ends")
    return regions


def inside_lines(text: str) -> frozenset[str]:
    """Return the stripped, non-blank lines inside solution regions."""
    lines = text.split("\n")
    inside = (line for region in find_regions(text) for line in lines[region.first + 1 : region.last])
    return frozenset(line.strip() for line in inside if line.strip())


def outside_lines(text: str) -> frozenset[str]:
    """Return the stripped, non-blank lines outside solution regions, which students may read."""
    hidden = {n for region in find_regions(text) for n in range(region.first, region.last + 1)}
    outside = (line.strip() for n, line in enumerate(text.split("\n")) if n not in hidden)
    return frozenset(line for line in outside if line)


def stub_module(solved: str) -> str:
    """Return the module with each solution region replaced by a comment and a `NotImplementedError`.

    Args:
        solved: The instructor's module.

    Raises:
        AssignmentError: If the markers are unbalanced, or the module or its stub is not Python.
    """
    tree = _parse(solved, "The solved module")
    lines = solved.split("\n")
    for region in reversed(find_regions(solved, "The solved module")):
        name = _qualified_name(tree, region.first + 1)
        lines[region.first : region.last + 1] = _stub(region, name)
    stub = "\n".join(lines)
    _parse(stub, "The stub of the module")
    return stub


def complete_functions(stub: str, modules: Collection[str] = ()) -> frozenset[str]:
    """Return the names of a stub's top-level functions that have nothing left to fill in.

    Args:
        stub: The released module.
        modules: Names of given modules; what the stub imports from them is complete, too.
    """
    names: set[str] = set()
    for node in _parse(stub, "The stub of the module").body:
        if isinstance(node, ast.FunctionDef) and "NotImplementedError" not in ast.dump(node):
            names.add(node.name)
        elif isinstance(node, ast.ImportFrom) and node.module in modules:
            names.update(alias.asname or alias.name for alias in node.names)
    return frozenset(names)


def is_unwritten(module: str, name: str) -> bool:
    """Whether a part of a student's module can only raise `NotImplementedError`, whatever its other parts do.

    Args:
        module: The student's module.
        name: Of a function, or of a layer's class, which is unwritten where it cannot be made or cannot be called.
    """
    found = [node for node in _statements_of(module) if name in _defined(node) | _imported(node)]
    part = found[-1] if found else None
    if isinstance(part, ast.ClassDef):
        methods = {node.name: node for node in part.body if isinstance(node, ast.FunctionDef)}
        return any(_only_raises(methods[method].body) for method in ("__init__", "call") if method in methods)
    return isinstance(part, ast.FunctionDef) and _only_raises(part.body)


def is_unwritten_cell(cell: str, wanted: Collection[str]) -> bool:
    """Whether a student's cell of the notebook can only raise `NotImplementedError`.

    Args:
        cell: Its text.
        wanted: Names that it must define: where all of them are functions, they may raise it in its place.
    """
    functions = bool(wanted) and all(is_unwritten(cell, name) for name in wanted)
    return functions or _only_raises(_statements_of(cell))


def counting_copy(trusted: Cell, copies: Sequence[StudentCell]) -> StudentCell:
    """Return which of several cells of one name counts: the last answer that defines what it must, else the first cell.

    Args:
        trusted: The instructor's cell.
        copies: At least one cell, in the notebook's order.
    """
    is_answer = flag(trusted, "solution") and trusted["cell_type"] == "code"
    wanted = names_of(text_of(trusted)).makes if is_answer else set()
    complete = [
        cell
        for cell in copies[1:]
        if wanted and wanted <= names_of(cell.source).makes and not is_unwritten_cell(cell.source, wanted)
    ]
    return complete[-1] if complete else copies[0]


def _statements_of(text: str) -> list[ast.stmt]:
    """Return a student's statements; none where the text is not Python, or far longer than anybody's work."""
    if len(text) > LONGEST:
        return []
    try:
        return ast.parse(text).body
    except UNREADABLE:
        return []


def _only_raises(body: Iterable[ast.stmt]) -> bool:
    """Whether whoever runs these statements comes to a `raise NotImplementedError`, or to an earlier error."""
    for statement in body:
        if isinstance(statement, ast.Raise) and statement.exc is not None:
            return any(isinstance(node, ast.Name) and node.id == NOT_WRITTEN for node in ast.walk(statement.exc))
        if any(isinstance(node, ast.Return | ast.Yield | ast.YieldFrom) for node in ast.walk(statement)):
            return False
    return False


def _imported(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name for alias in node.names}
    return set()


def only_needed(text: str, names: Iterable[str]) -> str:
    """Return the module's text with those top-level definitions alone that the named ones use, directly or not.

    Imports stay, and so do statements that define nothing; comments and the module's docstring go.

    Args:
        text: A module. Where a name is defined more than once, all its definitions stay.
        names: Top-level names of the module.
    """
    body = [node for node in _parse(text, "The solved module").body if not _is_text(node)]
    needed = set(names).union(*(_used(node) for node in body if not _defined(node)))
    while True:
        users = [node for node in body if _defined(node) & needed]
        found = needed.union(*map(_used, users))
        if found == needed:
            break
        needed = found
    kept = [node for node in body if not _defined(node) or _defined(node) & needed]
    return ast.unparse(ast.Module(kept, []))


def taking_more(text: str) -> str:
    """Return a text whose functions ignore arguments that they do not know, as a student may have added some."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # a notebook's own commands
        return text
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            node.args.vararg = node.args.vararg or ast.arg("further_values")
            node.args.kwarg = node.args.kwarg or ast.arg("further_settings")
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _defined(node: ast.stmt) -> set[str]:
    """Return the names that a definition or an assignment gives a meaning; none for other statements."""
    if isinstance(node, Definition):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
        return {name.id for name in names if isinstance(name.ctx, ast.Store)}
    return set()


def _used(node: ast.stmt) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _unbalanced(where: str, index: int, problem: str) -> AssignmentError:
    return AssignmentError(
        f"{where}, line {index + 1}: {problem}.", "Every BEGIN SOLUTION needs one END SOLUTION of its own."
    )


def _region(line: str, first: int, last: int) -> Region:
    sentence = line.split(BEGIN, 1)[1].strip().removeprefix(":").strip()
    indent = line[: len(line) - len(line.lstrip())]
    return Region(first=first, last=last, indent=indent, sentence=sentence)


def _parse(text: str, what: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise AssignmentError(f"{what} is not Python, line {error.lineno}: {error.msg}.") from error


def _qualified_name(tree: ast.Module, line: int) -> str:
    names: list[str] = []
    inner: list[Definition] = _definitions(tree)
    while inner:
        node = inner.pop()
        if node.lineno <= line <= (node.end_lineno or node.lineno):
            names.append(node.name)
            inner = _definitions(node)
    return ".".join(names) or "This part"


def _definitions(node: ast.AST) -> list[Definition]:
    return [child for child in ast.iter_child_nodes(node) if isinstance(child, Definition)]


def _stub(region: Region, name: str) -> list[str]:
    comment = f"YOUR CODE HERE: {region.sentence}" if region.sentence else "YOUR CODE HERE"
    message = f"{name} is not written yet" + (f": {region.sentence}" if region.sentence else ".")
    prefix = f"{region.indent}# "
    comments = [prefix + line for line in _wrapped(comment, WIDTH - len(prefix))]
    return comments + _raise(message, region.indent)


def _raise(message: str, indent: str) -> list[str]:
    line = f"{indent}raise NotImplementedError({_quoted(message)})"
    if len(line) <= WIDTH:
        return [line]
    pieces = _wrapped(_quoted(message)[1:-1], WIDTH - len(indent) - len('    " "'))
    pieces = [piece + " " for piece in pieces[:-1]] + pieces[-1:]
    return [
        f"{indent}raise NotImplementedError(",
        *(f'{indent}    "{piece}"' for piece in pieces),
        f"{indent})",
    ]


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a Python string in double quotes
