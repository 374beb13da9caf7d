"""Grade an audit's jobs in a worker process, which loads the libraries, the reference and the corpus once."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from autograder.audit.corpus import load_corpus
from autograder.audit.plan import Job
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.grading.carried_forward import StandInRuns
from autograder.grading.check_runner import collected_checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.results import CheckResult

Results = dict[str, tuple[CheckResult, ...]]
"""The checks of a task by the digest of all that they depend on."""


@dataclass(frozen=True)
class AuditSubject:
    """What is audited, as each worker process is told.

    Attributes:
        assignment: Name of the assignment.
        folder: The corpus.
        seed: Makes the checks' inputs.
    """

    course: Course
    assignment: str
    folder: Path
    seed: bytes = b""


class Worker:
    """Grades jobs one after the other."""

    def __init__(self, subject: AuditSubject) -> None:
        self._settings = subject.course.settings
        self._seed = subject.seed
        self._assignment = subject.course.assignment(subject.assignment)
        self._reference = Reference.read(self._assignment)
        self._corpus = load_corpus(subject.folder, self._assignment)
        self._open = ExitStack()
        self._zygote = self._open.enter_context(Zygote(threads=1, preload=self._assignment.preload))
        self._checks = self._open.enter_context(collected_checks(self._assignment.tasks))

    def close(self) -> None:
        """End the zygote and pytest's session."""
        self._open.close()

    def grade(self, job: Job) -> Results:
        """Return the results of a job's tasks, asked in the job's order.

        Raises:
            AutograderError: If the machinery fails.
        """
        return self.results_of(self._corpus.submission(self._corpus.variant(job.slug)), job)

    def results_of(self, snapshot: Snapshot, job: Job) -> Results:
        """Return what a job finds for a submission, which need not be the corpus' of its name.

        Raises:
            AutograderError: If the machinery fails.
        """
        seed = hashlib.sha256(self._seed + snapshot.digest.encode()).digest()
        case = GradingCase.begin(self._settings, self._assignment, self._reference, self._zygote, snapshot)
        tasks = {digest: self._assignment.task(task_id) for task_id, digest in job.digests.items()}
        if job.stand_ins:
            wrong = [self._assignment.task(task_id) for task_id in job.stand_ins]
            with StandInRuns(case, self._checks, seed) as runs:
                return {digest: runs.run(task, wrong) for digest, task in tasks.items()}
        with LiveSubmission(case) as live:
            return {digest: self._checks.run(task, live.student(task), seed) for digest, task in tasks.items()}


_worker: Worker | None = None
"""That of this process: a pool calls functions of a module, which know nothing else."""


def start_worker(subject: AuditSubject) -> None:
    """Make this process's worker; a pool calls it as each process starts."""
    global _worker
    _worker = Worker(subject)


def grade_job(job: Job) -> Results:
    """Grade one job with this process's worker."""
    if _worker is None:
        raise RuntimeError("start_worker must be called first")
    return _worker.grade(job)
