"""Do marks depend on the order of tasks? Each submission's tasks are graded in order, in reverse, and each by itself.

    python -m benchmarks.task_order FILE [COUNT] [--share 1/2]

COUNT submissions of the corpus, evenly spread over it; by default all of them, which takes some four hours of a core.
Each becomes a line of FILE at once, and what FILE holds is not tried again: a run that was killed goes on where it
ended. Each core can do a share of its own, with a file of its own. Only the submission's own process is asked:
stand-ins always come in the tasks' order. By itself a task is asked once for all submissions that are alike in what
it uses, as in an audit.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import msgspec

from autograder.audit.corpus import Variant
from autograder.audit.plan import plan_audit
from autograder.course.assignment import Assignment, Task
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from benchmarks.measuring import read_lines, say
from tests.submissions.corpus import ROOT, read_corpus

Passed = dict[str, frozenset[str]]
"""The checks that passed, by task."""


class Tried(msgspec.Struct):
    """One submission: a line of the file.

    Attributes:
        differing: Tasks whose checks end otherwise in another order.
        passed: What passes in the tasks' order.
    """

    slug: str
    differing: list[str]
    passed: Passed


class Orders:
    """Grades tasks of submissions in one order or another.

    Args:
        root: The course.
        assignment: Whose tasks.
        zygote: Its student processes are asked.
    """

    def __init__(self, root: Path, assignment: Assignment, zygote: Zygote) -> None:
        self._settings = read_course(root).settings
        self._assignment = assignment
        self._reference = Reference.read(assignment)
        self._zygote = zygote
        self._alone: dict[str, frozenset[str]] = {}

    def tried(self, slug: str, snapshot: Snapshot, digests: Mapping[str, str]) -> Tried:
        """Grade a submission in every order.

        Args:
            slug: What it is called.
            snapshot: The submission.
            digests: For each task that is graded, of all that it uses of the submission.
        """
        tasks = [task for task in self._assignment.tasks if task.id in digests]
        with collected_checks(tasks) as checks:
            in_order = self._passed(snapshot, checks, tasks)
            reverse = self._passed(snapshot, checks, tasks[::-1])
            # The first task of an order is asked by itself, too.
            self._alone[digests[tasks[0].id]] = in_order[tasks[0].id]
            self._alone[digests[tasks[-1].id]] = reverse[tasks[-1].id]
            for task in tasks[1:-1]:
                if digests[task.id] not in self._alone:
                    self._alone[digests[task.id]] = self._passed(snapshot, checks, [task])[task.id]
        alone = {task.id: self._alone[digests[task.id]] for task in tasks}
        differing = [task.id for task in tasks if not in_order[task.id] == reverse[task.id] == alone[task.id]]
        return Tried(slug, differing, in_order)

    def _passed(self, snapshot: Snapshot, checks: Checks, tasks: Sequence[Task]) -> Passed:
        """Return what passes when a new process is asked about these tasks one after another."""
        case = GradingCase.begin(self._settings, self._assignment, self._reference, self._zygote, snapshot)
        seed = hashlib.sha256(snapshot.module_bytes or b"").digest()
        with LiveSubmission(case) as live:
            results = {task.id: checks.run(task, live.student(task), seed) for task in tasks}
        return {
            task: frozenset(check.id for check in found if check.outcome == "passed") for task, found in results.items()
        }


def _spread(count: int) -> list[Variant]:
    """Return so many submissions, each as if it were right: a digest then leaves out nothing that is wrong."""
    variants = read_corpus().variants
    return [replace(variant, right=True) for variant in variants[:: max(1, len(variants) // count)]]


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
    options = parser.parse_args()
    number, shares = options.share
    assignment = read_course(ROOT).assignment("vit")
    found = [msgspec.json.decode(line, type=Tried) for line in read_lines(options.file)]
    done = {tried.slug for tried in found}
    with Zygote(threads=1, preload=assignment.preload) as zygote, options.file.open("ab", buffering=0) as file:
        orders = Orders(ROOT, assignment, zygote)
        corpus, variants = read_corpus(), _spread(options.count)
        digests = plan_audit(corpus, assignment, variants, own=False).digests
        for variant in islice(variants, number - 1, None, shares):
            if variant.slug not in done:
                tried = orders.tried(variant.slug, corpus.submission(variant), digests[variant.slug])
                file.write(msgspec.json.encode(tried) + b"\n")
                found.append(tried)
                say(f"{variant.slug}: {', '.join(tried.differing) or 'the same'}")
    same = sum(not tried.differing for tried in found)
    say(f"{same} of {len(found)} submissions have the same marks in every order.")


if __name__ == "__main__":
    main()
