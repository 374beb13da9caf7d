"""The marking page in a real browser: by keyboard alone, by two at once, with hostile answers, in every light."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from playwright.sync_api import Browser, Page, expect

from tests.browsers import IN_BROWSER, find_no_fault
from tests.marking.class_course import by_student, make_class
from tests.marking.made_answers import made_answers
from tests.marking.served import DEAF, LAID_OUT, Client, opened_as, served
from tests.rendering.test_hostile_pages import FRAGMENTS

pytestmark = [IN_BROWSER, pytest.mark.slow]
Q = "question_01"
GONE_ON = """before => document.getElementById("place").textContent !== before
    || /is marked/.test(document.getElementById("said").textContent)"""
LOOK_AT = """() => {
    for (const each of document.querySelectorAll("#cards .answer *"))
        each.dispatchEvent(new MouseEvent("mouseover", { bubbles: true }));
    const isCovered = (name) => {
        const place = document.querySelector(name).getBoundingClientRect();
        return !document.elementFromPoint(place.x + place.width / 2, place.y + place.height / 2)?.closest(name);
    };
    return {
        pwned: window.pwned !== undefined,
        covered: ["#save", "#undo", "#help", "#list button[aria-current]"].filter(isCovered),
        width: document.documentElement.scrollWidth,
        html: document.documentElement.outerHTML,
    };
}"""
HOSTILE = {
    "style": "<style>body { display: none }</style><div style='position:fixed;inset:0;background:red'>over</div>",
    "long": "A word. " * 14_000,
    "wide": "x" * 5_000,
    "bidi": "\u202egnihton \u2066says\u2069 this \u200f",
    "formula": "$" + "{" * 300 + "$ and $\\\\sqrt" * 40,
    "entities": "&lt;script&gt;window.pwned=1&lt;/script&gt; $&lt;img src=x onerror=window.pwned=1&gt;$",
    "null": "\x00\x1b[31m\ufeff",
    "ids": "<p id=save class=warn>text</p><a name=answers href='#answers'>link</a><dialog open>over</dialog>",
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with a class of 40."""
    root = tmp_path_factory.mktemp("page") / "course"
    make_class(root, by_student(made_answers(40)))
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    """Where it is served."""
    with served(root) as address:
        yield address


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


def said(page: Page, text: str) -> None:
    """Wait until the page says something, and let it end."""
    expect(page.locator("#said")).to_contain_text(text)


def question(address: str, name: str = Q) -> dict[str, Any]:
    page: dict[str, Any] = Client(address).get(f"/api/question?name={name}&names=1")
    return page


def test_a_whole_question_is_marked_by_keyboard_alone(browser: Browser, address: str, root: Path) -> None:
    page = opened_as(browser, address, "Kim")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    press(page, "]")
    expect(page.locator("#heading")).to_have_text("Question 2")
    press(page, "[")
    expect(page.locator("#heading")).to_have_text("Question 1")
    for number in range(60):
        group = page.locator("#place").inner_text()
        press(page, "0", "1") if number % 2 else press(page, "a")
        if number == 1:
            press(page, "c")
            page.keyboard.type("Give a reason.")
            press(page, "Control+Enter")
        elif number == 3:
            press(page, "l")
            page.keyboard.type("reason")
            press(page, "Enter", "Enter")
        elif number == 5:
            press(page, "g")
            page.keyboard.type("give a reason")
            press(page, "Enter")
        else:
            press(page, "Enter")
        page.wait_for_function(GONE_ON, arg=group)
        if "is marked" in page.locator("#said").inner_text():
            break
    else:
        pytest.fail("The question has no end.")
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        grades = [
            grade
            for submission in book.assignment_submissions("vit")
            for notebook in submission.notebooks
            for grade in notebook.grades
            if grade.name == Q
        ]
        comments = {
            comment.comment
            for submission in book.assignment_submissions("vit")
            for notebook in submission.notebooks
            for comment in notebook.comments
            if comment.name == Q
        }
    assert {(grade.manual_score, grade.needs_manual_grade) for grade in grades} <= {
        (1.0, False),
        (2.0, False),
        (None, False),
    }
    assert sum(grade.manual_score is not None for grade in grades) >= 38
    assert "Give a reason." in comments
    assert all(url.startswith(address.partition("/?")[0]) for url in asked)
    page.context.close()


