"""Classroom 50's `scores.json`: marks in the place of those that its own tests gave.

Its records may hold nothing that its schema does not name, and points are whole numbers there: they are rounded down.

Reference:
    Classroom 50, `schemas/scores-v1.schema.json` and `schemas/result-v1.schema.json`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from autograder.collecting.roster import folded
from autograder.errors import UsageError
from autograder.exports.downloaded import KnownIds
from autograder.exports.spreadsheets import Export
from autograder.marks import ClassMarks, StudentMarks
from autograder.suggestions import did_you_mean
from autograder.text import title_of

FILE = "scores.json"
SCHEMA, RESULT_SCHEMA = "classroom50/scores/v1", "classroom50/result/v1"


def classroom50_scores(marks: ClassMarks, column: str, downloaded: Path, known: KnownIds) -> Export:
    """Return the file with the marks of everyone whom it names, each marked as the teacher's own (`override`).

    Args:
        marks: The class.
        column: The assignment's name there; by default its name here, or the only one.
        downloaded: The file as Classroom 50 wrote it.
        known: Ids that the gradebook does not hold, `github` among them.

    Raises:
        UsageError: If it is no such file, or has no such assignment.
    """
    scores = _read(downloaded)
    entries = _entries(scores, column, marks, downloaded)
    students = {folded(student.person.id): student for student in marks.students if student.submitted}
    accounts = {account: folded(student) for account, student in known.get("github", {}).items()}
    named: set[str] = set()
    for entry in entries:
        names = map(folded, _members(entry))
        members = [student for name in names if (student := students.get(accounts.get(name, name))) is not None]
        for student in members:
            if student.person.id in named:
                raise UsageError(f"{downloaded}: two entries are {student.person.id}'s.", "Look at roster.csv.")
            named.add(student.person.id)
        if members:
            _fill(entry, _one_mark(members, downloaded), marks, downloaded)
    missing = tuple(student.person.id for student in students.values() if student.person.id not in named)
    return Export({FILE: json.dumps(scores, indent=2, ensure_ascii=False).encode() + b"\n"}, missing)


def _read(path: Path) -> dict[str, Any]:
    try:
        scores = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read as JSON: {error}.") from error
    if (
        not isinstance(scores, dict)
        or scores.get("schema") != SCHEMA
        or not isinstance(scores.get("assignments"), dict)
    ):
        raise UsageError(f"{path} is no scores.json of Classroom 50.", f"Its schema should be {SCHEMA}.")
    return scores


def _entries(scores: dict[str, Any], column: str, marks: ClassMarks, path: Path) -> list[dict[str, Any]]:
    names = list(scores["assignments"])
    name = column or (names[0] if len(names) == 1 else marks.assignment)
    if name not in names:
        raise UsageError(f"{path} has no assignment {name!r}.", f"{did_you_mean(name, names)} Name it with --column.")
    bucket = scores["assignments"][name]
    entries = bucket.get("entries") if isinstance(bucket, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: {name} has no entries.")
    return entries


def _members(entry: dict[str, Any]) -> list[str]:
    """Return the accounts whose entry it is: the members of a group, or the owner alone."""
    members = entry.get("member_usernames")
    return list(dict.fromkeys(map(str, members))) if isinstance(members, list) else [str(entry.get("owner", ""))]


def _one_mark(members: list[StudentMarks], path: Path) -> StudentMarks:
    """Return whose marks stand for all members of a group.

    Raises:
        UsageError: If they have not all the same.
    """
    if len({(member.total, tuple(member.scores.items())) for member in members}) > 1:
        names = " and ".join(member.person.id for member in members)
        raise UsageError(
            f"{path} has one mark for {names}, and here they have not the same.",
            "Give them the same marks, or take their entry out of the file and enter theirs by hand.",
        )
    return members[0]


def _fill(entry: dict[str, Any], student: StudentMarks, marks: ClassMarks, path: Path) -> None:
    """Put a student's marks into the newest submission of an entry."""
    submissions = entry.get("submissions")
    newest = submissions[0] if isinstance(submissions, list) and submissions else None
    if not isinstance(newest, dict) or newest.get("schema") != RESULT_SCHEMA:
        raise UsageError(f"{path}: the submission of {entry.get('owner')} is none of {RESULT_SCHEMA}.")
    newest["score"], newest["max-score"] = math.floor(student.total), math.floor(marks.max_score)
    newest["tests"] = [
        {
            "test-name": title_of(name, marks.titles),
            "passed": student.scores.get(name, 0.0) >= points,
            "score": math.floor(max(0.0, student.scores.get(name, 0.0))),
            "max-score": math.floor(points),
        }
        for name, points in marks.points.items()
    ]
    entry["override"] = True
