"""What the grader is told of an exception: its kind, its message, and where in the student's own text it came up."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

from autograder import wire

CELL_FILE = "cell "
"""How the file name of a notebook cell begins, under which it is compiled."""
LONGEST_MESSAGE = 600
MOST_FRAMES = 40
_NODES = re.compile(r"\{\{function_node [^}]*\}\} ?")  # TensorFlow's own names, which tell a student nothing


def describe_error(number: int, error: BaseException, submission: str) -> wire.Raised:
    """Return what the grader is told of an exception.

    Args:
        number: The question's.
        error: The exception.
        submission: Folder of the submission, whose files are the student's.
    """
    place, line = _place_in_submission(error, submission)
    return wire.Raised(
        number,
        exception=type(error).__name__,
        message=_NODES.sub("", _text_of(error))[:LONGEST_MESSAGE],
        missing=_missing_name(error),
        place=place,
        line=line,
    )


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # a student's exception may fail even at that
        return ""


def _missing_name(error: BaseException) -> str:
    """Return the name that a NameError misses; student code may have put anything there."""
    try:
        name = error.name if isinstance(error, NameError) else ""
    except Exception:  # also a property that fails
        return ""
    return name[:LONGEST_MESSAGE] if isinstance(name, str) else ""


def _place_in_submission(error: BaseException, submission: str) -> tuple[str, int]:
    """Return the innermost place and line of the student's own text that the error passed through."""
    if isinstance(error, SyntaxError) and error.filename and _is_students(error.filename, submission):
        return Path(error.filename).name, error.lineno or 0
    frames = traceback.extract_tb(error.__traceback__)[-MOST_FRAMES:]
    for frame in reversed(frames):
        if _is_students(frame.filename, submission):
            return f"{Path(frame.filename).name}, in {frame.name}", frame.lineno or 0
    return "", 0


def _is_students(filename: str, submission: str) -> bool:
    return filename.startswith((submission, CELL_FILE))
