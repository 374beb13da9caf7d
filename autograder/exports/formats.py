"""What other tools read: Gradescope's results.json, JUnit XML, a Markdown summary and annotations for GitHub's jobs.

Reference:
    Gradescope, "Autograder specifications", output format; the Jenkins JUnit schema, as pytest writes it; GitHub
    Flavored Markdown; GitHub, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np

from autograder.course.assignment import MODULE
from autograder.errors import UsageError
from autograder.exports.spreadsheets import CANVAS_FILE, MOODLE_FILE, Export, canvas_csv, moodle_csv, nbgrader_csv
from autograder.files import write_whole
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.result_text import render_summary_text, render_task_text
from autograder.reports.item_analysis import misconceptions, seconds_spent
from autograder.results import CheckResult, TaskResult, said_once
from autograder.suggestions import did_you_mean
from autograder.text import escape_markdown, escape_workflow_command, escape_xml, title_of

FORMATS = {
    "csv": "marks.csv",
    "canvas": CANVAS_FILE,
    "moodle": MOODLE_FILE,
    "gradescope": "results.json",
    "junit": "junit.xml",
    "markdown": "summary.md",
    "annotations": "annotations.txt",
}
"""Each format's file; of Gradescope's there is one in a folder for each student."""
FILLED = ("canvas", "moodle")
"""Formats that can fill in a downloaded file."""
_MOST_MISTAKES = 10


def check_format(kind: str, downloaded: Path | None) -> None:
    """Refuse a format that does not exist, or that fills in nothing.

    Raises:
        UsageError: With the formats that there are.
    """
    if kind not in FORMATS:
        raise UsageError(f"No format {kind!r}.", did_you_mean(kind, FORMATS))
    if downloaded is not None and kind not in FILLED:
        raise UsageError(f"The format {kind} fills in no file.", f"--fill is for {' and '.join(FILLED)}.")


def export(
    marks: ClassMarks,
    kind: str,
    column: str = "",
    downloaded: Path | None = None,
    folders: Mapping[str, Path] | None = None,
) -> Export:
    """Return the files of one of `FORMATS`.

    Args:
        marks: The class.
        kind: The format.
        column: Heading of the marks in Canvas or Moodle; empty means the usual one.
        downloaded: A file of Canvas or Moodle to fill in.
        folders: Student to submission folder, for annotations.

    Raises:
        UsageError: If there is no such format, or the downloaded file does not fit.
    """
    check_format(kind, downloaded)
    makers: dict[str, Callable[[], Export]] = {
        "csv": lambda: _alone(kind, nbgrader_csv(marks)),
        "canvas": lambda: canvas_csv(marks, column, downloaded),
        "moodle": lambda: moodle_csv(marks, column, downloaded),
        "gradescope": lambda: Export(_gradescope_files(marks)),
        "junit": lambda: _alone(kind, junit_xml(marks)),
        "markdown": lambda: _alone(kind, markdown(marks).encode()),
        "annotations": lambda: _alone(kind, github_annotations(marks, folders or {}).encode()),
    }
    return makers[kind]()


def write_export(made: Export, folder: Path) -> list[Path]:
    """Write an export's files, each whole or not at all, and return their paths."""
    for name, content in made.files.items():
        write_whole(folder / name, content)
    return [folder / name for name in made.files]


def gradescope_results(marks: ClassMarks, one: StudentMarks) -> bytes:
    """Return one student's results.json: an entry for each task and question, and one for a late penalty."""
    tests = [_gradescope_test(marks, one, name) for name in marks.points]
    if one.penalty:
        late = {"name": "late penalty", "score": -min(one.penalty, one.raw), "max_score": 0.0}
        tests.append(late | {"output": "Taken because the submission is late.", "status": "failed"})
    output = render_summary_text(one.result) if one.result else "No results of checks are kept for this submission."
    record = {
        "score": one.total,
        "output": output,
        "output_format": "text",
        "stdout_visibility": "hidden",
        "tests": [{**test, "number": str(place)} for place, test in enumerate(tests, start=1)],
    }
    if one.result is not None:
        record["execution_time"] = round(seconds_spent(one.result), 3)
    return bytes(msgspec.json.format(msgspec.json.encode(record), indent=2)) + b"\n"


def junit_xml(marks: ClassMarks) -> bytes:
    """Return JUnit XML: a suite for each student with a result, a case for each check."""
    root = ET.Element("testsuites", name=escape_xml(marks.assignment))
    for one in marks.students:
        if one.result is not None:
            root.append(_suite(marks.assignment, one))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def markdown(marks: ClassMarks) -> str:
    """Return a summary in GitHub Flavored Markdown, for a job's summary page: append it to $GITHUB_STEP_SUMMARY."""
    totals = [one.total for one in marks.students if one.submitted]
    lines = [f"# {escape_markdown(marks.assignment)}: marks", ""]
    if totals:
        middle, mean = float(np.median(totals)), float(np.mean(totals))
        lines.append(f"{len(totals)} submissions, median {middle:g}, mean {mean:.1f} of {marks.max_score:g} points.")
    lines += ["", *_md_table(marks), "", *_md_mistakes(marks)]
    return "\n".join(lines).rstrip() + "\n"


