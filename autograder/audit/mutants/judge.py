"""Judge mutants in a worker process: is it wrong, by a look at it, and then, what do the checks say of it?"""

from __future__ import annotations

import atexit
import difflib
import functools
import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec

from autograder.audit.corpus import load_corpus
from autograder.audit.mutants.comparison import comparison_of
from autograder.audit.mutants.freedoms import Compared, freedom_of
from autograder.audit.mutants.making import Mutant
from autograder.audit.mutants.originals import Original, RightWork
from autograder.audit.mutants.records import Verdict
from autograder.audit.mutants.side_by_side import Difference, Looks, Unseen, Viewer, differences
from autograder.audit.worker import AuditSubject
from autograder.checking.comparisons import OBSERVATIONS
from autograder.course.assignment import Task
from autograder.course.cells import grade_id_of, load_cells, text_of
from autograder.course.submission import Snapshot
from autograder.grading.carried_forward import StandInRuns
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from autograder.results import CheckResult, task_score

Found = Mapping[str, tuple[CheckResult, ...]]
"""The checks of tasks."""
QUICK = "QUICK = True\n"
"""Comes before a call that is to look at what tells most mistakes, and leave the rest."""


@dataclass(frozen=True)
class Candidate:
    """A changed text that waits for its verdict.

    Attributes:
        key: Digest of all that the verdict depends on.
        right: Whether it is a rewriting, which must keep all points.
    """

    mutant: Mutant
    key: str
    right: bool = False


