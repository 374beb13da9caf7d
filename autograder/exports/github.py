"""What GitHub's jobs show: a summary in Markdown, and annotations.

Reference:
    GitHub Flavored Markdown; GitHub, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from autograder.course.assignment import MODULE
from autograder.marks import ClassMarks, StudentMarks
from autograder.rendering.result_views import points_in_words
from autograder.reports.item_analysis import misconceptions
from autograder.results import TaskResult
from autograder.text import Titles, escape_markdown, escape_workflow_command, title_of

MOST_MISTAKES = 10
"""Recognised mistakes in the summary."""


@dataclass(frozen=True)
class Annotation:
    """What GitHub shows of one student."""

    level: Literal["error", "warning"]
    title: str
    message: str


def markdown(marks: ClassMarks) -> str:
    """Return a summary for a job's page: append it to $GITHUB_STEP_SUMMARY."""
    totals = [student.total for student in marks.students if student.submitted]
    lines = [f"# {escape_markdown(marks.title)}: marks", ""]
    if totals:
        median, mean = float(np.median(totals)), float(np.mean(totals))
        lines.append(f"{len(totals)} submissions, median {median:g}, mean {mean:.1f} of {marks.max_score:g} points.")
    lines += ["", *_table(marks), "", *_mistakes(marks)]
    return "\n".join(lines).rstrip() + "\n"


def github_annotations(marks: ClassMarks, folders: Mapping[str, Path]) -> str:
    """Return workflow commands, to be printed in a job: a line for each student who lost automatic points.

    Errors are what an instructor has to look at: held tasks, marks for earlier hand-ins, and submissions without a
    result. They come first, since GitHub shows only ten errors and ten warnings of a step.

    Args:
        marks: The class.
        folders: Student to submission folder, relative to the repository's root.
    """
    lines = []
    for student in marks.students:
        annotation = _annotation(student, marks.titles) if student.submitted else None
        if annotation is not None:
            lines.append(_command(annotation, student.person.id, folders.get(student.person.id)))
    return "".join(sorted(lines))  # error, then warning; by student


def _table(marks: ClassMarks) -> list[str]:
    columns = [f"{title_of(name, marks.titles)} /{marks.points[name]:g}" for name in marks.automatic]
    heads = ["student", *columns, "by hand", "late", "total"]
    lines = ["| " + " | ".join(map(escape_markdown, heads)) + " |", "| --- |" + " ---: |" * (len(heads) - 1)]
    for student in marks.students:
        figures = _figures(student, marks.automatic) if student.submitted else ["–"] * (len(heads) - 1)
        lines.append("| " + " | ".join([escape_markdown(student.person.id), *figures]) + " |")
    return lines


def _figures(student: StudentMarks, automatic: tuple[str, ...]) -> list[str]:
    scores = student.scores
    by_hand = sum(score for name, score in scores.items() if name not in automatic)
    late = f"{-student.penalty:g}" if student.penalty else ""
    words = {mark.id: " held" for mark in student.held} | {mark.id: " earlier hand-in" for mark in student.earlier}
    tasks = (f"{scores.get(name, 0.0):g}{words.get(name, '')}" for name in automatic)
    return [*tasks, f"{by_hand:g}", late, f"{student.total:g}"]


def _mistakes(marks: ClassMarks) -> list[str]:
    found = misconceptions({student.person.id: student.result for student in marks.students if student.result})
    lines = [f"- {escape_markdown(mistake.words)}: {len(mistake.students)}" for mistake in found[:MOST_MISTAKES]]
    return ["## Commonest mistakes", "", *lines] if lines else []


def _annotation(student: StudentMarks, titles: Titles) -> Annotation | None:
    """Return what to say of a student; None if nothing was lost."""
    if student.held:
        held = ", ".join(title_of(mark.id, titles) for mark in student.held)
        return Annotation("error", "held", f"{held}: a check ended in an internal error, and the points wait for you.")
    if student.earlier:
        return Annotation("error", "for an earlier hand-in", "The last hand-in could not be graded: grade again.")
    if student.result is None:
        return Annotation("error", "no cached result", "The gradebook has a submission without a result: grade again.")
    lost = [task for task in student.result.tasks if task.score < task.max_score]
    if not lost:
        return None
    points = points_in_words(student.result.score, student.result.max_score)
    return Annotation("warning", points, "\n".join(line for task in lost for line in _lost(task, titles)))


def _lost(task: TaskResult, titles: Titles) -> list[str]:
    failed = dict.fromkeys(check.message for check in task.checks if check.outcome == "failed")
    return [f"{title_of(task.id, titles)}: {points_in_words(task.score, task.max_score)}", *failed]


def _command(annotation: Annotation, student: str, folder: Path | None) -> str:
    properties = {"title": f"{student}: {annotation.title}"}
    if folder:
        properties["file"] = (folder / f"{MODULE}.py").as_posix()
    shown = ",".join(f"{name}={escape_workflow_command(value, ':,')}" for name, value in properties.items())
    return f"::{annotation.level} {shown}::{escape_workflow_command(annotation.message)}\n"
