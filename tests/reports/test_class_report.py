"""The class report: what it says, that nothing in it runs or loads, that it sorts, and that axe finds no fault."""

from __future__ import annotations

import csv
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, expect

from autograder.cli import main as cli
from autograder.gradebook.class_marks import class_marks
from autograder.marks import ClassMarks, Person, StudentMarks
from autograder.reports.class_report import PAGE, TABLE, render_report, write_report
from autograder.reports.fingerprints import Passage
from autograder.reports.report_page import STATES, report_page, student_row
from autograder.reports.similarity import Pair
from autograder.results import to_json
from autograder.text import title_of
from tests.browsers import (
    IN_BROWSER,
    find_no_fault,
    heard,
    opened_file,
    opened_without_alerts,
    serious_faults,
)
from tests.made_class import made_class
from tests.one_student import HOSTILE, hostile, one_student
from tests.tiny import TinyCourse, tiny_result

MADE = datetime(2030, 1, 2, 12, 0, tzinfo=UTC)


def soup(marks: ClassMarks, pairs: list[Pair] | None = None) -> BeautifulSoup:
    return BeautifulSoup(render_report(report_page(marks, pairs or [], MADE)), "html.parser")


def words(page: BeautifulSoup, section: str) -> str:
    """The text of one section, in one line."""
    found = page.find("section", attrs={"aria-labelledby": section})
    assert found is not None
    return " ".join(found.get_text(" ").split())


def test_it_says_who_is_late_what_failed_and_what_waits() -> None:
    page = soup(one_student("error"))
    attention = words(page, "attention")
    assert "O'Brien, Ada, A. (ada): 1 min late, penalty of 0.5 points" in attention
    assert "ada, Double: works: double is <b>wrong</b>, by $1$ & more." in attention
    assert "Question 1: 1 submission" in attention
    assert "median of 7 points" in words(page, "overview")


def test_it_ranks_misconceptions_and_names_who_has_them() -> None:
    marks, _ = made_class(60)
    table = soup(marks).find("table", class_="mistakes")
    assert table is not None
    counts = [int(row.find("td").get_text()) for row in table.find("tbody").find_all("tr")]  # type: ignore[union-attr]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] > 5
    who = table.find("details").get_text()  # type: ignore[union-attr]
    assert len(re.findall(r"student-\d+", who)) == counts[0]


def test_every_task_check_and_student_is_there() -> None:
    marks, pairs = made_class(30)
    page = soup(marks, pairs)
    rows = page.find(id="class").find("tbody").find_all("tr")  # type: ignore[union-attr]
    assert len(rows) == 30
    for name in marks.points:
        assert title_of(name, marks.titles) in words(page, "tasks")
    assert "MLP check 6" in words(page, "checks")
    assert f"{pairs[0].first} {pairs[0].second} 95%" in words(page, "similarity")
    assert "utilities.py 40–49" in words(page, "similarity")
    labels = [svg["aria-label"] for svg in page.find_all("svg")]
    assert len(labels) == 3
    assert "Histogram of the points" in labels[0]


@pytest.mark.parametrize(
    "marks",
    [
        ClassMarks("x", {"a": 1.0}, ("a",), (), recorded=True),
        ClassMarks("x", {"a": 1.0}, ("a",), (StudentMarks(Person("ada")),), recorded=True),
        ClassMarks("x", {"a": 0.0}, ("a",), (StudentMarks(Person("ada"), submitted=True),), recorded=False),
    ],
    ids=["nobody", "nobody handed in", "nothing known"],
)
def test_an_empty_class_has_a_report(marks: ClassMarks, tmp_path: Path) -> None:
    page, table = write_report(marks, [], MADE, tmp_path)
    assert (page.name, table.name) == (PAGE, TABLE)
    assert ("gradebook does not hold" in page.read_text()) == (not marks.recorded)


def test_states_of_a_student() -> None:
    assert student_row(one_student(), one_student().students[0]).states == ("late", "waiting")
    assert student_row(one_student(), StudentMarks(Person("x"))).states == ("missing",)
    assert student_row(one_student(), StudentMarks(Person("x"), submitted=True)).states == ("unknown",)
    unknown = one_student(handed_in=None, seconds_late=0.0, penalty=0.0)
    assert student_row(unknown, unknown.students[0]).states == ("untimed", "waiting")
    assert "Nobody who is known to be. Nobody knows when these were handed in: ada." in words(
        soup(unknown), "attention"
    )
    assert set(STATES) == {"late", "untimed", "held", "earlier", "waiting", "unknown", "missing"}


def test_an_error_that_only_the_gradebook_tells_of_is_shown(released_course: TinyCourse) -> None:
    course = released_course
    course.record("ada", course.hand_in("ada", None), tiny_result(outcome="error"))
    marks = class_marks(course.course, course.assignment)
    assert student_row(marks, marks.students[0]).states == ("held", "unknown")
    attention = words(soup(marks), "attention")
    assert re.search(r"ada, Doubling: held since \d+-\d\d-\d\d \d\d:\d\d UTC: works: double is", attention)


def test_the_table_beside_it_is_safe_and_opens_with_its_letters(tmp_path: Path) -> None:
    write_report(hostile(), [], MADE, tmp_path)
    assert (tmp_path / TABLE).read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / TABLE).open(encoding="utf-8-sig", newline="") as file:
        heading, row = csv.reader(file, strict=True)
    assert heading[:5] == ["student", "last_name", "first_name", "email", "total"]
    assert heading[-3:] == ["double", "total", "question_01"]
    assert [cell[:2] for cell in row[:4]] == ["'="] * 4
    assert row[4:9] == ["3.5", "7", "4", "0", "0.5"]


