"""A second assignment is two folders and no other change: built, released, graded and recorded beside the first."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from autograder.checking.remote import Student
from autograder.cli.main import main
from autograder.course.assignment import Task, load_assignment
from tests.hidden_checks import run_checks
from tests.tiny import TINY_MODULE, TINY_NOTEBOOK, TinyCourse, scores, tiny_result

HALVE_MODULE = TINY_MODULE.replace("double", "halve").replace("2.0 * x", "x / 2.0").replace("twice", "half")
HALVE_NOTEBOOK = (
    TINY_NOTEBOOK.partition("# %% tags")[0].replace("Doubling", "Halving")
    + """# %% nbgrader={"grade_id": "halve", "grade": true, "locked": true, "points": 4}
# Hidden checks of `halve` run when your work is graded.

# %% [markdown] nbgrader={"grade_id": "question_01", "grade": true, "solution": true, "points": 2}
# ### BEGIN SOLUTION
# Dividing by two moves the exponent and keeps every digit.
#
# *Marking: 1 point for the exponent; 1 point for the digits.*
# ### END SOLUTION
"""
)
HALVE_CHECKS = '''"""Checks of `halve`."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect_array, require


@pytest.mark.check("Every element is halved.")
def test_halves_every_element(student, rng):
    given = rng.normal(size=(4, 7)).astype(np.float32)
    halved = expect_array(student.call("halve", given), (4, 7), "The result")
    require(close(2 * halved, given), "Some elements of the result are not half as large.")
'''


def add_assignment(root: Path) -> None:
    """Add the two folders of the assignment `halves`."""
    files = {
        "solutions/halves/halves.py": HALVE_NOTEBOOK,
        "solutions/halves/utilities.py": HALVE_MODULE,
        "autograder/checks/halves/tasks.toml": '[halve]\nprovides = ["halve"]\n',
        "autograder/checks/halves/test_halve.py": HALVE_CHECKS,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def hand_in(root: Path, student: str, module: str) -> None:
    """Hand in the release with another module."""
    folder = root / "submitted" / student / "halves"
    shutil.copytree(root / "release" / "halves", folder)
    (folder / "utilities.py").write_text(module)


@pytest.mark.slow
def test_two_folders_make_a_second_assignment(released_course: TinyCourse) -> None:
    course, root = released_course, released_course.root
    first = course.hand_in("ada", json.dumps(course.released_notebook()).encode())
    course.record("ada", first, tiny_result(double=2.0, total=1.0))
    words = ["--course", str(root), "--assignment", "halves"]

    add_assignment(root)
    assert main(["build", *words]) == 0
    assert main(["release", *words]) == 0
    hand_in(root, "ada", HALVE_MODULE)
    hand_in(root, "bo", HALVE_MODULE.replace("x / 2.0", "x / 3.0"))
    assert main(["grade", *words, "--json", str(root / "json"), "--jobs", "1"]) == 0
    assert main(["feedback", *words]) == 0

    halves = load_assignment(root, "halves")
    assert scores(course.course, halves) == {
        "ada": {"halve": 4.0, "question_01": 0.0},
        "bo": {"halve": 0.0, "question_01": 0.0},
    }
    assert scores(course.course, course.assignment)["ada"] == {"double": 2.0, "total": 1.0, "question_01": 0.0}
    assert "not half as large" in (root / "feedback/bo/halves/halves.html").read_text()
    assert json.loads((root / "json/ada.json").read_text())["score"] == 4


def test_checks_of_the_same_name_are_told_apart(tmp_path: Path) -> None:
    """Two assignments may have a task of the same name, graded by one process."""

    def sentences(folder: str) -> list[str]:
        checks = tmp_path / folder / "test_half.py"
        checks.parent.mkdir(exist_ok=True)
        text = f'import pytest\n\n\n@pytest.mark.check("That of {folder}.")\ndef test_it(student):\n    pass\n'
        checks.write_text(text)
        task = Task(id="half", title="half", points=1.0, provides=(), answers=(), builds_on=(), checks=checks)
        student = Student(lambda question, seconds: None, lambda variables: None, 1.0)
        return [check.sentence for check in run_checks(task, student, b"seed")]

    assert [sentences("first"), sentences("second"), sentences("first")] == [
        ["That of first."], ["That of second."], ["That of first."],
    ]  # fmt: skip
