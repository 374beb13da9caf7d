"""What is graded is what is recorded, whatever happens to the folder meanwhile."""

from __future__ import annotations

import json

import msgspec
import pytest

from autograder.batch import local_workers
from autograder.cli import main as cli
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.results import Submission, SubmissionResult
from tests.tiny import TinyCourse, scores, tiny_result

FIRST, SECOND = "first = 1\n", "second = 2\n"


def notebook_of(course: TinyCourse, answer: str) -> bytes:
    """The released notebook with an answer in it."""
    notebook = course.released_notebook()
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer":
            cell["source"] = answer
    return json.dumps(notebook).encode()


def recorded(course: TinyCourse) -> tuple[float, str, str]:
    """The score of `double`, the answer in the recorded notebook, and the recorded module."""
    folder = course.root / "autograded/ada/tiny"
    cells = json.loads((folder / "tiny.ipynb").read_text())["cells"]
    answer = next(cell for cell in cells if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer")
    score = scores(course.course, course.assignment)["ada"]["double"]
    return score, "".join(answer["source"]), (folder / "utilities.py").read_text()


def grade(course: TinyCourse) -> int:
    return cli.main(["grade", "--assignment", "tiny", "--jobs", "1", "--quiet", "--course", str(course.root)])


def test_a_submission_replaced_while_it_is_graded_is_recorded_as_it_was_graded(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    course.hand_in("ada", notebook_of(course, FIRST), FIRST)
    graded: list[Snapshot] = []

    def grade_and_replace(
        course_given: Course, name: str, student: str, snapshot: Snapshot, **kwargs: object
    ) -> SubmissionResult:
        """Stands in for grading, between reading and recording: 1 point for the first hand-in, 3 for the second."""
        graded.append(snapshot)
        course.hand_in("ada", notebook_of(course, SECOND), SECOND)
        points = 1.0 if snapshot.module_bytes == FIRST.encode() else 3.0
        return msgspec.structs.replace(tiny_result(double=points), submission=Submission(digest=snapshot.digest))

    monkeypatch.setattr(local_workers, "grade_here", grade_and_replace)
    assert grade(course) == 0
    assert recorded(course) == (1.0, FIRST, FIRST)
    assert "handed in again while they were graded: ada" in capsys.readouterr().err
    assert grade(course) == 0
    assert recorded(course) == (3.0, SECOND, SECOND)
    assert "handed in again" not in capsys.readouterr().err
    assert [snapshot.module_bytes for snapshot in graded] == [FIRST.encode(), SECOND.encode()]
