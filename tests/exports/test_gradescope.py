"""Gradescope's results.json, held against what the library for its autograders writes."""

from __future__ import annotations

import io
import json
import unittest
from pathlib import Path
from typing import Any

import pytest
from better_gradescope_utils.autograder_utils.decorators import number, tags, weight
from better_gradescope_utils.autograder_utils.json_test_runner import JSONTestRunner

from autograder.exports.formats import export, write_export
from autograder.exports.gradescope import gradescope_results
from autograder.marks import ClassMarks, Person, StudentMarks
from tests.made_class import made_class
from tests.one_student import one_student


def written_by_gradescopes_library() -> dict[str, Any]:
    """What the library for Gradescope's autograders writes: a passed and a failed test."""

    class Sample(unittest.TestCase):
        def test_passes(self) -> None:
            """Passes."""

        def test_fails(self) -> None:
            """Fails."""
            self.fail("no")

    tags("a")(number("1")(weight(2)(Sample.test_passes)))
    number("2")(weight(3)(Sample.test_fails))
    stream = io.StringIO()
    JSONTestRunner(stream=stream, stdout_visibility="hidden").run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Sample)
    )
    written: dict[str, Any] = json.loads(stream.getvalue())
    return written


def kind_of(value: object) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_gradescope_results_have_the_shape_that_its_library_writes() -> None:
    theirs, ours = written_by_gradescopes_library(), json.loads(gradescope_results(*of(one_student())))
    theirs["execution_time"] = float(theirs["execution_time"])  # a text there, a number in the specification
    documented = {"output": "", "output_format": ""}
    assert {name: kind_of(value) for name, value in ours.items()}.items() <= {
        name: kind_of(value) for name, value in (theirs | documented).items()
    }.items()
    known = {name: kind_of(value) for test in theirs["tests"] for name, value in test.items()}
    for test in ours["tests"]:
        assert {name: kind_of(value) for name, value in test.items()}.items() <= known.items()
        assert test["status"] in {"passed", "failed"}


def of(marks: ClassMarks) -> tuple[ClassMarks, StudentMarks]:
    return marks, marks.students[0]


def test_gradescope_tests_add_up_to_the_score_with_the_penalty() -> None:
    marks, _ = made_class(40)
    for student in marks.students:
        if student.submitted:
            record = json.loads(gradescope_results(marks, student))
            assert record["score"] == student.total
            assert sum(test["score"] for test in record["tests"]) == pytest.approx(student.total)
            assert sum(test["max_score"] for test in record["tests"]) == marks.max_score


@pytest.mark.parametrize("name", ["..", "../../up", "a/b", "a\\b"])
def test_gradescope_files_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    (path,) = write_export(export(one_student(person=Person(name)), "gradescope"), tmp_path)
    assert path.resolve().parents[2] == tmp_path.resolve()


def test_gradescope_tells_reasons_and_what_waits() -> None:
    double, total, question, late = json.loads(gradescope_results(*of(one_student())))["tests"]
    assert "double is <b>wrong</b>" in double["output"]
    assert (double["status"], total["status"]) == ("failed", "passed")
    assert question["output"] == "Marked by hand.\nWaiting for a person to look at it."
    assert (late["name"], late["score"]) == ("Late penalty", -0.5)
