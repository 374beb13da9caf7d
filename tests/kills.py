"""Kill grading at random moments and see that nothing is lost: `python -m tests.kills --kills 50 --students 30`.

Each round takes a fresh course, runs `grade` and then `feedback`, and kills (-9) the grader, one of its workers or a
zygote at random moments; a killed command is started again. Then both commands run once more. Gradebook, graded
notebooks and feedback must be those of a run that nobody disturbed, and no process may be left.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment

from autograder.course.course import course_secret, read_course
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.release.build import build
from tests.tiny import REPOSITORY, write_tiny_sources

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
    course = read_course(root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "tiny")))
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    course_secret(course)
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
    course = ["--course", str(root), "--assignment", "tiny"]
    return [[*words, "grade", *course, "--jobs", str(jobs)], [*words, "feedback", *course]]


def start(words: Sequence[str], log: Path) -> subprocess.Popen[bytes]:
    """Start one command in a process group of its own, which ^C reaches even where tests run in the background."""
    with log.open("ab") as file:
        return subprocess.Popen(
            words, cwd=REPOSITORY, stdout=file, stderr=file, start_new_session=True, preexec_fn=_heed_interrupts
        )


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run_undisturbed(root: Path) -> tuple[int, ...]:
    """Run both commands to their ends and return their exit statuses."""
    return tuple(start(words, root / "log").wait() for words in commands(root))


def state_of(root: Path) -> State:
    """Return what must not depend on kills: all marks and comments, and the digests of all written files."""
    state: State = {}
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        for submitted in book.find_assignment("tiny").submissions:
            student = submitted.student.id
            for notebook in submitted.notebooks:
                whole = (notebook.score, notebook.late_submission_penalty, len(notebook.grades))
                state[f"{student} as a whole"] = (*whole, notebook.needs_manual_grade)
                for grade in notebook.grades:
                    marks = (grade.auto_score, grade.manual_score, grade.score, grade.needs_manual_grade)
                    state[f"{student} {grade.name}"] = marks
                for comment in notebook.comments:
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
                if "autograder.student_side.zygote" in words and "autograder.student_side.zygote" not in above:
                    yield "zygote", child
                elif "spawn_main" in words:
                    yield "worker", child


@dataclass
class Round:
    """Some kills on one course, and what came of them."""

    kills: int
    killed: list[str] = field(default_factory=list)
    left: int = 0
    differences: tuple[str, ...] = ()


def disturb(root: Path, this_round: Round, rng: random.Random, longest: float) -> None:
    """Run both commands again and again, killing at random; the last kill of a round is the grader's."""
    while len(this_round.killed) < this_round.kills:
        for words in commands(root):
            running = start(words, root / "log")
            this_round.left += _kill_during(running, this_round, rng, longest)
            if running.returncode == -signal.SIGKILL:
                break


def _kill_during(running: subprocess.Popen[bytes], this_round: Round, rng: random.Random, longest: float) -> int:
    """Kill now and then while a command runs; return how many of its processes outlive it."""
    seen: dict[int, psutil.Process] = {}
    moment = time.monotonic() + rng.uniform(0, longest)
    while running.poll() is None:
        found = list(processes_of(running.pid))
        seen |= {process.pid: process for _, process in found if process.pid != running.pid}
        if time.monotonic() >= moment and len(this_round.killed) < this_round.kills and found:
            last = len(this_round.killed) + 1 == this_round.kills
            kind = "grader" if last else rng.choice(sorted({kind for kind, _ in found}))
            with suppress(psutil.NoSuchProcess):
                rng.choice([process for role, process in found if role == kind]).kill()
                this_round.killed.append(kind)
            moment = time.monotonic() + rng.uniform(0, longest)
        time.sleep(0.05)
    return len(psutil.wait_procs(list(seen.values()), timeout=60)[1])


def kill_rounds(folder: Path, rounds: Sequence[Round], students: int, seed: int) -> Iterator[Round]:
    """Yield each round after its course was compared with an undisturbed run's.

    Raises:
        RuntimeError: If the undisturbed run does not mark everyone: then there is nothing to compare with.
    """
    template, calm = folder / "template", folder / "calm"
    make_course(template, students)
    shutil.copytree(template, calm)
    began = time.monotonic()
    statuses = run_undisturbed(calm)
    longest = (time.monotonic() - began) / 8
    expected = state_of(calm) | {"exit statuses": statuses}
    if sum(name.startswith("feedback/") and name.endswith("tiny.html") for name in expected) != students:
        raise RuntimeError(f"The undisturbed run failed: {(calm / 'log').read_text()}")
    rng = random.Random(seed)  # noqa: S311 - reproducible, not secret
    for number, this_round in enumerate(rounds):
        root = folder / f"round-{number}"
        shutil.copytree(template, root)
        if number % 2:  # all is graded: kills meet recording and feedback
            shutil.copytree(calm / ".autograder/results", root / ".autograder/results")
        disturb(root, this_round, rng, longest)
        statuses = run_undisturbed(root)
        found = state_of(root) | {"exit statuses": statuses}
        this_round.differences = tuple(
            sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
        )
        if not this_round.differences:
            shutil.rmtree(root)
        yield this_round


def main(words: Sequence[str] | None = None) -> int:
    """Kill, compare and count; exit status 1 if anything was lost."""
    parser = argparse.ArgumentParser(prog="python -m tests.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--each", type=int, default=13, metavar="N", help="kills on one course before it is compared")
    parser.add_argument("--students", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=None, help="folder for the courses; those that differ stay")
    options = parser.parse_args(words)
    sizes = [min(options.each, options.kills - done) for done in range(0, options.kills, options.each)]
    killed: Counter[str] = Counter()
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder, courses = options.keep or Path(name), [Round(size) for size in sizes]
        rounds = kill_rounds(folder, courses, options.students, options.seed)
        for this_round in rounds:
            killed.update(this_round.killed)
            bad += bool(this_round.differences or this_round.left)
            told = f"killed {', '.join(this_round.killed)}; {this_round.left} processes left"
            sys.stdout.write(f"{told}; differences: {', '.join(this_round.differences) or 'none'}\n")
            sys.stdout.flush()
    counts = ", ".join(f"{count} {kind}" for kind, count in killed.most_common())
    sys.stdout.write(f"{counts} killed on {len(sizes)} courses of {options.students} students: {bad} differ\n")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
