"""Does any verdict hang on the draw? `python -m benchmarks.draws FILE [--draws 2000] [--json FIGURES]`.

Right submissions, one in each style of the corpus, answer all hidden checks again and again, each time with inputs and
weights from another seed. A right one that loses is a *flip*, and a bug in a check. Each task of each draw becomes a
line of FILE at once; what it already holds is not drawn again, so a run that was killed goes on where it ended. The
styles take turns, so that all have as many draws; a style's draws of one turn are asked inside one live process.

Shown for each check, at the worst of all draws: how much of the tolerance an answer needed that was taken, how many
times the tolerance the nearest answer was off that was not (of a reading or a mistake that does not fit), and in the
checks on dropout the standard errors of right masks, of a third more dropout than was asked for (0.4 for 0.3), and of
one mask for all samples.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import numpy as np

from autograder.audit.corpus import load_corpus
from autograder.course.assignment import Assignment
from autograder.course.course import read_course
from autograder.grading.check_runner import Checks, collected_checks
from autograder.grading.live_submission import GradingCase, LiveSubmission
from autograder.grading.reference import Reference
from autograder.grading.zygote_client import Zygote
from benchmarks.margins import Seen, Watcher
from benchmarks.measuring import ROOT, machine, read_lines, say, table, write_figures

CORPUS = ROOT / "tests" / "submissions"
TURN = 25
"""Draws of one style before the next one's turn. A live process is not asked for more: what it made stays in it."""


class Draw(msgspec.Struct):
    """One task of one style with one seed: a line of the file."""

    style: str
    task: str
    number: int
    checks: dict[str, Seen]


# Drawing -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What is drawn.

    Attributes:
        styles: Right modules of the corpus, by name.
        tasks: Ids.
        draws: Of each task, in each style.
    """

    styles: Sequence[str]
    tasks: Sequence[str]
    draws: int

    def turns(self, done: set[tuple[str, str, int]]) -> Iterator[tuple[str, list[tuple[str, int]]]]:
        """Yield what is still to be drawn: a style, and its tasks with the numbers of the draws."""
        for start in range(0, self.draws, TURN):
            numbers = range(start, min(start + TURN, self.draws))
            for style in self.styles:
                wanted = [(task, number) for number in numbers for task in self.tasks]
                left = [(task, number) for task, number in wanted if (style, task, number) not in done]
                if left:
                    yield style, left


class Drawer:
    """Lets right submissions answer the checks; close its zygote with `close`.

    Args:
        assignment: Whose checks.
        checks: All of them, collected.
    """

    def __init__(self, assignment: Assignment, checks: Checks) -> None:
        self._assignment = assignment
        self._checks = checks
        # A busy machine does not reach these limits: what takes long is no flip.
        self._settings = dataclasses.replace(
            read_course(ROOT).settings,
            request_seconds=600.0,
            load_seconds=600.0,
            training_seconds=3600.0,
            submission_seconds=1e6,
        )
        self._reference = Reference.read(assignment)
        self._corpus = load_corpus(CORPUS, assignment)
        self._zygote = Zygote(threads=1, preload=assignment.preload)

    def close(self) -> None:
        """End the zygote."""
        self._zygote.close()

    def draw(self, style: str, wanted: Iterable[tuple[str, int]]) -> Iterator[Draw]:
        """Yield these draws of one style, all asked of one live process."""
        snapshot = self._corpus.submission(self._corpus.variant(style))
        case = GradingCase.begin(self._settings, self._assignment, self._reference, self._zygote, snapshot)
        with LiveSubmission(case) as live:
            for task_id, number in wanted:
                task = self._assignment.task(task_id)
                seed = hashlib.sha256(f"{style} {number}".encode()).digest()
                watcher = Watcher(np.random.default_rng(list(seed)))
                with watcher.watching():
                    self._checks.run(task, live.student(task), seed)
                yield Draw(style, task_id, number, watcher.checks)


def read_draws(path: Path) -> list[Draw]:
    """Return what a file holds."""
    return [msgspec.json.decode(line, type=Draw) for line in read_lines(path)]


def draw_all(plan: Plan, path: Path) -> list[Draw]:
    """Draw what the file does not hold yet, and return all of the plan."""
    draws = read_draws(path)
    turns = list(plan.turns({(draw.style, draw.task, draw.number) for draw in draws}))
    if turns:
        assignment = read_course(ROOT).assignment("vit")
        with collected_checks(assignment.tasks) as checks, path.open("ab", buffering=0) as file:
            drawer = Drawer(assignment, checks)
            try:
                for style, wanted in turns:
                    for draw in drawer.draw(style, wanted):
                        file.write(msgspec.json.encode(draw) + b"\n")
                        draws.append(draw)
            finally:
                drawer.close()
    return [draw for draw in draws if draw.style in plan.styles and draw.task in plan.tasks]


# Figures -------------------------------------------------------------------------------------------------------------


@dataclass
class Worst:
    """What all draws of one check showed.

    Attributes:
        draws: By style.
        flips: Style, number and how it ended.
        seen: The worst of each figure.
    """

    draws: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    flips: list[tuple[str, int, str]] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)


def worst_of(draws: Iterable[Draw]) -> dict[str, Worst]:
    """Return what each check showed at the worst."""
    found: dict[str, Worst] = defaultdict(Worst)
    for draw in draws:
        for check, seen in draw.checks.items():
            worst = found[check]
            worst.draws[draw.style] += 1
            worst.seen.widen(seen)
            if seen.lost:
                worst.flips.append((draw.style, draw.number, seen.lost))
    return dict(found)


def rendered(found: Mapping[str, Worst]) -> str:
    """Return the table, and a line for each flip."""
    head = ("check", "draws of a style", "flips", "taken", "refused", "right", "more", "shared")
    rows = [
        (
            check, min(worst.draws.values()), len(worst.flips), _shown(worst.seen.taken), _shown(worst.seen.refused),
            _shown(worst.seen.right), _shown(worst.seen.more), _shown(worst.seen.shared),
        )
        for check, worst in found.items()
    ]  # fmt: skip
    flips = [
        f"{check}, {style}, draw {number}: {lost}"
        for check, worst in found.items()
        for style, number, lost in worst.flips
    ]
    return "\n".join([table(head, rows), *flips])


def _shown(figure: float) -> str:
    return "" if figure in (0.0, float("inf")) else f"{figure:.3g}"


def main() -> None:
    """Draw and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draws", description=(__doc__ or "").split("\n")[0])
    styles = sorted(path.stem for path in CORPUS.glob("right/*.py"))
    tasks = [task.id for task in read_course(ROOT).assignment("vit").tasks]
    parser.add_argument("file", type=Path, metavar="FILE", help="holds what was drawn")
    parser.add_argument("--draws", type=int, default=2000, help="of each task in each style")
    parser.add_argument("--styles", nargs="+", choices=styles, default=styles, metavar="STYLE")
    parser.add_argument("--checks", nargs="+", choices=tasks, default=tasks, metavar="TASK", help="only theirs")
    parser.add_argument("--json", type=Path, metavar="FIGURES", help="also write the figures there")
    options = parser.parse_args()
    found = worst_of(draw_all(Plan(options.styles, options.checks, options.draws), options.file))
    say(rendered(found))
    write_figures(options.json, {"machine": machine(), "checks": msgspec.to_builtins(found)})


if __name__ == "__main__":
    main()
