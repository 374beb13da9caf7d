"""A text is run statement by statement, and what it or one of the student's files cannot import costs what uses it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.grading.notebook.cell_process import missing_packages
from autograder.student_side.running import import_files_of, run_text

HELPER = """import no_such_package as nothing
from math import tau

def whole_turn():
    return tau

def plot():
    return nothing.plot()
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files that were handed in are imported from it."""
    for name in ("path", "path_hooks"):
        monkeypatch.setattr(sys, name, list(getattr(sys, name)))
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    import_files_of(str(tmp_path))
    return tmp_path


def test_a_missing_package_in_a_file_costs_what_uses_it(folder: Path) -> None:
    (folder / "turns_of_a_circle.py").write_text(HELPER)
    names: dict[str, Any] = {}
    assert run_text("from turns_of_a_circle import plot, whole_turn\nturn = whole_turn()\n", "cell a", names) == [
        "no_such_package"
    ]
    assert names["turn"] > 6
    with pytest.raises(ModuleNotFoundError, match="No module named 'no_such_package', but your code uses it"):
        names["plot"]()
    assert run_text("import turns_of_a_circle\n", "cell b", names) == []


def test_files_in_folders_are_imported_alike(folder: Path) -> None:
    package = folder / "geometry_of_mine"
    package.mkdir()
    (package / "__init__.py").write_text("from .circles import whole_turn\n")
    (package / "circles.py").write_text(HELPER)
    names: dict[str, Any] = {}
    assert run_text("from geometry_of_mine import whole_turn\n", "cell a", names) == ["no_such_package"]
    assert names["whole_turn"]() > 6


def test_two_files_that_import_each_other_are_not_called_a_missing_package(folder: Path) -> None:
    (folder / "one_of_two.py").write_text("from other_of_two import b\na = 1\n")
    (folder / "other_of_two.py").write_text("from one_of_two import a\nb = 2\n")
    names: dict[str, Any] = {}
    lacking = run_text("from one_of_two import a\nfrom other_of_two import b\n", "cell a", names)
    assert (lacking, names["a"], names["b"]) == (["one_of_two:a"], 1, 2)
    assert missing_packages(tuple(lacking), "your utilities.py") == [
        "`a`, which your utilities.py imports, could not be imported: `one_of_two` has no such name, or two files "
        "import each other. What does not use it is graded."
    ]


def test_what_raises_in_a_file_is_raised_where_it_is_imported(folder: Path) -> None:
    (folder / "broken_file.py").write_text("x = 1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        run_text("import broken_file\n", "cell a", {})


@pytest.mark.parametrize("found", ["text", (1, "a b", "x" * 61, "a:b:c", "../etc", ""), None])
def test_what_a_process_says_may_be_anything(found: object) -> None:
    assert missing_packages(found, "a cell") == []
