"""What each way of making text safe leaves and what it takes."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest

from autograder import text
from autograder.marks import Person
from autograder.rendering.page_templates import _cleaned

NASTY = "a\x1b[31m\u202eb\ud800\t<i>&\n"


def test_clean_text_steers_nothing() -> None:
    assert text.clean(NASTY) == "a\ufffd[31m\ufffdb\ufffd\t<i>&\n"


def test_a_clean_name_is_short_and_on_one_line() -> None:
    assert text.clean_name("a\nb\ud800" + "c" * 100) == "a\ufffdb\ufffd" + "c" * 76


def test_an_id_that_cannot_be_printed_is_written_in_ascii() -> None:
    assert text.printable("Zoë") == "Zoë"
    assert text.printable("a\ud800") == "'a\\ud800'"


def test_surrogates_go_and_all_else_stays() -> None:
    assert text.without_surrogates(NASTY) == "a\x1b[31m\u202eb?\t<i>&\n"


def test_controls_are_shown_as_escapes() -> None:
    assert text.escape_controls("a\x1b\nb\u202e") == "a\\x1b\nb\\u202e"


def test_html_is_escaped_and_cleaned() -> None:
    assert text.escape_html('<a title="x">\x00') == "&lt;a title=&quot;x&quot;&gt;\ufffd"


def test_xml_can_hold_it() -> None:
    element = ET.Element("a")
    element.text = text.escape_xml(NASTY + "\ufffe")
    assert ET.fromstring(ET.tostring(element)).text == "a\ufffd[31m\ufffdb\ufffd\t<i>&\n\ufffd"  # noqa: S314 (our own)


@pytest.mark.parametrize(
    ("raw", "escaped"), [("[a](b)\nc", r"\[a\]\(b\) c"), ("@all", "@\u200ball"), ("<b>", r"\<b\>"), ("1.", r"1\.")]
)
def test_markdown_takes_it_literally(raw: str, escaped: str) -> None:
    assert text.escape_markdown(raw) == escaped


def test_a_workflow_command_stays_on_one_line() -> None:
    assert text.escape_workflow_command("50%\n::error::") == "50%25%0A::error::"
    assert text.escape_workflow_command("a:b,c", ":,") == "a%3Ab%2Cc"


def test_matplotlib_sees_no_formula() -> None:
    assert text.escape_mathtext("$x$") == r"\$x\$"


def test_lines_are_indented_but_for_the_first() -> None:
    assert text.indent_lines("a\nb", 2) == "a\n  b"


def test_a_slug_in_words_joins_two_mistakes() -> None:
    assert text.slug_in_words("no_scale+wrong_axis") == "no scale or wrong axis"


@pytest.mark.parametrize("name", ["\u0301", "\u0300\u034f\u0301", "\u200d\u0301", "\u3164", "\u115f\u1160", "\u2800"])
def test_a_name_of_nothing_visible_is_shown_as_text(name: str) -> None:
    assert text.printable(name) == ascii(name)
    assert Person(name).name == name
    assert Person("x", last_name=name).name == ascii(name)
    assert _cleaned(name) == ascii(name)
    assert _cleaned(" ") == " "


def test_a_name_with_joiners_between_letters_stays() -> None:
    name = "\u0646\u06cc\u200c\u0645"  # a Persian name may have a joiner of width 0
    assert text.is_visible(name)
    assert Person("x", last_name=name).name == name
