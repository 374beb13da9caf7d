"""Show a result: as text in the terminal, as HTML in nbgrader's feedback.

Messages may hold what a student's code said, so everything is escaped, and control characters are replaced.
"""

from __future__ import annotations

import glob
import html
import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nbconvert.exporters import HTMLExporter
from nbformat import NotebookNode
from nbgrader.converters import GenerateFeedback
from nbgrader.coursedir import CourseDirectory

from autograder.assignment import Assignment
from autograder.config import CourseConfig
from autograder.errors import RecordingError, UsageError
from autograder.locks import course_lock
from autograder.nearest import did_you_mean
from autograder.results import CheckResult, Outcome, SubmissionResult, TaskResult, said_once
from autograder.sanitizing import clean_html, markdown2html
from autograder.steps import StepFailed, course_directory, make_step, output_folder, run_staged
from autograder.watch import Watch, unwatched

MARKING_GUIDE = "marking_guide"
"""Metadata of a cell that only markers see."""
_MARKS: dict[Outcome, tuple[str, str, str]] = {
    "passed": ("✓", "passed", "#1b6e3c"),
    "failed": ("✗", "not yet", "#a4262c"),
    "error": ("!", "could not be checked", "#8a5a00"),
    "skipped": ("–", "skipped", "#555555"),
}
_CARRIED = "An earlier part is wrong, so this one was checked with a correct part in its place."
_ERROR = "This is the course's fault, not yours: it costs no points, and your instructor has been told."


class FeedbackExporter(HTMLExporter):  # type: ignore[misc]
    """Renders what students see: cleaned, and without the marking guides that formgrader shows."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - nbconvert's
        super().__init__(**kwargs)
        self.sanitize_html = True
        self.register_filter("clean_html", clean_html)
        self.register_filter("markdown2html", markdown2html)

    def from_notebook_node(
        self, nb: NotebookNode, resources: dict[str, Any] | None = None, **kwargs: object
    ) -> tuple[str, dict[str, Any]]:
        """Convert a notebook to HTML."""
        cells = [cell for cell in nb.cells if cell.metadata.get("autograder") != MARKING_GUIDE]
        shown = NotebookNode({**nb, "cells": cells})
        page: tuple[str, dict[str, Any]] = super().from_notebook_node(shown, resources, **kwargs)
        return page


def render_text(result: SubmissionResult) -> str:
    """Return the whole result as plain text for a terminal, with a final newline."""
    lines = [f"{_clean(result.assignment)}: {_points(result.score, result.max_score)}"]
    lines += [f"  {_indented(note, 2)}" for note in result.notes]
    for task in result.tasks:
        lines += ["", *_task_lines(task)]
    return "\n".join(lines) + "\n"


def render_task_text(task: TaskResult) -> str:
    """Return one task's result as plain text, without a final newline."""
    return "\n".join(_task_lines(task))


def render_task_html(task: TaskResult) -> str:
    """Return one task's result as an HTML fragment that needs nothing else."""
    heading = f"{_escaped(task.id)} &nbsp; {_escaped(_points(task.score, task.max_score))}"
    carried = f'<p style="margin:4px 0">{_escaped(_CARRIED)}</p>' if task.carried_forward else ""
    checks = "".join(_check_html(check) for check in said_once(task.checks))
    items = f'<ul style="list-style:none;margin:6px 0 0 0;padding:0">{checks}</ul>' if checks else ""
    return _framed(heading, carried + items, _anchor(task))


def render_summary_html(result: SubmissionResult) -> str:
    """Return the sum of the automatic points and the notes on the whole hand-in as an HTML fragment."""
    heading = f"Automatic tasks &nbsp; {_escaped(_points(result.score, result.max_score))}"
    notes = "".join(f'<p style="margin:4px 0">{_escaped(note)}</p>' for note in result.notes)
    rows = "".join(
        f'<li><a href="#{_anchor(task)}">{_escaped(task.id)}</a>: {_escaped(_points(task.score, task.max_score))}</li>'
        for task in result.tasks
    )
    return _framed(heading, f'{notes}<ul style="margin:6px 0;padding-left:1.4em">{rows}</ul>')


def render_summary_text(result: SubmissionResult) -> str:
    """Return the same as `render_summary_html` as plain text."""
    return "\n".join([f"Automatic tasks: {_points(result.score, result.max_score)}", *map(_clean, result.notes)])


