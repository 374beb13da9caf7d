"""The statements of a notebook's cell, with what only IPython reads taken out.

A student's cells may hold anything: what cannot be parsed has none.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

LONGEST = 40_000
"""Characters of a cell that is looked at: many times what anybody writes into one."""
UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError)
"""What Python's parser raises for one text or another; SystemError, where brackets are too deep for its own count."""
_RUNNING_MAGICS = ("capture", "prun", "time")
"""Magics of IPython that run the code behind them in the notebook's own namespace."""
_CELL_MAGIC = re.compile(r"%%(\w+)[^\n]*")
_LINE_MAGIC = re.compile(rf"(?m)^([ \t]*)%(?:{'|'.join(_RUNNING_MAGICS)})[ \t]+(?=[^\s-])")
_LINE = r"(?:\\\n|[^\n])*"
"""The rest of a line, and those that go on with it behind a backslash."""
_OF_IPYTHON = (
    # Not those that go on with a line above, where a blank stands behind the sign, or more of a comparison.
    (re.compile(rf"(?m)^([ \t]*)(?:%%?[A-Za-z]|![^=\n]|\?){_LINE}"), "pass"),
    (re.compile(r"(?m)^([ \t]*[\w.]+)\?{1,2}[ \t]*$"), ""),
    (re.compile(r"(?m)^([ \t]*)[\w.]*\*[\w.*]*\?{1,2}[ \t]*$"), "pass"),
    (re.compile(rf"(?m)^([\w, \t]*=[ \t]*)(?:%[A-Za-z]|![^=\n]){_LINE}"), "None"),
)
"""Magics, commands and questions, as a line of their own and behind a name; and what takes their place."""
_PICTURE = re.compile(r"""(['"])[A-Za-z0-9+/=\\]{1000,}\1""")
"""A picture, or other data, as text: not among the characters that are looked at."""


def plain_code(source: str) -> str:
    """Return a cell without the magics that only run its code, such as `%%time`; lines keep their numbers.

    IPython drops empty lines at the beginning of a cell, so a comment takes the place of one.
    """
    magic = _CELL_MAGIC.match(source.lstrip("\n"))
    if magic and magic[1] in _RUNNING_MAGICS:
        source = source.replace(magic[0], "#", 1)
    return source if magic and magic[1] not in _RUNNING_MAGICS else _LINE_MAGIC.sub(r"\1", source)


def without_pictures(source: str) -> str:
    """Return a cell with empty texts in place of long ones that hold data."""
    return _PICTURE.sub(r"\1\1", source)


def statements_of(source: str) -> list[ast.stmt]:
    """Return the statements of a cell; none if Python cannot read it, with IPython's own syntax taken out.

    A cell that is text for something else, as by `%%writefile`, has none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for text in _as_python(_code_of(source)):
            with suppress(*UNREADABLE):
                return ast.parse(text).body
    return []


def is_unreadable(source: str) -> bool:
    """Whether a cell is code that Python cannot read."""
    lines = (line.strip() for line in _code_of(source).split("\n"))
    return any(line and not line.startswith("#") for line in lines) and not statements_of(source)


def _code_of(source: str) -> str:
    """Return what is looked at of a cell: nothing if it is text for something else, or far longer than anybody's."""
    code = without_pictures(plain_code(source))
    return "" if len(code) > LONGEST or _CELL_MAGIC.match(code.lstrip("\n")) else code


def _as_python(source: str) -> Iterator[str]:
    """Yield a cell as Python may read it, without IPython's own syntax; each line keeps its number."""
    yield source
    for pattern, text in _OF_IPYTHON:
        source = pattern.sub(partial(_in_its_place, text), source)
    yield source
    first = next((line for line in source.split("\n") if line.strip()), "")
    indent = first[: len(first) - len(first.lstrip())]
    yield "\n".join(line.removeprefix(indent) for line in source.split("\n"))


def _in_its_place(text: str, found: re.Match[str]) -> str:
    """Return a text behind what comes before it, on as many lines as what was found takes."""
    return found[1] + text + "\n" * found[0].count("\n")
