"""A text as a syntax tree whose nodes know where they stand: what operators look at and write their changes with."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import libcst as cst
from libcst import metadata


class CodeChange(NamedTuple):
    """A text that takes the place of a node, or of all from one node to a later one.

    Attributes:
        last: The later one; None if only the first is changed.
    """

    node: cst.CSTNode
    text: str
    last: cst.CSTNode | None = None


class SourceText:
    """A text, some lines of which are a syntax tree.

    Args:
        text: A module or the source of one cell.
        first: The first of these lines, from 1; all above it stays as it is.
        last: The last of them; None for the last of the text.

    Attributes:
        text: The whole text.
        module: The tree of the lines.
    """

    def __init__(self, text: str, first: int = 1, last: int | None = None) -> None:
        self.text = text
        lines = text.splitlines(keepends=True)
        self._before, self._first = "".join(lines[: first - 1]), first
        self._after = "".join(lines[last:]) if last is not None else ""
        inside = "".join(lines[first - 1 : last])
        self._bytes = inside.encode()
        wrapper = metadata.MetadataWrapper(cst.parse_module(inside), unsafe_skip_copy=True)
        self.module = wrapper.module
        self._spans = wrapper.resolve(metadata.ByteSpanPositionProvider)
        self._children = {node: node.children for node in _all_below(self.module)}
        self._parents = {child: node for node, children in self._children.items() for child in children}
        self._lines = [0, *(place + 1 for place, byte in enumerate(self._bytes) if byte == ord("\n"))]

    def code(self, node: cst.CSTNode) -> str:
        """Return the text of a node, as it stands there if it comes from there, within its brackets if it has any."""
        if node not in self._spans:
            return self.module.code_for_node(node)
        span = self._spans[node]
        text = self._bytes[span.start : span.start + span.length].decode()
        return f"({text})" if getattr(node, "lpar", ()) else text

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """Return the node around one; None around the module."""
        return self._parents.get(node)

    def around(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the nodes around one, the nearest first."""
        above = self.parent(node)
        while above is not None:
            yield above
            above = self.parent(above)

    def place_of(self, node: cst.CSTNode) -> tuple[int, int]:
        """Return the line and column where a node begins."""
        start = self._spans[node].start
        line = bisect.bisect_right(self._lines, start)
        return line + self._first - 1, len(self._bytes[self._lines[line - 1] : start].decode())

    def changed(self, change: CodeChange) -> str:
        """Return the whole text with a change made."""
        first, last = self._spans[change.node], self._spans[change.last or change.node]
        before, after = self._bytes[: first.start], self._bytes[last.start + last.length :]
        return self._before + (before + change.text.encode() + after).decode() + self._after

    def nodes(self, top: cst.CSTNode | None = None) -> Iterator[cst.CSTNode]:
        """Yield a node and all below it, in the order of the text; documentation and decorators are left out."""
        node = self.module if top is None else top
        if not is_documentation(node) and not isinstance(node, cst.Decorator):
            yield node
            for child in self._children[node]:
                yield from self.nodes(child)

    def function_around(self, node: cst.CSTNode) -> cst.FunctionDef | None:
        """Return the function that a node stands in."""
        return next((above for above in self.around(node) if isinstance(above, cst.FunctionDef)), None)

    def is_read(self, node: cst.CSTNode) -> bool:
        """Whether a node is a value, and no target, parameter, annotation, callee or name of an attribute."""
        above = self.parent(node)
        if isinstance(above, cst.Call):
            return above.func is not node
        if isinstance(above, cst.Arg):
            return above.value is node
        if isinstance(above, cst.Attribute | cst.Annotation | cst.Param | cst.AssignTarget | cst.ImportAlias):
            return isinstance(above, cst.Param) and above.default is node
        if isinstance(above, cst.CompFor | cst.For):
            return above.target is not node
        if isinstance(above, cst.Element | cst.StarredElement):
            outside = self.parent(above)
            return outside is not None and self.is_read(outside)
        named = (cst.FunctionDef, cst.ClassDef, cst.Decorator, cst.Module, cst.ImportFrom, cst.NameItem)
        return not isinstance(above, named)


@dataclass(frozen=True)
class Operator:
    """One way to write a wrong answer.

    Attributes:
        find: Yields the changes that it can make at one node.
    """

    name: str
    find: Callable[[cst.CSTNode, SourceText], Iterator[CodeChange]]


class Operators:
    """Operators by name, in the order in which they were added."""

    def __init__(self) -> None:
        self._known: dict[str, Operator] = {}

    def add(self, name: str) -> Callable[[Finder], Finder]:
        """Return a decorator that adds a function under a name."""

        def added(find: Finder) -> Finder:
            self._known[name] = Operator(name, find)
            return find

        return added

    @property
    def by_name(self) -> Mapping[str, Operator]:
        """The operators by name."""
        return dict(self._known)


Finder = Callable[[cst.CSTNode, SourceText], Iterator[CodeChange]]


def _all_below(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    yield node
    for child in node.children:
        yield from _all_below(child)


def is_documentation(node: cst.CSTNode) -> bool:
    """Whether a statement is nothing but a text."""
    if not isinstance(node, cst.SimpleStatementLine) or len(node.body) != 1:
        return False
    statement = node.body[0]
    return isinstance(statement, cst.Expr) and isinstance(statement.value, cst.SimpleString | cst.ConcatenatedString)


def called(node: cst.CSTNode) -> str:
    """Return the last name of what a call calls, such as `Dense` of `keras.layers.Dense`; empty if it is no name."""
    if not isinstance(node, cst.Call):
        return ""
    if isinstance(node.func, cst.Attribute):
        return node.func.attr.value
    return node.func.value if isinstance(node.func, cst.Name) else ""


def keyword_of(argument: cst.Arg) -> str:
    """Return the keyword of an argument; empty if it stands by its place."""
    return argument.keyword.value if argument.keyword is not None else ""


def with_argument(source: SourceText, call: cst.Call, text: str) -> str:
    """Return the text of a call with an argument more, in place of one of the same keyword."""
    keyword = text.partition("=")[0]
    kept = [
        source.code(argument.with_changes(comma=cst.MaybeSentinel.DEFAULT))
        for argument in call.args
        if keyword_of(argument) != keyword
    ]
    return f"{source.code(call.func)}({', '.join([*kept, text])})"


def argument(call: cst.Call, place: int, keyword: str) -> cst.Arg | None:
    """Return the argument that stands at a place or under a keyword."""
    for index, given in enumerate(call.args):
        if keyword_of(given) == keyword or (index == place and not keyword_of(given) and not given.star):
            return given
    return None
