"""Try the hidden checks on the corpus: does every right submission pass, and every wrong one lose where it must?

Every submission is graded on every task, as `Grader` would: its own task on what was handed in, tasks that build on
a wrong one with the reference part in its place. Equal work is done once: two submissions that differ only in parts
that a task does not use, or that the reference replaces, share that task's result.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import dataclass
from pathlib import Path

from autograder.audit.corpus import Corpus, Variant, load_corpus
from autograder.batch.local_workers import default_jobs, worker_pool
from autograder.checking.comparisons import OBSERVATIONS
from autograder.course.assignment import Assignment, Task
from autograder.course.cells import grade_id_of, load_cells, text_of
from autograder.course.course import Course
from autograder.course.notebook import assemble
from autograder.grading.check_runner import with_checks
from autograder.grading.live_submission import Case, Reference, Respondent
from autograder.grading.zygote_client import Zygote
from autograder.progress import Watch, unwatched
from autograder.results import CheckResult, task_score


@dataclass(frozen=True)
class Job:
    """Some tasks of one submission, with the same reference parts in place of its own.

    Attributes:
        keys: Task to the digest of all that its result depends on.
    """

    variant: str
    replaced: tuple[str, ...]
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Row:
    """What the checks found about one submission.

    Attributes:
        checks: Results by task.
        lost: Points lost by task, where any are.
    """

    variant: Variant
    checks: Mapping[str, tuple[CheckResult, ...]]
    lost: Mapping[str, float]

    @property
    def good(self) -> bool:
        """Whether it lost points in its own task and nowhere else; a right one nowhere at all."""
        own = set() if self.variant.right else {self.variant.task}
        return set(self.lost) == own and not self.errors

    @property
    def collateral(self) -> list[str]:
        """Tasks that lost points although they are right."""
        return sorted(set(self.lost) - {"" if self.variant.right else self.variant.task})

    @property
    def errors(self) -> list[str]:
        """Checks that ended in an error of ours."""
        return [one.id for checks in self.checks.values() for one in checks if one.outcome == "error"]

    @property
    def failed(self) -> list[CheckResult]:
        """The failed checks of its own task."""
        return [one for one in self.checks.get(self.variant.task, ()) if one.outcome == "failed"]

    @property
    def named(self) -> set[str]:
        """The misconceptions that its own task names; of an ambiguous answer all that were reported together."""
        return {name for group in self._groups() for name in group}

    @property
    def naming(self) -> str:
        """`right`, `none`, `wrong`, or `-` where the corpus asks for no name."""
        accepted = {self.variant.misconception, *self.variant.also}
        if any(not accepted & group for group in self._groups()):
            return "wrong"
        if self.variant.misconception is None:
            return "-"
        return "right" if any(self.variant.misconception in group for group in self._groups()) else "none"

    @property
    def says(self) -> bool:
        """Whether the words that the corpus asks for stand in a reason."""
        return any(self.variant.says in one.message for one in self.failed)

    def _groups(self) -> list[set[str]]:
        slugs = (set((one.misconception or "").split("+")) - {"", *OBSERVATIONS} for one in self.failed)
        return [group for group in slugs if group]


@dataclass(frozen=True)
class CheckWorth:
    """What one check is good for.

    Attributes:
        kills: Wrong submissions of its task that fail it.
        alone: Those of them that fail no other check.
    """

    id: str
    kills: frozenset[str]
    alone: frozenset[str]


@dataclass(frozen=True)
class Audit:
    """All rows, and how long it took."""

    rows: tuple[Row, ...]
    seconds: float
    jobs: int

    def right(self) -> list[Row]:
        """Rows of right submissions."""
        return [row for row in self.rows if row.variant.right]

    def wrong(self) -> list[Row]:
        """Rows of wrong submissions."""
        return [row for row in self.rows if not row.variant.right]

    def lost(self, slug: str) -> Mapping[str, float]:
        """Return the points that a submission lost, by task."""
        return next(row.lost for row in self.rows if row.variant.slug == slug)

    def worth(self) -> list[CheckWorth]:
        """Return what each check of each task is good for, in the tasks' order."""
        killers = {row.variant.slug: frozenset(_function(one.id) for one in row.failed) for row in self.wrong()}
        tried = {row.variant.task for row in self.wrong()}
        results = (one for row in self.rows for task, checks in row.checks.items() if task in tried for one in checks)
        known = dict.fromkeys(_function(one.id) for one in results)
        return [
            CheckWorth(
                id=name,
                kills=frozenset(slug for slug, found in killers.items() if name in found),
                alone=frozenset(slug for slug, found in killers.items() if found == {name}),
            )
            for name in known
        ]

    def together(self) -> list[list[str]]:
        """Return groups of checks that fail on exactly the same wrong submissions."""
        groups: dict[frozenset[str], list[str]] = {}
        for one in self.worth():
            if one.kills:
                groups.setdefault(one.kills, []).append(one.id)
        return [names for names in groups.values() if len(names) > 1]


