"""Reliability: would the same class come out in the same order with other items of the same kind?

Reference:
    Kuder and Richardson 1937, "The Theory of the Estimation of Test Reliability", formula 20; Cronbach 1951,
    "Coefficient Alpha and the Internal Structure of Tests". Of passed and failed, the two are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autograder.results import SubmissionResult

Floats = NDArray[np.float64]
FEWEST_STUDENTS = 10
"""With fewer, the interval is as wide as the scale."""
DRAWS = 1000
INTERVAL = (2.5, 97.5)
"""Percentiles of the bootstrap that bound the interval."""


@dataclass(frozen=True)
class Reliability:
    """How far marks can be relied on: 1 where all items order a class alike, 0 where they have nothing in common.

    Attributes:
        low: Lower bound of the 95 % interval.
        high: Its upper bound.
        items: Checks or tasks that it is over.
        students: Students that it is over: those with a pass or a fail in every item.
    """

    value: float
    low: float
    high: float
    items: int
    students: int


def reliability_of_checks(results: Sequence[SubmissionResult]) -> Reliability | None:
    """Return KR-20 over all checks, each passed or failed; None for a class that is too small or all alike."""
    rows = [
        {
            check.id: {"passed": 1.0, "failed": 0.0}.get(check.outcome, np.nan)
            for task in result.tasks
            for check in task.checks
        }
        for result in results
        if not result.is_unreadable
    ]
    return _reliability(rows)


def reliability_of_tasks(results: Sequence[SubmissionResult]) -> Reliability | None:
    """Return Cronbach's alpha over the points of the tasks; None for a class that is too small or all alike."""
    rows = [
        {task.id: np.nan if task.held else task.score for task in result.tasks}
        for result in results
        if not result.is_unreadable
    ]
    return _reliability(rows)


def _reliability(rows: Sequence[dict[str, float]]) -> Reliability | None:
    """Return alpha with a bootstrap interval over the students who have all items."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = np.array([[row.get(name, np.nan) for name in names] for row in rows]).reshape(len(rows), len(names))
    table = table[~np.isnan(table).any(axis=1)]
    value = alpha(table)
    if value is None or len(table) < FEWEST_STUDENTS:
        return None
    rng = np.random.default_rng(0)  # the same report from the same class
    drawn = (alpha(table[rng.integers(0, len(table), len(table))]) for _ in range(DRAWS))
    low, high = np.percentile([other for other in drawn if other is not None], INTERVAL)
    return Reliability(value, float(low), float(high), len(names), len(table))


def alpha(table: Floats) -> float | None:
    """Return Cronbach's alpha of a table; None if it has one item alone, or all students have the same total.

    Args:
        table: Points, (students, items).
    """
    items = table.shape[1]
    spread = table.sum(axis=1).var() if len(table) else 0.0
    if items < 2 or spread <= 0:
        return None
    return float(items / (items - 1) * (1 - table.var(axis=0).sum() / spread))