def test_every_key_does_what_the_help_says(browser: Browser, address: str) -> None:
    name = "question_03"
    page = opened_as(browser, f"{address}", "Kim")
    page.goto(page.url.partition("#")[0] + f"#{name}")
    page.reload()
    page.wait_for_function(LAID_OUT)
    press(page, "j")
    size = len(question(address, name)["groups"])
    press(page, "x", "1", "Enter")
    said(page, "Saved: 0.5 points to")
    one = [row for row in question(address, name)["answers"].values() if row["state"] == "marked"]
    assert {(row["points"], row["means"], row["who"]) for row in one} == {(0.5, "one", "Kim")}
    press(page, "u")
    said(page, "Taken back")
    assert not [row for row in question(address, name)["answers"].values() if row["state"] == "marked"]
    press(page, "r")
    said(page, "Done again")
    press(page, "u")
    said(page, "Taken back")
    press(page, "f")
    said(page, "Flagged")
    press(page, "t")
    page.keyboard.type("Ask Lee.")
    press(page, "Control+Enter")
    said(page, "Note saved")
    rows = question(address, name)["answers"].values()
    assert any(row["flagged"] for row in rows) and any(row["note"] == "Ask Lee." for row in rows)
    press(page, "t")
    page.keyboard.press("Control+End")
    page.keyboard.type(" Or Kim.")
    press(page, "Control+Enter")
    said(page, "Note saved")
    assert any(row["note"] == "Ask Lee. Or Kim." for row in question(address, name)["answers"].values())
    press(page, "m")
    page.keyboard.type("own")
    press(page, "Enter")
    said(page, "moved")
    assert len(question(address, name)["groups"]) >= size
    press(page, "u")
    said(page, "Taken back")
    press(page, "v", "v")
    expect(page.locator("#filter")).to_have_value("flagged")
    expect(page.locator("#list button")).to_have_count(1)
    press(page, "v", "v", "v", "<")
    expect(page.locator("#threshold-shown")).to_have_text("40 %")
    press(page, "?")
    expect(page.locator("#dialog")).to_be_visible()
    press(page, "Escape")
    assert "student-0001" not in page.content()
    press(page, "h")
    expect(page.locator("#cards")).to_contain_text("student-")
    press(page, "/")
    page.keyboard.type("no such words anywhere")
    expect(page.locator("#list")).to_contain_text("No group fits")
    press(page, "Escape", "s")
    expect(page.locator("#place")).to_contain_text("Second reading")
    press(page, "Escape")
    expect(page.locator("#place")).to_contain_text("Group")
    page.context.close()


def test_two_people_at_once_lose_no_mark(browser: Browser, address: str) -> None:
    name = "question_05"
    kim, lee = opened_as(browser, address, "Kim"), opened_as(browser, address, "Lee", DEAF)
    for page in (kim, lee):
        page.goto(page.url.partition("#")[0] + f"#{name}")
        page.reload()
        page.wait_for_function(LAID_OUT)
        page.locator("#list button").nth(1).click()
    press(kim, "1")
    press(lee, "2")
    press(kim, "Enter")
    said(kim, "Saved")
    before = question(address, name)["answers"]
    press(lee, "Enter")
    expect(lee.locator("#dialog")).to_contain_text("Kim")
    assert question(address, name)["answers"] == before
    lee.get_by_role("button", name="Keep these").click()
    expect(lee.locator("#dialog")).not_to_be_visible()
    assert {row["who"] for row in question(address, name)["answers"].values() if row["state"] == "marked"} == {"Kim"}
    press(kim, "j", "1")
    press(lee, "k")
    lee.locator("#list button").last.click()
    press(lee, "2", "Enter")
    said(lee, "Saved")
    expect(kim.locator("#list")).to_contain_text("1 p")  # Kim sees it without asking, and keeps the draft
    expect(kim.locator("#items button").first).to_have_attribute("aria-pressed", "true")
    for page in (kim, lee):
        page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everyone_can_use_it(browser: Browser, address: str, scheme: Any, width: int) -> None:
    page = opened_as(browser, address, "Kim", color_scheme=scheme, viewport={"width": width, "height": 900})
    press(page, "x", "1", "c")
    page.keyboard.type("Why?")
    press(page, "Escape")
    find_no_fault(page, width, 20)
    press(page, "?")
    find_no_fault(page, width, 20)
    page.context.close()