def write_feedback(
    config: CourseConfig, assignment: Assignment, students: Sequence[str] | None = None, watch: Watch = unwatched
) -> list[Path]:
    """Write nbgrader's HTML feedback for students whose results are recorded.

    Args:
        config: The course.
        assignment: The assignment.
        students: Whose feedback to write; None means everyone's.
        watch: Hears how far it is.

    Returns:
        The HTML files, one for each student.

    Raises:
        UsageError: If a student, or everyone, has no recorded result.
        RecordingError: If nbgrader fails.
    """
    coursedir = course_directory(config, assignment.name)
    known = _recorded_students(coursedir, assignment.name)
    chosen = known if students is None else list(students)
    if not chosen:
        raise UsageError(f"No results of {assignment.name} are recorded yet.", "Run: python -m autograder grade")
    for student in chosen:
        if student not in known:
            mend = f"{did_you_mean(student, known)} If the name is right, run: python -m autograder grade {student}"
            raise UsageError(f"{student} has no recorded result.", mend.strip())
    pages: list[Path] = []
    for student in chosen:
        watch(len(pages), len(chosen), student)
        pages.append(_write_page(config, assignment.name, student))
    watch(len(pages), len(chosen), "")
    return pages


def _recorded_students(coursedir: CourseDirectory, assignment: str) -> list[str]:
    step = coursedir.autograded_directory
    folders = glob.glob(coursedir.format_path(step, "*", glob.escape(assignment)))  # noqa: PTH207 (an absolute pattern)
    pattern = coursedir.format_path(step, f"(?P<student>[^{os.sep}]+)", re.escape(assignment), escape=True)
    found = (re.fullmatch(pattern, folder) for folder in folders if Path(folder, f"{assignment}.ipynb").is_file())
    return sorted(match["student"] for match in found if match)


def _write_page(config: CourseConfig, assignment: str, student: str) -> Path:
    coursedir = course_directory(config, assignment, student_id=student)
    step = make_step(GenerateFeedback, config, coursedir)
    if not issubclass(step.exporter_class, FeedbackExporter):
        raise RecordingError(
            "c.GenerateFeedback.exporter_class in course_config.py is not autograder.feedback.FeedbackExporter, so "
            "students would read the marking guides.",
            "Put it back.",
        )
    page = output_folder(coursedir, "feedback_directory") / f"{assignment}.html"
    try:
        with (
            course_lock(config.state_dir),
            tempfile.TemporaryDirectory(dir=config.state_dir, prefix="recording-") as staging,
        ):
            written = run_staged(step, "feedback_directory", Path(staging))
    except (StepFailed, OSError) as error:
        problem = f"nbgrader could not write feedback for {student}: {error}."
        raise RecordingError(problem, f"Mend that, then run: python -m autograder feedback {student}") from error
    if not written:
        raise RecordingError(f"nbgrader wrote no {page}.", "Look for the student in student_id_exclude.")
    return page


def _task_lines(task: TaskResult) -> list[str]:
    lines = [f"{_clean(task.id)}: {_points(task.score, task.max_score)}"]
    if task.carried_forward:
        lines.append(f"  {_CARRIED}")
    for check in said_once(task.checks):
        symbol, word, _ = _MARKS[check.outcome]
        lines.append(f"  {symbol} {_indented(_sentence(check), 4)} ({word})")
        lines += [f"      {_indented(reason, 6)}" for reason in _reasons(check)]
    return lines


def _check_html(check: CheckResult) -> str:
    symbol, word, colour = _MARKS[check.outcome]
    mark = f'<span style="color:{colour};font-weight:bold;white-space:nowrap">{symbol} {word}</span>'
    box = '<div style="margin:2px 0 2px 1.4em;white-space:pre-wrap">'
    reasons = "".join(f"{box}{_escaped(reason)}</div>" for reason in _reasons(check))
    return f'<li style="margin:4px 0">{mark} &nbsp;{_escaped(_sentence(check))}{reasons}</li>'


def _anchor(task: TaskResult) -> str:
    return "task-" + _escaped(task.id)


def _framed(heading: str, body: str, anchor: str = "automatic-tasks") -> str:
    style = "border-left:4px solid #8a8a8a;padding:4px 12px;margin:4px 0;font-family:sans-serif;color:#222222"
    title = f'<div style="font-size:115%;font-weight:bold">{heading}</div>'
    # MathJax would set what stands between dollar signs, and a message may hold some
    return f'<div id="{anchor}" class="tex2jax_ignore mathjax_ignore" style="{style}">{title}{body}</div>'


def _sentence(check: CheckResult) -> str:
    return check.sentence or check.id.rpartition("::")[2].replace("_", " ")


def _reasons(check: CheckResult) -> list[str]:
    if check.outcome == "passed":
        return []
    if check.outcome == "error":
        return [_ERROR]
    known = f"Recognised mistake: {_spoken(check.misconception)}." if check.misconception else ""
    return [text for text in (check.message, known) if text]


def _spoken(misconception: str) -> str:
    """Return the slug in words; an answer that fits two mistakes has both, with a plus between them."""
    return misconception.replace("_", " ").replace("+", " or ")


def _points(score: float, worth: float) -> str:
    return f"{score:g} of {worth:g} points"


def _indented(text: str, width: int) -> str:
    return _clean(text).replace("\n", "\n" + " " * width)


def _escaped(text: str) -> str:
    return html.escape(_clean(text))


def _clean(text: str) -> str:
    """Replace what could steer a terminal or break a file: control and format characters, lone surrogates."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c for c in text)
