"""What goes back for a group: one mark for all where a platform has one, and nothing where theirs differ."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from autograder.errors import UsageError
from autograder.exports.formats import Platform, export
from autograder.marks import ClassMarks, Mark, Person
from tests.one_student import one_student

KNOWN = {"github": {"ada-l": "ada", "ben-o": "ben"}}


def pair(second: float) -> ClassMarks:
    """Ada with 3 points, Ben with so many."""
    marks = one_student(penalty=0.0, questions={})
    students = tuple(
        replace(marks.students[0], person=Person(name), tasks={"double": Mark("double", 3.0, score)})
        for name, score in (("ada", 3.0), ("ben", second))
    )
    return replace(marks, points={"double": 3.0}, automatic=("double",), students=students)


def scores(path: Path) -> Path:
    """A group's entry as Classroom 50 writes it: `owner` is the group, the members stand beside it."""
    record: dict[str, Any] = {
        "schema": "classroom50/result/v1",
        "owner": "group-1",
        "score": 0,
        "max-score": 1,
        "tests": [],
    }
    entry = {"owner": "group-1", "member_usernames": ["Ada-L", "ben-o", "stranger"], "submissions": [record]}
    bucket = {"type": "group", "entries": [entry]}
    path.write_text(json.dumps({"schema": "classroom50/scores/v1", "assignments": {"tiny": bucket}}))
    return path


def test_classroom_50_has_one_mark_for_a_group(tmp_path: Path) -> None:
    """Only the owner was looked for, so a group's members were left out."""
    made = export(pair(3.0), "classroom50", Platform("", scores(tmp_path / "scores.json"), KNOWN))
    (entry,) = json.loads(made.files["scores.json"])["assignments"]["tiny"]["entries"]
    assert (entry["submissions"][0]["score"], entry["override"], made.left_out) == (3, True, ())


def test_members_with_other_marks_are_refused_with_their_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has one mark for ada and ben, and here they have not the same"):
        export(pair(2.0), "classroom50", Platform("", scores(tmp_path / "scores.json"), KNOWN))
