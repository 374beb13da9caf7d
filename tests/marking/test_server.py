"""The marking page's server: strangers get nothing, and what it says is saved outlives its death."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from multiprocessing import get_context
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograder.course.course import Course
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.ledger.connections import engine_of
from autograder.ledger.history import last_entry
from autograder.ledger.outside import current_state
from autograder.marking.desk import open_desk
from autograder.marking.serving.server import serve
from tests.marking.class_course import make_class
from tests.marking.served import Client, served

FORK = get_context("fork")  # a server of its own, without a second's imports
Q = "question_04"
PATHS = (
    "/",
    "/mark.js",
    "/navigation.js",
    "/base.css",
    "/api/me",
    "/api/questions",
    f"/api/question?name={Q}",
    "/live",
    "/none",
    "/../x",
)
CLASS = {f"student-{number}": {Q: f"All tokens at once, says {number}."} for number in range(1, 9)}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A course with a class."""
    root = tmp_path_factory.mktemp("served") / "course"
    make_class(root, CLASS)
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    """Where it is served."""
    with served(root) as address:
        yield address


def mark_of(client: Client, points: float | None = 1.0, **other: Any) -> dict[str, Any]:
    page = client.get(f"/api/question?name={Q}")
    row = min(page["answers"].values(), key=lambda answer: answer["text"])
    seen = {row["id"]: {name: row[name] for name in ("digest", "points", "comment")}}
    mark = {"items": [], "points": points} | {name: other.pop(name) for name in ("items", "comment") if name in other}
    return {"question": Q, "seen": seen, "mark": mark, "means": "one"} | other


@pytest.mark.parametrize("path", PATHS)
def test_without_the_token_there_is_nothing(address: str, path: str) -> None:
    client = Client(address)
    for cookie in ("", "autograder-mark=x", client.cookie.replace("=", "=x", 1)):
        assert client.ask(path, Cookie=cookie).status == 403
    assert client.ask(f"{path}{'&' if '?' in path else '?'}token=wrong", Cookie="").status == 403
    assert client.ask(path, Host="evil.invalid:80").status == 403


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
@pytest.mark.parametrize("path", ["/", "/api/mark", "/live", "/?token=%FF", "/api/answers?ids=%FF", "/%C3%28"])
def test_no_method_and_no_broken_address_gets_past_the_guard(address: str, method: str, path: str) -> None:
    assert Client(address).ask(path, method, Cookie="").status == 403


def test_the_order_of_answers_says_nothing_of_who_wrote_them(address: str) -> None:
    ids = list(Client(address).get(f"/api/question?name={Q}")["answers"])
    assert ids == sorted(ids)


def test_the_token_buys_a_cookie_that_scripts_and_other_sites_do_not_get(address: str) -> None:
    client = Client(address)
    answer = client.ask(address[address.index("/?") :], Cookie="")
    assert answer.status == 200 and b"url=/" in answer.content  # type: ignore[attr-defined]
    assert {"HttpOnly", "SameSite=Strict"} <= {part.strip() for part in answer.getheader("Set-Cookie", "").split(";")}
    assert address.partition("token=")[2] not in client.cookie
    page = client.ask("/")
    assert page.status == 200
    assert "default-src 'none'" in page.getheader("Content-Security-Policy", "")
    assert client.ask("/none").status == 404


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": ""},
        {"Origin": "null"},
        {"Origin": "http://evil.invalid"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "same-site"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Content_Type": "text/plain"},
        {"Content_Type": "application/x-www-form-urlencoded"},
    ],
)
def test_other_pages_cannot_post(address: str, headers: dict[str, str]) -> None:
    client = Client(address)
    body = mark_of(client, 1.75)
    assert client.ask("/api/mark", "POST", body, **headers).status == 403
    assert 1.75 not in {row["points"] for row in client.get(f"/api/question?name={Q}")["answers"].values()}


@pytest.mark.parametrize("changed", [{"Cookie": ""}, {"Origin": "http://evil.invalid"}, {"Origin": ""}, {}])
def test_other_pages_cannot_listen(address: str, changed: dict[str, str]) -> None:
    client = Client(address)
    key = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec_WebSocket_Key": "dGhlIHNhbXBsZSBub25jZQ=="}
    connection = {**key, "Sec_WebSocket_Version": "13", **changed}
    answer = client.ask("/live", **connection)
    assert answer.status == (403 if changed else 101)


