"""The gate: whatever students must not get is found in a release."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.errors import AssignmentError, ReleaseRefused
from autograder.release.leaks import find_leaks
from autograder.release.build import build, stale_files
from autograder.release.publish import release
from autograder.results import SubmissionResult
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse, tiny_result


def problems_of(course: TinyCourse, release_dir: Path) -> list[str]:
    """What the gate says of a release folder."""
    return find_leaks(course.assignment, release_dir)


def test_gate_finds_a_solution_in_a_given_module(released_course: TinyCourse) -> None:
    for folder in ("solutions", "source", "release"):
        (released_course.root / folder / "tiny/tools.py").write_text("def f(x):\n    return twice_of_everything\n")
    (found,) = problems_of(released_course, released_course.assignment.release_dir)
    assert found.startswith("tools.py: a line of the solution in utilities.py is in it")


def test_gate_has_nothing_to_say_of_a_fair_release(released_course: TinyCourse) -> None:
    assert problems_of(released_course, released_course.assignment.release_dir) == []


@pytest.mark.parametrize(
    ("file", "planted", "problem"),
    [
        ("utilities.py", "return twice_of_everything", "utilities.py: a line of the solution in utilities.py"),
        ("utilities.py", "total = sum(range(size))", "utilities.py: a line of the solution in tiny.ipynb"),
        ("images/dot.txt", "  twice_of_everything = 2.0 * x", "a line of the solution in utilities.py"),
        ("tiny.ipynb", "total = sum(range(size))", "tiny.ipynb: a line of the solution in tiny.ipynb"),
        ("tiny.ipynb", "twice_of_everything = 2.0 * x", "tiny.ipynb: a line of the solution in utilities.py"),
        ("new.md", "Doubling is multiplying by two, which costs one operation per element.", "in tiny.ipynb"),
        ("tiny.ipynb", 'require(student.variable("total") == 499500, "", None)', "number from a hidden check"),
        ("utilities.py", "    numbers = rng.normal(size=(3, 5)).astype(np.float32)", "a line of a hidden check"),
        ("tiny.ipynb", "The answer is 1,234,567.", "a number from a hidden check is in it: 1234567."),
        ("utilities.py", "### BEGIN SOLUTION", "the marker 'BEGIN SOLUTION' is left"),
        ("tiny.ipynb", "=== BEGIN MARK SCHEME ===", "the marker 'MARK SCHEME' is left"),
        ("test_double.py", "", "has the name of a hidden check"),
        ("deep/tasks.toml", "", "has the name of a hidden check"),
        ("check.py", "    twice_of_everything = 2.0 * x", "check.py: a line of the solution in utilities.py"),
    ],
)
def test_gate_finds_what_was_planted(released_course: TinyCourse, file: str, planted: str, problem: str) -> None:
    folder = released_course.assignment.release_dir
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    if file == "tiny.ipynb":
        notebook = json.loads(path.read_text())
        notebook["cells"][0]["source"] = ["harmless\n", planted]
        path.write_text(json.dumps(notebook))
    else:
        path.write_text((path.read_text() if path.exists() else "") + planted + "\n")
    found = problems_of(released_course, folder)
    assert any(problem in sentence for sentence in found), found


def test_gate_finds_a_long_line_of_a_check_even_where_the_sources_show_it(released_course: TinyCourse) -> None:
    line = "numbers = rng.normal(size=(3, 5)).astype(np.float32)"
    for folder in ("solutions", "release"):
        path = released_course.root / folder / "tiny/utilities.py"
        path.write_text(path.read_text() + line + "\n")
    assert "a line of a hidden check" in problems_of(released_course, released_course.assignment.release_dir)[0]


def test_gate_knows_the_folders_below_the_checks(released_course: TinyCourse) -> None:
    course = released_course
    hidden = course.assignment.checks_dir / "readings/parts.py"
    hidden.parent.mkdir()
    hidden.write_text("halves_of_the_whole = whole.reshape(2, 3, 5).sum(axis=(1, 2))\n")
    (course.assignment.release_dir / "parts.py").write_text(hidden.read_text())
    found = problems_of(course, course.assignment.release_dir)
    assert any("a line of a hidden check" in sentence for sentence in found), found
    assert any("has the name of a hidden check" in sentence for sentence in found), found


def test_gate_finds_outputs(released_course: TinyCourse) -> None:
    path = released_course.root / "release/tiny/tiny.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42"}]
    path.write_text(json.dumps(notebook))
    found = problems_of(released_course, path.parent)
    assert found == ["tiny.ipynb: the cell 'parameters' has outputs or has been run."]


def test_gate_finds_a_rubric(released_course: TinyCourse) -> None:
    path = released_course.root / "release/tiny/tiny.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][-1]["metadata"]["autograder"] = {"rubric": []}
    path.write_text(json.dumps(notebook))
    assert problems_of(released_course, path.parent) == ["tiny.ipynb: the cell 'question-01' has a rubric in its metadata."]
