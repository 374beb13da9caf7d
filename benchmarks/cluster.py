"""Measure a Dask cluster on this machine: `python -m benchmarks.cluster --submissions 40`.

Grades the same right submissions of the real course three times, over TCP on loopback: with one worker, with two, and
with two of which one is killed in the middle. Each time a new scheduler and workers are started and warmed up with one
submission per worker, so that importing TensorFlow is left out. Prints JSON: seconds, their ratio, same marks or not.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from distributed import Client, Worker

from autograder.batch.batch import discover, grade_all
from autograder.batch.dask_workers import cluster_workers
from autograder.batch.outcome import GradedSubmission
from autograder.course.assignment import MODULE
from autograder.course.course import read_course
from tests.clusters import cluster
from tests.submissions.__main__ import copy_course
from tests.submissions.corpus import ROOT, read_corpus

WARM = "warm"


def write_class(folder: Path, count: int, warm: int) -> None:
    """Write different right submissions, and some that warm workers up."""
    corpus = read_corpus()
    right = [variant for variant in corpus.variants if variant.right and not variant.cell]
    names = [*(f"student-{number:03}" for number in range(count)), *(f"{WARM}-{number}" for number in range(warm))]
    for number, name in enumerate(names):
        place = folder / name / "vit"
        place.mkdir(parents=True)
        for file, content in corpus.submission(right[number % len(right)]).files.items():
            mark = f"\n# {name}\n".encode() if file == f"{MODULE}.py" else b""  # each differs from all others
            (place / file).write_bytes(content + mark)


def run(folder: Path, workers: int, *, kill: bool = False) -> tuple[float, dict[str, float]]:
    """Grade the class on a fresh cluster and return seconds and marks; nothing is recorded.

    Args:
        folder: The course, whose stored results are removed first.
        workers: How many.
        kill: Whether one worker is killed once a third is done.
    """
    shutil.rmtree(folder / ".autograder" / "results", ignore_errors=True)
    course = read_course(folder)
    assignment = course.assignment("vit")
    folders = discover(course.root / "submitted", "vit")
    warm = {f"{WARM}-{number}": folders[f"{WARM}-{number}"] for number in range(workers)}
    cold = {name: folder for name, folder in folders.items() if not name.startswith(WARM)}
    with tempfile.TemporaryDirectory(prefix="cluster-") as name, cluster(Path(name), workers) as address:
        with cluster_workers(address, course, assignment) as there:
            warmed = list(grade_all(course, assignment, warm, there))
            began = time.perf_counter()
            done = grade_all(course, assignment, cold, there)
            marks = _marks(_with_a_kill(done, address, len(cold) // 3) if kill else done)
            seconds = time.perf_counter() - began
    _marks(iter(warmed))
    return seconds, marks


def _with_a_kill(done: Iterator[GradedSubmission], address: str, after: int) -> Iterator[GradedSubmission]:
    for number, graded in enumerate(done, start=1):
        if number == after:
            with Client(address, set_as_default=False) as client:
                os.kill(next(iter(client.run(_pid).values())), signal.SIGKILL)
        yield graded


def _pid(dask_worker: Worker) -> int:
    return os.getpid()


def _marks(done: Iterator[GradedSubmission]) -> dict[str, float]:
    marks = {}
    for graded in done:
        if graded.result is None:
            raise SystemExit(f"{graded.student}: {graded.error}")
        marks[graded.student] = graded.result.score
    return marks


def main(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--submissions", type=int, default=40)
    options = parser.parse_args(words)
    with tempfile.TemporaryDirectory(prefix="course-") as name:
        course = Path(name, "course")
        copy_course(course)
        shutil.copytree(ROOT / "source", course / "source")
        write_class(course / "submitted", options.submissions, warm=2)
        single_s, single = run(course, 1)
        double_s, double = run(course, 2)
        killed_s, killed = run(course, 2, kill=True)
    figures = {
        "submissions": options.submissions, "processors": os.cpu_count(),
        "one_worker_s": round(single_s, 1), "two_workers_s": round(double_s, 1), "ratio": round(single_s / double_s, 2),
        "one_of_two_killed_s": round(killed_s, 1), "graded_with_a_kill": len(killed),
        "same_marks": single == double == killed,
        "full_marks": sum(mark == max(single.values()) for mark in single.values()),
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
