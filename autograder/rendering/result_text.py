"""Render a result as plain text: for a terminal, and for viewers of notebooks that show no HTML."""

from __future__ import annotations

from autograder.rendering.result_views import TaskView, points_in_words, task_view
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles, clean, indent_lines, title_of


def render_text(result: SubmissionResult, titles: Titles) -> str:
    """Return the whole result, with a final newline.

    Args:
        result: What grading found.
        titles: The tasks' titles.
    """
    lines = [f"{clean(result.assignment)}: {points_in_words(result.score, result.max_score)}"]
    held = [clean(title_of(task.id, titles)) for task in result.tasks if task.held]
    if held:
        lines.append(f"  held, since a check ended in an internal error: {', '.join(held)}")
    lines += [f"  {indent_lines(note, 2)}" for note in result.notes]
    for task in result.tasks:
        lines += ["", render_task_text(task, titles)]
    return "\n".join(lines) + "\n"


def render_task_text(task: TaskResult, titles: Titles) -> str:
    """Return one task's result, without a final newline."""
    return "\n".join(_task_lines(task_view(task, titles)))


def render_summary_text(result: SubmissionResult) -> str:
    """Return the sum of the automatic points and the notes on the whole hand-in, without a final newline."""
    points = f"Automatic tasks: {points_in_words(result.score, result.max_score)}"
    return "\n".join([points, *map(clean, result.notes)])


def _task_lines(task: TaskView) -> list[str]:
    lines = [f"{clean(task.title)}: {task.points}", *(f"  {clean(note)}" for note in task.notes)]
    for check in task.checks:
        lines.append(f"  {check.sign} {indent_lines(check.sentence, 4)} ({check.words})")
        lines += [f"      {indent_lines(reason, 6)}" for reason in check.reasons]
    return lines
