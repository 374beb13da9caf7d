"""What comes of one submission in a worker."""

from __future__ import annotations

import pytest

from autograder.batch.outcome import attempt
from autograder.course.submission import Snapshot
from autograder.errors import AutograderError, ClusterError, GpuUnavailable, SandboxUnavailable
from autograder.results import SubmissionResult
from tests.tiny import TinyCourse

NOTHING = Snapshot({}, "tiny.ipynb")


@pytest.mark.parametrize("error", [SandboxUnavailable("no Landlock"), GpuUnavailable("no GPU"), ClusterError("no GPU")])
def test_what_every_submission_would_meet_ends_the_batch(tiny_course: TinyCourse, error: AutograderError) -> None:
    def grade(*_: object) -> SubmissionResult:
        raise error

    with pytest.raises(type(error)):
        attempt(grade, tiny_course.course, "tiny", "student", NOTHING)


@pytest.mark.parametrize("error", [AutograderError("The disk is full."), KeyError("unexpected")])
def test_what_concerns_one_submission_is_its_outcome(tiny_course: TinyCourse, error: Exception) -> None:
    def grade(*_: object) -> SubmissionResult:
        raise error

    outcome = attempt(grade, tiny_course.course, "tiny", "student", NOTHING)
    assert isinstance(outcome, AutograderError)
    assert str(error) in str(outcome)
