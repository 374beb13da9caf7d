"""Show a result: as text in the terminal, as HTML in a graded notebook.

Messages may hold what a student's code said, so everything is escaped, and control characters are replaced.
"""

from __future__ import annotations

from autograder.results import CheckResult, Outcome, SubmissionResult, TaskResult, said_once
from autograder.text import clean, escape_html, indent_lines, slug_in_words

MARKING_GUIDE = "marking_guide"
"""Metadata of a cell that only markers see."""
MARKS: dict[Outcome, tuple[str, str, str]] = {
    "passed": ("✓", "passed", "#1b6e3c"),
    "failed": ("✗", "not yet", "#a4262c"),
    "error": ("!", "could not be checked", "#8a5a00"),
    "skipped": ("–", "skipped", "#555555"),
}
"""Outcome to its sign, its words, and a colour on white."""
CARRIED = "An earlier part is wrong, so this one was checked with a correct part in its place."
ERROR = "This is the course's fault, not yours: it costs no points, and your instructor has been told."


def render_text(result: SubmissionResult) -> str:
    """Return the whole result as plain text for a terminal, with a final newline."""
    lines = [f"{clean(result.assignment)}: {points_of(result.score, result.max_score)}"]
    lines += [f"  {indent_lines(note, 2)}" for note in result.notes]
    for task in result.tasks:
        lines += ["", *_task_lines(task)]
    return "\n".join(lines) + "\n"


def render_task_text(task: TaskResult) -> str:
    """Return one task's result as plain text, without a final newline."""
    return "\n".join(_task_lines(task))


def render_task_html(task: TaskResult) -> str:
    """Return one task's result as an HTML fragment that needs nothing else."""
    heading = f"{escape_html(task.id)} &nbsp; {points_of(task.score, task.max_score)}"
    carried = f'<p style="margin:4px 0">{escape_html(CARRIED)}</p>' if task.carried_forward else ""
    checks = "".join(_check_html(check) for check in said_once(task.checks))
    items = f'<ul style="list-style:none;margin:6px 0 0 0;padding:0">{checks}</ul>' if checks else ""
    return _framed(heading, carried + items, anchor_of(task))


def render_summary_html(result: SubmissionResult) -> str:
    """Return the sum of the automatic points and the notes on the whole hand-in as an HTML fragment."""
    heading = f"Automatic tasks &nbsp; {points_of(result.score, result.max_score)}"
    notes = "".join(f'<p style="margin:4px 0">{escape_html(note)}</p>' for note in result.notes)
    rows = "".join(
        f'<li><a href="#{anchor_of(one)}">{escape_html(one.id)}</a>: {points_of(one.score, one.max_score)}</li>'
        for one in result.tasks
    )
    return _framed(heading, f'{notes}<ul style="margin:6px 0;padding-left:1.4em">{rows}</ul>')


def render_summary_text(result: SubmissionResult) -> str:
    """Return the same as `render_summary_html` as plain text."""
    return "\n".join([f"Automatic tasks: {points_of(result.score, result.max_score)}", *map(clean, result.notes)])


def _task_lines(task: TaskResult) -> list[str]:
    lines = [f"{clean(task.id)}: {points_of(task.score, task.max_score)}"]
    if task.carried_forward:
        lines.append(f"  {CARRIED}")
    for check in said_once(task.checks):
        symbol, word, _ = MARKS[check.outcome]
        lines.append(f"  {symbol} {indent_lines(sentence_of(check), 4)} ({word})")
        lines += [f"      {indent_lines(reason, 6)}" for reason in reasons_of(check)]
    return lines


def _check_html(check: CheckResult) -> str:
    symbol, word, colour = MARKS[check.outcome]
    mark = f'<span style="color:{colour};font-weight:bold;white-space:nowrap">{symbol} {word}</span>'
    box = '<div style="margin:2px 0 2px 1.4em;white-space:pre-wrap">'
    reasons = "".join(f"{box}{escape_html(reason)}</div>" for reason in reasons_of(check))
    return f'<li style="margin:4px 0">{mark} &nbsp;{escape_html(sentence_of(check))}{reasons}</li>'


def anchor_of(task: TaskResult) -> str:
    """Return the id of a task's place in nbgrader's page, escaped."""
    return "task-" + escape_html(task.id)


def _framed(heading: str, body: str, anchor: str = "automatic-tasks") -> str:
    style = "border-left:4px solid #8a8a8a;padding:4px 12px;margin:4px 0;font-family:sans-serif;color:#222222"
    title = f'<div style="font-size:115%;font-weight:bold">{heading}</div>'
    # MathJax would set what stands between dollar signs, and a message may hold some
    return f'<div id="{anchor}" class="tex2jax_ignore mathjax_ignore" style="{style}">{title}{body}</div>'


def sentence_of(check: CheckResult) -> str:
    """Return what a check asks for."""
    return check.sentence or slug_in_words(check.id.rpartition("::")[2])


def reasons_of(check: CheckResult) -> list[str]:
    """Return why a check did not pass, as students may read it."""
    if check.outcome == "passed":
        return []
    if check.outcome == "error":
        return [ERROR]
    known = f"Recognised mistake: {slug_in_words(check.misconception)}." if check.misconception else ""
    return [text for text in (check.message, known) if text]


def points_of(score: float, worth: float) -> str:
    """Return points in words."""
    return f"{score:g} of {worth:g} points"
