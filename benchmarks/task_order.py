"""Do marks depend on the order of tasks? Each submission's tasks are graded in order, in reverse, and each by itself.

    python -m benchmarks.task_order [COUNT] [--share 1/2]

COUNT submissions of the corpus, evenly spread over it; by default all of them, which takes hours. Each core can do a
share of its own. Only the submission's own process is asked: stand-ins always come in the tasks' order.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from autograder.course.assignment import Assignment, Task
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from tests.submissions.corpus import ROOT, read_corpus

Passed = dict[str, frozenset[str]]
"""The checks that passed, by task."""


class Orders:
    """Grades tasks of submissions in one order or another.

    Args:
        root: The course.
        assignment: Whose tasks.
    """

    def __init__(self, root: Path, assignment: Assignment) -> None:
        self._settings = read_course(root).settings
        self._assignment = assignment
        self._reference = Reference.read(assignment)

    def differing(self, zygote: Zygote, snapshot: Snapshot, tasks: Sequence[Task]) -> list[str]:
        """Return the tasks of a submission whose checks end otherwise in another order."""
        with collected_checks(tasks) as checks:
            in_order = self._passed(zygote, snapshot, checks, tasks)
            others = [self._passed(zygote, snapshot, checks, tasks[::-1])]
            alone: Passed = {}
            for task in tasks:
                alone |= self._passed(zygote, snapshot, checks, [task])
        return [task.id for task in tasks if any(other[task.id] != in_order[task.id] for other in (*others, alone))]

    def _passed(self, zygote: Zygote, snapshot: Snapshot, checks: Checks, tasks: Sequence[Task]) -> Passed:
        """Return what passes when a new process is asked about these tasks one after another."""
        case = GradingCase.begin(self._settings, self._assignment, self._reference, zygote, snapshot)
        seed = hashlib.sha256(snapshot.digest.encode()).digest()
        with LiveSubmission(case) as live:
            results = {task.id: checks.run(task, live.student(task), seed) for task in tasks}
        return {
            task: frozenset(check.id for check in found if check.outcome == "passed") for task, found in results.items()
        }


def _spread(count: int) -> Iterator[tuple[str, Snapshot]]:
    corpus = read_corpus()
    for variant in corpus.variants[:: max(1, len(corpus.variants) // count)]:
        yield variant.slug, corpus.submission(variant)


def _share(text: str) -> tuple[int, int]:
    number, shares = (int(part) for part in text.split("/"))
    if not 1 <= number <= shares:
        raise ValueError
    return number, shares


def main() -> None:
    """Print the submissions whose marks depend on the order."""
    parser = argparse.ArgumentParser(description="Do marks depend on the order of tasks?")
    parser.add_argument("count", nargs="?", type=int, default=len(read_corpus().variants))
    parser.add_argument("--share", type=_share, default=(1, 1), help="one of several runs: 1/2 and 2/2")
    options = parser.parse_args()
    number, shares = options.share
    course = read_course(ROOT)
    assignment = course.assignment("vit")
    orders = Orders(ROOT, assignment)
    tried = different = 0
    with Zygote(threads=1, preload=assignment.preload) as zygote:
        for slug, snapshot in islice(_spread(options.count), number - 1, None, shares):
            tried += 1
            found = orders.differing(zygote, snapshot, assignment.tasks)
            different += bool(found)
            sys.stdout.write(f"{slug}: {', '.join(found) or 'the same'}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{tried - different} of {tried} submissions have the same marks in every order.\n")


if __name__ == "__main__":
    main()