@dataclass(frozen=True)
class Scope:
    """How much of the corpus is tried, and how.

    Attributes:
        tasks: Only submissions that are about these tasks; none means all.
        own: Grade a submission only on the task that it is about: quicker, but blind to losses elsewhere.
        jobs: Submissions tried at once; 0 means as many as processors and memory allow.
    """

    tasks: Sequence[str] = ()
    own: bool = False
    jobs: int = 0


EVERYTHING = Scope()


def audit(
    course: Course,
    assignment: Assignment,
    folder: Path,
    seed: bytes = b"",
    scope: Scope = EVERYTHING,
    watch: Watch = unwatched,
) -> Audit:
    """Run the corpus.

    Args:
        course: The course.
        assignment: Whose checks are tried.
        folder: The corpus.
        seed: Makes the checks' inputs.
        scope: What of it is tried.
        watch: Hears how far it is.

    Raises:
        CorpusError: If the corpus cannot be read.
        AutograderError: If the machinery fails.
    """
    begin = time.monotonic()
    corpus = load_corpus(folder, assignment)
    chosen = [one for one in corpus.variants if not scope.tasks or one.task in scope.tasks]
    plan, keys = _plan(corpus, assignment, chosen, scope.own)
    workers = max(1, min(scope.jobs or course.settings.jobs or default_jobs(), len(plan)))
    done: dict[str, tuple[CheckResult, ...]] = {}
    waiting = dict(enumerate(plan))
    watch(0, len(plan), plan[0].variant if plan else "")
    for place, found in _run_all(plan, (course.for_workers(), assignment.name, folder, seed), workers):
        done.update(found)
        del waiting[place]
        current = next(iter(waiting.values()), None)
        watch(len(plan) - len(waiting), len(plan), current.variant if current else "")
    rows = tuple(_row(one, assignment, {task: done[key] for task, key in keys[one.slug].items()}) for one in chosen)
    return Audit(rows, time.monotonic() - begin, workers)


def _plan(
    corpus: Corpus, assignment: Assignment, variants: Sequence[Variant], own: bool
) -> tuple[list[Job], dict[str, dict[str, str]]]:
    """Return the jobs to do, and for each submission the key of each task's result."""
    parts = _Parts(assignment)
    planned: set[str] = set()
    jobs: list[Job] = []
    keys: dict[str, dict[str, str]] = {}
    for variant in variants:
        module, notebook = corpus.module_of(variant), corpus.notebook_of(variant)
        todo: dict[tuple[str, ...], dict[str, str]] = {}
        for task in [assignment.task(variant.task)] if own and variant.task else assignment.tasks:
            broken = set() if variant.right or task.id == variant.task else {variant.task}
            replaced = tuple(name for name in task.builds_on if name in broken)
            key = parts.key(task, replaced, module, notebook)
            keys.setdefault(variant.slug, {})[task.id] = key
            if key not in planned:
                planned.add(key)
                todo.setdefault(replaced, {})[task.id] = key
        jobs += [Job(variant.slug, replaced, found) for replaced, found in todo.items()]
    return jobs, keys


class _Parts:
    """Digests what a task's result depends on."""

    def __init__(self, assignment: Assignment) -> None:
        self._assignment = assignment
        self._names = {name for task in assignment.tasks for name in task.provides}

    def key(self, task: Task, replaced: tuple[str, ...], module: str, notebook: bytes) -> str:
        """Return a digest of the parts of module and notebook that a task uses and that nothing replaces."""
        used = {task.id, *task.builds_on} - set(replaced)
        names = {name for one in used for name in self._assignment.task(one).provides}
        answers = {name for one in used for name in self._assignment.task(one).answers}
        texts = [text for name, text in _texts(notebook) if name in answers]
        whole = repr((task.id, replaced, _without(module, self._names - names), texts))
        return hashlib.sha256(whole.encode()).hexdigest()


