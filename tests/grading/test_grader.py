"""Which of several attempts at a task counts: with stand-ins, with alternatives to them, and without any."""

from __future__ import annotations

from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from autograder.course.assignment import Task
from autograder.grading import grader
from autograder.results import CheckResult, TaskResult
from tests.tiny import TinyCourse


class NamedSubmission:
    """Stands in for a live submission; checks see the name of its stand-ins."""

    def __init__(self, case: object, stand_ins: str = "none") -> None:
        self.name = stand_ins

    def __enter__(self) -> NamedSubmission:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Nothing to end."""

    def student(self, task: Task) -> str:
        """Return the name."""
        return self.name


class SetChecks:
    """Stands in for hidden checks: passes as many of two as are set for a submission's name."""

    def __init__(self, passed: dict[str, int]) -> None:
        self.passed = passed
        self.tried: list[str] = []

    def run(self, task: Task, student: str, seed: bytes) -> tuple[CheckResult, ...]:
        """Note that these were tried."""
        self.tried.append(student)
        outcomes = ["passed"] * self.passed[student] + ["failed"] * (2 - self.passed[student])
        return tuple(CheckResult(id=student, outcome=outcome, weight=1.0) for outcome in outcomes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("passed", "tried", "counts"),
    [
        ({"first": 2, "other": 2, "none": 2}, ["first"], "first"),
        ({"first": 1, "other": 2, "none": 2}, ["first", "other"], "other"),
        ({"first": 0, "other": 1, "none": 2}, ["first", "other", "none"], "none"),
        ({"first": 1, "other": 1, "none": 1}, ["first", "other", "none"], "first"),
    ],
)
def test_the_first_of_the_best_attempts_counts(
    tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, passed: dict[str, int], tried: list[str], counts: str
) -> None:
    monkeypatch.setattr(grader, "LiveSubmission", NamedSubmission)
    double, total = tiny_course.assignment.tasks
    case: Any = SimpleNamespace(
        assignment=SimpleNamespace(tasks=[total], task=tiny_course.assignment.task),
        reference=SimpleNamespace(stand_ins_for=lambda wrong: ("first", "other")),
    )
    checks: Any = SetChecks(passed)
    own: Any = NamedSubmission(case)
    result = grader._SubmissionGrading(case, own, checks, b"seed")._grade(total, (double,))
    assert checks.tried == tried
    assert result.checks[0].id == counts
    assert result.carried_forward == (counts != "none")
    assert result.score == passed[counts]


def test_what_is_cached_is_not_run_again(tiny_course: TinyCourse) -> None:
    assignment = tiny_course.assignment
    checks: Any = SetChecks({"none": 2})
    case: Any = SimpleNamespace(assignment=assignment)
    own: Any = NamedSubmission(case)
    known = TaskResult(id="double", score=3.0, max_score=3.0)
    results = grader._SubmissionGrading(case, own, checks, b"seed").grade_all(
        lambda task, wrong: known if task.id == "double" else None
    )
    assert results[0] is known
    assert results[1].score == 2.0
    assert checks.tried == ["none"]
