"""Measure what grading many submissions costs beside the checks: `python -m benchmarks.scale --submissions 100000`.

A generated class goes through the real machinery: its submissions are found, read, digested and handed to worker
processes as bytes, the results stored and written as JSON, but not recorded. Only the checks are made up: marks are
drawn from the submission's digest. All is in a folder that is removed at the end. Prints a table, or with `--json` all
figures as JSON.

With `--unchanged`, submissions of the lab's own size are also recorded, and then graded once more with the command as
instructors run it: what a run costs that has nothing to do.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from autograder.batch.batch import discover, grade_all
from autograder.batch.local_workers import LocalWorkers
from autograder.batch.outcome import write_json
from autograder.batch.recording_line import record_each
from autograder.course.assignment import Assignment, load_assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot
from autograder.grading.grader import summarise
from autograder.grading.result_store import grader_for
from autograder.results import CheckResult, Environment, SubmissionResult, TaskResult
from benchmarks.measuring import run_python, say, seconds
from benchmarks.recording_cost import handed_in, make_course

ROOT = Path(__file__).parents[1]
POINTS = 10
"""Moments at which memory is read."""
CHECKS = 5
"""Checks of each task: the real course has about as many."""


@dataclass(frozen=True)
class Moment:
    """What was seen when so many were done.

    Attributes:
        rss_mib: Memory of the grading process.
        workers_mib: Memory of its worker processes together.
        ms_each: Wall-clock milliseconds for each submission since the moment before.
    """

    done: int
    rss_mib: float
    workers_mib: float
    ms_each: float


def graded_by_lot(course: Course, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
    """Draw the marks of a submission, without running it, and store the result as the real grader does."""
    drawn = hashlib.sha256(snapshot.digest.encode()).digest()
    assignment = _assignment(course.root, name)
    tasks = tuple(_marked(task.id, task.points, drawn[number % 32]) for number, task in enumerate(assignment.tasks))
    environment = Environment(tensorflow="none", device="cpu", sandbox=())
    result = summarise(assignment, snapshot.digest, environment, tasks, snapshot.notes)
    grader_for(course, name).cache(snapshot, result)
    return replace_student(result, student)


def replace_student(result: SubmissionResult, student: str) -> SubmissionResult:
    """Return the result with the student's name in it."""
    import msgspec

    submission = msgspec.structs.replace(result.submission, student=student)
    return msgspec.structs.replace(result, submission=submission)


@functools.cache
def _assignment(root: Path, name: str) -> Assignment:
    return load_assignment(root, name)


def _marked(task: str, points: float, drawn: int) -> TaskResult:
    passed = drawn % (CHECKS + 1)
    checks = tuple(
        CheckResult(
            id=f"{task}::check_{number}",
            sentence="The result is what the equation says, for every size of input.",
            outcome="passed" if number < passed else "failed",
            weight=1.0,
            message="" if number < passed else "The shape is right, the values are wrong, by up to 0.31. " * 2,
            duration=0.01,
        )
        for number in range(CHECKS)
    )
    return TaskResult(id=task, score=round(points * passed / CHECKS, 2), max_score=points, checks=checks)


def write_class(folder: Path, count: int) -> None:
    """Write submissions that differ: the solved module and a small notebook, with a number in each."""
    module = (ROOT / "tests/submissions/right/by_definition.py").read_bytes()[:8192]
    notebook = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    cells = [{"cell_type": "code", "source": "total = 0\n" * 20, "metadata": {}, "outputs": []} for _ in range(10)]
    for number in range(count):
        place = folder / f"student-{number:06}" / "vit"
        place.mkdir(parents=True)
        (place / "utilities.py").write_bytes(module + f"\n# {number}\n".encode())
        (place / "vit.ipynb").write_text(json.dumps(notebook | {"cells": cells, "metadata": {"number": number}}))


