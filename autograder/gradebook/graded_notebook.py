"""What a graded notebook holds beside the student's work: the result, in words and as data, and marking guides.

Feedback is made from what is recorded here and from nothing else.
"""

from __future__ import annotations

import json
import textwrap

import msgspec
import nbformat
from nbformat import NotebookNode

from autograder.rendering.result_html import render_summary_html, render_task_html
from autograder.rendering.result_text import render_summary_text, render_task_text
from autograder.results import SubmissionResult, TaskResult
from autograder.text import Titles

SUMMARY = "autograder-summary"
"""Id of the cell that stands first in a graded notebook."""
RESULT = "autograder_result"
"""Its metadata with the result, as JSON."""
GUIDE_HEADING = "**Marking guide** (model answer and rubric; students do not see this)"
MARKING_GUIDE = "marking_guide"
"""Metadata of a cell that only markers see."""


def show_result(nb: NotebookNode, result: SubmissionResult, titles: Titles) -> None:
    """Put what the checks found into a notebook: a summary first, and each task's reasons in its test cell."""
    for cell in nb.cells:
        task = result.task(cell.metadata.get("nbgrader", {}).get("grade_id", ""))
        if task is not None:
            cell.outputs = [_shown_as(render_task_html(task, titles), render_task_text(task, titles))]
    nb.cells.insert(0, _summary_cell(result, titles))


def add_guides(nb: NotebookNode, guides: dict[str, str]) -> None:
    """Put model answer and rubric before each answer that a person marks; feedback leaves them out.

    Args:
        nb: The graded notebook.
        guides: From `notebook.marking_guides`.
    """
    ids = [cell.metadata.get("nbgrader", {}).get("grade_id") for cell in nb.cells]
    for place in reversed(range(len(ids))):  # from the end, so that places before it stay
        name = ids[place]
        if name in guides:
            text = textwrap.indent(f"{GUIDE_HEADING}\n\n{guides[name]}", "> ", lambda line: True)  # as a quotation
            guide = nbformat.v4.new_markdown_cell(text, metadata={"autograder": MARKING_GUIDE}, id=f"guide-{name[:50]}")
            nb.cells.insert(place, guide)


def _summary_cell(result: SubmissionResult, titles: Titles) -> NotebookNode:
    """Return the cell that shows the sum and the notes, and holds the whole result in its metadata.

    Durations are left out: a notebook must not depend on how fast the machine was.
    """
    shown = _shown_as(render_summary_html(result, titles), render_summary_text(result))
    text = json.dumps(msgspec.to_builtins(_timeless(result)))  # a text: half a character stays an escape
    source, metadata = "# What the automatic checks found", {RESULT: text}
    return nbformat.v4.new_code_cell(source, outputs=[shown], metadata=metadata, id=SUMMARY)


def _shown_as(html: str, text: str) -> NotebookNode:
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
