"""What the grader is told of an exception."""

from __future__ import annotations

from typing import Any

import pytest

from autograder.student_side.error_places import LONGEST_MESSAGE, describe_error

SUBMISSION = "/submission"


def raised_by(source: str, file: str = f"{SUBMISSION}/utilities.py") -> BaseException:
    """Return what this source raises when it is run as a file."""
    names: dict[str, Any] = {"hidden": compile("def hidden():\n    raise ValueError('wrong')\n", "reference", "exec")}
    try:
        exec(compile(source, file, "exec"), names)  # noqa: S102 - our own text
    except BaseException as error:
        return error
    raise AssertionError(source)


@pytest.mark.parametrize(
    ("source", "file", "place", "line"),
    [
        ("x = 1\n\ndef f():\n    return 1 / 0\n\nf()\n", f"{SUBMISSION}/utilities.py", "utilities.py, in f", 4),
        ("x = 1\nraise KeyError(x)\n", "cell total_answer", "cell total_answer, in <module>", 2),
        ("exec(hidden)\n\nhidden()\n", f"{SUBMISSION}/utilities.py", "utilities.py, in <module>", 3),
        ("def f(:\n", f"{SUBMISSION}/utilities.py", "utilities.py", 1),
        ("raise KeyError\n", "/elsewhere/library.py", "", 0),
    ],
)
def test_the_innermost_line_of_the_students_own_text_is_named(source: str, file: str, place: str, line: int) -> None:
    told = describe_error(7, raised_by(source, file), SUBMISSION)
    assert (told.id, told.place, told.line) == (7, place, line)


def test_a_name_error_says_which_name_is_missing() -> None:
    told = describe_error(1, raised_by("total\n"), SUBMISSION)
    assert (told.exception, told.missing) == ("NameError", "total")
    assert describe_error(1, raised_by("1 / 0\n"), SUBMISSION).missing == ""


@pytest.mark.parametrize("name", ["None", "3", "['a']", f"'x' * {2 * LONGEST_MESSAGE}"])
def test_a_forged_name_is_bounded_text(name: str) -> None:
    told = describe_error(1, raised_by(f"raise NameError('no', name={name})\n"), SUBMISSION)
    assert isinstance(told.missing, str)
    assert len(told.missing) <= LONGEST_MESSAGE


def test_a_name_that_cannot_be_read_is_none() -> None:
    class Forged(NameError):
        name = property(lambda self: 1 / 0)

    assert describe_error(1, Forged("no"), SUBMISSION).missing == ""


def test_an_exception_without_text_and_one_with_too_much() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise OSError

    assert describe_error(1, Mute(), SUBMISSION).message == ""
    assert len(describe_error(1, ValueError("x" * 5000), SUBMISSION).message) == LONGEST_MESSAGE
