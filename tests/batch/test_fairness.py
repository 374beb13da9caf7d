"""Honest submissions beside ones that take all they can."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.fairness import HOGS, Marks, measure


@pytest.mark.slow
def test_nobody_loses_marks_to_what_runs_beside(tmp_path: Path) -> None:
    (run,) = measure(tmp_path / "course", submissions=5, times=1, jobs=2)
    assert len(run.honest) == 5
    assert len(run.hogs) == len(HOGS)
    assert run.unfair(full=72) == {}


def test_who_has_no_result_or_fewer_points_is_unfairly_treated() -> None:
    run = Marks({"ana": 72.0, "ben": 14.0, "cem": None}, {"hog": 0.0})
    assert run.unfair(72.0) == {"ben": 14.0, "cem": None}
