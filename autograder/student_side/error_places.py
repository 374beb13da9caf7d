"""What the grader is told of an exception: its kind, its message, and where in the student's own text it came up."""

from __future__ import annotations

import ast
import linecache
import re
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from autograder import wire
from autograder.student_side.jupyter import Interrupted

CELL_FILE = "cell "
"""How the file name of a notebook cell begins, under which it is compiled."""
LONGEST_MESSAGE = 600
MOST_FRAMES = 40
DEEPEST = 20
"""So many layers in one another are looked through."""
_NODES = re.compile(r"\{\{function_node [^}]*\}\} ?")  # TensorFlow's own names, which tell a student nothing
_NODE = re.compile(r"'\{\{node [^}]*\}\} = (\w+)[^']*'")
_OPERATION = re.compile(r" \[Op:\w+\](?: name: ?)?$")
_WRAPPED = re.compile(
    r"\AException encountered when calling [^\n]*\n\n(.*?)(?:\n\nCall arguments received by .*)?\Z", re.DOTALL
)
"""What Keras puts around the message of an exception in a layer."""
_IN_USER_CODE = re.compile(r"in user code:\n(.*?)\n\n    (\w+): (.*)", re.DOTALL)
"""What AutoGraph puts around it: the lines that it passed through, then kind and message."""
_INDENTED = re.compile(r"^    ", re.MULTILINE)
_USER_LINE = re.compile(r'File "([^"]*)", line (\d+), in (\w+)')
_UNREADABLE = (SyntaxError, ValueError, RecursionError, MemoryError)
_UNDEFINED = re.compile(r"name '(\w+)' is not defined")
_NEW_SYNTAX = {
    r"^\s*type\s+\w+[^=]*=": "3.12",
    r"^\s*(?:async\s+def|def|class)\s+\w+\s*\[": "3.12",
    r"""\b[rR]?[fF][rR]?(?:"[^"]*\{[^}]*"|'[^']*\{[^}]*')""": "3.12",
    r"^\s*except\s+[\w.]+\s*,": "3.14",
    r"""\b[tT](?:"|')""": "3.14",
}
"""Lines that a later Python reads, and from which version on."""


def describe_error(number: int, error: BaseException, folder: str) -> wire.Raised:
    """Return what the grader is told of an exception.

    Args:
        number: The question's.
        error: The exception.
        folder: The working folder, whose files are the student's.
    """
    place, line = _place_in(error, folder)
    kind, text, passed = _unwrapped(type(error).__name__, _text_of(error))
    if remedy := _left_of_the_template(error, folder):
        text = f"{text.rstrip('.')}. {remedy}"
    if not text:
        text = _condition_of(error, folder)
    for file, number_of_line, function in passed:
        if _is_students(file, folder):
            place, line = f"{Path(file).name}, in {function}", int(number_of_line)
    return wire.Raised(
        number,
        exception=kind,
        message=_sendable(_OPERATION.sub("", _NODE.sub(r"\1", _NODES.sub("", text))).strip()[:LONGEST_MESSAGE]),
        missing=_missing_name(error),
        place=place,
        line=line,
        interrupted=isinstance(error, Interrupted),
    )


def _sendable(text: str) -> str:
    """Return a text without halves of characters, which no encoding knows."""
    return text.encode("utf-8", "replace").decode()


def _text_of(error: BaseException) -> str:
    try:
        return (
            f"{error.msg}{_left_by_a_merge(error) or _newer_syntax(error)}"
            if isinstance(error, SyntaxError)
            else str(error)
        )
    except Exception:  # a student's exception may fail even at that
        return ""


