"""The hidden checks of the notebook's own tasks: right answers pass, each wrong one loses in its own task."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.assignment import load_assignment
from autograder.config import CourseConfig
from autograder.notebook import assemble
from autograder.respondent import Case, Reference, Respondent
from autograder.results import CheckResult
from autograder.runner import run_checks
from autograder.session import Zygote
from autograder.submission import Snapshot
from tests.submissions.notebooks import RIGHT, WRONG, Answer, with_answer

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
ASSIGNMENT = load_assignment(ROOT, "vit")
MODULE = (ROOT / "solutions" / "vit" / "utilities.py").read_bytes()
FIRST_TASKS = ("data_split", "preprocessing")


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    with Zygote(threads=2, preload=ASSIGNMENT.preload) as one:
        yield one


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference.read(ASSIGNMENT)


def checks_of(
    zygote: Zygote, reference: Reference, answer: Answer, task_id: str, replaced: tuple[str, ...] = ()
) -> tuple[CheckResult, ...]:
    """Run one task's checks on a solved submission with one other answer; some tasks may be the reference's."""
    notebook = with_answer(reference.source, answer)
    snapshot = Snapshot({"utilities.py": MODULE, "vit.ipynb": notebook}, "vit.ipynb")
    ends = time.monotonic() + 300
    config = CourseConfig(root=ROOT)
    case = Case(config, ASSIGNMENT, reference, zygote, snapshot, assemble(reference.source, notebook), ends)
    respondent = Respondent(case, tuple(ASSIGNMENT.task(name) for name in replaced))
    try:
        task = ASSIGNMENT.task(task_id)
        return run_checks(task, respondent.student(task), b"a fixed seed")
    finally:
        respondent.close()


def reasons(checks: tuple[CheckResult, ...]) -> list[tuple[str, str]]:
    return [(one.id, one.message) for one in checks if one.outcome != "passed"]


@pytest.mark.parametrize("answer", RIGHT, ids=lambda answer: answer.slug)
def test_right_answers_pass(zygote: Zygote, reference: Reference, answer: Answer) -> None:
    assert reasons(checks_of(zygote, reference, answer, answer.task)) == []


@pytest.mark.parametrize("answer", WRONG, ids=lambda answer: answer.slug)
def test_wrong_answers_lose_points_with_the_reason(zygote: Zygote, reference: Reference, answer: Answer) -> None:
    checks = checks_of(zygote, reference, answer, answer.task)
    failed = [one for one in checks if one.outcome == "failed" and one.message]
    assert failed
    assert {one.outcome for one in checks} <= {"passed", "failed"}
    if answer.misconception:
        named = {slug for one in failed for slug in (one.misconception or "").split("+")}
        assert answer.misconception in named, reasons(checks)
    assert any(answer.says in one.message for one in failed), reasons(checks)


@pytest.mark.parametrize("answer", [one for one in WRONG if one.task == "data_split"], ids=lambda answer: answer.slug)
def test_a_wrong_split_costs_nothing_in_the_preprocessing(zygote: Zygote, reference: Reference, answer: Answer) -> None:
    assert reasons(checks_of(zygote, reference, answer, "preprocessing", replaced=("data_split",))) == []


@pytest.mark.parametrize("slug", ["training-loss-for-one-hot", "training-returns-nothing"])
def test_a_wrong_training_costs_nothing_in_the_footprint(zygote: Zygote, reference: Reference, slug: str) -> None:
    answer = next(one for one in WRONG if one.slug == slug)
    assert reasons(checks_of(zygote, reference, answer, "carbon", replaced=("training",))) == []