def test_hostile_answers_run_nothing_cover_nothing_and_leak_no_name(browser: Browser, tmp_path: Path) -> None:
    root = tmp_path / "course"
    made = {f"fragment-{number:02}": {Q: text} for number, text in enumerate(FRAGMENTS)}
    made |= {f"hostile-{name}": {Q: f"{text} by hostile-{name}"} for name, text in HOSTILE.items()}
    make_class(root, made)
    with served(root) as address:
        page = opened_as(browser, address, "Kim")
        asked: list[str] = []
        alerts: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("dialog", lambda dialog: alerts.append(dialog.message))
        base = address.partition("/?")[0]
        groups = page.locator("#list button").count()
        for _ in range(groups):
            page.wait_for_function(LAID_OUT)
            found = page.evaluate(LOOK_AT)
            assert (found["pwned"], found["covered"], found["width"]) == (False, [], 1280)
            assert not [name for name in ("hostile-", "fragment-", "Family") if name in found["html"]]
            press(page, "j")
        assert page.locator("#cards [id]:not(article), #cards .answer [class], #cards .answer [style]").count() == 0
        assert alerts == []
        assert all(url.startswith((base, "data:")) for url in asked)
        press(page, "a", "Enter")
        said(page, "Saved")
        page.context.close()


def test_a_second_reader_sees_no_mark_until_the_reading_ends(browser: Browser, address: str) -> None:
    name = "question_07"
    kim = Client(address)
    answers = question(address, name)["answers"]
    seen = {key: {field: row[field] for field in ("digest", "points", "comment")} for key, row in answers.items()}
    mark = {"items": ["axis"], "comment": "Told by Kim."}
    assert kim.post("/api/mark", {"question": name, "seen": seen, "mark": mark, "means": "one"})[0] == 200
    page = opened_as(browser, address, "Lee")
    page.goto(page.url.partition("#")[0] + f"#{name}")
    page.reload()
    page.wait_for_function(LAID_OUT)
    press(page, "s")
    expect(page.locator("#place")).to_contain_text("0 done")
    shown = page.locator("#desk").inner_text()
    assert "by Kim" not in shown
    expect(page.locator("#groups")).not_to_be_visible()
    press(page, "1", "Enter")
    expect(page.locator("#place")).to_contain_text("1 done")
    page.locator("#questions button").first.click()
    expect(page.locator("#groups")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("students", [0, 1])
def test_a_class_of_nobody_and_of_one(browser: Browser, tmp_path: Path, students: int) -> None:
    root = tmp_path / "course"
    make_class(root, by_student(made_answers(students)))
    errors: list[str] = []
    with served(root) as address:
        page = browser.new_context().new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.get_by_label("Your name").fill("Kim")
        page.get_by_label("Your name").press("Enter")
        expect(page.locator("#place")).to_contain_text("1 answer" if students else "No answers yet")
        for key in (
            "j",
            "k",
            "n",
            "p",
            "x",
            "f",
            "o",
            "m",
            "Escape",
            "b",
            "u",
            "r",
            "a",
            "Enter",
            "v",
            "<",
            "s",
            "Escape",
            "]",
        ):
            press(page, key)
        expect(page.locator("#heading")).not_to_have_text("Marking")
        assert errors == []
        page.context.close()


def test_a_mark_made_in_formgrader_meanwhile_is_replaced_by_whoever_says_so(
    browser: Browser, address: str, root: Path
) -> None:
    name = "question_09"
    page = opened_as(browser, address, "Kim")
    page.goto(page.url.partition("#")[0] + f"#{name}")
    page.reload()
    page.wait_for_function(LAID_OUT)
    press(page, "j")
    shown = question(address, name)
    theirs = shown["answers"][shown["groups"][1]["members"][0]]
    student = theirs["name"].rpartition("(")[2].rstrip(")")
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        grade = book.find_grade(name, "vit", "vit", student)
        grade.manual_score, grade.needs_manual_grade = 0.25, False
        book.db.commit()
    press(page, "a", "Enter")
    expect(page.locator("#dialog")).to_contain_text("elsewhere: 0.25 points")
    page.get_by_role("button", name="Replace").click()
    said(page, "Saved: 2 points to")
    assert question(address, name)["answers"][theirs["id"]]["points"] == 2.0
    press(page, "k", "j", "u")
    said(page, "Taken back")
    assert question(address, name)["answers"][theirs["id"]]["points"] == 0.25
    page.context.close()
