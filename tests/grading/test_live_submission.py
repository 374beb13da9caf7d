"""When a submission's time begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.grading.live_submission import GradingCase
from autograder.grading.reference import Reference
from tests.tiny import TinyCourse


def test_a_submissions_time_begins_when_the_libraries_are_imported(
    tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the first submission on a slow machine would be out of time before it is asked anything."""
    clock = [0.0]
    monkeypatch.setattr("autograder.grading.live_submission.time", SimpleNamespace(monotonic=lambda: clock[-1]))
    slow_zygote: Any = SimpleNamespace(wait_until_ready=lambda: clock.append(60.0))
    reference = Reference.read(tiny_course.assignment)
    settings = Settings(submission_seconds=300.0)
    case = GradingCase.begin(settings, tiny_course.assignment, reference, slow_zygote, Snapshot({}, "tiny.ipynb"))
    assert case.ends == 360.0
