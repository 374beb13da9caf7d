"""What grading a submission costs, by cause: cpu seconds of all processes, in one warm worker.

`python -m benchmarks.cost_by_cause [NAME…] [--real N | --spread N] [--json FILE]`

Names are those of the corpus (`tests/submissions`), hostile ones included; without any, those of CHOSEN, a right one
first. `--real N` takes the real class of so many instead, `--spread N` so many of the corpus, evenly spread over it.
The first one is graded once before it counts: by then the worker knows its checks. Where a task is graded with
stand-ins, that is a column of its own. Wall-clock seconds stand beside cpu seconds only since a submission that sleeps
costs no cpu. In the end stand the medians of those with full marks and of the others.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

from autograder.course.assignment import Assignment
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.carried_forward import StandInRuns
from autograder.grading.check_runner import Checks
from autograder.grading.grader import Grader
from autograder.grading.live_submission import LiveSubmission
from autograder.grading.student_process import StudentProcess
from benchmarks.classes import named_submissions, real_class, spread_submissions
from benchmarks.cost_split import Spent, read_spent
from benchmarks.measuring import ROOT, machine, median, say, table, write_figures

CHOSEN = (
    "by_definition",  # right
    "own_variables",  # right, its weights made from initialisers
    "attention-unscaled-einsum",
    "heads-not-merged-einsum",
    "multi-head-values-from-keys-by-definition",
    "mlp-no-activation-einsum",
    "block-pre-norm-by-definition",
    "patches-dilated",
    "encoder-class-token-per-sample",
    "model-mean-of-tokens-einsum",
    "training-without-reload",
    "half-done",
    "untouched-stubs",
    "crash-at-import",
    "never-returns",
    "returns-zeros",
)


@dataclass
class Cost:
    """What one submission took.

    Attributes:
        points: That it got.
        cpu: Seconds of all processes.
        wall: Seconds on the clock.
        phases: Cpu seconds by phase: `start` (fork, walls, the module's import), tasks, tasks with stand-ins.
        processes: Student processes that were started.
        questions: That were asked.
    """

    points: float = 0.0
    cpu: float = 0.0
    wall: float = 0.0
    phases: dict[str, float] = field(default_factory=dict)
    processes: int = 0
    questions: int = 0


@contextmanager
def watched(cost: Cost) -> Iterator[None]:
    """Sum up phases, processes and questions while it is open."""
    start, endings, run, ask = LiveSubmission._start, Checks.endings, StandInRuns.run, StudentProcess.ask
    stack: list[str] = []

    def timed(phase: str, work: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever is watched
        before = read_spent()
        stack.append(phase)
        try:
            return work(*args, **kwargs)
        finally:
            stack.pop()
            spent = (read_spent() - before).cpu
            cost.phases[phase] = cost.phases.get(phase, 0.0) + spent
            if stack:  # it is counted once
                cost.phases[stack[-1]] = cost.phases.get(stack[-1], 0.0) - spent

    def starting(live: LiveSubmission) -> Any:  # noqa: ANN401
        cost.processes += 1
        return timed("start", start, live)

    def running(checks: Checks, task: Any, *args: Any) -> Any:  # noqa: ANN401
        return timed(task.id, endings, checks, task, *args)

    def with_stand_ins(runs: StandInRuns, *args: Any) -> Any:  # noqa: ANN401
        return timed("stand-ins", run, runs, *args)

    def asking(process: StudentProcess, *args: Any) -> Any:  # noqa: ANN401
        cost.questions += 1
        return ask(process, *args)

    with (
        mock.patch.object(LiveSubmission, "_start", starting),
        mock.patch.object(Checks, "endings", running),
        mock.patch.object(StandInRuns, "run", with_stand_ins),
        mock.patch.object(StudentProcess, "ask", asking),
    ):
        yield


def measure(grader: Grader, snapshot: Snapshot) -> Cost:
    """Grade one submission and return what it took."""
    cost, before = Cost(), read_spent()
    with watched(cost):
        result = grader.grade(snapshot)
    spent = settled() - before
    cost.points, cost.cpu, cost.wall = result.score, spent.cpu, spent.wall
    return cost


def settled() -> Spent:
    """Return what was used, once the watchdogs of dead processes have been counted."""
    time.sleep(0.05)
    return read_spent()


def rendered(costs: dict[str, Cost], assignment: Assignment) -> str:
    """Return the table: a line for each submission."""
    phases = ["start", *(task.id for task in assignment.tasks), "stand-ins"]
    head = ("submission", "points", "cpu s", "s", "processes", "questions", *(short(phase) for phase in phases))
    rows = [
        (
            name,
            f"{cost.points:g}",
            f"{cost.cpu:.1f}",
            f"{cost.wall:.1f}",
            cost.processes,
            cost.questions,
            *(f"{cost.phases.get(phase, 0.0):.2f}" for phase in phases),
        )
        for name, cost in costs.items()
    ]
    return table(head, rows)


def by_points(costs: dict[str, Cost], most: float) -> dict[str, list[float]]:
    """Return the cpu seconds of those with full marks, and of the others."""
    groups: dict[str, list[float]] = {"full marks": [], "fewer": []}
    for cost in costs.values():
        groups["full marks" if cost.points == most else "fewer"].append(cost.cpu)
    return groups


def short(phase: str) -> str:
    """Return a phase as it fits over a narrow column."""
    return "".join(word[:5] for word in phase.split("_"))[:9]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cost_by_cause", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--real", type=int, metavar="N", help="the real class of so many")
    parser.add_argument("--spread", type=int, metavar="N", help="so many of the corpus, evenly spread over it")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    course = read_course(ROOT)
    assignment = course.assignment("vit")
    if options.real:
        students = real_class(assignment, options.real)
    elif options.spread:
        students = spread_submissions(assignment, options.spread)
    else:
        students = named_submissions(assignment, options.names or CHOSEN)
    costs = {}
    with Grader(course, assignment, threads=1) as grader:
        measure(grader, next(iter(students.values())))  # warms the worker up
        for name, snapshot in students.items():
            costs[name] = measure(grader, snapshot)
            say(f"{name}: {costs[name].cpu:.1f} cpu s, {costs[name].wall:.1f} s")
    say("\n" + rendered(costs, assignment))
    for what, group in by_points(costs, assignment.max_score).items():
        if group:
            say(f"{what}: {len(group)}, median {median(group)} cpu s, dearest {max(group):.1f}")
    write_figures(options.json, {"machine": machine()} | {name: asdict(cost) for name, cost in costs.items()})


if __name__ == "__main__":
    main()
