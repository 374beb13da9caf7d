"""Gradescope's results.json.

Reference:
    Gradescope, "Autograder specifications", output format.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.result_text import render_summary_text, render_task_text
from autograder.rendering.result_views import EARLIER, HELD
from autograder.reports.item_analysis import seconds_spent
from autograder.text import title_of

FILE = "results.json"


def gradescope_files(marks: ClassMarks) -> dict[str, bytes]:
    """Return a results.json for each student who handed in, in a folder of the student's name."""
    files = {}
    for student in marks.students:
        if student.submitted:
            folder = re.sub(r"[/\\\0]|^\.+$", "_", student.person.id)  # an id may be no name of a folder
            files[f"gradescope/{folder}/{FILE}"] = gradescope_results(marks, student)
    return files


def gradescope_results(marks: ClassMarks, student: StudentMarks) -> bytes:
    """Return one student's results.json: an entry for each task and question, and one for a late penalty."""
    tests = [_test(marks, student, name) for name in marks.points]
    if student.penalty:
        tests.append(_late_penalty(student))
    result = student.result
    record = {
        "score": student.total,
        "output": render_summary_text(result) if result else "There are no cached results for this submission.",
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": [{**test, "number": str(place)} for place, test in enumerate(tests, start=1)],
    }
    if result is not None:
        record["execution_time"] = round(seconds_spent(result), 3)
    return bytes(msgspec.json.format(msgspec.json.encode(record), indent=2)) + b"\n"


def _test(marks: ClassMarks, student: StudentMarks, name: str) -> dict[str, Any]:
    points, score = marks.points[name], student.scores.get(name, 0.0)
    return {
        "name": title_of(name, marks.titles),
        "score": score,
        "max_score": points,
        "output": _output(marks, student, name),
        "status": "passed" if score >= points else "failed",
    }


def _output(marks: ClassMarks, student: StudentMarks, name: str) -> str:
    """Return what Gradescope shows of a task or a question."""
    task, mark = student.result.task(name) if student.result else None, student.tasks.get(name)
    lines = [render_task_text(task, marks.titles)] if task else []
    if mark and mark.is_earlier:
        lines.append(EARLIER)
    if mark and mark.is_held:
        lines += [] if task and task.held else [HELD]
    if not (mark and mark.open):
        lines = lines or ["Marked by hand."]
        lines += ["Waiting for a person to look at it."] if name in student.waiting else []
    return "\n".join(lines)


def _late_penalty(student: StudentMarks) -> dict[str, Any]:
    return {
        "name": "Late penalty",
        "score": -min(student.penalty, student.raw),
        "max_score": 0.0,
        "output": "The submission was late.",
        "status": "failed",
    }
