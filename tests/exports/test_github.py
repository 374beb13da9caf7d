"""What GitHub's jobs show: rendered with GitHub's own parser, and equal to what a library for it writes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cmarkgfm
import github_action_utils
import pytest
from bs4 import BeautifulSoup

from autograder.exports.github import github_annotations, markdown
from autograder.marks import Person, StudentMarks
from tests.made_class import made_class
from tests.one_student import HOSTILE, hostile, one_student
from tests.tiny import tiny_result


def test_markdown_is_a_table_with_a_row_for_each_student() -> None:
    marks, _ = made_class(30)
    page = cmarkgfm.github_flavored_markdown_to_html(markdown(marks))
    assert page.count("<table>") == 1
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in BeautifulSoup(page, "html.parser")("tr")]
    assert len(rows) == 31
    assert rows[0][:2] == ["student", "Scaled dot-product attention /8"]
    shown = {row[0]: row[-1] for row in rows}
    assert all(
        shown[student.person.id] == (f"{student.total:g}" if student.submitted else "–") for student in marks.students
    )
    assert "Commonest mistakes" in page


def test_markdown_takes_hostile_texts_literally() -> None:
    page = cmarkgfm.github_flavored_markdown_to_html(markdown(hostile()), cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    assert "<script" not in page
    assert "<code" not in page
    assert "<a " not in page
    assert "@all" not in page
    assert page.count("<tr>") == 2
    assert page.count("<td") == 6


def test_annotations_are_what_a_library_for_github_writes(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("collected/a,b: 100%/tiny")
    github_action_utils.warning(
        "Double: 2 of 3 points\ndouble is <b>wrong</b>, by $1$ & more.",
        file=f"{folder.as_posix()}/utilities.py",
        title="ada: 4 of 5 points",
    )
    assert github_annotations(one_student(), {"ada": folder}) == capsys.readouterr().out


def test_hostile_texts_stay_in_one_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    made = github_annotations(hostile(), {})
    assert made.count("\n") == 1
    assert made.startswith("::warning title==cmd|")
    assert "\x1b" not in made
    clean = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd")
    message = f"Double: 2 of 3 points\n{clean}"
    github_action_utils.warning(message, title=f"{clean}: 4 of 5 points")
    assert made == capsys.readouterr().out


def test_annotations_name_what_needs_the_instructor_first() -> None:
    ada, ours = one_student().students[0], one_student("error", person=Person("zoe")).students[0]
    lost = replace(ada, person=Person("yan"), result=None)
    full = replace(ada, person=Person("bo"), result=tiny_result())
    marks = replace(one_student(), students=(ada, full, lost, ours, StudentMarks(Person("eve"))))
    lines = github_annotations(marks, {}).splitlines()
    assert [line.partition(":: ")[0].split("::")[1] for line in lines] == [
        "error title=yan%3A no cached result",
        "error title=zoe%3A held",
        "warning title=ada%3A 4 of 5 points",
    ]
