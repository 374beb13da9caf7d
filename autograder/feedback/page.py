"""The page a student reads: one HTML file that needs nothing else and runs nothing.

Messages are what a student's code said, and comments what people wrote: the template escapes everything, and the
page's own policy lets nothing run and nothing load from anywhere.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from markupsafe import Markup

from autograder.feedback.drawings import Shown, draw
from autograder.gradebook.student_marks import Mark, StudentMarks
from autograder.rendering.page_templates import page_template, page_text
from autograder.rendering.result_views import CARRIED, MARKS, anchor_of, reasons_of, sentence_of
from autograder.results import CheckResult, SubmissionResult, TaskResult, said_once
from autograder.text import slug_in_words

PAGE = "feedback.html"
STATES = {
    "full": ("✓", "full points"),
    "part": ("◐", "some points"),
    "none": ("✗", "no points yet"),
    "open": ("…", "waits"),
}
"""How a task or a question stands: its sign and words."""
ALWAYS_DRAWN = "curves"
"""Kind of picture that is shown of a passed check, too."""
STALE = "This work could not be graded anew, so there are no points yet. Your instructor has been told."


@dataclass(frozen=True)
class Finding:
    """One check as the page shows it."""

    outcome: str
    sign: str
    word: str
    sentence: str
    reasons: tuple[str, ...]
    pictures: tuple[Shown, ...]


@dataclass(frozen=True)
class Part:
    """One automatic task as the page shows it.

    Attributes:
        link: To the task in nbgrader's page; empty where there is none.
        notes: What is to be known of the task as a whole.
        open: Checks that did not pass.
        passed: What was right.
    """

    id: str
    score: float | None
    max_score: float
    state: str
    link: str
    notes: tuple[str, ...]
    open: tuple[Finding, ...]
    passed: tuple[Finding, ...]


def render_page(
    assignment: str, result: SubmissionResult | None, marks: StudentMarks | None = None, notebook_page: str = ""
) -> str:
    """Return the page.

    Args:
        assignment: Name of the assignment.
        result: What the checks found; None if it is not known any more.
        marks: What the gradebook says; None without one: then the page is about the automatic tasks alone.
        notebook_page: Name of nbgrader's page, which lies beside this one; empty if there is none.
    """
    link = quote(notebook_page)
    parts = _parts(result, marks, link)
    questions = marks.questions if marks else ()
    style = page_text("base.css", "feedback.css")
    page = page_template(PAGE, points=_points)
    return page.render(
        assignment=assignment,
        student=marks.student if marks else result.submission.student if result else None,
        marks=marks,
        notes=result.notes if result else (),
        known=result is not None,
        parts=parts,
        questions=[one for one in questions if one.score is not None],
        waiting=[one for one in questions if one.score is None],
        states=STATES,
        state_of=_state,
        automatic=_sum_of([(part.score, part.max_score) for part in parts]),
        by_hand=_sum_of([(one.score, one.max_score) for one in questions]),
        first=next((part for part in parts if part.state in ("part", "none")), None),
        mistakes=_mistakes(result, parts),
        link=link,
        style=Markup(style),  # noqa: S704 (our own files)
        digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )


def _parts(result: SubmissionResult | None, marks: StudentMarks | None, link: str) -> list[Part]:
    if result is None:
        return [_unknown(mark, link) for mark in marks.tasks.values()] if marks else []
    return [_part(task, marks.tasks.get(task.id) if marks else None, link) for task in result.tasks]


def _part(task: TaskResult, mark: Mark | None, link: str) -> Part:
    stale = mark is not None and mark.score is None
    score = mark.score if mark else task.score
    findings = [] if stale else [_finding(check) for check in said_once(task.checks)]
    notes = [STALE] if stale else [CARRIED] if task.carried_forward else []
    if mark and mark.by_hand and score != task.score:
        notes.append(f"A person set these points; the checks alone would give {task.score:g}.")
    return Part(
        id=task.id,
        score=score,
        max_score=task.max_score,
        state=_state(score, task.max_score),
        link=f"{link}#{anchor_of(task)}" if link else "",
        notes=tuple(notes),
        open=tuple(one for one in findings if one.outcome != "passed"),
        passed=tuple(one for one in findings if one.outcome == "passed"),
    )


def _unknown(mark: Mark, link: str) -> Part:
    """Return a task of which only the points are known."""
    where = f"{link}#{quote(mark.id)}" if link else ""
    return Part(mark.id, mark.score, mark.max_score, _state(mark.score, mark.max_score), where, (), (), ())


def _finding(check: CheckResult) -> Finding:
    sign, word, _ = MARKS[check.outcome]
    drawn = [one for one in check.pictures if check.outcome == "failed" or one.__struct_config__.tag == ALWAYS_DRAWN]
    return Finding(
        outcome=check.outcome,
        sign=sign,
        word=word,
        sentence=sentence_of(check),
        reasons=tuple(reasons_of(check)),
        pictures=tuple(draw(one) for one in drawn),
    )


def _mistakes(result: SubmissionResult | None, parts: Sequence[Part]) -> dict[str, list[str]]:
    """Return recognised mistakes in words, and the tasks that have them."""
    shown = {part.id for part in parts if part.open}
    found: dict[str, list[str]] = {}
    for task in result.tasks if result else ():
        for check in task.checks:
            if check.misconception and check.outcome == "failed" and task.id in shown:
                tasks = found.setdefault(slug_in_words(check.misconception), [])
                tasks += [task.id] if task.id not in tasks else []
    return found


def _state(score: float | None, worth: float) -> str:
    if score is None:
        return "open"
    if score >= worth:
        return "full"
    return "part" if score > 0 else "none"


def _sum_of(pairs: Sequence[tuple[float | None, float]]) -> tuple[float, float]:
    return round(sum(score or 0.0 for score, _ in pairs), 2), sum(worth for _, worth in pairs)


def _points(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
