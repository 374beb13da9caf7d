"""Carry a result in the graded notebook, so that feedback is made from what was recorded and from nothing else."""

from __future__ import annotations

import json

import msgspec
import nbformat
from nbformat import NotebookNode

from autograder.rendering.result_html import render_summary_html
from autograder.rendering.result_text import render_summary_text
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles

SUMMARY = "autograder-summary"
"""Id of the cell that stands first in a graded notebook."""
RESULT = "autograder_result"
"""Its metadata with the result, as JSON."""
MARKING_GUIDE = "marking_guide"
"""Metadata of a cell that only markers see."""


def summary_cell(result: SubmissionResult, titles: Titles) -> NotebookNode:
    """Return the cell that shows the sum and the notes, and holds the whole result in its metadata.

    Durations are left out: a notebook must not depend on how fast the machine was.
    """
    shown = shown_as(render_summary_html(result, titles), render_summary_text(result))
    text = json.dumps(msgspec.to_builtins(_timeless(result)))  # a text: half a character stays an escape
    source, metadata = "# What the automatic checks found", {RESULT: text}
    return nbformat.v4.new_code_cell(source, outputs=[shown], metadata=metadata, id=SUMMARY)


def shown_as(html: str, text: str) -> NotebookNode:
    """Return a cell's output."""
    return nbformat.v4.new_output("display_data", data={"text/html": html, "text/plain": text})


def recorded_result(nb: NotebookNode) -> SubmissionResult | None:
    """Return the result that a graded notebook holds; None in one that an older version graded.

    Only the first cell counts, which the recorder puts there: others may be the student's.
    """
    cell = nb.cells[0] if nb.cells else NotebookNode()
    if cell.get("id") != SUMMARY:
        return None
    try:
        return msgspec.convert(json.loads(cell.metadata[RESULT]), SubmissionResult)
    except (KeyError, TypeError, ValueError):
        return None


def _timeless(result: SubmissionResult) -> SubmissionResult:
    return msgspec.structs.replace(result, tasks=tuple(_timeless_task(task) for task in result.tasks))


def _timeless_task(task: TaskResult) -> TaskResult:
    checks = tuple(msgspec.structs.replace(check, duration=0.0) for check in task.checks)
    return msgspec.structs.replace(task, checks=checks)
