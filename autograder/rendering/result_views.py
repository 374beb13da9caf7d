"""What people are shown of a result, whichever way it is rendered: sentences, reasons and signs in plain records.

`result_text` renders these for a terminal, `result_html` for a graded notebook, `feedback.page` for the student's page.
Nothing is escaped here: each renderer does that for the place that it writes to.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from autograder.results import CheckResult, CurvePicture, Outcome, Picture, TaskResult, said_once
from autograder.text import Titles, slug_in_words, title_of

OUTCOME_SIGNS: dict[Outcome, tuple[str, str]] = {
    "passed": ("✓", "passed"),
    "failed": ("✗", "not yet"),
    "error": ("!", "could not be checked"),
    "skipped": ("–", "skipped"),
}
"""The sign and the words of each outcome."""
CARRIED = "An earlier part is wrong, so this one was graded with a correct stand-in for it."
ERROR = "This is the course's fault, not yours. Your instructor has been told."
AGAIN = "For the same reason as above."
LONGEST_QUOTED = 60
"""Characters of a reason by which it is known again."""
HELD = "This task waits for your instructor: one of its checks could not be run."

EARLIER = "These points are for an earlier hand-in: your last one could not be graded. Your instructor has been told."


@dataclass(frozen=True)
class CheckView:
    """One check as people see it.

    Attributes:
        sign: A character for the outcome, always beside its words.
        words: The outcome in words.
        sentence: What the check asks for.
        reasons: Why it did not pass, as students may read it.
        pictures: What helps to see why.
    """

    outcome: Outcome
    sign: str
    words: str
    sentence: str
    reasons: tuple[str, ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class TaskView:
    """One automatic task as people see it.

    Attributes:
        points: Points earned and points to earn, in words.
        notes: What concerns the task as a whole.
        checks: Each thing that is to be said once, in the order of the checks.
    """

    id: str
    title: str
    points: str
    notes: tuple[str, ...]
    checks: tuple[CheckView, ...]

    @property
    def anchor(self) -> str:
        """The id of the task's place in nbgrader's page."""
        return anchor_of(self.id)


def task_view(task: TaskResult, titles: Titles, *, settled: bool = False) -> TaskView:
    """Return what people see of a task.

    Args:
        task: What grading found.
        titles: The tasks' titles.
        settled: A person has marked it since, so that it waits no longer if it was held.
    """
    return TaskView(
        id=task.id,
        title=title_of(task.id, titles),
        points=points_in_words(task.score, task.max_score),
        notes=tuple(_notes(task, settled)),
        checks=tuple(_with_each_reason_once([_check_view(check) for check in said_once(task.checks)])),
    )


def _with_each_reason_once(checks: Iterable[CheckView]) -> Iterator[CheckView]:
    """Yield the checks of a task, with a few words in place of reasons that an earlier one has given."""
    told, last = set[tuple[str, ...]](), tuple[str, ...]()
    for check in checks:
        again = bool(check.reasons) and check.outcome == "failed" and check.reasons in told
        shown = (AGAIN if check.reasons == last else _again(check.reasons[0]),) if again else check.reasons
        told.add(check.reasons)
        last = check.reasons or last
        yield replace(check, reasons=shown)


def _again(reason: str) -> str:
    """Return words for a reason that stands above, but not right above."""
    if len(reason) > LONGEST_QUOTED:
        words = reason[:LONGEST_QUOTED].rpartition(" ")[0]
        if words.count("`") % 2:  # code is quoted whole, or not at all
            words = words.rpartition("`")[0].rstrip()
        reason = f"{words} …"
    return f"For the reason above that begins with “{reason}”"


def _notes(task: TaskResult, settled: bool) -> Iterator[str]:
    if task.held and not settled:
        yield HELD
    if task.carried_forward:
        yield CARRIED


def anchor_of(task_id: str) -> str:
    """Return the id of a task's place in nbgrader's page."""
    return f"task-{task_id}"


def points_in_words(score: float, max_score: float) -> str:
    """Return points earned and points to earn, such as `2.5 of 3 points`."""
    return f"{score:g} of {max_score:g} points"


def _check_view(check: CheckResult) -> CheckView:
    sign, words = OUTCOME_SIGNS[check.outcome]
    return CheckView(
        outcome=check.outcome,
        sign=sign,
        words=words,
        sentence=check.sentence or slug_in_words(check.check_id.within_task),
        reasons=tuple(_reasons(check)),
        pictures=tuple(picture for picture in check.pictures if _helps(picture, check.outcome)),
    )


def _reasons(check: CheckResult) -> list[str]:
    if check.outcome == "passed":
        return []
    if check.outcome == "error":
        return [ERROR]
    mistake = f"Recognised mistake: {slug_in_words(check.misconception)}." if check.misconception else ""
    return [reason for reason in (check.message, mistake) if reason]


def _helps(picture: Picture, outcome: Outcome) -> bool:
    """Whether a picture shows more than the words do: how training went is of interest in any case."""
    return outcome == "failed" or isinstance(picture, CurvePicture)
