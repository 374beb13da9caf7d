"""Try the hidden checks on the corpus: does every right submission pass, and every wrong one lose where it must?

Every submission is graded on every task, as `Grader` would: its own task on what was handed in, tasks that build on
a wrong one with a stand-in.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass, replace

from autograder.audit.corpus import Variant, load_corpus
from autograder.audit.plan import Job, plan_audit
from autograder.audit.records import Audit, AuditedSubmission
from autograder.audit.worker import AuditSubject, Results, grade_job, start_worker
from autograder.batch.local_workers import default_jobs, worker_pool
from autograder.course.assignment import Assignment
from autograder.progress import ProgressListener, no_progress
from autograder.results import CheckResult, task_score


@dataclass(frozen=True)
class Scope:
    """How much of the corpus is tried, and how.

    Attributes:
        tasks: Only submissions that are about these tasks; none means all.
        slugs: Only these submissions; none means all.
        own: Grade a submission only on the task that it is about: quicker, but blind to losses elsewhere.
        jobs: Submissions tried at once; 0 means as many as processors and memory allow.
    """

    tasks: Sequence[str] = ()
    slugs: frozenset[str] = frozenset()
    own: bool = False
    jobs: int = 0

    def includes(self, variant: Variant) -> bool:
        """Return whether a submission of the corpus is tried."""
        return (not self.tasks or variant.task in self.tasks) and (not self.slugs or variant.slug in self.slugs)


EVERYTHING = Scope()


def audit(subject: AuditSubject, scope: Scope = EVERYTHING, progress: ProgressListener = no_progress) -> Audit:
    """Try the checks on a corpus.

    Args:
        subject: Whose checks are tried, and on which corpus.
        scope: How much of the corpus.
        progress: Receives progress updates.

    Raises:
        CorpusError: If the corpus cannot be read.
        AutograderError: If the machinery fails.
    """
    begin = time.monotonic()
    assignment = subject.course.assignment(subject.assignment)
    corpus = load_corpus(subject.folder, assignment)
    variants = [variant for variant in corpus.variants if scope.includes(variant)]
    plan = plan_audit(corpus, assignment, variants, own=scope.own)
    workers = max(1, min(scope.jobs or subject.course.settings.jobs or default_jobs(), len(plan.jobs)))
    results: Results = {}
    for found in _grade_all(plan.jobs, subject, workers, progress):
        results |= found
    submissions = tuple(
        _audited(variant, assignment, {task: results[digest] for task, digest in plan.digests[variant.slug].items()})
        for variant in variants
    )
    return Audit(submissions, time.monotonic() - begin, workers)


def _grade_all(
    jobs: Sequence[Job], subject: AuditSubject, workers: int, progress: ProgressListener
) -> Iterator[Results]:
    """Yield what each job found, as they end."""
    subject = replace(subject, course=subject.course.for_workers())
    with worker_pool(workers, start_worker, (subject,)) as pool:
        waiting = {pool.submit(grade_job, job): job.slug for job in jobs}
        _tell(progress, len(jobs), waiting.values())
        for future in as_completed(list(waiting)):
            del waiting[future]
            _tell(progress, len(jobs), waiting.values())
            yield future.result()


def _tell(progress: ProgressListener, jobs: int, waiting: Iterable[str]) -> None:
    """Say how far the audit is, and which submission has waited longest."""
    slugs = list(waiting)
    progress(jobs - len(slugs), jobs, slugs[0] if slugs else "")


def _audited(
    variant: Variant, assignment: Assignment, checks: Mapping[str, tuple[CheckResult, ...]]
) -> AuditedSubmission:
    lost = {}
    for task_id, found in checks.items():
        points = assignment.task(task_id).points
        missing = round(points - task_score(found, points), 2)
        if missing > 0:
            lost[task_id] = missing
    return AuditedSubmission(variant, checks, lost)