@pytest.mark.parametrize(
    "body", ["no object", {}, {"question": Q}, {"who": ""}, {"question": Q, "seen": {}, "more": 1}]
)
def test_what_cannot_be_read_is_refused_with_a_reason(address: str, body: Any) -> None:
    client = Client(address)
    for path in ("mark", "note", "move", "undo", "second", "me"):
        status, answer = client.post(f"/api/{path}", body)
        assert (status == 400 and "Traceback" not in answer["problem"]) or (path, status) == ("undo", 400)


def test_what_the_question_does_not_give_is_refused(address: str) -> None:
    client = Client(address)
    assert client.post("/api/mark", mark_of(client, 2.5))[0] == 400
    assert client.post("/api/mark", mark_of(client, None, items=["no_such"]))[0] == 400
    assert client.post("/api/mark", mark_of(client, question="attention"))[0] == 400
    nobody = Client(address, who="")
    assert nobody.post("/api/mark", mark_of(nobody))[0] == 400


def test_of_two_who_mark_the_same_answer_the_later_one_is_told(address: str) -> None:
    kim, lee = Client(address), Client(address, "Lee")
    theirs = mark_of(lee, 0.5)
    assert kim.post("/api/mark", mark_of(kim, 1.5, comment="Kim's"))[0] == 200
    status, answer = lee.post("/api/mark", theirs)
    (row,) = answer["now"].values()
    assert (status, row["points"], row["who"], row["comment"]) == (409, 1.5, "Kim", "Kim's")
    assert kim.post("/api/undo", {"question": Q})[0] == 200


@dataclass
class Round:
    """A server that marks are sent to until it is killed.

    Attributes:
        saved: Comment by answer, of each mark that the server said is saved.
        unheard: The comments that were sent when the server died: each may be in the gradebook, or not.
    """

    saved: dict[str, str] = field(default_factory=dict)
    unheard: set[str] = field(default_factory=set)


def mark_until_killed(course: Course, draw: random.Random) -> Round:
    """Serve a course in a process of its own, mark one answer after the other, and kill the server meanwhile."""
    here, there = FORK.Pipe()
    server = FORK.Process(target=lambda: serve(open_desk(course, "vit"), 0, there.send))
    server.start()
    client, this_round = Client(here.recv()), Round()
    rows = client.get(f"/api/question?name={Q}")["answers"]
    killing = Timer(draw.uniform(0, 0.3), server.kill)
    try:
        while True:
            row = rows[draw.choice(sorted(rows))]
            comment = f"{draw.random()}"
            seen = {row["id"]: {name: row[name] for name in ("digest", "points", "comment")}}
            body = {"question": Q, "seen": seen, "means": "one", "mark": {"items": ["parallel"], "comment": comment}}
            this_round.unheard = {comment}
            status, answer = client.post("/api/mark", body)
            assert status == 200, answer
            this_round.saved[row["text"]] = comment
            if killing.ident is None:
                killing.start()  # at whatever the server does then
            rows |= answer["rows"]
    except (OSError, HTTPException, ValueError):  # the answer may be cut anywhere
        server.join()
    return this_round


@pytest.mark.slow
def test_killed_at_any_moment_what_was_shown_as_saved_is_in_the_gradebook(tmp_path: Path) -> None:
    course = make_class(tmp_path / "course", CLASS)
    draw = random.Random(20)  # noqa: S311 (no secret)
    url = course_directory(course, "vit").db_url
    known: dict[str, str] = {}
    marked = 0
    for _ in range(20):
        this_round = mark_until_killed(course, draw)
        known |= this_round.saved
        marked += len(this_round.saved)
        with Gradebook(url) as book:
            comments = {
                texts[Q]: book.find_comment(Q, "vit", "vit", name).manual_comment for name, texts in CLASS.items()
            }
            points = {texts[Q]: book.find_grade(Q, "vit", "vit", name).manual_score for name, texts in CLASS.items()}
        for text, comment in comments.items():
            assert comment == known.get(text) or comment in this_round.unheard
            assert points[text] == (None if comment is None else 1.0)
        known = {text: comment for text, comment in comments.items() if comment is not None}
        with engine_of(url).begin() as connection:
            for student in CLASS:
                entry = last_entry(connection, "vit", student)
                assert entry is None or entry.book == current_state(connection, "vit", student)
    assert marked >= 20
