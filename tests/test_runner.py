"""Running one task's checks: what is said where they cannot be run, and what is not run with them."""

from __future__ import annotations

from typing import NoReturn

import pytest

from autograder.checking import Student
from autograder.errors import AssignmentError
from autograder.runner import run_checks
from tests.tiny import TinyCourse


def unasked(*question: object) -> NoReturn:
    """Stand in for a student process where nothing may be asked."""
    raise AssertionError(question)


STUDENT = Student(unasked, unasked, 0)


def test_a_check_file_that_cannot_be_imported_is_told_shortly(tiny_course: TinyCourse) -> None:
    task = tiny_course.assignment.task("double")
    task.checks.write_text("import pytest\n\nvalue = misspelt\n")
    with pytest.raises(AssignmentError, match="NameError: name 'misspelt' is not defined") as raised:
        run_checks(task, STUDENT, b"seed")
    assert "test_double.py:3" in str(raised.value)
    assert "pluggy" not in str(raised.value)


def test_a_conftest_above_the_checks_is_not_run(tiny_course: TinyCourse) -> None:
    task = tiny_course.assignment.task("double")
    task.checks.write_text("def test_nothing():\n    pass\n")
    for folder in task.checks.parents[1:4]:
        (folder / "conftest.py").write_text("raise SystemExit('a stranger')\n")
    (task.checks.parent / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef ours():\n    raise ValueError('ours')\n"
    )
    (check,) = run_checks(task, STUDENT, b"seed")
    assert check.message == "ValueError: ours"
