"""A result as HTML: everything is escaped, and every outcome told in words."""

from __future__ import annotations

import pytest

from autograder.rendering.result_html import render_task_html
from autograder.rendering.result_views import HELD
from autograder.results import CheckResult, Outcome, TaskResult
from tests.page_text import Page
from tests.tiny import TITLES, tiny_result


def task(outcome: Outcome = "failed", message: str = "", **changed: object) -> TaskResult:
    """A task with one check."""
    check = CheckResult(id="double::doubles_all", outcome=outcome, weight=1.0, message=message)
    return TaskResult(id="double", score=0.0, max_score=3.0, checks=(check,), **changed)  # type: ignore[arg-type]


def test_html_shows_points_sentence_and_reason_escaped() -> None:
    page = render_task_html(tiny_result(double=1.25).tasks[0], TITLES)
    assert "double is &lt;b&gt;wrong&lt;/b&gt;, by $1$ &amp; more." in page
    words = Page(page).text
    assert "1.25 of 3 points" in words
    assert "The task double works." in words
    assert "Recognised mistake: off by one." in words
    assert set(Page(page).tags) == {"div", "ul", "li", "span"}


@pytest.mark.parametrize("message", ["<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "</div></div><h1>"])
def test_html_holds_no_tag_of_a_message(message: str) -> None:
    page = Page(render_task_html(task(message=message), TITLES))
    assert set(page.tags) == {"div", "ul", "li", "span"}
    assert message in page.text


def test_html_keeps_mathjax_away_from_messages() -> None:
    assert 'class="tex2jax_ignore mathjax_ignore"' in render_task_html(
        task(message=r"$\href{javascript:alert(1)}{x}$"), TITLES
    )


def test_half_a_character_can_be_written() -> None:
    assert render_task_html(task(message="\ud800"), TITLES).encode()


@pytest.mark.parametrize(
    ("outcome", "word"),
    [("passed", "✓ passed"), ("failed", "✗ not yet"), ("error", "! could not be checked"), ("skipped", "– skipped")],
)
def test_outcomes_are_told_in_words(outcome: Outcome, word: str) -> None:
    assert word in Page(render_task_html(task(outcome), TITLES)).text


def test_an_internal_error_holds_the_task_and_shows_no_details() -> None:
    shown = Page(render_task_html(task("error", "KeyError in oracle.py"), TITLES)).text
    assert "oracle" not in shown
    assert HELD in shown


def test_carried_forward_is_said() -> None:
    assert "An earlier part is wrong" in Page(render_task_html(task(carried_forward=True), TITLES)).text


def test_two_mistakes_that_fit_are_joined_by_or() -> None:
    found = "off_by_one+off_by_two"
    check = CheckResult(id="double::x", outcome="failed", weight=1.0, message="Wrong.", misconception=found)
    one = TaskResult(id="double", score=0.0, max_score=3.0, checks=(check,))
    assert "Recognised mistake: off by one or off by two." in render_task_html(one, TITLES)
