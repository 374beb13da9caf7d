"""Grade honest submissions beside ones that take all they can: do the honest ones keep their marks?

`python -m benchmarks.fairness [--times 5] [--submissions 8] [--jobs 2] [--json FILE]`

Each time the same class is graded with no result cached: right submissions that differ, and among them one with
hundreds of busy threads, one that fills memory, and one that writes files without end. Their parts are right, too; what
they lose is theirs to lose.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.course.assignment import MODULE, load_assignment
from autograder.course.submission import Snapshot
from benchmarks.classes import right_class
from benchmarks.measuring import QUIET, ROOT, build_course, machine, say, table, write_figures

HOGS = {
    "hog-of-threads": """
import threading as _threading
def _spin():
    while True:
        pass
for _ in range(400):
    _threading.Thread(target=_spin, daemon=True).start()
""",
    "hog-of-memory": """
import threading as _threading, time as _time
def _fill():
    held = []
    while True:
        held.append(bytearray(b"x" * (64 << 20)))
        _time.sleep(0.05)
_threading.Thread(target=_fill, daemon=True).start()
""",
    "hog-of-files": """
import threading as _threading
def _write():
    while True:
        try:
            with open("full", "ab") as file:
                file.write(b"x" * (8 << 20))
        except OSError:
            open("full", "wb").close()
_threading.Thread(target=_write, daemon=True).start()
""",
}
"""What is added to a right module, by the name of who hands it in."""


@dataclass(frozen=True)
class Marks:
    """What one run of `grade` gave.

    Attributes:
        honest: Points by honest student; None without a result.
        hogs: The same of the others.
    """

    honest: Mapping[str, float | None]
    hogs: Mapping[str, float | None]

    def unfair(self, full: float) -> dict[str, float | None]:
        """Return the honest ones without full marks."""
        return {student: points for student, points in self.honest.items() if points != full}


def write_class(course: Path, submissions: int) -> None:
    """Write the honest ones, and the hogs among them, into a built course."""
    honest = right_class(load_assignment(course, "vit"), submissions)
    everybody = {f"honest-{number}": snapshot for number, snapshot in enumerate(honest.values())}
    base = next(iter(everybody.values()))
    module = base.files[f"{MODULE}.py"]
    for number, (name, further) in enumerate(HOGS.items()):
        files = {**base.files, f"{MODULE}.py": module + further.encode()}
        everybody[f"honest-{number}-{name}"] = Snapshot(files, base.notebook)  # each begins beside an honest one
    for student, snapshot in everybody.items():
        snapshot.write_to(course / "submitted" / student / "vit")


def grade(course: Path, jobs: int, assignment: str = "vit") -> Marks:
    """Grade a class, with no result cached; who has `-hog-` in the name is no honest one."""
    shutil.rmtree(course / ".autograder", ignore_errors=True)
    results = course / "results"
    shutil.rmtree(results, ignore_errors=True)
    where = ["--course", str(course), "--assignment", assignment]
    words = ["-m", "autograder", "grade", "--no-record", "--jobs", str(jobs), "--json", str(results), *where]
    # Its status tells whether everybody was graded, which a hog need not be.
    subprocess.run([sys.executable, *words], cwd=ROOT, env=os.environ | QUIET, capture_output=True, check=False)  # noqa: S603
    points: dict[str, float | None] = {folder.name: None for folder in (course / "submitted").iterdir()}
    points |= {file.stem: json.loads(file.read_text())["score"] for file in results.glob("*.json")}
    hogs = {student: score for student, score in points.items() if student.partition("-hog-")[1]}
    return Marks({student: score for student, score in points.items() if student not in hogs}, hogs)


def measure(course: Path, submissions: int, times: int, jobs: int) -> list[Marks]:
    """Build a course in an empty folder and grade its class so many times."""
    build_course(course)
    write_class(course, submissions)
    return [grade(course, jobs) for _ in range(times)]


def main() -> None:
    """Measure and print; the status is 1 where an honest submission lost a point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fairness", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--submissions", type=int, default=8, help="honest ones")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runs = measure(Path(folder) / "course", options.submissions, options.times, options.jobs)
    full = sum(task.points for task in load_assignment(ROOT, "vit").tasks)
    rows = [(str(number), str(run.unfair(full) or "none"), str(dict(run.hogs))) for number, run in enumerate(runs, 1)]
    say(table(("run", "honest without full marks", "hogs"), rows))
    write_figures(options.json, {"machine": machine(), "runs": [vars(run) for run in runs]})
    sys.exit(any(run.unfair(full) for run in runs))


if __name__ == "__main__":
    main()
