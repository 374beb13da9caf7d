"""What comes of one submission in a batch: a result, or the reason why there is none; and its file of JSON."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import AutograderError, ClusterError, GpuUnavailable, SandboxUnavailable
from autograder.files import write_whole
from autograder.results import SubmissionResult, to_json

if TYPE_CHECKING:  # workers do without nbgrader
    from autograder.gradebook.transactions import Recorded

WRITERS = 8
"""JSON files that are written at once."""
SLOW_SECONDS = 0.05
"""Results that come this far apart are written one by one."""
REPORT_IT = "This is an internal error: report it, with what `python -m autograder doctor` prints."

ResultOrError = SubmissionResult | AutograderError
Grade = Callable[[Course, str, str, Snapshot], SubmissionResult]
"""Grades one submission, given the settings, the assignment's name, the student and what was handed in."""


@dataclass(frozen=True)
class GradedSubmission:
    """What came of one submission: a result, or the reason why there is none.

    Attributes:
        student: Who handed it in.
        folder: Where it stands.
        result: None if it could not be graded.
        error: Why it could not be graded, or why its result could not be written or recorded.
        snapshot: What was graded, and is to be recorded, whatever the folder holds now.
        cached: Whether the result was there before, so that nothing was run.
        recorded: What this changed in the gradebook, or would change; None if nothing.
        untimed: Whether nobody knows if it was late: there is a due date, and no time of the hand-in.
    """

    student: str
    folder: Path
    result: SubmissionResult | None
    error: AutograderError | None = None
    snapshot: Snapshot | None = None
    cached: bool = False
    recorded: Recorded | None = None
    untimed: bool = False

    @property
    def has_earlier_mark(self) -> bool:
        """Whether the gradebook still has the mark of an earlier hand-in, since this one could not be recorded."""
        return self.error is not None and self.recorded is not None and self.recorded.has_earlier_mark


def attempt(grade: Grade, course: Course, name: str, student: str, snapshot: Snapshot) -> ResultOrError:
    """Grade one submission in a worker; an error that every other submission would meet, too, is raised.

    Raises:
        SandboxUnavailable: If a required layer of confinement is missing.
        GpuUnavailable: If the course demands a GPU that cannot be used.
        ClusterError: If this worker may not grade.
    """
    try:
        return grade(course, name, student, snapshot)
    except (SandboxUnavailable, GpuUnavailable, ClusterError):
        raise
    except AutograderError as error:
        return error
    except Exception as error:  # whatever it is, it must not end the batch
        return internal_error(error)


def internal_error(error: Exception) -> AutograderError:
    """Return an unexpected exception as an error that asks for a report."""
    return AutograderError(f"Grading stopped with {type(error).__name__}: {error}.", REPORT_IT)


def write_json(submissions: Iterable[GradedSubmission], folder: Path) -> Iterator[GradedSubmission]:
    """Write each result to `<student>.json` and yield its submission afterwards, with the error if that failed.

    Waiting until the disk has a file takes longer than all else here, so several are written at once where results
    come quickly. They are yielded in the order in which they came.

    Args:
        submissions: Graded submissions, as they come.
        folder: Where the files go.
    """
    with ThreadPoolExecutor(WRITERS) as pool:
        writing: deque[Future[GradedSubmission]] = deque()
        asked = time.monotonic()
        for submission in submissions:
            writing.append(pool.submit(_write_one, submission, folder))
            slow = time.monotonic() - asked > SLOW_SECONDS
            while len(writing) > (0 if slow else WRITERS):
                yield writing.popleft().result()
            asked = time.monotonic()
        for written in writing:
            yield written.result()


def _write_one(submission: GradedSubmission, folder: Path) -> GradedSubmission:
    try:
        if submission.result is not None:
            write_whole(folder / f"{submission.student}.json", to_json(submission.result))
    except OSError as error:
        return replace(submission, error=AutograderError(f"{error}.", "Fix that, then grade again."))
    return submission