def github_annotations(marks: ClassMarks, folders: Mapping[str, Path]) -> str:
    """Return GitHub's workflow commands, to be printed in a job: one line for each student who lost automatic points.

    Errors are what an instructor has to look at, checks that ended in an error of ours and submissions without a
    result; they come first, since GitHub shows ten errors and ten warnings of a step.

    Args:
        marks: The class.
        folders: Student to submission folder, relative to the repository's root.
    """
    lines = []
    for one in marks.students:
        if one.submitted and (noted := _annotation(one)):
            kind, title, text = noted
            folder = folders.get(one.person.id)
            properties = {"title": f"{one.person.id}: {title}"}
            properties |= {"file": (folder / f"{MODULE}.py").as_posix()} if folder else {}
            shown = ",".join(f"{name}={escape_workflow_command(value, ':,')}" for name, value in properties.items())
            lines.append(f"::{kind} {shown}::{escape_workflow_command(text)}\n")
    return "".join(sorted(lines))  # error, then warning; by student


def _annotation(one: StudentMarks) -> tuple[str, str, str] | None:
    if one.result is None:
        return "error", "no result", "The gradebook has a submission, but no result of its checks is kept: grade again."
    broken = [task.id for task in one.result.tasks if task.has_error]
    if broken:
        return "error", "an error of the course's", f"Checks of {', '.join(broken)} stopped. It cost no points."
    lost = [task for task in one.result.tasks if task.score < task.max_score]
    if not lost:
        return None
    score = f"{one.result.score:g} of {one.result.max_score:g} points"
    return "warning", score, "\n".join(line for task in lost for line in _lost_lines(task))


def _lost_lines(task: TaskResult) -> list[str]:
    failed = [check.message for check in said_once(task.checks) if check.outcome == "failed"]
    return [f"{task.id}: {task.score:g} of {task.max_score:g} points", *failed]


def _alone(kind: str, content: bytes) -> Export:
    return Export({FORMATS[kind]: content})


def _gradescope_files(marks: ClassMarks) -> dict[str, bytes]:
    files = {}
    for one in marks.students:
        if one.submitted:
            folder = re.sub(r"[/\\\0]|^\.+$", "_", one.person.id)  # an id may be no name of a folder
            files[f"gradescope/{folder}/{FORMATS['gradescope']}"] = gradescope_results(marks, one)
    return files


def _gradescope_test(marks: ClassMarks, one: StudentMarks, name: str) -> dict[str, Any]:
    points = marks.points[name]
    title, score = title_of(name, marks.titles), one.scores.get(name, 0.0)
    task = one.result.task(name) if one.result else None
    output = render_task_text(task, marks.titles) if task else "Marked by hand."
    if name in one.waiting:
        output += "\nA person still has to look at this."
    status = "passed" if score >= points else "failed"
    return {
        "name": title,
        "score": score,
        "max_score": points,
        "output": output,
        "status": status,
    }


def _suite(assignment: str, one: StudentMarks) -> ET.Element:
    tasks = one.result.tasks if one.result else ()
    suite = ET.Element("testsuite", name=escape_xml(one.person.id))
    checks = [(task, check) for task in tasks for check in task.checks]
    counts = {"failures": "failed", "errors": "error", "skipped": "skipped"}
    suite.set("tests", str(len(checks)))
    for name, outcome in counts.items():
        suite.set(name, str(sum(check.outcome == outcome for _, check in checks)))
    suite.set("time", f"{sum(check.duration for _, check in checks):.3f}")
    properties = ET.SubElement(suite, "properties")
    for name, value in (("score", one.total), ("late_penalty", one.penalty)):
        ET.SubElement(properties, "property", name=name, value=f"{value:g}")
    suite.extend(_case(assignment, task, check) for task, check in checks)
    return suite


def _case(assignment: str, task: TaskResult, check: CheckResult) -> ET.Element:
    name = check.id.rpartition("::")[2]
    case = ET.Element("testcase", classname=escape_xml(f"{assignment}.{task.id}"), name=escape_xml(name))
    case.set("time", f"{check.duration:.3f}")
    message = escape_xml(check.message)
    if check.outcome == "failed":
        failure = ET.SubElement(case, "failure", message=message, type=escape_xml(check.misconception or "failed"))
        failure.text = escape_xml(f"{check.sentence}\n{check.message}")
    elif check.outcome == "error":
        ET.SubElement(case, "error", message=message, type="error").text = message
    elif check.outcome == "skipped":
        ET.SubElement(case, "skipped", message=message)
    return case


def _md_table(marks: ClassMarks) -> list[str]:
    heads = ["student", *(f"{name} /{marks.points[name]:g}" for name in marks.automatic), "by hand", "late", "total"]
    table = [
        "| " + " | ".join(escape_markdown(head) for head in heads) + " |",
        "| --- |" + " ---: |" * (len(heads) - 1),
    ]
    for one in marks.students:
        by_hand = sum(score for name, score in one.scores.items() if name not in marks.automatic)
        automatic = [f"{one.scores.get(name, 0.0):g}" for name in marks.automatic] if one.submitted else []
        cells = [*automatic, f"{by_hand:g}", f"{-one.penalty:g}" if one.penalty else "", f"{one.total:g}"]
        cells = cells if one.submitted else ["–"] * (len(heads) - 1)
        table.append("| " + " | ".join([escape_markdown(one.person.id), *cells]) + " |")
    return table


def _md_mistakes(marks: ClassMarks) -> list[str]:
    found = misconceptions({one.person.id: one.result for one in marks.students if one.result})
    lines = [f"- {escape_markdown(one.words)}: {len(one.students)}" for one in found[:_MOST_MISTAKES]]
    return ["## Commonest mistakes", "", *lines] if lines else []
