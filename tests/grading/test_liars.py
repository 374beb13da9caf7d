"""Liars: whatever is claimed, scores stay below what docs/evidence.md says rests on testimony."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.grading.grader import Grader
from tests.submissions.hostile.liars import points_of, read_liars, submission_of

ROOT = Path(__file__).parents[2]
ASSIGNMENT = load_assignment(ROOT, "vit")
LIARS = read_liars()
MOST = 4.0
"""Points that may rest on testimony, of all together."""


@pytest.fixture(scope="module")
def grader() -> Iterator[Grader]:
    with Grader(read_course(ROOT), ASSIGNMENT, threads=1) as grader:
        yield grader


def test_there_are_many_liars() -> None:
    assert sum(map(len, LIARS.values())) >= 25
    lied_about = {task for liars in LIARS.values() for liar in liars for task in liar.tasks}
    assert lied_about == {task.id for task in ASSIGNMENT.tasks}


def test_all_lies_together_get_few_points() -> None:
    best = {
        task.id: max(liar.marks.get(task.id, 0.0) for liars in LIARS.values() for liar in liars)
        for task in ASSIGNMENT.tasks
    }
    assert sum(best.values()) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("group", LIARS)
def test_liars_get_no_more_than_testimony(grader: Grader, group: str) -> None:
    liars = LIARS[group]
    result = grader.grade(submission_of(liars, ASSIGNMENT.notebook_path.read_bytes(), ASSIGNMENT.name))
    passed = [check.id for task in result.tasks for check in task.checks if check.outcome == "passed"]
    assert {task.id: task.score for task in result.tasks if task.score} == points_of(liars), passed
    assert not result.has_error
