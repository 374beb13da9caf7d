"""Measure what grading costs beside importing TensorFlow, in one run: `python benchmarks/check_cost.py`.

Prints JSON: seconds of the bare import, of `check` on the solutions with nothing cached, of counting the large
model's parameters inside a student process, and that process's memory before and after. Medians of three.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from autograder import wire
from autograder.checking import Student
from autograder.config import load_config
from autograder.session import StudentProcess, Zygote
from autograder.submission import Snapshot

ROOT = Path(__file__).parents[1]
LARGE = {
    "input_shape": (32, 32, 3), "num_classes": 10, "patch_size": 16, "embedding_proj_dim": 768, "num_heads": 12,
    "msa_proj_dim": 768, "transformer_layers": 12, "msa_dropout_rate": 0.1, "mlp_classification_head_units": [3074],
    "mlp_classification_head_dropout_rate": 0.5,
}  # fmt: skip
PEAK = b"\n\ndef peak_memory():\n    import resource\n    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
REPEATS = 3


def seconds(work: Callable[[], object]) -> float:
    """Return the wall-clock seconds of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def run_python(*words: str) -> None:
    """Run this interpreter; its output is dropped."""
    subprocess.run([sys.executable, *words], check=True, capture_output=True, cwd=ROOT)  # noqa: S603 - fixed words


def check_uncached() -> float:
    """Return the seconds of grading the solutions in a copy of the course that has no results yet."""
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder) / "course"
        run_python("-m", "tests.submissions", "course", str(course))
        run_python("-m", "autograder", "build", "--course", str(course))
        words = ("-m", "autograder", "check", "solutions/vit", "--course", str(course), "--json", "-")
        return seconds(lambda: run_python(*words))


def count_large() -> tuple[float, float]:
    """Return seconds to count the large model's parameters and the MiB that this added to the process's peak."""
    module = (ROOT / "solutions/vit/utilities.py").read_bytes() + PEAK
    config = dataclasses.replace(load_config(ROOT), request_seconds=120.0)
    with Zygote() as zygote:
        process = StudentProcess(zygote, Snapshot({"utilities.py": module}, "vit.ipynb"), config)
        process.ask(wire.Load(""))
        student = Student(process.ask, lambda: None, 0)
        before = student.call("peak_memory")
        spent = seconds(lambda: student.count("create_vit_classifier", **LARGE))
        added = (student.call("peak_memory") - before) / 1024
        process.stop()
    return spent, added


def main() -> None:
    """Measure and print."""
    imports = [seconds(lambda: run_python("-c", "import tensorflow")) for _ in range(REPEATS)]
    checks = [check_uncached() for _ in range(REPEATS)]
    counts = [count_large() for _ in range(REPEATS)]
    bare, check = statistics.median(imports), statistics.median(checks)
    count = statistics.median(spent for spent, _ in counts)
    figures = {
        "import_tensorflow_s": round(bare, 2), "check_s": round(check, 2), "check_per_import": round(check / bare, 2),
        "count_s": round(count, 2), "count_per_import": round(count / bare, 2),
        "count_added_peak_mib": round(max(added for _, added in counts), 1),
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
