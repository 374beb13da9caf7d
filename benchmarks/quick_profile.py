"""Run the solved notebook in its quick profile and report its results: `python -m benchmarks.quick_profile`.

Prints JSON: seconds of the whole run, by the clock and of processors, and how busy the machine was; best validation and
test accuracy of section 10; section 11's table; and the machine with the versions that matter.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import ROOT, machine, say

LIMIT_SECONDS = 1800


def execute(folder: Path) -> dict[str, Any]:
    """Execute the solved notebook in `folder`, offline, and return it.

    Args:
        folder: An empty folder.

    Raises:
        SystemExit: If a cell raises; the message says which.
    """
    shutil.copytree(ROOT / "source" / "vit", folder, dirs_exist_ok=True)
    shutil.copy(ROOT / "solutions" / "vit" / "utilities.py", folder / "utilities.py")
    convert = ("-m", "nbconvert", "--execute", "--to", "notebook", "--output", "executed.ipynb", "vit.ipynb")
    settings = os.environ | {"VIT_PROFILE": "quick", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hub")}
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
    return notebook


def printed(notebook: dict[str, Any]) -> str:
    """Return all that the notebook's cells printed or displayed as text."""
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    texts = [output.get("text") or output.get("data", {}).get("text/markdown", "") for output in outputs]
    return "\n".join("".join(text) for text in texts)


def main() -> None:
    """Execute, measure and print."""
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        text = printed(execute(Path(name)))
    seconds = time.perf_counter() - start
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    epochs = re.findall(r"val_accuracy: ([\d.]+)", text.partition("Test accuracy")[0])
    found = {
        "seconds": round(seconds),
        "processor_seconds": round(spent.ru_utime + spent.ru_stime),
        "load_at_the_end": round(os.getloadavg()[0], 1),
        "best_validation_accuracy": max(map(float, epochs)),
        "test_accuracy": re.findall(r"Test accuracy: ([\d.]+%)", text)[0],
        "footprint": [line for line in text.splitlines() if line.startswith(("| model", "| ViT", "| CNN", "Power:"))],
        "machine": machine(),
    }
    say(json.dumps(found, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
