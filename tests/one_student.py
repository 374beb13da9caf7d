"""A class of one student with every kind of mark, well-behaved or hostile."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas

from autograder.marks import ClassMarks, Mark, OpenMark, Person, StudentMarks
from autograder.results import CheckResult, Outcome
from tests.tiny import tiny_result

HOSTILE = "=cmd|' /C calc'!A0, \"x\"\n<script>alert(1)</script> | `@all` \x1b[31m\x00\ufffe"


def one_student(outcome: Outcome | None = None, **changes: Any) -> ClassMarks:
    """A class of one, 4 of 7 points, half a point taken."""
    result = tiny_result(double=2.0, total=2.0, outcome=outcome)
    person = changes.pop("person", Person("ada", "Ada, A.", "O'Brien", "ada@example.org", "4711"))
    double = Mark("double", 3.0, 2.0)
    if outcome == "error":
        double = replace(double, waiting=True, open=OpenMark("held", why="works: KeyError"))
    fields: dict[str, Any] = {
        "tasks": {"double": double, "total": Mark("total", 2.0, 2.0)},
        "questions": {"question_01": Mark("question_01", 2.0, None, by_hand=True, waiting=True)},
        "penalty": 0.5,
        "seconds_late": 60.0,
        "handed_in": datetime(2030, 1, 1, 0, 1),
        "due": datetime(2030, 1, 1),
        "submitted": True,
        "result": result,
    }
    points = {"double": 3.0, "total": 2.0, "question_01": 2.0}
    return ClassMarks("tiny", points, ("double", "total"), (StudentMarks(person, **fields | changes),), recorded=True)


def hostile() -> ClassMarks:
    """A class of one whose name, address and code attack whoever reads them."""
    marks = one_student(person=Person(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    result = marks.students[0].result
    assert result is not None
    check = CheckResult(id=f"double::{HOSTILE}", outcome="failed", weight=1, message=HOSTILE, misconception=HOSTILE)
    task = type(result.tasks[0])(id="double", score=2.0, max_score=3.0, checks=(check,))
    fields = {name: getattr(result, name) for name in result.__struct_fields__}
    return one_student(person=marks.students[0].person, result=type(result)(**fields | {"tasks": (task,)}))


def read_frame(content: bytes) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)