def run(course: Course, count: int, jobs: int, json_dir: Path) -> Iterator[Moment]:
    """Grade everything and yield what is seen on the way; the first moment is before the first is done."""
    assignment = load_assignment(course.root, "vit")
    folders = discover(course.root / "submitted", "vit")
    workers = LocalWorkers(course, "vit", jobs, grade=graded_by_lot)
    here, since = psutil.Process(), time.perf_counter()
    yield _moment(here, 0, 0.0)
    step = max(1, count // POINTS)
    for done, graded in enumerate(write_json(grade_all(course, assignment, folders, workers), json_dir), start=1):
        if graded.result is None:
            raise SystemExit(f"{graded.student}: {graded.error}")
        if done % step == 0:
            yield _moment(here, done, (time.perf_counter() - since) / step * 1000)
            since = time.perf_counter()


def _moment(here: psutil.Process, done: int, ms_each: float) -> Moment:
    workers = sum(child.memory_info().rss for child in here.children() if child.is_running())
    return Moment(done, round(here.memory_info().rss / 2**20, 1), round(workers / 2**20, 1), round(ms_each, 3))


def count_files(folder: Path) -> tuple[int, float, int]:
    """Return files below a folder, their MiB, and the most entries of one folder."""
    files, size, widest = 0, 0, 0
    for place, _, names in os.walk(folder):
        files += len(names)
        size += sum(Path(place, name).stat().st_blocks * 512 for name in names)
        widest = max(widest, len(names))
    return files, round(size / 2**20, 1), widest


def measure(folder: Path, count: int, jobs: int) -> dict[str, object]:
    """Make a course and a class in a folder, grade it, grade it again, and return the figures."""
    for name in ("solutions", "source", "autograder/checks"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "course_config.py", folder)
    course = replace(read_course(folder), root=folder)
    write_class(folder / "submitted", count)
    began = time.perf_counter()
    found = len(discover(folder / "submitted", "vit"))
    discovery = time.perf_counter() - began
    first, cpu, wall = _timed(course, count, jobs, folder / "json")
    again, again_cpu, again_wall = _timed(course, count, jobs, folder / "json")
    stored = count_files(folder / ".autograder/results")
    return {
        "submissions": found, "jobs": jobs, "discovery_s": round(discovery, 2),
        "wall_ms_each": round(wall / count * 1000, 3), "cpu_ms_each": round(cpu / count * 1000, 3),
        "again_wall_ms_each": round(again_wall / count * 1000, 3),
        "again_cpu_ms_each": round(again_cpu / count * 1000, 3),
        "moments": [asdict(moment) for moment in first], "again": [asdict(moment) for moment in again],
        "store": dict(zip(("files", "mib", "most_in_one_folder"), stored, strict=True)),
        "json": dict(zip(("files", "mib", "most_in_one_folder"), count_files(folder / "json"), strict=True)),
    }  # fmt: skip


def unchanged(folder: Path, count: int, jobs: int) -> tuple[float, float]:
    """Record a class with made marks; return the seconds of that, and of a command that has nothing to do.

    Raises:
        SystemExit: If a submission cannot be recorded, or one of the commands grades or records after all.
    """
    course, assignment = make_course(folder, url="")
    for number in range(count):
        handed_in(assignment, number).write_to(folder / "submitted" / f"student-{number:06}" / "vit")
    graded = grade_all(
        course,
        assignment,
        discover(folder / "submitted", "vit"),
        LocalWorkers(course, "vit", jobs, grade=graded_by_lot),
    )
    began = time.perf_counter()
    for recorded in record_each(course, assignment, graded, preview=False, jobs=jobs):
        if recorded.error:
            raise SystemExit(f"{recorded.student}: {recorded.error}")
    first = time.perf_counter() - began
    book = (folder / "gradebook.db").read_bytes()
    words = ("-m", "autograder", "grade", "--quiet", "--course", str(folder))
    again = [seconds(lambda: run_python(*words)) for _ in range(2)]
    if (folder / "gradebook.db").read_bytes() != book:
        raise SystemExit("Something was recorded once more.")
    return first, min(again)


def _timed(course: Course, count: int, jobs: int, json_dir: Path) -> tuple[list[Moment], float, float]:
    """Return the moments of one run, its CPU seconds with those of its workers, and its wall-clock seconds."""
    before, began = os.times(), time.perf_counter()
    moments = list(run(course, count, jobs, json_dir))
    after, wall = os.times(), time.perf_counter() - began
    cpu = sum(after[:4]) - sum(before[:4])
    return moments, cpu, wall


def table(figures: dict[str, object]) -> str:
    """Return the figures as a table of text."""
    lines = [
        f"{figures['submissions']:,} submissions, {figures['jobs']} workers, found in {figures['discovery_s']} s",
        f"each: {figures['wall_ms_each']} ms of time, {figures['cpu_ms_each']} ms of CPU (workers with it)",
        f"each when nothing changed: {figures['again_wall_ms_each']} ms, {figures['again_cpu_ms_each']} ms of CPU",
        f"{'done':>9} {'MiB':>8} {'workers MiB':>12} {'ms each':>9}",
    ]
    moments = figures["moments"]
    if isinstance(moments, list):
        lines += [
            f"{moment['done']:>9,} {moment['rss_mib']:>8} {moment['workers_mib']:>12} {moment['ms_each']:>9}"
            for moment in moments
        ]
    for name in ("store", "json"):
        stored = figures[name]
        if isinstance(stored, dict):
            lines.append(
                f"{name}: {stored['files']:,} files, {stored['mib']} MiB, "
                f"{stored['most_in_one_folder']:,} in one folder"
            )
    return "\n".join(lines) + "\n"


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--submissions", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where to make the course; by default a temporary folder")
    parser.add_argument("--json", action="store_true", help="print all figures as JSON")
    parser.add_argument("--unchanged", action="store_true", help="time `grade` for a class that is recorded already")
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="scale-") as name:
        if options.unchanged:
            first, again = unchanged(Path(name), options.submissions, options.jobs)
            say(
                f"{options.submissions:,} submissions, recorded in {first:.0f} s; nothing changed: "
                f"{again:.1f} s, {1000 * again / options.submissions:.1f} ms each"
            )
            return
        figures = measure(Path(name), options.submissions, options.jobs)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n" if options.json else table(figures))


if __name__ == "__main__":
    main()
