"""Honest submissions beside ones that take all they can; `benchmarks.fairness` does it with the lab, five times."""

from __future__ import annotations

import json

import pytest

from benchmarks.fairness import HOGS, Marks, grade
from tests.submissions.hostile.attacks import notebook
from tests.tiny import TinyCourse

FULL = 5.0
HONEST = 4
WORK = """import time


def double(x):
    began = time.process_time()
    while time.process_time() < began + 1.0:
        pass
    return 2 * x
"""
"""A question to it takes a second of a processor, by itself."""
LIMITS = """
c.Autograder.request_seconds = 2.5
c.Autograder.load_seconds = 2.5
c.Autograder.submission_seconds = 30.0
c.Autograder.memory_mib = 1024
"""
"""A right submission that gets less than half of its processor runs into them."""


@pytest.mark.slow
def test_nobody_loses_marks_to_what_runs_beside(released_course: TinyCourse) -> None:
    course = released_course
    with (course.root / "course_config.py").open("a") as file:
        file.write(LIMITS)
    answered = notebook(json.dumps(course.released_notebook()).encode(), "total = sum(range(size))")
    for number in range(HONEST):
        course.hand_in(f"honest-{number}", answered, f"{WORK}# {number}\n")
    for number, (name, further) in enumerate(HOGS.items()):
        course.hand_in(f"honest-{number}-{name}", answered, WORK + further)  # each begins beside an honest one
    run = grade(course.root, jobs=2, assignment=course.assignment.name)
    assert (len(run.honest), len(run.hogs)) == (HONEST, len(HOGS))
    assert run.unfair(FULL) == {}


def test_who_has_no_result_or_fewer_points_is_unfairly_treated() -> None:
    run = Marks({"ana": 72.0, "ben": 14.0, "cem": None}, {"hog": 0.0})
    assert run.unfair(72.0) == {"ben": 14.0, "cem": None}
