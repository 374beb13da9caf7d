"""The formats that marks are exported in, and their files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from autograder.errors import UsageError
from autograder.exports import classroom50, gradescope
from autograder.exports.downloaded import KnownIds
from autograder.exports.github import github_annotations, markdown
from autograder.exports.junit import junit_xml
from autograder.exports.spreadsheets import CANVAS_FILE, MOODLE_FILE, Export, canvas_csv, moodle_csv, nbgrader_csv
from autograder.files import write_whole
from autograder.marks import ClassMarks
from autograder.suggestions import did_you_mean

FORMATS = {
    "csv": "marks.csv",
    "canvas": CANVAS_FILE,
    "moodle": MOODLE_FILE,
    "gradescope": gradescope.FILE,
    "classroom50": classroom50.FILE,
    "junit": "junit.xml",
    "markdown": "summary.md",
    "annotations": "annotations.txt",
}
"""The file of each format; Gradescope has one in a folder for each student."""
FILLED = ("canvas", "moodle", "classroom50")
"""Formats that can fill in a downloaded file."""
FINAL = ("canvas", "moodle", "gradescope", "classroom50")
"""Formats whose marks students see at once: they go out when everything is marked, or when that is asked for."""


def check_format(kind: str, downloaded: Path | None) -> None:
    """Refuse a format that does not exist, or that cannot fill in a downloaded file.

    Raises:
        UsageError: With the formats that there are.
    """
    if kind not in FORMATS:
        raise UsageError(f"No format {kind!r}.", did_you_mean(kind, FORMATS))
    if kind == "classroom50" and downloaded is None:
        raise UsageError("classroom50 fills in a file that is there.", "Name it: --fill scores.json")
    if downloaded is not None and kind not in FILLED:
        raise UsageError(f"The format {kind} fills in no file.", f"--fill is for {', '.join(FILLED)}.")


@dataclass(frozen=True)
class Platform:
    """What a platform's format needs beside the marks.

    Attributes:
        column: Heading of the marks in Canvas or Moodle; empty means the usual one.
        downloaded: A file of the platform to fill in.
        known: Ids that the gradebook does not hold.
    """

    column: str = ""
    downloaded: Path | None = None
    known: KnownIds | None = None


def export(
    marks: ClassMarks,
    kind: str,
    platform: Platform = Platform(),
    folders: Mapping[str, Path] | None = None,
) -> Export:
    """Return the files of one of `FORMATS`.

    Args:
        marks: The class.
        kind: The format.
        platform: What a platform's format needs beside the marks.
        folders: Student to submission folder, for annotations.

    Raises:
        UsageError: If there is no such format, or the downloaded file does not fit.
    """
    column, downloaded, known = platform.column, platform.downloaded, platform.known
    check_format(kind, downloaded)
    if kind == "canvas":
        return canvas_csv(marks, column, downloaded, known)
    if kind == "moodle":
        return moodle_csv(marks, column, downloaded, known)
    if kind == "classroom50" and downloaded is not None:
        return classroom50.classroom50_scores(marks, column, downloaded, known or {})
    if kind == "gradescope":
        return Export(gradescope.gradescope_files(marks))
    content: dict[str, Callable[[], bytes]] = {
        "csv": lambda: nbgrader_csv(marks),
        "junit": lambda: junit_xml(marks),
        "markdown": lambda: markdown(marks).encode(),
        "annotations": lambda: github_annotations(marks, folders or {}).encode(),
    }
    return Export({FORMATS[kind]: content[kind]()})


def write_export(made: Export, folder: Path) -> list[Path]:
    """Write an export's files, each whole or not at all, and return their paths."""
    for name, content in made.files.items():
        write_whole(folder / name, content)
    return [folder / name for name in made.files]
