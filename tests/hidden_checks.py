"""Run one task's hidden checks by themselves."""

from __future__ import annotations

from autograder.checking.remote import Student
from autograder.course.assignment import Task
from autograder.grading.check_runner import collected_checks
from autograder.results import CheckResult


def run_checks(task: Task, student: Student, seed: bytes) -> tuple[CheckResult, ...]:
    """Return what one task's checks find; for arguments and errors see `Checks.run`."""
    with collected_checks([task]) as checks:
        return checks.run(task, student, seed)
