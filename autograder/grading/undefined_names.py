"""Where the parts of a student's module stand, and names in it that nobody defines: read off its text alone."""

from __future__ import annotations

import ast
import builtins
import functools
import symtable
import warnings
from contextlib import suppress

from autograder.course.cell_code.names import globals_of, names_of
from autograder.course.cell_code.statements import LONGEST, UNREADABLE, statements_of
from autograder.course.cell_code.traces import makes_unseen

_OF_MODULES = frozenset({"__name__", "__file__", "__doc__", "__builtins__", "__class__"})


@functools.lru_cache(maxsize=8)
def undefined_names(module: str, given: frozenset[str]) -> dict[str, tuple[tuple[str, int], ...]]:
    """Return for each function and class of a module the names that it uses and nobody defines, with their lines.

    Args:
        module: Its text. One that Python cannot read, is very long, or hides what it makes has none.
        given: Names that it has besides.
    """
    if len(module) > LONGEST or makes_unseen(module):
        return {}
    with warnings.catch_warnings(), suppress(*UNREADABLE):
        warnings.simplefilter("ignore")
        tree, table = ast.parse(module), symtable.symtable(module, "module", "exec")
        known = names_of(module).makes | given | _OF_MODULES | set(dir(builtins))
        missing = {child.get_name(): {*globals_of(child)} - known for child in table.get_children()}
        return {
            part.name: _with_lines(part, missing.get(part.name, set()))
            for part in tree.body
            if isinstance(part, ast.FunctionDef | ast.ClassDef)
        }
    return {}


@functools.lru_cache(maxsize=8)
def lines_of(module: str, parts: frozenset[str]) -> frozenset[int]:
    """Return the lines on which these functions and classes of a module stand; none if Python cannot read it."""
    found = (node for node in statements_of(module) if getattr(node, "name", None) in parts)
    return frozenset(line for node in found for line in range(node.lineno, (node.end_lineno or node.lineno) + 1))


def _with_lines(part: ast.stmt, missing: set[str]) -> tuple[tuple[str, int], ...]:
    """Return each of these names with the first line in which it stands, by line."""
    lines: dict[str, int] = {}
    for node in ast.walk(part):
        if isinstance(node, ast.Name) and node.id in missing:
            lines[node.id] = min(node.lineno, lines.get(node.id, node.lineno))
    return tuple(sorted(lines.items(), key=lambda pair: pair[::-1]))
