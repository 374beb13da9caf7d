"""Run over many mutants: make them, judge those that have no verdict yet, and write down every verdict as it comes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from autograder.audit.corpus import load_corpus
from autograder.audit.mutants.comparison import comparison_of
from autograder.audit.mutants.judge import Candidate, judge, results_after, start_judge
from autograder.audit.mutants.making import mutants_of, sample
from autograder.audit.mutants.originals import RightWork
from autograder.audit.mutants.records import Verdict, VerdictFile
from autograder.audit.mutants.rewritings import rewritings_of
from autograder.audit.worker import AuditSubject
from autograder.batch.local_workers import default_jobs, worker_pool
from autograder.grading.rules_digest import read_rules
from autograder.progress import ProgressListener, no_progress

AHEAD = 4
"""Candidates that wait for each worker."""


@dataclass(frozen=True)
class MutantScope:
    """How many mutants are tried, and which.

    Attributes:
        mutants: How many; 0 means all.
        rewritings: How many rewritings that keep the meaning.
        seed: Makes the draw.
        tasks: Only mutants of these tasks; none means all.
        styles: Only of these right submissions; none means all.
        resume: File of verdicts from which a run resumes, and to which it adds; None neither reads nor writes one.
        jobs: Judged at once; 0 means as many as processors and memory allow.
    """

    mutants: int = 0
    rewritings: int = 0
    seed: str = ""
    tasks: Sequence[str] = ()
    styles: Sequence[str] = ()
    resume: Path | None = None
    jobs: int = 0


@dataclass(frozen=True)
class MutantAudit:
    """The verdicts of a run, and how long it took with so many workers."""

    verdicts: tuple[Verdict, ...]
    seconds: float
    workers: int

    @property
    def is_as_expected(self) -> bool:
        """Whether every wrong mutant lost points in its own task alone, and no rewriting lost any."""
        return not any(
            verdict.survives or verdict.collateral or verdict.errors or (verdict.kind == "rewriting" and verdict.lost)
            for verdict in self.verdicts
        )


def audit_mutants(subject: AuditSubject, scope: MutantScope, progress: ProgressListener = no_progress) -> MutantAudit:
    """Try the checks on mutants and on rewritings.

    Args:
        subject: Whose checks are tried, and on which corpus.
        scope: How many mutants, and which.
        progress: Receives progress updates.

    Raises:
        UsageError: If nothing tells how to compare this assignment's parts.
        AutograderError: If the machinery fails.
    """
    begin = time.monotonic()
    candidates = make_candidates(subject, scope)
    verdict_file = VerdictFile(scope.resume)
    waiting = [candidate for candidate in candidates if candidate.key not in verdict_file]
    workers = max(1, min(scope.jobs or subject.course.settings.jobs or default_jobs(), len(waiting)))
    if waiting:
        _judge_all(waiting, replace(subject, course=subject.course.for_workers()), workers, verdict_file, progress)
    verdicts = tuple(verdict_file[candidate.key] for candidate in candidates)
    return MutantAudit(verdicts, time.monotonic() - begin, workers)


def make_candidates(subject: AuditSubject, scope: MutantScope) -> list[Candidate]:
    """Return the mutants and rewritings of a scope, each with the digest of what its verdict depends on.

    Raises:
        UsageError: If nothing tells how to compare this assignment's parts.
    """
    comparison = comparison_of(subject.assignment)
    assignment = subject.course.assignment(subject.assignment)
    tasks = [task for task in assignment.tasks if not scope.tasks or task.id in scope.tasks]
    originals = [
        original
        for original in RightWork(load_corpus(subject.folder, assignment), assignment).originals(tasks)
        if not scope.styles or original.style in scope.styles
    ]
    rules = read_rules(subject.course, assignment)
    here = Path(__file__).parent
    comparing = (here / "side_by_side.py", here / "freedoms.py", *comparison.files)
    looks = hashlib.sha256(b"".join(path.read_bytes() for path in comparing)).hexdigest()

    def key(name: str, text: str, task: str) -> str:
        builds = [other.id for other in assignment.tasks if task in (other.id, *other.builds_on)]
        checks = [rules.checks[other] for other in builds]
        return hashlib.sha256(repr((name, text, checks, rules.shared, looks, subject.seed)).encode()).hexdigest()

    made = sample((mutant for original in originals for mutant in mutants_of(original)), scope.mutants, scope.seed)
    rewritten = rewritings_of(originals, scope.rewritings, scope.seed)
    wrong = [Candidate(mutant, key(mutant.name, mutant.text, mutant.original.task)) for mutant in made]
    right = [Candidate(other, key(other.name, other.text, other.original.task), right=True) for other in rewritten]
    return _mixed(wrong, right)


def _mixed(wrong: Sequence[Candidate], right: Sequence[Candidate]) -> list[Candidate]:
    """Return both, evenly mixed: a run that is ended early has seen its share of each."""
    placed = [(place / len(group), candidate) for group in (wrong, right) for place, candidate in enumerate(group)]
    return [candidate for _, candidate in sorted(placed, key=lambda pair: pair[0])]


def _judge_all(
    waiting: Sequence[Candidate],
    subject: AuditSubject,
    workers: int,
    verdict_file: VerdictFile,
    progress: ProgressListener,
) -> None:
    """Judge candidates, few of them handed out at a time, and write each verdict at once.

    First comes what all mutants of a part share, once for all workers.
    """
    left = iter(waiting)
    changed = {candidate.mutant.original.key: candidate.mutant.original for candidate in waiting if not candidate.right}
    with worker_pool(workers, start_judge, (subject,)) as pool:
        asked = {key: pool.submit(results_after, original) for key, original in changed.items()}
        after = {key: future.result() for key, future in asked.items()}

        def submitted(count: int) -> set[Future[Verdict]]:
            some = islice(left, count)
            return {pool.submit(judge, candidate, after.get(candidate.mutant.original.key, {})) for candidate in some}

        running, done = submitted(AHEAD * workers), 0
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                verdict = future.result()
                verdict_file.add(verdict)
                done += 1
                progress(done, len(waiting), verdict.name)
            running |= submitted(len(ended))
