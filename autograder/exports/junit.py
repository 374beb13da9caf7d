"""JUnit XML, which most CI systems read.

Reference:
    The Jenkins JUnit schema, as pytest writes it.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from autograder.marks import ClassMarks, Mark, StudentMarks
from autograder.results import CheckId, CheckResult, TaskResult
from autograder.text import escape_xml

COUNTS = {"failures": "failed", "errors": "error", "skipped": "skipped"}
"""Attributes of a suite, and the outcomes that they count."""


def junit_xml(marks: ClassMarks) -> bytes:
    """Return a suite for each student with a result, with a case for each check, and for each held task without one."""
    root = ET.Element("testsuites", name=escape_xml(marks.assignment))
    for student in marks.students:
        if student.result is not None or student.held:
            root.append(_suite(marks.assignment, student))
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _suite(assignment: str, student: StudentMarks) -> ET.Element:
    tasks = student.result.tasks if student.result else tuple(map(_held_task, student.held))
    checks = [check for task in tasks for check in task.checks]
    suite = ET.Element("testsuite", name=escape_xml(student.person.id))
    suite.set("tests", str(len(checks)))
    for name, outcome in COUNTS.items():
        suite.set(name, str(sum(check.outcome == outcome for check in checks)))
    suite.set("time", f"{sum(check.duration for check in checks):.3f}")
    properties = ET.SubElement(suite, "properties")
    for name, value in (("score", student.total), ("late_penalty", student.penalty)):
        ET.SubElement(properties, "property", name=name, value=f"{value:g}")
    held = ", ".join(mark.id for mark in student.held)
    if held:
        ET.SubElement(properties, "property", name="held", value=escape_xml(held))
    suite.extend(_case(assignment, task, check) for task in tasks for check in task.checks)
    return suite


def _held_task(mark: Mark) -> TaskResult:
    """Return a held task whose result is not cached, with its internal error as the one check that is known."""
    why = mark.open.why if mark.open else ""
    check = CheckResult(id=str(CheckId(mark.id, "held")), outcome="error", weight=1, message=why)
    return TaskResult(id=mark.id, score=mark.score or 0.0, max_score=mark.max_score, checks=(check,))


def _case(assignment: str, task: TaskResult, check: CheckResult) -> ET.Element:
    name = check.check_id.within_task
    case = ET.Element("testcase", classname=escape_xml(f"{assignment}.{task.id}"), name=escape_xml(name))
    case.set("time", f"{check.duration:.3f}")
    message = escape_xml(check.message)
    if check.outcome == "failed":
        mistake = escape_xml(check.misconception or "failed")
        failure = ET.SubElement(case, "failure", message=message, type=mistake)
        failure.text = escape_xml(f"{check.sentence}\n{check.message}")
    elif check.outcome == "error":
        ET.SubElement(case, "error", message=message, type="error").text = message
    elif check.outcome == "skipped":
        ET.SubElement(case, "skipped", message=message)
    return case
