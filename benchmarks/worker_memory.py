"""Measure the memory of one grading worker: `python -m benchmarks.worker_memory [--submission FOLDER] [--json FILE]`.

A worker is the grader process, its zygote, and what the zygote forks for the current submission. While one submission
is graded, the memory of each (PSS: a page that n processes share counts 1/n for each) is read ten times a second.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from autograder.course.course import read_course
from autograder.grading.grader import Grader
from autograder.grading.result_store import read_for_check
from benchmarks.cost_split import THREADS
from benchmarks.measuring import ROOT, build_course, machine, say, table, write_figures

PARTS = ("grader", "zygote", "student")
SECONDS = 0.1
"""Between two readings."""


def shares() -> Counter[str]:
    """Return the MiB of this process, of its zygote, and of all that the zygote forked."""
    found: Counter[str] = Counter(grader=_share(psutil.Process()))
    for zygote in psutil.Process().children():
        found["zygote"] += _share(zygote)
        with suppress(psutil.NoSuchProcess):
            found["student"] += sum(map(_share, zygote.children(recursive=True)))
    return found


def _share(process: psutil.Process) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) >> 10
    return 0


@contextmanager
def watched(seen: list[Counter[str]]) -> Iterator[None]:
    """Append readings to `seen` while the block runs."""
    done = threading.Event()

    def look() -> None:
        while not done.wait(SECONDS):
            seen.append(shares())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def rendered(rest: Counter[str], seen: Sequence[Counter[str]]) -> str:
    """Return the table: at rest, each part's own peak, and all parts at the moment when they hold most together."""
    most = max(seen, key=Counter.total)
    rows = [(part, rest[part], max(look[part] for look in seen), most[part]) for part in PARTS]
    return table(
        ("MiB", "at rest", "own peak", "at the worker's peak"), [*rows, ("together", rest.total(), "", most.total())]
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.worker_memory", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--submission", type=Path, default=ROOT / "solutions" / "vit", metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    seen: list[Counter[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        course = read_course(build_course(Path(folder) / "course"))
        assignment = course.assignment("vit")
        snapshot = read_for_check(options.submission, assignment.name, course.settings)
        with Grader(course, assignment, threads=THREADS) as grader:
            grader.grade(snapshot)  # imports all that a worker keeps
            rest = shares()
            with watched(seen):
                grader.grade(snapshot)
    say(rendered(rest, seen))
    write_figures(options.json, {"machine": machine(), "rest": rest, "seen": seen})


if __name__ == "__main__":
    main()
