"""Prepare a demonstration course: `python -m tests.submissions course DIR`, then `... class DIR`.

`course` copies what a course folder needs, so that the demonstration leaves the real gradebook alone;
`class` writes the example submissions into it, once it is built and released.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from .demo import write_examples

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = ("solutions", "autograder/checks")
FILES = ("course_config.py", "nbgrader_config.py", "requirements.lock")


def copy_course(folder: Path) -> None:
    """Copy the course's own files into a new folder; an old demonstration there is removed.

    Raises:
        SystemExit: If the folder holds anything else.
    """
    if folder.exists() and not (folder / FILES[0]).exists():
        raise SystemExit(f"{folder} exists and is no demonstration course. Name another folder.")
    shutil.rmtree(folder, ignore_errors=True)
    for name in FOLDERS:
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(REPOSITORY / name, folder / name)


def write_class(folder: Path) -> None:
    """Write the example submissions into a built and released course."""
    released = folder / "release" / "vit"
    write_examples(
        folder / "submitted",
        (folder / "source" / "vit" / "vit.ipynb").read_bytes(),
        (released / "vit.ipynb").read_bytes(),
        (released / "utilities.py").read_bytes(),
    )


def main() -> None:
    """Run one of the two steps."""
    steps = {"course": copy_course, "class": write_class}
    if len(sys.argv) != 3 or sys.argv[1] not in steps:
        raise SystemExit("usage: python -m tests.submissions {course|class} DIR")
    steps[sys.argv[1]](Path(sys.argv[2]))


if __name__ == "__main__":
    main()