def _unwrapped(kind: str, text: str) -> tuple[str, str, list[tuple[str, str, str]]]:
    """Return the kind and the message of an exception without what Keras and AutoGraph put around it.

    With them come the file, line and function of each step. A layer in a layer is wrapped several times, further in
    each time, and what AutoGraph cannot make again is a StagingError.
    """
    passed: list[tuple[str, str, str]] = []
    for _ in range(DEEPEST):
        text = _WRAPPED.sub(r"\1", text)
        in_user_code = _IN_USER_CODE.search(text)
        if not in_user_code:
            break
        passed += _USER_LINE.findall(in_user_code[1])
        kind = in_user_code[2] if kind == "StagingError" else kind
        text = _INDENTED.sub("", in_user_code[3])
    return kind, text, passed


def _condition_of(error: BaseException, folder: str) -> str:
    """Return what a student's own `assert` asks for and does not get; empty if that is not what was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    if not isinstance(error, AssertionError) or not frames or not _is_students(frames[-1].filename, folder):
        return ""
    with suppress(*_UNREADABLE):
        asserts = (node for node in ast.walk(_tree_of(frames[-1].filename)) if isinstance(node, ast.Assert))
        return next(
            (f"`{ast.unparse(node)}` does not hold" for node in asserts if node.lineno == frames[-1].lineno), ""
        )
    return ""


def _left_of_the_template(error: BaseException, folder: str) -> str:
    """Return what to do where the template's `raise NotImplementedError` was left beside what a student wrote."""
    if not isinstance(error, NotImplementedError):
        return ""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_students(frame.filename, folder)]
    with suppress(*_UNREADABLE, IndexError, StopIteration):
        line = frames[-1].lineno or 0
        tree = _tree_of(frames[-1].filename)
        blocks = (block for node in ast.walk(tree) if isinstance(block := getattr(node, "body", None), list))
        above_others = (statement for block in blocks for statement in block[:-1])
        if any(isinstance(part, ast.Raise) and part.lineno == line for part in above_others):
            return "What stands below this line never runs: take the line out"
        parts = [part for part in tree.body if isinstance(part, ast.FunctionDef | ast.ClassDef)]
        stub = next(part for part in parts if part.lineno <= line <= (part.end_lineno or 0))
        if any(part.name == stub.name and part.lineno < stub.lineno for part in parts):
            return f"You define `{stub.name}` above, and this one, which comes later, takes its place: take it out"
    return ""


def _tree_of(file: str) -> ast.Module:
    return ast.parse("".join(linecache.getlines(file)))


def _left_by_a_merge(error: SyntaxError) -> str:
    marked = re.match(r"<{7}|={7}|>{7}", error.text or "")
    return f". A merge left its marks in the text: take out `{marked[0]}` and one of the two versions" if marked else ""


def _newer_syntax(error: SyntaxError) -> str:
    """Return a sentence if a line is wrong only because Python is older here."""
    versions = (version for pattern, version in _NEW_SYNTAX.items() if re.search(pattern, error.text or ""))
    since = next(versions, "")
    if not since or sys.version_info >= tuple(map(int, since.split("."))):
        return ""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    return f". This may be syntax of Python {since}; work is graded with Python {here}"


def _missing_name(error: BaseException) -> str:
    """Return the name that a NameError misses; student code may have put anything there."""
    try:
        name = error.name if isinstance(error, NameError) else ""
    except Exception:  # also a property that fails
        return ""
    if isinstance(error, NameError) and not name:  # Keras makes a new exception, without the name
        found = _UNDEFINED.search(_text_of(error))
        name = found[1] if found else ""
    return name[:LONGEST_MESSAGE] if isinstance(name, str) else ""


def _place_in(error: BaseException, folder: str) -> tuple[str, int]:
    """Return the innermost place and line of the student's own text that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename and _is_students(error.filename, folder):
        return Path(error.filename).name, error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    for frame in reversed(frames):
        if _is_students(frame.filename, folder):
            return f"{Path(frame.filename).name}, in {frame.name}", frame.lineno or 0
    return "", 0


def _is_students(filename: str, folder: str) -> bool:
    return filename.startswith((f"{folder}/", CELL_FILE))
