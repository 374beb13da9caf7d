"""Agreement of two markers: kappa is scikit-learn's, and the report shows it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime

import pytest
from sklearn.metrics import cohen_kappa_score

from autograder.marks import SecondMark
from autograder.reports.agreement import agreements, weighted_kappa
from autograder.reports.class_report import render_report
from autograder.reports.report_page import report_page
from tests.made_class import made_class
from tests.page_text import Page


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_scikit_learn(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311 (no secret)
    first = [draw.randrange(5) for _ in range(40)]
    second = [mark if draw.random() < 0.7 else draw.randrange(5) for mark in first]
    expected = cohen_kappa_score(first, second, weights="quadratic")
    pairs = [(points / 2, other / 2) for points, other in zip(first, second, strict=True)]
    assert weighted_kappa(pairs) == pytest.approx(expected)


def test_kappa_is_1_for_the_same_marks_and_not_defined_where_all_are_equal() -> None:
    assert weighted_kappa([(0.0, 0.0), (2.0, 2.0)]) == 1
    assert weighted_kappa([(2.0, 2.0), (2.0, 2.0)]) is None


def test_the_report_shows_agreement_of_questions_that_were_read_twice() -> None:
    marks, pairs = made_class(12)
    second = [SecondMark("question_02", float(number % 3), 2.0) for number in range(12)]
    (found,) = agreements(second, list(marks.points))
    assert (found.question, found.read, found.same, found.difference) == ("question_02", 12, 4, 1.0)
    assert "talk about the rubric" in found.remark
    page = report_page(replace(marks, second=tuple(second)), pairs, datetime(2030, 1, 1))
    said = " ".join(" ".join(Page(render_report(page)).words).split())
    assert "Agreement of two markers" in said and "Question 2 12 4 1 0 talk" in said
    without = render_report(report_page(marks, pairs, datetime(2030, 1, 1)))
    assert "Agreement of two markers" not in without
