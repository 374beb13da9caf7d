"""Readers of what goes back, as the platforms' code reads it: `importziplib.php`, Canvas' `gradebook_importer.rb`."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from pathlib import Path


def moodle_feedback(path: Path, participants: set[int]) -> dict[int, dict[str, bytes]]:
    """Return the files of each participant, as Moodle takes them out of an uploaded zip."""
    found: dict[int, dict[str, bytes]] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.endswith("/") or name.rpartition("/")[2].startswith((".", "~")):
                continue
            parts = name.split("/")
            while parts:
                info = parts.pop(0).split("_", 4)
                if (
                    len(info) < 4
                    or not re.fullmatch(r"\s*[-+]?\d+(\.\d+)?", info[1])
                    or int(info[1]) not in participants
                ):
                    continue
                if (info[2], info[3]) != ("assignsubmission", "file"):
                    continue
                rest = "/".join([info[4] if len(info) > 4 else "", *parts])
                found.setdefault(int(info[1]), {})[rest.rpartition("/")[2]] = archive.read(name)
                break
            else:
                raise AssertionError(f"Moodle would ignore {name}")
    return found


def canvas_feedback(path: Path) -> dict[tuple[str, str], bytes]:
    """Return user and attachment of each file in an upload, anonymous ids too, with its content."""
    found: dict[tuple[str, str], bytes] = {}
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            parts = name.rpartition("/")[2].split("_")
            numbers = [part for part in parts if re.fullmatch(r"\d+", part)]
            user, attachment = (parts[1], numbers[0]) if parts[0] == "anon" else (numbers[0], numbers[1])
            found[user, attachment] = archive.read(name)
    return found


def canvas_marks(content: bytes, column: str) -> dict[int, str]:
    """Return the grade of each user, as Canvas imports a gradebook."""
    lines = content.decode("utf-8-sig").splitlines()[:3]
    counts = {mark: {len(next(csv.reader([line], delimiter=mark))) for line in lines} for mark in ";,"}
    sizes = {mark: found.pop() if len(found) == 1 else 0 for mark, found in counts.items()}
    delimiter = ";" if sizes[";"] > sizes[","] else ","
    heading, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig")), delimiter=delimiter)
    assert "Student" in heading[0]
    assert "ID" in heading[1]
    place = heading.index(column)
    rows = [row for row in rows if any(row) and "Points Possible" not in row[0]]
    return {int(row[1]): row[place].strip() for row in rows}


def moodle_marks(content: bytes) -> dict[int, str]:
    """Return the grade of each participant, as Moodle imports a grading worksheet."""
    found: dict[int, str] = {}
    for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"))):
        match = re.search(r"(\d+)\s*$", row["Identifier"])
        assert match
        found[int(match[1])] = row["Grade"].strip()
    return found
