"""Measure what the first `check` costs beside importing TensorFlow: `python -m benchmarks.check_cost [--json FILE]`.

Compares the whole command `check` on the solutions, with nothing cached and no process running, with a bare
`import tensorflow` in a new process plus the checks' own time: the questions that `check` asks, answered by the same
code in one warm process (`replay`). Also measures counting the large model's parameters inside a student process, and
what that adds to its memory. Medians of three; the libraries' files are in the system's cache throughout.
"""

from __future__ import annotations

import argparse
import dataclasses
import statistics
import tempfile
from pathlib import Path

from autograder import wire
from autograder.checking.remote import Student
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.grading.grader import Grader
from autograder.grading.result_store import read_for_check
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote
from benchmarks.measuring import ROOT, build_course, machine, run_python, say, seconds, table, write_figures
from benchmarks.replay import record, replayed, together

LARGE = {
    "input_shape": (32, 32, 3), "num_classes": 10, "patch_size": 16, "embedding_proj_dim": 768, "num_heads": 12,
    "msa_proj_dim": 768, "transformer_layers": 12, "msa_dropout_rate": 0.1, "mlp_classification_head_units": [3074],
    "mlp_classification_head_dropout_rate": 0.5,
}  # fmt: skip
PEAK = b"\n\ndef peak_memory():\n    import resource\n    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
REPEATS = 3


def check_uncached() -> float:
    """Return the seconds of grading the solutions in a copy of the course that has no results yet."""
    with tempfile.TemporaryDirectory() as folder:
        course = build_course(Path(folder) / "course")
        words = ("-m", "autograder", "check", "solutions/vit", "--course", str(course), "--json", "-")
        return seconds(lambda: run_python(*words))


def own_time() -> float:
    """Return the seconds of the checks' questions in a warm process that has as many threads as `check` gives them."""
    with tempfile.TemporaryDirectory() as folder:
        course = read_course(build_course(Path(folder) / "course"))
        assignment = course.assignment("vit")
        with Grader(course, assignment) as grader:
            snapshot = read_for_check(ROOT / "solutions" / "vit", assignment.name, course.settings)
            recording = record(grader, snapshot, assignment, threads=0)
        return together(replayed(recording, REPEATS)).wall


def count_large() -> tuple[float, float]:
    """Return seconds to count the large model's parameters and the MiB that this added to the process's peak."""
    module = (ROOT / "solutions/vit/utilities.py").read_bytes() + PEAK
    settings = dataclasses.replace(read_course(ROOT).settings, request_seconds=120.0)
    with Zygote() as zygote:
        process = StudentProcess(zygote, Snapshot({"utilities.py": module}, "vit.ipynb"), settings)
        given = {path.stem: path.read_text("utf-8") for path in read_course(ROOT).assignment("vit").given_modules}
        process.ask(wire.Load("utilities", "", modules=given))
        student = Student(process.ask, lambda variables: None, 0)
        before = student.call("peak_memory")
        spent = seconds(lambda: student.count("create_vit_classifier", **LARGE))
        added = (student.call("peak_memory") - before) / 1024
        process.stop()
    return spent, added


def rendered(figures: dict[str, float]) -> str:
    """Return the table, and the ratio that counts."""
    rows = [(name.replace("_", " "), f"{value:.2f}") for name, value in figures.items()]
    return table(("what", "figure"), rows)


def ratio(check: float, bare: float, own: float) -> float:
    """Return how many times as long `check` takes as the import and the checks' own work together."""
    return check / (bare + own)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.check_cost", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    options = parser.parse_args()
    bare = statistics.median(seconds(lambda: run_python("-c", "import tensorflow")) for _ in range(REPEATS))
    check = statistics.median(check_uncached() for _ in range(REPEATS))
    own = own_time()
    counts = [count_large() for _ in range(REPEATS)]
    figures = {
        "import_tensorflow_s": bare, "checks_own_s": own, "check_s": check,
        "check_per_import_and_own": ratio(check, bare, own),
        "count_s": statistics.median(spent for spent, _ in counts),
        "count_added_peak_mib": max(added for _, added in counts),
    }  # fmt: skip
    say(rendered(figures))
    write_figures(options.json, {"machine": machine(), **figures})


if __name__ == "__main__":
    main()
