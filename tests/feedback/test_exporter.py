"""Feedback: every point lost has its reason, everything is escaped, no hidden check is shown."""

from __future__ import annotations

import html.parser
import json
from pathlib import Path

import pytest

from autograder.course.course import read_course
from autograder.errors import RecordingError, UsageError
from autograder.feedback.exporter import write_feedback
from autograder.rendering.result_html import render_task_html
from autograder.rendering.result_text import render_task_text, render_text
from autograder.results import CheckResult, Outcome, TaskResult
from tests.tiny import TINY_DOUBLE, TinyCourse, tiny_result

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


TITLES = {"double": "Doubling", "total": "Adding up"}


class Page(html.parser.HTMLParser):
    """The tags and the visible text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.words.append(data)

    @property
    def text(self) -> str:
        """The visible text with single spaces."""
        return " ".join(" ".join(self.words).split())


def task(outcome: Outcome = "failed", message: str = "", **changed: object) -> TaskResult:
    """A task with one check."""
    check = CheckResult(id="double::doubles_all", outcome=outcome, weight=1.0, message=message)
    return TaskResult(id="double", score=0.0, max_score=3.0, checks=(check,), **changed)  # type: ignore[arg-type]


def test_text_for_the_terminal() -> None:
    assert render_text(tiny_result(double=1.25, notes=("There is no notebook.",)), TITLES) == GOLDEN


def test_a_message_cannot_steer_the_terminal() -> None:
    shown = render_text(tiny_result(notes=("\x1b[2J\x07\x9b0m\u202ereversed",)), TITLES)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(shown)
    assert "reversed" in shown


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


def test_our_own_error_costs_nothing_and_shows_no_details() -> None:
    shown = Page(render_task_html(task("error", "KeyError in oracle.py"), TITLES)).text
    assert "oracle" not in shown
    assert "it costs no points" in shown


def test_carried_forward_is_said() -> None:
    assert "An earlier part is wrong" in Page(render_task_html(task(carried_forward=True), TITLES)).text


def test_page_shows_every_task_and_no_hidden_check(released_course: TinyCourse) -> None:
    notebook = json.dumps(released_course.released_notebook()).encode()
    folder = released_course.hand_in("ada", notebook)
    released_course.record("ada", folder, tiny_result(double=1.25))
    pages = write_feedback(released_course.course, released_course.assignment)
    assert pages == [released_course.root / "feedback/ada/tiny/tiny.html"]
    page = pages[0].read_text()
    words = Page(page).text
    for expected in ("1.25 of 3 points", "2 of 2 points", "The task total works.", "double is <b>wrong</b>, by $1$"):
        assert expected in words
    assert "Score: 3.25 / 7.0" in words
    secrets = [line.strip() for line in TINY_DOUBLE.splitlines() if len(line.strip()) > 20]
    assert [line for line in secrets if line in words or line in page] == []


def test_page_is_written_anew_after_a_regrade(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    for points in (1.25, 0.5):
        released_course.record("ada", folder, tiny_result(double=points))
        pages = write_feedback(released_course.course, released_course.assignment, ["ada"])
    assert "0.5 of 3 points" in Page(pages[0].read_text()).text


def test_feedback_for_some_students(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    for student in ("ada", "bob"):
        released_course.record(student, folder, tiny_result())
    pages = write_feedback(released_course.course, released_course.assignment, ["bob"])
    assert [path.relative_to(released_course.root) for path in pages] == [Path("feedback/bob/tiny/tiny.html")]
    assert not (released_course.root / "feedback/ada").exists()


def test_feedback_without_a_recorded_result_is_refused(released_course: TinyCourse) -> None:
    with pytest.raises(UsageError, match=r"eve has no recorded result.*grade eve"):
        write_feedback(released_course.course, released_course.assignment, ["eve"])


def test_no_marking_guide_is_shown_to_students(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    (page,) = write_feedback(released_course.course, released_course.assignment)
    assert "Doubling is multiplying by two" not in page.read_text()
    assert "Marking" not in page.read_text()


def test_feedback_that_would_show_marking_guides_is_refused(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text().replace("c.GenerateFeedback.exporter_class", "# "))
    with pytest.raises(RecordingError, match=r"exporter_class.*would read the marking guides"):
        write_feedback(read_course(released_course.root), released_course.assignment)
    assert not (released_course.root / "feedback").exists()


def test_summary_links_to_every_task(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None)
    released_course.record("ada", folder, tiny_result())
    (page,) = write_feedback(released_course.course, released_course.assignment)
    text = page.read_text()
    for name in ("double", "total"):
        assert f'href="#task-{name}"' in text
        assert f'id="task-{name}"' in text


def test_two_mistakes_that_fit_are_joined_by_or() -> None:
    found = "off_by_one+off_by_two"
    check = CheckResult(id="double::x", outcome="failed", weight=1.0, message="Wrong.", misconception=found)
    one = TaskResult(id="double", score=0.0, max_score=3.0, checks=(check,))
    assert "Recognised mistake: off by one or off by two." in render_task_html(one, TITLES)


def test_a_check_with_several_inputs_is_said_once() -> None:
    def check(name: str, message: str) -> CheckResult:
        return CheckResult(id=name, sentence="It counts.", outcome="failed", weight=1, message=message)

    first, same, other = check("a[1]", "Off by one."), check("a[2]", "Off by one."), check("a[3]", "Off by two.")
    text = render_task_text(TaskResult(id="a", score=0, max_score=3, checks=(first, same, other)), TITLES)
    assert text.count("It counts.") == 2
    assert text.index("Off by one.") < text.index("Off by two.")