def attacked() -> str:
    """A page where every text that students or their code choose attacks it."""
    passages = (Passage(HOSTILE, 1, 2),)
    pair = Pair(HOSTILE, '"><img src=x onerror=alert(1)>', 0.9, 9, 9, passages, passages)
    return render_report(report_page(hostile(), [pair], MADE))


def test_what_students_write_stays_text() -> None:
    page = BeautifulSoup(attacked(), "html.parser")
    assert len(page.find_all("script")) == 1
    assert not page.find_all(["img", "iframe", "link", "object", "base"])
    assert len(page.find_all("form")) == 1
    assert not [tag for tag in page.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert "\x1b" not in str(page)
    assert "<script>alert(1)</script>" in page.get_text()


def test_nothing_in_it_points_outside() -> None:
    marks, pairs = made_class(20)
    page = soup(marks, pairs)
    names = ("href", "src", "srcset", "xlink:href", "action", "data")
    found = [str(tag[name]) for tag in page.find_all(True) for name in names if tag.has_attr(name)]
    assert found
    assert not [address for address in found if not address.startswith("#")]
    policy = page.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy is not None
    assert str(policy["content"]).startswith("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-")


def test_ids_are_used_once_and_every_reference_is_there() -> None:
    marks, pairs = made_class(20)
    page = soup(marks, pairs)
    ids = [tag["id"] for tag in page.find_all(id=True)]
    assert len(ids) == len(set(ids))
    uses = [tag[name][1:] for tag in page.find_all(True) for name in ("href", "xlink:href") if tag.has_attr(name)]
    assert set(uses) <= set(ids)


def test_the_command_writes_page_and_table(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    course.record("ada", course.hand_in("ada", None), tiny_result(double=1.0))
    (tmp_path / "ada.json").write_bytes(to_json(tiny_result(double=1.0)))
    line = ["report", "--course", str(course.root), "--assignment", "tiny"]
    assert cli.main([*line, "--results", str(tmp_path)]) == 0
    page = (course.root / "report/tiny" / PAGE).read_text()
    assert "off by one" in page
    assert "wrote" in capsys.readouterr().out
    assert cli.main([*line, "--to", str(tmp_path / "there")]) == 0  # with what is kept: nothing, as nothing was run
    assert STATES["unknown"] in (tmp_path / "there" / PAGE).read_text()


# --- in a browser ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on a made class."""
    marks, pairs = made_class(60)
    return write_report(marks, pairs, MADE, tmp_path_factory.mktemp("report"))[0]


def column(page: Page, number: int) -> list[str]:
    """The texts of one column of the students who are shown."""
    return page.locator(f"#class tbody tr:not([hidden]) > :nth-child({number})").all_inner_texts()


@IN_BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser: Browser, report_file: Path, scheme: str, width: int) -> None:
    page = opened_file(browser, report_file, scheme, width)
    page.locator("#class thead button").nth(1).click()
    find_no_fault(page, width, least_passes=40)


@IN_BROWSER
@pytest.mark.slow
def test_axe_would_find_a_fault(browser: Browser, report_file: Path) -> None:
    page = opened_file(browser, report_file)
    page.evaluate("document.querySelector('main').style.color = 'light-dark(#bbb, #555)'")
    page.evaluate("document.querySelector('svg').removeAttribute('aria-label')")
    assert serious_faults(page) >= {"color-contrast", "svg-img-alt"}


@IN_BROWSER
@pytest.mark.slow
def test_the_browser_asks_for_nothing_else_and_refuses_nothing(browser: Browser, report_file: Path) -> None:
    asked, said = heard(browser, report_file)
    assert asked == [report_file.as_uri()]
    assert said == []


@IN_BROWSER
@pytest.mark.slow
def test_a_hostile_class_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / PAGE).write_text(attacked())
    page = opened_without_alerts(browser, tmp_path / PAGE)
    assert page.locator("#class tbody tr").count() == 1


@IN_BROWSER
@pytest.mark.slow
def test_columns_sort_both_ways_and_say_so(browser: Browser, report_file: Path) -> None:
    page = opened_file(browser, report_file)
    total = page.locator("#class thead th").nth(1)
    for direction in ("descending", "ascending"):
        total.locator("button").focus()
        page.keyboard.press("Enter")
        assert total.get_attribute("aria-sort") == direction
        shown = column(page, 2)
        numbers = [float(text) for text in shown if text != "–"]
        assert numbers == sorted(numbers, reverse=direction == "descending")
        assert set(shown[len(numbers) :]) == {"–"}  # who handed in nothing comes last, either way
        assert f"Sorted by total /100, {direction}." in page.inner_text("main")
    page.locator("#class thead button").first.click()
    assert column(page, 1) == sorted(column(page, 1), key=str.casefold)
    assert page.locator("#class [aria-sort]").count() == 1


@IN_BROWSER
@pytest.mark.slow
def test_rows_are_filtered_by_name_and_state(browser: Browser, report_file: Path) -> None:
    page = opened_file(browser, report_file)
    page.get_by_label("Name or id").fill("STUDENT-01")
    assert len(column(page, 1)) == 10
    page.get_by_label("Show", exact=True).select_option("late")
    late = len(column(page, 1))
    assert late < 10
    assert f"{late} of 60 students" in page.inner_text("form")
    page.get_by_role("button", name="Show all").click()
    expect(page.locator("form [role=status]")).to_have_text("60 of 60 students")
    assert len(column(page, 1)) == 60


@IN_BROWSER
@pytest.mark.slow
def test_without_scripts_everything_is_shown(browser: Browser, report_file: Path) -> None:
    page = opened_file(browser, report_file, scripts=False)
    assert len(column(page, 1)) == 60
    assert not page.locator("form").is_visible()
    assert page.locator("thead button").count() == 0
