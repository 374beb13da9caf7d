"""What one cell, and all cells of a page, may take: texts that Markdown, Pygments or a picture made slow or endless."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from nbconvert.exporters import HTMLExporter
from nbformat import v4
from traitlets.config import Config

from autograder.rendering import page_effort
from autograder.rendering.page_effort import LONGEST_LAID_OUT, resources_of_page
from autograder.rendering.picture_kinds import NO_PICTURE, picture_kind
from autograder.rendering.sanitising import clean_html, highlight_code, markdown2html

MARKDOWN = {
    "blanks": "a" + " " * 29_000 + "b",
    "one title, shown a thousand times": '[a]: b "' + "t" * 20_000 + '"\n\n' + "[a] " * 700,
    "one footnote, shown a thousand times": "[^1]: " + "b" * 20_000 + "\n\n" + "[^1] " * 700,
}
CODE = {
    "lines of blanks": " \n" * 24_900,
    "form feeds": "\x0c\n" * 24_900,
    "one long number in a text": "'%" + "0" * 49_000,
}
LAID_OUT = "<b>laid out</b>"
Show = Callable[..., str]


def seconds(show: Show, *given: Any) -> tuple[float, str]:
    began = time.thread_time()
    shown = show(*given)
    return time.thread_time() - began, shown


@pytest.mark.parametrize("name", MARKDOWN)
def test_a_cell_is_laid_out_in_bounded_time_and_length(name: str) -> None:
    spent, shown = seconds(markdown2html, {}, MARKDOWN[name])
    assert spent < 1.5
    assert len(shown) < LONGEST_LAID_OUT


@pytest.mark.parametrize("name", CODE)
def test_code_is_coloured_in_bounded_time(name: str) -> None:
    spent, shown = seconds(highlight_code, {}, CODE[name])
    assert spent < 1
    assert shown.startswith("<pre>")


def test_code_that_people_write_is_coloured() -> None:
    assert '<span class="k">def</span>' in highlight_code({}, "def double(x):\n\n\n    return 2 * x\n")


@pytest.fixture
def small_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page of little room."""
    for name, room in {"MARKDOWN_ON_PAGE": 500_000, "CODE_ON_PAGE": 500, "PICTURES_ON_PAGE": 500}.items():
        monkeypatch.setattr(page_effort, name, room)


@pytest.mark.usefixtures("small_page")
def test_all_cells_of_a_page_together_are_bounded() -> None:
    resources = resources_of_page()
    texts = {f"{LAID_OUT} {'[' * 200} {number}" for number in range(30)}
    assert sum(LAID_OUT in markdown2html({"resources": resources}, text) for text in texts) == 5
    code = [highlight_code({"resources": resources}, "x = 1\n" * 10) for _cell in range(12)]
    assert sum("<span" in cell for cell in code) == 8


@pytest.mark.usefixtures("small_page")
def test_pages_of_nbconvert_have_one_bound_for_all_cells() -> None:
    """Formgrader's page of a hand-in is one of these."""
    names = ("clean_html", "highlight_code", "markdown2html")
    filters = {name: f"autograder.nbgrader_plugins.{name}" for name in names}
    exporter = HTMLExporter(config=Config({"HTMLExporter": {"filters": filters}}))
    cells = [v4.new_code_cell("x = 1\n" * 10) for _cell in range(12)]
    page, _ = exporter.from_notebook_node(v4.new_notebook(cells=[v4.new_code_cell(CODE["form feeds"]), *cells]))
    assert page.count('<span class="n">x</span>') == 80


@pytest.mark.usefixtures("small_page")
def test_a_picture_is_not_shown_a_hundred_times() -> None:
    shown = clean_html('<img src="attachment:a.png">' * 40, {"a.png": {"image/png": "A" * 100}})
    assert (shown.count("A" * 100), shown.count("[The picture a.png is one too many.]")) == (5, 35)


def test_comments_before_a_drawing_are_read_in_one_way_only() -> None:
    began = time.thread_time()
    assert picture_kind(b"<!---->" * 40 + b"x") == ("", NO_PICTURE)
    assert picture_kind(b"<!-- a --> <!-- b -->" * 40 + b"<svg>") == ("image/svg+xml", "")
    assert time.thread_time() - began < 1
