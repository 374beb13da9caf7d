"""What the course gives is the course's, whatever was handed in under the same names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.student_side.given_modules import Given, StudentsModule

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


def completed(given: Given, text: str) -> StudentsModule:
    """A student's module once the given ones complete it."""
    module = StudentsModule("utilities")
    exec(text, vars(module))  # noqa: S102 - our own text
    given.complete(module)
    return module


def test_imports_find_the_courses_module(given: Given) -> None:
    tools = importlib.import_module("handed_tools")
    assert tools.show() == "the course"
    assert importlib.reload(tools).show() == "the course"


@pytest.mark.parametrize("module", ["", "from handed_tools import show", "def show():\n    return 'the student'"])
def test_given_functions_are_the_courses(given: Given, module: str) -> None:
    assert completed(given, module).show() == "the course"


OWN = """
SIZE = 4

def written(x):
    return x + 1

def complete(x):
    return None

def show():
    return "the student"

def uses():
    return show(), complete(1)
"""


def test_what_students_write_stays_theirs(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    module = completed(given, OWN)
    assert module.SIZE == 4
    assert module.written(1) == 2
    assert module.complete(1) == 4  # the released function, which calls the student's part
    assert module.complete(1, times=3) == 6
    assert module.uses() == ("the student", None)  # as in Jupyter, where nothing replaces it
    monkeypatch.setitem(sys.modules, "utilities", module)
    cell: dict[str, Any] = {}
    exec("from utilities import *\nimport utilities", cell)  # noqa: S102 - our own text
    assert cell["show"]() == cell["utilities"].show() == "the course"


def test_parts_that_are_missing_come_as_stubs(given: Given) -> None:
    module = completed(given, "def uses():\n    return complete(1)\n")
    assert module.SIZE == 3
    with pytest.raises(NotImplementedError, match="written is not written yet"):
        module.uses()
