"""Measure what the layers add to one fork: `python -m benchmarks.confinement_cost`.

Prints JSON: milliseconds from asking the zygote for a student process to its first answer, with no layer, with each
alone, and with all that the course requires; milliseconds of one question without and with all of them; and the share
of a processor that the watchdog takes while its student process is idle. Medians of 21.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import sys
import time
from pathlib import Path

import psutil

from autograder import wire
from autograder.config import Settings
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.student_process import StudentProcess, layers_to_put_up
from autograder.grading.zygote_client import Zygote

ROOT = Path(__file__).parents[1]
MODULE = b"def same(x):\n    return x\n"
REPEATS = 21
IDLE_SECONDS = 5.0


def spawn(zygote: Zygote, settings: Settings) -> tuple[float, StudentProcess]:
    """Return the milliseconds until a student process said which layers hold, and the process."""
    started = time.perf_counter()
    process = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), settings)
    return (time.perf_counter() - started) * 1e3, process


def time_fork(zygote: Zygote, settings: Settings) -> float:
    """Return the median milliseconds of starting a process."""
    spent = []
    for _ in range(REPEATS):
        milliseconds, process = spawn(zygote, settings)
        process.stop()
        spent.append(milliseconds)
    return round(statistics.median(spent), 1)


def time_question(zygote: Zygote, settings: Settings) -> float:
    """Return the median milliseconds of a question that does nothing."""
    _, process = spawn(zygote, settings)
    process.ask(wire.Load("utilities", ""))
    spent = []
    for _ in range(REPEATS * 10):
        started = time.perf_counter()
        process.ask(wire.Call("module", "same", [1], {}))
        spent.append((time.perf_counter() - started) * 1e3)
    process.stop()
    return round(statistics.median(spent), 3)


def watchdog_share(zygote: Zygote, settings: Settings) -> float:
    """Return the share of one processor, in percent, that the process outside the wall takes."""
    before = set(psutil.Process().children(recursive=True))
    _, process = spawn(zygote, settings)
    watchdog = min(set(psutil.Process().children(recursive=True)) - before, key=lambda child: child.pid)
    started, times = time.monotonic(), watchdog.cpu_times()
    time.sleep(IDLE_SECONDS)
    after, elapsed = watchdog.cpu_times(), time.monotonic() - started
    process.stop()
    return round(100 * (after.user + after.system - times.user - times.system) / elapsed, 2)


def main() -> None:
    """Measure and print."""
    settings = read_course(ROOT).settings
    layers = layers_to_put_up(settings)
    nothing = dataclasses.replace(settings, required_layers=())
    figures: dict[str, object] = {"layers": layers}
    with Zygote(threads=1) as zygote:
        time_fork(zygote, nothing)
        figures["fork_ms"] = {"none": time_fork(zygote, nothing)} | {
            layer: time_fork(zygote, dataclasses.replace(settings, required_layers=(layer,))) for layer in layers
        }
        figures["fork_all_ms"] = time_fork(zygote, settings)
        figures["question_ms"] = {"none": time_question(zygote, nothing), "all": time_question(zygote, settings)}
        figures["watchdog_percent"] = watchdog_share(zygote, settings)
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
