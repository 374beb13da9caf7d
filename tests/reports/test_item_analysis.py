"""Item analysis: difficulty and discrimination as test theory has them, against figures worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autograder.marks import ClassMarks, Mark, Person, StudentMarks
from autograder.reports.item_analysis import check_figures, misconceptions, task_figures
from autograder.results import CheckResult, Environment, Outcome, Submission, SubmissionResult, TaskResult
from tests.made_class import CHECKS, TASKS, made_class


def result(outcomes: dict[str, Outcome], weights: dict[str, float] | None = None) -> SubmissionResult:
    """A result with one task `a` and these checks."""
    checks = tuple(
        CheckResult(id=f"a::{name}", outcome=outcome, weight=(weights or {}).get(name, 1.0), message="no")
        for name, outcome in outcomes.items()
    )
    task = TaskResult(id="a", score=0.0, max_score=4.0, checks=checks)
    environment = Environment(tensorflow="", device="cpu", sandbox=())
    return SubmissionResult(
        assignment="x",
        submission=Submission(digest=""),
        score=0.0,
        max_score=4.0,
        environment=environment,
        tasks=(task,),
    )


def class_of(rows: list[str]) -> list[SubmissionResult]:
    """One student a text; a letter a check: p passed, f failed, e error, s skipped."""
    words: dict[str, Outcome] = {"p": "passed", "f": "failed", "e": "error", "s": "skipped"}
    return [result({f"c{n}": words[letter] for n, letter in enumerate(row)}) for row in rows]


def test_difficulty_and_discrimination_by_hand() -> None:
    figures = {figure.id: figure for figure in check_figures(class_of(["pppp", "pppf", "ppff", "pfff", "ffff"]))}
    assert [figures[f"a::c{n}"].difficulty for n in range(4)] == [0.8, 0.6, 0.4, 0.2]
    passed, rest = [1, 1, 0, 0, 0], [1, 2 / 3, 2 / 3, 1 / 3, 0]  # check c2, and the share of c0, c1 and c3
    assert figures["a::c2"].discrimination == pytest.approx(np.corrcoef(passed, rest)[0, 1])


def test_a_check_that_only_weak_students_pass_is_remarked() -> None:
    figures = check_figures(class_of(["ppf", "ppf", "pff", "ffp", "ffp", "ffp"]))
    assert figures[2].discrimination is not None
    assert figures[2].discrimination < -0.8
    assert figures[2].remark == "strong students fail it more often"


def test_weights_count_in_the_rest() -> None:
    rows = [("p", "p", "f"), ("p", "f", "p"), ("f", "p", "f"), ("f", "f", "p"), ("p", "p", "f")]
    words: dict[str, Outcome] = {"p": "passed", "f": "failed"}
    weights = {"b": 9.0, "c": 1.0}
    results = [result({n: words[x] for n, x in zip("abc", row, strict=True)}, weights) for row in rows]
    rest = [0.9, 0.1, 0.9, 0.1, 0.9]
    assert check_figures(results)[0].discrimination == pytest.approx(np.corrcoef([1, 1, 0, 0, 1], rest)[0, 1])


def test_errors_and_skips_count_neither_way() -> None:
    first, second = check_figures(class_of(["ep", "sp", "pp", "fp"]))
    assert (first.difficulty, first.checked, first.errors) == (0.5, 2, 1)
    assert first.remark == "ended in an internal error"
    assert (second.difficulty, second.discrimination, second.remark) == (1.0, None, "nearly all pass")


@pytest.mark.parametrize("rows", [[], ["p"], ["pp", "ff"], ["e", "s"], ["pp"] * 9])
def test_small_and_uniform_classes_have_no_discrimination(rows: list[str]) -> None:
    assert all(figure.discrimination is None for figure in check_figures(class_of(rows)))


def test_an_unreadable_submission_says_nothing_of_checks() -> None:
    refused = CheckResult(id="a::submission", outcome="failed", weight=1.0)
    task = TaskResult(id="a", score=0.0, max_score=4.0, checks=(refused,))
    (good,) = class_of(["pf"])
    unreadable = type(good)(**{name: getattr(good, name) for name in good.__struct_fields__} | {"tasks": (task,)})
    assert (good.is_unreadable, unreadable.is_unreadable) == (False, True)
    assert [(figure.id, figure.checked) for figure in check_figures([good, unreadable])] == [("a::c0", 1), ("a::c1", 1)]


def test_a_large_class_orders_checks_as_they_were_made() -> None:
    marks, _ = made_class(120)
    results = [student.result for student in marks.students if student.result]
    figures = check_figures(results)
    assert [figure.task for figure in figures] == [task for task in TASKS for _ in range(CHECKS)]
    known = [figure.discrimination for figure in figures if figure.discrimination is not None]
    assert min(known) > 0
    assert all(-1 <= value <= 1 for value in known)


def marked(name: str, task: float, question: float | None) -> StudentMarks:
    """A student with one task and one question, which may wait for a person."""
    answer = Mark("q", 2.0, question, by_hand=True, waiting=question is None)
    return StudentMarks(Person(name), tasks={"a": Mark("a", 4.0, task)}, questions={"q": answer}, submitted=True)


def test_tasks_are_counted_over_those_who_handed_in() -> None:
    carried = TaskResult(id="a", score=2.0, max_score=4.0, carried_forward=True)
    (one,) = class_of(["p"])
    graded = type(one)(**{name: getattr(one, name) for name in one.__struct_fields__} | {"tasks": (carried,)})
    students = (
        marked("x", 4.0, 1.0),
        replace(marked("y", 2.0, 0.0), result=graded),
        marked("w", 3.0, None),
        StudentMarks(Person("z")),
    )
    task, question = task_figures(ClassMarks("x", {"a": 4.0, "q": 2.0}, ("a",), students, recorded=True))
    assert (task.mean, task.full, task.zero, task.carried, task.students, task.by_hand) == (3.0, 1, 0, 1, 3, False)
    # an answer that nobody has marked yet is no zero
    assert (question.by_hand, question.zero, question.quartiles[2], question.students) == (True, 1, 0.5, 2)


def test_misconceptions_are_ranked_with_who_has_them() -> None:
    def wrong(*slugs: str) -> SubmissionResult:
        checks = tuple(
            CheckResult(id=f"a::{n}", outcome="failed", weight=1.0, message=f"because {slug}", misconception=slug)
            for n, slug in enumerate(slugs)
        )
        (base,) = class_of(["p"])
        task = TaskResult(id="a", score=0.0, max_score=4.0, checks=checks)
        return type(base)(**{name: getattr(base, name) for name in base.__struct_fields__} | {"tasks": (task,)})

    found = misconceptions(
        {"x": wrong("rare"), "y": wrong("common", "common"), "z": wrong("common+rows_swapped", "common")}
    )
    assert [(mistake.slug, mistake.students) for mistake in found] == [
        ("common", ("y", "z")),
        ("common+rows_swapped", ("z",)),
        ("rare", ("x",)),
    ]
    assert found[1].words == "common or rows swapped"
    assert found[0].checks == ("a::0", "a::1")
    assert found[0].example == "because common"
