"""Kill grading at random moments and see that nothing is lost: `python -m tests.kills --kills 50 --students 30`.

Each kill takes a fresh course, starts `grade` and then `feedback`, and kills (-9) the grader, one of its workers or a
zygote at a random moment. Then both commands run once more. Gradebook, graded notebooks and feedback must be those of
a run that nobody disturbed, and no process may be left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment

from autograder.config import load_config
from autograder.release import build
from autograder.runner import course_secret
from autograder.steps import course_directory, make_step, run_step
from tests.tiny import REPOSITORY, write_tiny_sources

VICTIMS = ("grader", "worker", "zygote")
MODULES = (
    "def double(x): return x + x",
    "def double(x): return x * x",
    "def double(x): raise ValueError('no')",
    "import os\ndef double(x): os._exit(0)",
    "def double(x): return [[float('nan')] * 5] * 3",
    None,
)
ANSWERS = ("total = sum(range(size))", "total = 3", "raise SystemExit", None)
State = dict[str, Any]


def make_course(root: Path, students: int) -> None:
    """Write a released course of `tiny` with a class that does everything right, wrong and not at all."""
    write_tiny_sources(root)
    build(root, "tiny")
    with (root / "course_config.py").open("a") as file:
        file.write('\nc.AssignLatePenalties.plugin_class = "tests.tiny.OnePointOff"\n')
    config = load_config(root)
    run_step(make_step(GenerateAssignment, config, course_directory(config, "tiny")))
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    course_secret(config)
    notebook = json.loads((root / "release/tiny/tiny.ipynb").read_text())
    for number in range(students):
        _hand_in(root / "submitted" / f"student-{number:02}" / "tiny", number, notebook)


def _hand_in(folder: Path, number: int, notebook: dict[str, Any]) -> None:
    folder.mkdir(parents=True)
    module, answer = MODULES[number % len(MODULES)], ANSWERS[number % len(ANSWERS)]
    if module is not None:
        (folder / "utilities.py").write_text(f"{module}\n# by student {number}\n")
    if answer is not None:
        cells = {cell["metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in notebook["cells"]}
        cells["total_answer"]["source"] = answer
        cells["question_01"]["source"] = f"Twice {number}."
        (folder / "tiny.ipynb").write_text(json.dumps(notebook))
    if number % 5 == 0:
        (folder / "timestamp.txt").write_text("2030-01-02 00:00:00 UTC")


def commands(root: Path, jobs: int = 2) -> list[list[str]]:
    """Return the two commands that an instructor runs."""
    words = [sys.executable, "-m", "autograder"]
    course = ["--course", str(root)]
    return [[*words, "grade", *course, "--jobs", str(jobs)], [*words, "feedback", *course]]


def start(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start one command in a process group of its own."""
    with log.open("ab") as file:
        return subprocess.Popen(words, cwd=REPOSITORY, stdout=file, stderr=file, start_new_session=True)


def run_undisturbed(root: Path) -> list[int]:
    """Run both commands to their ends and return their exit statuses."""
    return [start(words, root / "log").wait() for words in commands(root)]


def state_of(root: Path) -> State:
    """Return what must not depend on kills: all marks and comments, and the digests of all written files."""
    state: State = {}
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        for submitted in book.find_assignment("tiny").submissions:
            student = submitted.student.id
            for one in submitted.notebooks:
                penalty = one.late_submission_penalty
                state[f"{student} as a whole"] = (one.score, one.needs_manual_grade, penalty, len(one.grades))
                for grade in one.grades:
                    marks = (grade.auto_score, grade.manual_score, grade.score, grade.needs_manual_grade)
                    state[f"{student} {grade.name}"] = marks
                for comment in one.comments:
                    state[f"{student} {comment.name} comment"] = (comment.auto_comment, comment.manual_comment)
    for step in ("autograded", "feedback"):
        for path in sorted((root / step).rglob("*")):
            if path.is_file():
                name = str(path.relative_to(root))
                state[name] = hashlib.sha256(path.read_bytes().replace(str(root).encode(), b"")).hexdigest()
    return state


def processes_of(parent: int) -> Iterator[tuple[str, psutil.Process]]:
    """Yield kind and process of a running command: itself, its workers, their zygotes."""
    with suppress(psutil.NoSuchProcess):
        main = psutil.Process(parent)
        yield "grader", main
        for child in main.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                words, above = " ".join(child.cmdline()), " ".join(child.parent().cmdline())  # type: ignore[union-attr]
                if "autograder.zygote" in words and "autograder.zygote" not in above:
                    yield "zygote", child
                elif "spawn_main" in words:
                    yield "worker", child


@dataclass
class Kill:
    """One round: whom to kill when, and what came of it."""

    victim: str
    after: float
    killed: str = "nobody"
    left: int = 0
    differences: tuple[str, ...] = ()


def disturb(root: Path, kill: Kill) -> None:
    """Run both commands and kill one process of theirs; the second does not start where the first was killed."""
    moment = time.monotonic() + kill.after
    for words in commands(root):
        running = start(words, root / "log")
        seen: dict[int, psutil.Process] = {}
        while running.poll() is None:
            found = list(processes_of(running.pid))
            seen |= {process.pid: process for _, process in found}
            if kill.killed == "nobody" and time.monotonic() >= moment:
                _kill_one(found, kill)
            time.sleep(0.05)
        kill.left += len(psutil.wait_procs([one for one in seen.values() if one.pid != running.pid], timeout=10)[1])
        if kill.killed == "grader":
            return


def _kill_one(found: list[tuple[str, psutil.Process]], kill: Kill) -> None:
    """Kill a process of the wanted kind as soon as there is one; the grader where none is to come."""
    for kind, process in found:
        if kind == kill.victim:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                kill.killed = kind
            return


def kill_rounds(folder: Path, kills: int, students: int, seed: int) -> Iterator[Kill]:
    """Yield each round after it was compared with an undisturbed run."""
    template, calm = folder / "template", folder / "calm"
    make_course(template, students)
    shutil.copytree(template, calm)
    began = time.monotonic()
    run_undisturbed(calm)
    seconds, expected = time.monotonic() - began, state_of(calm)
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for number in range(kills):
        root = folder / f"round-{number}"
        shutil.copytree(template, root)
        kill = Kill(VICTIMS[number % len(VICTIMS)], rng.uniform(0.02, 0.9) * seconds)
        disturb(root, kill)
        run_undisturbed(root)
        found = state_of(root)
        kill.differences = tuple(sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name)))
        if not kill.differences:
            shutil.rmtree(root)
        yield kill


def main(words: Sequence[str] | None = None) -> int:
    """Kill, compare and count; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the courses; those that differ stay")
    options = parser.parse_args(words)
    killed: Counter[str] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        for number, kill in enumerate(kill_rounds(options.keep or Path(name), options.kills, options.students, options.seed)):
            killed[kill.killed] += 1
            bad += bool(kill.differences or kill.left)
            told = f"{number}: {kill.killed} after {kill.after:.1f} s, {kill.left} processes left"
            sys.stdout.write(f"{told}, differences: {', '.join(kill.differences) or 'none'}\n")
            sys.stdout.flush()
    counts = ", ".join(f"{count} {kind}" for kind, count in killed.most_common())
    sys.stdout.write(f"{options.kills} rounds ({counts}) with {options.students} students: {bad} differ\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
