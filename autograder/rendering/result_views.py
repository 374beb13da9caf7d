"""Show a result: as text in the terminal, as HTML in a graded notebook.

Messages may hold what a student's code said, so everything is escaped, and control characters are replaced.
"""

from __future__ import annotations

import html
import unicodedata

from autograder.results import CheckResult, Outcome, SubmissionResult, TaskResult, said_once

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
    lines += [f"  {_indented(note, 2)}" for note in result.notes]
    for task in result.tasks:
        lines += ["", *_task_lines(task)]
    return "\n".join(lines) + "\n"


def render_task_text(task: TaskResult) -> str:
    """Return one task's result as plain text, without a final newline."""
    return "\n".join(_task_lines(task))


def render_task_html(task: TaskResult) -> str:
    """Return one task's result as an HTML fragment that needs nothing else."""
    heading = f"{_escaped(task.id)} &nbsp; {_escaped(points_of(task.score, task.max_score))}"
    carried = f'<p style="margin:4px 0">{_escaped(CARRIED)}</p>' if task.carried_forward else ""
    checks = "".join(_check_html(check) for check in said_once(task.checks))
    items = f'<ul style="list-style:none;margin:6px 0 0 0;padding:0">{checks}</ul>' if checks else ""
    return _framed(heading, carried + items, anchor_of(task))


def render_summary_html(result: SubmissionResult) -> str:
    """Return the sum of the automatic points and the notes on the whole hand-in as an HTML fragment."""
    heading = f"Automatic tasks &nbsp; {_escaped(points_of(result.score, result.max_score))}"
    notes = "".join(f'<p style="margin:4px 0">{_escaped(note)}</p>' for note in result.notes)
    rows = "".join(
        f'<li><a href="#{anchor_of(one)}">{_escaped(one.id)}</a>: {_escaped(points_of(one.score, one.max_score))}</li>'
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
        lines.append(f"  {symbol} {_indented(sentence_of(check), 4)} ({word})")
        lines += [f"      {_indented(reason, 6)}" for reason in reasons_of(check)]
    return lines


def _check_html(check: CheckResult) -> str:
    symbol, word, colour = MARKS[check.outcome]
    mark = f'<span style="color:{colour};font-weight:bold;white-space:nowrap">{symbol} {word}</span>'
    box = '<div style="margin:2px 0 2px 1.4em;white-space:pre-wrap">'
    reasons = "".join(f"{box}{_escaped(reason)}</div>" for reason in reasons_of(check))
    return f'<li style="margin:4px 0">{mark} &nbsp;{_escaped(sentence_of(check))}{reasons}</li>'


def anchor_of(task: TaskResult) -> str:
    """Return the id of a task's place in nbgrader's page, escaped."""
    return "task-" + _escaped(task.id)


def _framed(heading: str, body: str, anchor: str = "automatic-tasks") -> str:
    style = "border-left:4px solid #8a8a8a;padding:4px 12px;margin:4px 0;font-family:sans-serif;color:#222222"
    title = f'<div style="font-size:115%;font-weight:bold">{heading}</div>'
    # MathJax would set what stands between dollar signs, and a message may hold some
    return f'<div id="{anchor}" class="tex2jax_ignore mathjax_ignore" style="{style}">{title}{body}</div>'


def sentence_of(check: CheckResult) -> str:
    """Return what a check asks for."""
    return check.sentence or check.id.rpartition("::")[2].replace("_", " ")


def reasons_of(check: CheckResult) -> list[str]:
    """Return why a check did not pass, as students may read it."""
    if check.outcome == "passed":
        return []
    if check.outcome == "error":
        return [ERROR]
    known = f"Recognised mistake: {spoken(check.misconception)}." if check.misconception else ""
    return [text for text in (check.message, known) if text]


def spoken(misconception: str) -> str:
    """Return the slug in words; an answer that fits two mistakes has both, with a plus between them."""
    return misconception.replace("_", " ").replace("+", " or ")


def points_of(score: float, worth: float) -> str:
    """Return points in words."""
    return f"{score:g} of {worth:g} points"


def _indented(text: str, width: int) -> str:
    return clean(text).replace("\n", "\n" + " " * width)


def _escaped(text: str) -> str:
    return html.escape(clean(text))


def clean(text: str) -> str:
    """Replace what could steer a terminal or break a file: control and format characters, lone surrogates."""
    return "".join("\ufffd" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c not in "\n\t" else c for c in text)
