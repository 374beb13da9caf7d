"""Render a result as HTML fragments for a graded notebook: they bring their own styles, and everything is escaped."""

from __future__ import annotations

from autograder.rendering.page_templates import load_template
from autograder.rendering.result_views import points_in_words, task_view
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles


def render_task_html(task: TaskResult, titles: Titles, *, settled: bool = False) -> str:
    """Return one task's result; see `task_view`."""
    return load_template("task.html").render(task=task_view(task, titles, settled=settled))


def render_summary_html(result: SubmissionResult, titles: Titles) -> str:
    """Return the automatic points, their sum, and the notes on the whole hand-in.

    Args:
        result: What grading found.
        titles: The tasks' titles.
    """
    return load_template("summary.html").render(
        points=points_in_words(result.score, result.max_score),
        notes=result.notes,
        tasks=[task_view(task, titles) for task in result.tasks],
    )
