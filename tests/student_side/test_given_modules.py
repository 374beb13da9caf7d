"""What the course gives is the course's, whatever was handed in under the same names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.student_side.given_modules import Given

RELEASED = """
from handed_tools import show, SIZE as SIZE

def written(x):
    raise NotImplementedError("written is not written yet.")

def complete(x, *, times=2):
    return times * written(x)
"""
TOOLS = "SIZE = 3\n\ndef show():\n    return _word()\n\ndef _word():\n    return 'the course'\n"


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Given:
    """The released module and a tool, with another tool of that name in what was handed in."""
    (tmp_path / "handed_tools.py").write_text("def show():\n    return 'the student'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.delitem(sys.modules, "handed_tools", raising=False)
    return Given("utilities", RELEASED, {"handed_tools": TOOLS})


def names_after(given: Given, module: str) -> dict[str, Any]:
    """The names of a student's module once the given ones are put over them."""
    names: dict[str, Any] = {}
    exec(module, names)  # noqa: S102 - our own text
    given.put_over(names)
    return names


def test_imports_find_the_courses_module(given: Given) -> None:
    tools = importlib.import_module("handed_tools")
    assert tools.show() == "the course"
    assert importlib.reload(tools).show() == "the course"


@pytest.mark.parametrize("module", ["", "from handed_tools import show", "def show():\n    return 'the student'"])
def test_given_functions_are_the_courses(given: Given, module: str) -> None:
    names = names_after(given, module)
    assert names["show"]() == "the course"


def test_what_students_write_stays_theirs(given: Given) -> None:
    names = names_after(given, "SIZE = 4\n\ndef written(x):\n    return x + 1\n\ndef complete(x):\n    return None\n")
    assert names["SIZE"] == 4
    assert names["written"](1) == 2
    assert names["complete"](1) == 4  # the released function, which calls the student's part
    assert names["complete"](1, times=3) == 6


def test_parts_that_are_missing_come_as_stubs(given: Given) -> None:
    names = names_after(given, "")
    assert names["SIZE"] == 3
    with pytest.raises(NotImplementedError, match="written is not written yet"):
        names["complete"](1)
