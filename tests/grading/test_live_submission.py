"""When a submission's time begins."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from autograder import wire
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import StudentTimeout
from autograder.grading.live_submission import GradingCase, LiveSubmission
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


class SlowProcess:
    """Takes the place of a student process: it loads the module, then never answers in time."""

    alive = complete = True

    def __init__(self) -> None:
        self.limits: list[float] = []

    def ask(self, question: wire.Question, seconds: float) -> None:
        """Run into the limit."""
        if not isinstance(question, wire.Load):
            self.limits.append(seconds)
            raise StudentTimeout("Your code gave no answer.")

    def printed(self) -> str:
        """Return nothing."""
        return ""

    def stop(self) -> None:
        """Do nothing."""


@pytest.fixture
def slow(tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> tuple[LiveSubmission, SlowProcess]:
    """A submission whose process is slow, and that process."""
    process = SlowProcess()
    monkeypatch.setattr("autograder.grading.live_submission.StudentProcess", lambda *case: process)
    zygote: Any = SimpleNamespace(wait_until_ready=lambda: None)
    snapshot = Snapshot({"utilities.py": b""}, "tiny.ipynb")
    settings = Settings(request_seconds=20.0)
    reference = Reference.read(tiny_course.assignment)
    return LiveSubmission(GradingCase.begin(settings, tiny_course.assignment, reference, zygote, snapshot)), process


@pytest.mark.parametrize(("hurried", "limits"), [(False, [20.0, 5.0, 5.0]), (True, [5.0])])
def test_after_a_timeout_limits_are_shorter_and_who_is_hurried_gives_up(
    slow: tuple[LiveSubmission, SlowProcess], tiny_course: TinyCourse, hurried: bool, limits: list[float]
) -> None:
    live, process = slow
    student = live.student(tiny_course.assignment.tasks[0], hurried=hurried)
    for _ in range(3):
        with pytest.raises(StudentTimeout):
            student.call("double", 1.0)
    assert process.limits == limits
    assert live.timed_out


def test_nothing_is_asked_of_a_submission_that_was_closed(
    slow: tuple[LiveSubmission, SlowProcess], tiny_course: TinyCourse
) -> None:
    live, process = slow
    student = live.student(tiny_course.assignment.tasks[0])
    live.close()
    with pytest.raises(RuntimeError, match="closed"):
        student.call("double", 1.0)
    assert process.limits == []