@functools.lru_cache(maxsize=8)
def _texts(notebook: bytes) -> list[tuple[str, str]]:
    """Return grade_id and text of a notebook's cells."""
    return [(grade_id_of(cell), text_of(cell)) for cell in load_cells(notebook)]


def _without(module: str, names: set[str]) -> str:
    """Return a module's text without some of its top-level functions and classes."""
    lines = module.split("\n")
    for name, first, last in reversed(_definitions(module)):
        if name in names:
            del lines[first - 1 : last]
    return "\n".join(lines)


@functools.lru_cache(maxsize=8)
def _definitions(module: str) -> list[tuple[str, int, int]]:
    """Return name, first and last line of a module's functions and classes."""
    return [
        (node.name, min((one.lineno for one in node.decorator_list), default=node.lineno), node.end_lineno or 0)
        for node in ast.parse(module).body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]


Setting = tuple[Course, str, Path, bytes]
Found = dict[str, tuple[CheckResult, ...]]


def _run_all(plan: Sequence[Job], setting: Setting, workers: int) -> Iterator[tuple[int, Found]]:
    """Yield the place of a job in the plan and what it found, as they come."""
    with worker_pool(workers, _begin, setting) as pool:
        futures = {pool.submit(_run, job): place for place, job in enumerate(plan)}
        for future in as_completed(futures):
            yield futures[future], future.result()


class _Worker:
    """What one worker process keeps: the zygote, the reference and the corpus."""

    def __init__(self, course: Course, name: str, folder: Path, seed: bytes) -> None:
        self._course = course
        self._assignment = course.assignment(name)
        self._reference = Reference.read(self._assignment)
        self._corpus = load_corpus(folder, self._assignment)
        self._seed = seed
        self._zygote = Zygote(threads=1, preload=self._assignment.preload)

    def run(self, job: Job) -> Found:
        snapshot = self._corpus.submission(self._corpus.variant(job.variant))
        case = Case(
            settings=self._course.settings,
            assignment=self._assignment,
            reference=self._reference,
            zygote=self._zygote,
            snapshot=snapshot,
            notebook=assemble(self._reference.source, snapshot.notebook_bytes),
            ends=time.monotonic() + self._course.settings.submission_seconds,
        )
        replaced = tuple(self._assignment.task(name) for name in job.replaced)
        seed = hashlib.sha256(self._seed + snapshot.digest.encode()).digest()
        found = self._ask(job.keys, Respondent(case, replaced), seed)
        bad = {name: key for name, key in job.keys.items() if any(one.outcome != "passed" for one in found[key])}
        if replaced and bad:  # as the grader does: another reference part may fit the student's own
            again = self._ask(bad, Respondent(case, replaced, otherwise=True), seed)
            found |= {key: checks for key, checks in again.items() if task_score(checks, 1) > task_score(found[key], 1)}
        return found

    def _ask(self, keys: Mapping[str, str], respondent: Respondent, seed: bytes) -> Found:
        tasks = {key: self._assignment.task(name) for name, key in keys.items()}
        try:
            return with_checks(
                list(tasks.values()),
                lambda checks: {key: checks.run(task, respondent.student(task), seed) for key, task in tasks.items()},
            )
        finally:
            respondent.close()


_workers: list[_Worker] = []


def _begin(course: Course, name: str, folder: Path, seed: bytes) -> None:
    _workers.append(_Worker(course, name, folder, seed))


def _run(job: Job) -> Found:
    return _workers[0].run(job)


def _row(variant: Variant, assignment: Assignment, checks: Mapping[str, tuple[CheckResult, ...]]) -> Row:
    points = {name: assignment.task(name).points for name in checks}
    lost = {name: points[name] - task_score(found, points[name]) for name, found in checks.items()}
    return Row(variant, checks, {name: round(points, 2) for name, points in lost.items() if points > 0})


def _function(check_id: str) -> str:
    """Return a check's id without its parameters."""
    return check_id.partition("[")[0]
