"""Do marks depend on the order of tasks? Each submission's tasks are graded in order, in reverse, and each by itself.

    python -m benchmarks.task_order FILE [COUNT] [--share 1/2] [--jobs 2]

COUNT submissions of the corpus, evenly spread over it; by default all of them, which takes some ten hours of a core.
Each run of a submission becomes a line of FILE at once, and what FILE holds is not tried again: a run that was killed
goes on where it ended. Several machines can do a share each; their files, one after the other, are the file of all.
Only the submission's own process is asked: stand-ins always come in the tasks' order. By itself a task is asked once
for all submissions that are alike in what it uses, as in an audit.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path

import msgspec

from autograder.audit.corpus import Variant
from autograder.audit.plan import Job, plan_audit
from autograder.audit.worker import AuditSubject, Results, grade_job, start_worker
from autograder.batch.local_workers import default_jobs, worker_pool
from autograder.course.course import read_course
from benchmarks.measuring import read_lines, say, spread
from tests.submissions.corpus import FOLDER, ROOT, read_corpus

Passed = dict[str, frozenset[str]]
"""The checks that passed, by task."""

Digests = Mapping[str, Mapping[str, str]]
"""For each submission and task a digest of all that the task uses."""


class Run(msgspec.Struct, frozen=True):
    """One new process of a submission, asked about some tasks one after another."""

    slug: str
    tasks: tuple[str, ...]


class Ran(msgspec.Struct):
    """What a run found: a line of the file."""

    run: Run
    passed: Passed


def job_of(run: Run) -> Job:
    """Return what an audit's worker is to do for a run."""
    return Job(run.slug, (), {task: task for task in run.tasks})


def ran(run: Run, results: Results) -> Ran:
    """Return what a run found, as it stands in the file."""
    return Ran(
        run,
        {task: frozenset(check.id for check in found if check.outcome == "passed") for task, found in results.items()},
    )


def planned_runs(digests: Digests) -> list[Run]:
    """Return all runs that the comparison needs.

    What is the first of an order, or its last, is asked by itself in one of the two orders.
    """
    runs: dict[Run, None] = {}
    asked_alone: set[str] = set()
    for slug, found in digests.items():
        tasks = tuple(found)
        runs |= dict.fromkeys((Run(slug, tasks), Run(slug, tasks[::-1])))
        asked_alone |= {found[tasks[0]], found[tasks[-1]]}
        for task in tasks[1:-1]:
            if found[task] not in asked_alone:
                asked_alone.add(found[task])
                runs[Run(slug, (task,))] = None
    return list(runs)


def differing(digests: Digests, found: Iterable[Ran]) -> dict[str, list[str]]:
    """Return for each submission that was tried in both orders the tasks whose checks do not end alike in all."""
    whole: dict[str, list[Passed]] = {}
    alone: dict[str, frozenset[str]] = {}
    for one in found:
        slug, (first, *others) = one.run.slug, one.run.tasks
        alone[digests[slug][first]] = one.passed[first]
        if others:
            whole.setdefault(slug, []).append(one.passed)
    return {
        slug: [task for task, digest in digests[slug].items() if not _alike(task, orders, alone.get(digest))]
        for slug, orders in whole.items()
        if len(orders) == 2
    }


def _alike(task: str, orders: Sequence[Passed], alone: frozenset[str] | None) -> bool:
    """Return whether a task ends alike in all orders, and alone as far as that was tried."""
    seen = {passed[task] for passed in orders} | ({alone} if alone is not None else set())
    return len(seen) == 1


def _spread(count: int) -> list[Variant]:
    """Return so many submissions, each as if it were right: a digest then leaves out nothing that is wrong."""
    return [replace(variant, right=True) for variant in spread(read_corpus().variants, count)]


def _try_all(runs: Sequence[Run], jobs: int) -> Iterator[Ran]:
    """Yield what each run found, as they end."""
    subject = AuditSubject(read_course(ROOT).for_workers(), "vit", FOLDER)
    with worker_pool(jobs, start_worker, (subject,)) as pool:
        asked = {pool.submit(grade_job, job_of(run)): run for run in runs}
        for future in as_completed(asked):
            yield ran(asked[future], future.result())


def _share(text: str) -> tuple[int, int]:
    number, shares = (int(part) for part in text.split("/"))
    if not 1 <= number <= shares:
        raise ValueError
    return number, shares


def main() -> None:
    """Print the submissions whose marks depend on the order."""
    parser = argparse.ArgumentParser(description="Do marks depend on the order of tasks?")
    parser.add_argument("file", type=Path, help="what was tried, to which a run appends")
    parser.add_argument("count", nargs="?", type=int, default=len(read_corpus().variants))
    parser.add_argument("--share", type=_share, default=(1, 1), help="one of several runs: 1/2 and 2/2")
    parser.add_argument("--jobs", type=int, default=default_jobs(), help="processes at once (default: %(default)s)")
    options = parser.parse_args()
    number, shares = options.share
    assignment = read_course(ROOT).assignment("vit")
    digests = plan_audit(read_corpus(), assignment, _spread(options.count), own=False).digests
    runs = planned_runs(digests)
    found = [msgspec.json.decode(line, type=Ran) for line in read_lines(options.file)]
    done = {earlier.run for earlier in found}
    left = [run for run in runs[number - 1 :: shares] if run not in done]
    with options.file.open("ab", buffering=0) as file:
        for new in _try_all(left, options.jobs):
            file.write(msgspec.json.encode(new) + b"\n")
            found.append(new)
            say(f"{len(found)} of {len(runs)}: {new.run.slug}")
    verdicts = differing(digests, found)
    for slug, tasks in verdicts.items():
        if tasks:
            say(f"{slug}: {', '.join(tasks)}")
    same = sum(not tasks for tasks in verdicts.values())
    say(f"{same} of {len(verdicts)} submissions have the same marks in every order; {len(found)} of {len(runs)} runs.")


if __name__ == "__main__":
    main()