class Judge:
    """Judges mutants and rewritings one after the other, with one zygote and one session of pytest.

    Args:
        subject: Whose checks are tried, and the corpus.
    """

    def __init__(self, subject: AuditSubject) -> None:
        self._settings = subject.course.settings
        self._seed = subject.seed
        self._assignment = subject.course.assignment(subject.assignment)
        self._reference = Reference.read(self._assignment)
        corpus = load_corpus(subject.folder, self._assignment)
        self._work = RightWork(corpus, self._assignment)
        cells = {grade_id_of(cell): text_of(cell) for cell in load_cells(corpus.notebook)}
        comparison = comparison_of(subject.assignment)
        self._freedoms = comparison.freedoms
        self._first_cell = cells[comparison.first_cell]
        self._zygote = Zygote(threads=1, preload=self._assignment.preload)
        self._viewer = Viewer(self._zygote, self._reference, self._settings, comparison.read_texts())
        self._open = ExitStack()
        self._checks: Checks = self._open.enter_context(collected_checks(self._assignment.tasks))
        self._right = functools.lru_cache(maxsize=256)(self._look_at_right)

    def close(self) -> None:
        """End the zygote and pytest's session."""
        self._open.close()
        self._zygote.close()

    def results_after(self, original: Original) -> Found:
        """Return the checks of the tasks that build on a part, with a stand-in in its place.

        The part itself is not asked, so they are those of all its mutants: what passes with a stand-in counts as
        passed, whatever the submission's own process says.

        Raises:
            AutograderError: If the machinery fails.
        """
        task = self._assignment.task(original.task)
        snapshot = self._work.submission(original, original.text)
        with StandInRuns(self._case(snapshot), self._checks, self._seed_of(snapshot)) as runs:
            return {other.id: runs.run(other, [task]) for other in self._building_on(task)}

    def judge(self, candidate: Candidate, after: Found) -> Verdict:
        """Return the verdict on a mutant or a rewriting.

        Args:
            candidate: The mutant or rewriting.
            after: What `results_after` finds for its original, if that was asked.

        Raises:
            AutograderError: If the machinery fails.
        """
        begin = time.monotonic()
        mutant = candidate.mutant
        verdict = Verdict(
            mutant.name, candidate.key, mutant.original.style, mutant.original.task, mutant.operator,
            "rewriting" if candidate.right else "wrong", diff=diff_of(mutant),
        )  # fmt: skip
        if not candidate.right:
            verdict = self._compare(mutant, verdict)
        if verdict.kind in ("wrong", "rewriting"):
            verdict = self._grade(mutant, verdict, after)
        return _with(verdict, seconds=round(time.monotonic() - begin, 2))

    def _compare(self, mutant: Mutant, verdict: Verdict) -> Verdict:
        """Return whether a mutant is wrong: a quick look tells of most that they are, a long one of the rest."""
        for before in (QUICK, ""):
            found, freedom = self._differences(mutant, before)
            if found and not freedom:
                break
        if not found:
            return _with(verdict, kind="equivalent")
        shown = found[:4]
        rows = tuple((difference.aspect or "everything", difference.gap.words) for difference in shown)
        outright = all(difference.gap.is_failure for difference in shown)
        kind = "free" if freedom else "wrong"
        return _with(verdict, kind=kind, freedom=freedom, differences=rows, fails_outright=outright)

    def _differences(self, mutant: Mutant, before: str) -> tuple[tuple[Difference, ...], str]:
        """Return in what a mutant differs from its original, and the rule by which that is free."""
        original = mutant.original

        def look_at_right(call: str) -> Looks | Unseen:
            return self._right(original, before + call)

        def look_at_changed(call: str) -> Looks | Unseen:
            return self._look(original, mutant.text, before + call)

        changed = look_at_changed(look_of(original))
        found = differences(look_at_right(look_of(original)), changed)
        if not found:
            return (), ""
        return found, freedom_of(
            Compared(original.task, found, changed, look_at_right, look_at_changed), self._freedoms
        )

    def _look_at_right(self, original: Original, call: str) -> Looks | Unseen:
        return self._look(original, original.text, call)

    def _look(self, original: Original, text: str, call: str) -> Looks | Unseen:
        first = f"{self._first_cell}\nanswer = {text!r}\n" if original.cell else self._first_cell
        return self._viewer.look(self._work.submission(original, text), first, call)

    def _grade(self, mutant: Mutant, verdict: Verdict, after: Found) -> Verdict:
        """Return what the checks say: those of its own task, then those of the tasks that build on it."""
        snapshot = self._work.submission(mutant.original, mutant.text)
        task = self._assignment.task(mutant.original.task)
        own = self._run([task], snapshot)
        later = self._building_on(task)
        if self._lost(own):
            is_known = after.keys() == {other.id for other in later} and not self._lost(after)
            results = {**own, **(after if is_known else self._carry_forward(task, later, snapshot))}
        else:
            results = own | (self._run(later, snapshot) if later else {})
        checks = [check for found in results.values() for check in found]
        failed = [check for check in own[task.id] if check.outcome == "failed"]
        named = set().union(*(set(check.misconceptions) - set(OBSERVATIONS) for check in failed))
        return _with(
            verdict,
            lost=self._lost(results),
            failed=tuple(check.id for check in failed),
            named=tuple(sorted(named)),
            errors=tuple(check.id for check in checks if check.outcome == "error"),
        )

    def _carry_forward(self, task: Task, later: Sequence[Task], snapshot: Snapshot) -> Found:
        """Return the later tasks' checks as grading has them: first alone, then with a stand-in where they failed."""
        seed, case = self._seed_of(snapshot), self._case(snapshot)
        with LiveSubmission(case) as live:
            alone = {other.id: self._checks.endings(other, live.student(other), seed) for other in later}
        with StandInRuns(case, self._checks, seed) as runs:
            return {other.id: runs.run(other, [task], alone[other.id]) for other in later}

    def _run(self, tasks: Sequence[Task], snapshot: Snapshot) -> dict[str, tuple[CheckResult, ...]]:
        with LiveSubmission(self._case(snapshot)) as live:
            seed = self._seed_of(snapshot)
            return {task.id: self._checks.run(task, live.student(task), seed) for task in tasks}

    def _building_on(self, task: Task) -> list[Task]:
        return [other for other in self._assignment.tasks if task.id in other.builds_on]

    def _case(self, snapshot: Snapshot) -> GradingCase:
        return GradingCase.begin(self._settings, self._assignment, self._reference, self._zygote, snapshot)

    def _seed_of(self, snapshot: Snapshot) -> bytes:
        return hashlib.sha256(self._seed + snapshot.digest.encode()).digest()

    def _lost(self, results: Mapping[str, tuple[CheckResult, ...]]) -> dict[str, float]:
        points = {task_id: self._assignment.task(task_id).points for task_id in results}
        missing = {
            task_id: round(points[task_id] - task_score(found, points[task_id]), 2)
            for task_id, found in results.items()
        }
        return {task_id: lost for task_id, lost in missing.items() if lost > 0}


def look_of(original: Original) -> str:
    """Return the call that looks at a part."""
    return f"look_at_{original.task}_answer(answer)" if original.cell else f"look_at_{original.task}()"


def diff_of(mutant: Mutant) -> str:
    """Return the lines that a mutant changes, with a sign before each."""
    before, after = (text.split("\n") for text in (mutant.original.text, mutant.text))
    lines = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return "\n".join(line for line in lines if not line.startswith("@@"))


def _with(verdict: Verdict, **changes: object) -> Verdict:
    return msgspec.structs.replace(verdict, **changes)


_judge: Judge | None = None
"""That of this process: a pool calls functions of a module, which know nothing else."""


def start_judge(subject: AuditSubject) -> None:
    """Make this process's judge; a pool calls it as each process starts."""
    global _judge
    _judge = Judge(subject)
    atexit.register(_judge.close)


def judge(candidate: Candidate, after: Found) -> Verdict:
    """Judge one mutant or rewriting with this process's judge."""
    return _judge_of_this_process().judge(candidate, after)


def results_after(original: Original) -> Found:
    """Ask this process's judge for what all mutants of a part share."""
    return _judge_of_this_process().results_after(original)


def _judge_of_this_process() -> Judge:
    if _judge is None:
        raise RuntimeError("start_judge must be called first")
    return _judge
