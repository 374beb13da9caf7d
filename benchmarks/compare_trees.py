"""Compare the cpu time of grading in two trees of this project, in turns: what did a change cost or save?

`python -m benchmarks.compare_trees BEFORE AFTER [--turns 7] [--submissions 4] [--recording] [--json FILE]`

Each tree is a checkout with its own environment in `.venv` (`make install`). Only the command line is used, so trees of
different age can be compared. Both figures count all processes that a command started:

- the first `check`: the whole command on the solved lab, in a course without results;
- one right submission: what `grade --no-record --jobs 1` takes more for each further submission.

With `--recording` it is, where all results are cached:

- recording one result: what `grade` takes more than `grade --no-record`, for each submission.

The trees take turns, since a processor's speed drifts. The ratio is the mean over turns, with a 95 % interval
(Student's t on the logarithms of the ratios).
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scipy import stats

from autograder.sandbox.confine import adopt_orphans
from benchmarks.measuring import QUIET, cpu_of_children, machine, say, table, write_figures


@dataclass(frozen=True)
class Tree:
    """One checkout, with copies of its course to grade in.

    Attributes:
        root: The checkout.
        work: A folder for the copies.
    """

    root: Path
    work: Path

    def run(self, *words: str) -> float:
        """Run the tree's own Python and return the cpu seconds of all that it started.

        Raises:
            SystemExit: If it fails, with the end of what it said.
        """
        before = cpu_of_children()
        done = subprocess.run(  # noqa: S603
            [str(self.root / ".venv/bin/python"), *words],
            cwd=self.root, env=os.environ | QUIET, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise SystemExit(f"{' '.join(words)} failed in {self.root}:\n{(done.stdout + done.stderr)[-2000:]}")
        return cpu_of_children() - before

    def prepare(self, submissions: int) -> None:
        """Make one course without results, with this many different right submissions and one more."""
        course = self.work / "course"
        self.run("-m", "tests.submissions", "course", str(course))
        self.run("-m", "autograder", "build", "--course", str(course))
        for number in range(submissions + 1):
            folder = course / "submitted" / f"student-{number}" / "vit"
            folder.mkdir(parents=True)
            shutil.copy(course / "source/vit/vit.ipynb", folder)
            for module in (self.root / "solutions/vit").glob("*.py"):
                if module.name != "vit.py":
                    shutil.copy(module, folder)
            own = folder / "utilities.py"
            own.write_text(f"{own.read_text('utf-8')}\n# submission {number}\n", "utf-8")

    def grade(self, students: Sequence[str]) -> float:
        """Return the cpu seconds of grading these students, with no result cached."""
        course = self.work / "course"
        shutil.rmtree(course / ".autograder", ignore_errors=True)
        return self.run(
            "-m", "autograder", "grade", *students, "--no-record", "--jobs", "1", "--quiet", "--course", str(course)
        )

    def prepare_recording(self, submissions: int) -> None:
        """Make a released course with this many cached results, none of them recorded."""
        self.prepare(submissions - 1)
        course = str(self.work / "course")
        self.run("-m", "autograder", "release", "--quiet", "--course", course)
        self.run("-m", "autograder", "grade", "--no-record", "--quiet", "--course", course)

    def record(self) -> float:
        """Return how many cpu seconds more `grade` takes in a copy of that course than without recording."""
        course = self.work / "copy"
        shutil.rmtree(course, ignore_errors=True)
        shutil.copytree(self.work / "course", course)
        grade = ("-m", "autograder", "grade", "--jobs", "1", "--quiet", "--course", str(course))
        without = self.run(*grade, "--no-record")
        return self.run(*grade) - without

    def check(self) -> float:
        """Return the cpu seconds of the first `check` of the solved lab."""
        course = self.work / "course"
        shutil.rmtree(course / ".autograder", ignore_errors=True)
        return self.run("-m", "autograder", "check", "solutions/vit", "--quiet", "--course", str(course))


@dataclass(frozen=True)
class Comparison:
    """One figure of both trees.

    Attributes:
        before: Median of the first tree, in cpu seconds.
        after: Median of the second.
        ratio: Mean of `after / before` over turns.
        low: Lower end of its 95 % interval.
        high: Upper end.
    """

    before: float
    after: float
    ratio: float
    low: float
    high: float


def compared(before: Sequence[float], after: Sequence[float]) -> Comparison:
    """Return both medians and the ratio with its interval, from pairs of turns."""
    logs = [math.log(later / earlier) for earlier, later in zip(before, after, strict=True)]
    mean = statistics.fmean(logs)
    spread = statistics.stdev(logs) / math.sqrt(len(logs))
    reach = spread * float(stats.t.ppf(0.975, len(logs) - 1))
    low, high = math.exp(mean - reach), math.exp(mean + reach)
    return Comparison(statistics.median(before), statistics.median(after), math.exp(mean), low, high)


def measure(trees: Sequence[Tree], turns: int, submissions: int) -> dict[str, Comparison]:
    """Let both trees take turns and compare the two figures."""
    checks: list[list[float]] = [[], []]
    each: list[list[float]] = [[], []]
    students = [f"student-{number}" for number in range(submissions + 1)]
    for turn in range(turns):
        for place in (0, 1) if turn % 2 else (1, 0):
            tree = trees[place]
            checks[place].append(tree.check())
            alone = tree.grade(students[:1])
            each[place].append((tree.grade(students) - alone) / submissions)
    return {"first check": compared(*checks), "one right submission": compared(*each)}


def measure_recording(trees: Sequence[Tree], turns: int, submissions: int) -> dict[str, Comparison]:
    """Let both trees take turns and compare what recording costs."""
    each: list[list[float]] = [[], []]
    for turn in range(turns):
        for place in (0, 1) if turn % 2 else (1, 0):
            each[place].append(trees[place].record() / submissions)
    return {"recording one result": compared(*each)}


def rendered(figures: dict[str, Comparison]) -> str:
    """Return the table."""
    rows = [
        (
            name,
            f"{found.before:.3f}",
            f"{found.after:.3f}",
            f"{found.ratio:.3f}",
            f"{found.low:.3f} to {found.high:.3f}",
        )
        for name, found in figures.items()
    ]
    return table(("cpu seconds", "before", "after", "ratio", "95 %"), rows)


def _interval(found: Comparison) -> str:
    return f"{found.low:.3f} to {found.high:.3f}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare_trees", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("trees", nargs=2, type=Path, metavar="TREE", help="the checkout before, and the one after")
    parser.add_argument("--turns", type=int, default=7, help="at least 2")
    parser.add_argument("--submissions", type=int, default=4, help="further submissions that are graded in each turn")
    parser.add_argument("--recording", action="store_true", help="compare what recording costs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    adopt_orphans()  # student processes whose zygote ended first
    with tempfile.TemporaryDirectory() as folder:
        trees = [Tree(root.resolve(), Path(folder) / name) for root, name in zip(options.trees, "ab", strict=True)]
        for tree in trees:
            (tree.prepare_recording if options.recording else tree.prepare)(options.submissions)
        measured = measure_recording if options.recording else measure
        figures = measured(trees, options.turns, options.submissions)
    say(rendered(figures))
    flat = {name: {key: round(value, 4) for key, value in vars(found).items()} for name, found in figures.items()}
    write_figures(options.json, {"machine": machine(), "turns": options.turns, **flat})


if __name__ == "__main__":
    main()
