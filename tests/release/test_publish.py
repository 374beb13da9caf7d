"""Releases: made by nbgrader whole, and refused when something is wrong with them."""

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
from autograder.release.requirements import HEADING, PYTHON
from autograder.results import SubmissionResult
from tests.release.test_requirements import LOCK
from tests.trees import snapshot
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse, tiny_result


def fair_grade(folder: Path) -> SubmissionResult:
    """Grades by what stands in the files."""
    module = (folder / "utilities.py").read_text()
    notebook = (folder / "tiny.ipynb").read_text()
    return tiny_result(double=3.0 * ("2.0 * x" in module), total=2.0 * ("sum(range(size))" in notebook))


def test_modules_that_the_lab_imports_are_given(tiny_sources: Path) -> None:
    folder = tiny_sources / "solutions/tiny"
    (folder / "tools.py").write_text("import more_tools\n")
    (folder / "more_tools.py").write_text("def show():\n    pass\n")
    (folder / "utilities.py").write_text(TINY_MODULE + "\n\nfrom tools import more_tools\n")
    build(tiny_sources, "tiny")
    assert (tiny_sources / "source/tiny/more_tools.py").read_text() == "def show():\n    pass\n"
    given = load_assignment(tiny_sources, "tiny").given_modules
    assert [path.name for path in given] == ["more_tools.py", "tools.py"]


def test_release_is_what_nbgraders_own_command_makes(tiny_course: TinyCourse) -> None:
    made = release(tiny_course.course, tiny_course.assignment, fair_grade)
    ours = snapshot(made)
    assert set(ours) == {"tiny.ipynb", "utilities.py", "images/dot.txt"}
    shutil.rmtree(made)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = [sys.executable, "-m", "nbgrader", "generate_assignment", "tiny", "--force"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PATH": path}
    subprocess.run(words, cwd=tiny_course.root, env=environment, check=True, capture_output=True)
    assert snapshot(made) == ours


def test_a_release_says_which_python_grades_it(tiny_course: TinyCourse) -> None:
    (tiny_course.root / "requirements.lock").write_text(LOCK)
    module = tiny_course.root / "solutions/tiny/utilities.py"
    module.write_text(module.read_text() + "\nimport pandas\n")
    build(tiny_course.root, "tiny")
    made = release(tiny_course.course, load_assignment(tiny_course.root, "tiny"), fair_grade)
    assert (made / "requirements.txt").read_text() == f"{HEADING}{PYTHON}pandas==3.0.0\n"


def test_release_registers_cells_and_points(tiny_course: TinyCourse) -> None:
    release(tiny_course.course, tiny_course.assignment, fair_grade)
    with Gradebook(f"sqlite:///{tiny_course.root / 'gradebook.db'}") as book:
        cells = {cell.name: cell.max_score for cell in book.find_notebook("tiny", "tiny").grade_cells}
    assert cells == {"double": 3.0, "total": 2.0, "question_01": 2.0}
    assert list((tiny_course.root / ".autograder").iterdir()) == []


def test_release_replaces_the_old_one_whole(released_course: TinyCourse) -> None:
    stale = released_course.root / "release/tiny/stale.txt"
    stale.write_text("old")
    release(released_course.course, released_course.assignment, fair_grade)
    assert not stale.exists()


@pytest.mark.parametrize(
    ("grade", "problem"),
    [
        (lambda folder: tiny_result(double=0.5, total=0.0), "The solutions get 0.5 of 3 points for Doubling."),
        (lambda folder: tiny_result(double=3.0, total=2.0), "The empty release gets 2 points for Adding up."),
        (
            lambda folder: tiny_result(outcome="error"),
            "The checks of Doubling ended in an internal error on the solutions.",
        ),
    ],
)
def test_release_is_refused_when_marks_are_wrong(
    tiny_course: TinyCourse, grade: Callable[[Path], SubmissionResult], problem: str
) -> None:
    with pytest.raises(ReleaseRefused) as refused:
        release(tiny_course.course, tiny_course.assignment, grade)
    assert f"- {problem}" in str(refused.value)
    assert not (tiny_course.root / "release/tiny").exists()
    assert not (tiny_course.root / "gradebook.db").exists()


def test_refusal_keeps_release_and_gradebook(released_course: TinyCourse) -> None:
    root = released_course.root
    before = snapshot(root / "release")
    script = root / "solutions/tiny/tiny.py"
    script.write_text(script.read_text().replace('"points": 2}\n# Hidden', '"points": 4}\n# Hidden'))
    build(root, "tiny")
    database = (root / "gradebook.db").read_bytes()
    with pytest.raises(ReleaseRefused):
        release(read_course(root), load_assignment(root, "tiny"), lambda folder: tiny_result())
    assert snapshot(root / "release") == before
    assert (root / "gradebook.db").read_bytes() == database


def test_release_is_refused_when_the_build_is_stale(tiny_course: TinyCourse) -> None:
    (tiny_course.root / "source/tiny/utilities.py").write_text("x = 1\n")
    with pytest.raises(ReleaseRefused, match=r"(?s)utilities\.py is out of date.*autograder build"):
        release(tiny_course.course, tiny_course.assignment, fair_grade)


def test_release_is_refused_when_a_line_of_a_check_is_in_it(tiny_course: TinyCourse) -> None:
    module = tiny_course.root / "solutions/tiny/utilities.py"
    module.write_text(module.read_text() + "numbers = rng.normal(size=(3, 5)).astype(np.float32)\n")
    build(tiny_course.root, "tiny")
    with pytest.raises(ReleaseRefused, match=r"- utilities\.py: a line of a hidden check is in it: 'numbers = rng"):
        release(tiny_course.course, tiny_course.assignment, fair_grade)
    assert not (tiny_course.root / "gradebook.db").exists()
