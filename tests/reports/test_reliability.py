"""Reliability, against figures worked out by hand and classes of which it is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from autograder.reports.reliability import alpha, reliability_of_checks, reliability_of_tasks
from tests.made_class import made_class
from tests.reports.test_item_analysis import class_of


def test_alpha_by_hand() -> None:
    table = np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])  # variances 2/9 and 2/9, of the totals 2/3
    assert alpha(table) == pytest.approx(2 * (1 - (4 / 9) / (2 / 3)))
    assert alpha(np.repeat(table[:, :1], 5, axis=1)) == pytest.approx(1.0)


@pytest.mark.parametrize("table", [np.zeros((0, 3)), np.ones((9, 3)), np.array([[1.0], [0.0]])])
def test_alpha_needs_items_and_students_that_differ(table: Any) -> None:
    assert alpha(table) is None


def test_independent_checks_have_no_reliability() -> None:
    letters = np.random.default_rng(1).choice(["p", "f"], size=(200, 6))
    found = reliability_of_checks(class_of(["".join(row) for row in letters]))
    assert found is not None
    assert found.low < 0 < found.high
    assert (found.items, found.students) == (6, 200)


def test_students_without_a_verdict_in_a_check_are_left_out() -> None:
    found = reliability_of_checks(class_of(["pp", "pf", "ff"] * 5 + ["ep", "sp"]))
    assert found is not None
    assert found.students == 15
    assert reliability_of_checks(class_of(["pp", "pf", "ff"])) is None


def test_a_large_class_has_an_interval_around_its_reliability() -> None:
    marks, _ = made_class(120)
    results = [student.result for student in marks.students if student.result]
    for found in (reliability_of_checks(results), reliability_of_tasks(results)):
        assert found is not None
        assert found.low < found.value < found.high <= 1
    assert reliability_of_tasks(results) == reliability_of_tasks(results)
