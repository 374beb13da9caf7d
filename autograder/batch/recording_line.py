"""Record a batch: the gradebook has one writer, and where results come fast, processes that prepare for it.

What nbgrader makes of a submission takes many times as long as to write it into the gradebook, and can be made beside
the writer. It alone decides: what was prepared from rows that have changed since then is prepared again.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from autograder.batch.local_workers import InThisProcess, default_jobs, worker_pool
from autograder.batch.outcome import SLOW_SECONDS, GradedSubmission, internal_error
from autograder.course.assignment import Assignment
from autograder.course.course import Course, read_course
from autograder.errors import AutograderError
from autograder.gradebook.record_stamp import Recording, Work
from autograder.gradebook.recording import Outcome, Recorder, prepare

TOGETHER = 16
"""Submissions that are written in one transaction."""
AHEAD = 4
"""Submissions for each process that are prepared, or about to be, beside those that are written."""
ALONE = 20
"""Results that must have come fast before other processes prepare: one starts in the time that so many take here."""


def record_each(
    course: Course, assignment: Assignment, submissions: Iterable[GradedSubmission], *, preview: bool, jobs: int = 0
) -> Iterator[GradedSubmission]:
    """Record each submission in the gradebook and yield it, with the error where that failed: the batch goes on.

    Args:
        course: The course.
        assignment: What was graded.
        submissions: Graded submissions, as they come; they are yielded in this order.
        preview: Whether to say what would be recorded, and to record nothing.
        jobs: Most processes that prepare; 0 means as many as processors and memory allow.
    """
    processes = jobs or course.settings.jobs or default_jobs()
    line = _Line(Recorder(course, assignment, preview=preview))
    fast = 0
    with worker_pool(processes) as pool:  # which starts a process when there is work for it
        asked = time.monotonic()
        for graded in submissions:
            slow = time.monotonic() - asked > SLOW_SECONDS
            fast += not slow
            beside = processes > 1 and not slow and fast > ALONE
            line.enter(graded, pool if beside else None)
            yield from line.recorded(waiting=TOGETHER + AHEAD * processes if beside else 0)
            asked = time.monotonic()
        yield from line.recorded(waiting=0)


@dataclass(frozen=True)
class _InLine:
    """A submission that will be recorded.

    Attributes:
        graded: What came of it.
        recording: What is to be recorded; None if nothing is.
        work: What is prepared of it, here or in another process.
        failure: Why it cannot be recorded.
    """

    graded: GradedSubmission
    recording: Recording | None = None
    work: Future[Work] | None = None
    failure: Exception | None = None

    def prepared(self) -> Work | None:
        """Return what is prepared, once it is; what was lost with a process is prepared in this one."""
        if self.recording is None or self.work is None:
            return None
        try:
            return self.work.result()
        except BrokenProcessPool:
            return prepare(self.recording)


class _Line:
    """Submissions in the order in which they came, each prepared, or being prepared in some process."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._line: deque[_InLine] = deque()

    def enter(self, graded: GradedSubmission, pool: Executor | None) -> None:
        """Begin to record a submission.

        Args:
            graded: What came of it.
            pool: Prepares it; None means this process.
        """
        if graded.result is None or graded.snapshot is None:
            self._line.append(_InLine(graded))
            return
        try:
            recording = self._recorder.new(graded.student, graded.snapshot, graded.result)
        except Exception as error:  # whatever it is, it must not end the batch
            self._line.append(_InLine(graded, failure=error))
        else:
            work = None if recording is None else _begun(recording, pool)
            self._line.append(_InLine(graded, recording, work))

    def recorded(self, waiting: int) -> Iterator[GradedSubmission]:
        """Record submissions and yield them until only so many wait."""
        while len(self._line) > waiting:
            together = [self._line.popleft() for _ in range(min(TOGETHER, len(self._line)))]
            outcomes = self._write(together)
            for place in together:
                yield self._told(place.graded, outcomes.get(place.graded.student))

    def _write(self, together: Sequence[_InLine]) -> dict[str, Outcome]:
        """Write all that was prepared, and return what came of each student's."""
        outcomes: dict[str, Outcome] = {}
        works: list[tuple[Recording, Work]] = []
        for place in together:
            try:
                work = place.prepared()
            except Exception as error:  # whatever it is, it must not end the batch
                outcomes[place.graded.student] = error
                continue
            if place.failure is not None:
                outcomes[place.graded.student] = place.failure
            elif place.recording is not None and work is not None:
                works.append((place.recording, work))
        students = [recording.student for recording, _ in works]
        try:
            written = self._recorder.write(works) if works else []
            return outcomes | dict(zip(students, written, strict=True))
        except Exception as error:
            return outcomes | dict.fromkeys(students, error)

    def _told(self, graded: GradedSubmission, outcome: Outcome | None) -> GradedSubmission:
        """Return a submission with what was recorded; where that failed, flag marks that stay as an earlier one's."""
        student, snapshot = graded.student, graded.snapshot
        try:
            if graded.result is None or snapshot is None:
                return replace(graded, recorded=self._recorder.record_ungraded(student, str(graded.error or "")))
            if isinstance(outcome, Exception):
                raise outcome
            return replace(graded, recorded=outcome, untimed=self._recorder.is_untimed(snapshot))
        except AutograderError as error:
            failure = error
        except OSError as error:
            failure = AutograderError(f"{error}.", "Fix that, then grade again.")
        except Exception as error:
            failure = internal_error(error)
        recorded = self._recorder.record_failed(student, snapshot, str(failure)) if snapshot is not None else None
        return replace(graded, error=failure, recorded=recorded)


def _begun(recording: Recording, pool: Executor | None) -> Future[Work]:
    """Have a recording prepared in a pool of processes, or in this one."""
    if pool is not None:
        with suppress(BrokenProcessPool):
            sent = replace(recording, course=recording.course.for_workers())
            return pool.submit(_prepare_elsewhere, sent)
    return InThisProcess().submit(prepare, recording)


def _prepare_elsewhere(recording: Recording) -> Work:
    """Prepare in another process, which reads the settings itself: they may hold objects that cannot be sent."""
    return prepare(replace(recording, course=_course_at(recording.course.root)))


@cache
def _course_at(root: Path) -> Course:
    return read_course(root)
