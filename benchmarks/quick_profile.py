"""Run the solved notebook in its quick profile and report its results: `python -m benchmarks.quick_profile`.

Prints JSON: seconds by the clock and of processors, of the whole run and of what stands before the experiments of
section 14, the cells that took most, and how busy the machine was; best validation and test accuracy of section 10;
section 11's table; and the machine with the versions that matter. The limits hold for two idle cores.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, cpu_of_children, machine, say

LIMIT_SECONDS = 1800
WHOLE_SECONDS = 180
LAB_SECONDS = 120
"""The most that the notebook may take by the clock, with its experiments and without them."""
EXPERIMENTS = "## 14. "
STEPS = 300
"""Of the notebook's experiments, in the quick profile."""
FEWER = 100
"""Steps that the shortest of them takes less."""
SLOWEST = 8
STOPWATCH = """
import time

def begin(info):
    global begun
    begun = time.perf_counter(), time.process_time()

def end(result):
    with open({file!r}, "a") as file:
        print(time.perf_counter() - begun[0], time.process_time() - begun[1], file=file)

get_ipython().events.register("pre_run_cell", begin)
get_ipython().events.register("post_run_cell", end)
"""
"""What the kernel runs before the first cell: it notes what each cell takes, by the clock and of processors."""


def execute(folder: Path, steps: int = STEPS) -> dict[str, Any]:
    """Execute the solved notebook in `folder`, offline, and return it.

    The metadata of each code cell says what it took: `seconds`, by the clock and of processors.

    Args:
        folder: An empty folder.
        steps: How long the experiments train.

    Raises:
        SystemExit: If a cell raises; the message says which.
    """
    shutil.copytree(ROOT / "source" / "vit", folder, dirs_exist_ok=True)
    _replace(folder / "vit.ipynb", f"steps = {STEPS} if", f"steps = {steps} if")
    few = steps - FEWER
    _replace(folder / "experiments.py", "steps=200, warm_up=100", f"steps={few}, warm_up={few // 2}")
    shutil.copy(ROOT / "solutions" / "vit" / "utilities.py", folder / "utilities.py")
    convert = ("-m", "nbconvert", "--execute", "--to", "notebook", "--output", "executed.ipynb", "vit.ipynb")
    settings = os.environ | {
        "VIT_PROFILE": "quick",
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "IPYTHONDIR": str(folder / "ipython"),
    }
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "stopwatch.py").write_text(STOPWATCH.format(file=str(folder / "seconds.txt")), "utf-8")
    done = subprocess.run(  # noqa: S603 - our own notebook
        [sys.executable, *convert],
        cwd=folder,
        env=settings,
        timeout=LIMIT_SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    notebook: dict[str, Any] = json.loads((folder / "executed.ipynb").read_text("utf-8"))
    lines = (folder / "seconds.txt").read_text("utf-8").splitlines()
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    for cell, line in zip(code, lines, strict=True):
        cell["metadata"]["seconds"] = [float(number) for number in line.split()]
    return notebook


def _replace(path: Path, old: str, new: str) -> None:
    before, found, after = path.read_text("utf-8").partition(old)
    if not found:
        raise SystemExit(f"{path.name} has no text {old!r}.")
    path.write_text(before + new + after, "utf-8")


def seconds_of_experiments(notebook: dict[str, Any]) -> tuple[float, float]:
    """Return what the cells of section 14 took together, by the clock and of processors."""
    texts = ["".join(cell["source"]) for cell in notebook["cells"]]
    (first,) = (number for number, text in enumerate(texts) if text.startswith(EXPERIMENTS))
    taken = [cell["metadata"].get("seconds", (0.0, 0.0)) for cell in notebook["cells"][first:]]
    return sum(clock for clock, _ in taken), sum(processors for _, processors in taken)


def slowest(notebook: dict[str, Any]) -> dict[str, float]:
    """Return the processor seconds of the cells that took most, by the last line of each."""
    taken = {
        "".join(cell["source"]).splitlines()[-1]: round(cell["metadata"]["seconds"][1], 1)
        for cell in notebook["cells"]
        if "seconds" in cell["metadata"]
    }
    return dict(sorted(taken.items(), key=lambda line_and_seconds: -line_and_seconds[1])[:SLOWEST])


def printed(notebook: dict[str, Any]) -> str:
    """Return all that the notebook's cells printed or displayed as text."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    texts = [output.get("text") or output.get("data", {}).get("text/markdown", "") for output in outputs]
    return "\n".join("".join(text) for text in texts)


def main() -> None:
    """Execute, measure and print."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        notebook = execute(Path(name))
    clock, processors = time.perf_counter() - start, cpu_of_children()
    after_clock, after_processors = seconds_of_experiments(notebook)
    text = printed(notebook)
    epochs = re.findall(r"val_accuracy: ([\d.]+)", text.partition("Test accuracy")[0])
    found = {
        "seconds": {"measured": round(clock), "limit": WHOLE_SECONDS},
        "seconds_before_the_experiments": {"measured": round(clock - after_clock), "limit": LAB_SECONDS},
        "processor_seconds": round(processors),
        "processor_seconds_before_the_experiments": round(processors - after_processors),
        "processor_seconds_of_the_slowest_cells": slowest(notebook),
        "load_at_the_end": round(os.getloadavg()[0], 1),
        "best_validation_accuracy": max(map(float, epochs)),
        "test_accuracy": re.findall(r"Test accuracy: ([\d.]+%)", text)[0],
        "footprint": [line for line in text.splitlines() if line.startswith(("| model", "| ViT", "| CNN", "Power:"))],
        "machine": machine(),
    }
    say(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
