"""A result as plain text."""

from __future__ import annotations

from autograder.rendering.result_text import render_task_text, render_text
from autograder.results import CheckResult, TaskResult
from tests.tiny import TITLES, tiny_result

GOLDEN = """\
tiny: 3.25 of 5 points
  There is no notebook.

Doubling: 1.25 of 3 points
  ✗ The task double works. (not yet)
      double is <b>wrong</b>, by $1$ & more.
      Recognised mistake: off by one.

Adding up: 2 of 2 points
  ✓ The task total works. (passed)
"""


def test_text_for_the_terminal() -> None:
    assert render_text(tiny_result(double=1.25, notes=("There is no notebook.",)), TITLES) == GOLDEN


def test_a_message_cannot_steer_the_terminal() -> None:
    shown = render_text(tiny_result(notes=("\x1b[2J\x07\x9b0m\u202ereversed",)), TITLES)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "reversed" in shown


def test_a_reason_is_said_once_and_known_again() -> None:
    first, second = (
        "Off by one, since the loop ends early, at `range(3, size - 1)`, before the last.",
        "Nothing came.",
    )
    checks = tuple(
        CheckResult(id=name, sentence=name, outcome="failed", weight=1, message=message)
        for name, message in zip("abcd", (first, first, second, first), strict=True)
    )
    lines = render_task_text(TaskResult(id="a", score=0, max_score=4, checks=checks), TITLES).splitlines()
    assert [line.strip() for line in lines[2::2]] == [
        first,
        "For the same reason as above.",
        second,
        "For the reason above that begins with “Off by one, since the loop ends early, at …”",
    ]


def test_a_check_may_have_no_reason() -> None:
    checks = (
        CheckResult(id="a", sentence="a", outcome="passed", weight=1),
        CheckResult(id="b", sentence="b", outcome="failed", weight=1),
    )
    assert "✗ b (not yet)" in render_task_text(TaskResult(id="a", score=1, max_score=2, checks=checks), TITLES)


def test_a_check_with_several_inputs_is_said_once() -> None:
    def check(name: str, message: str) -> CheckResult:
        return CheckResult(id=name, sentence="It counts.", outcome="failed", weight=1, message=message)

    first, same, other = check("a[1]", "Off by one."), check("a[2]", "Off by one."), check("a[3]", "Off by two.")
    text = render_task_text(TaskResult(id="a", score=0, max_score=3, checks=(first, same, other)), TITLES)
    assert text.count("It counts.") == 2
    assert text.index("Off by one.") < text.index("Off by two.")
