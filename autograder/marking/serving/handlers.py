"""What the server answers: the page's files, what they ask for, and what they change."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import msgspec
from tornado.web import Application, HTTPError

from autograder.marking.actions import Marker
from autograder.marking.groups import LEAST, MOST, THRESHOLD
from autograder.marking.second_reading import next_to_read, read_second
from autograder.marking.serving.guard import is_local
from autograder.marking.serving.requests import LONGEST_NAME, MARKER, Asking, Guarded, Live, Office, undoable
from autograder.marking.views import (
    GroupRow,
    ItemRow,
    MarkRequest,
    MoveRequest,
    NoteRequest,
    QuestionPage,
    SecondRequest,
    UndoRequest,
)
from autograder.rendering.page_templates import TEMPLATES
from autograder.text import clean

PAGE = Path(__file__).with_name("page")
FILES = {
    "/": (PAGE / "index.html", "text/html; charset=utf-8"),
    "/base.css": (TEMPLATES / "base.css", "text/css; charset=utf-8"),
    "/mark.css": (PAGE / "mark.css", "text/css; charset=utf-8"),
    **{f"/{path.name}": (path, "text/javascript; charset=utf-8") for path in sorted(PAGE.glob("*.js"))},
}
GO_ON = '<!DOCTYPE html><title>Marking</title><meta http-equiv="refresh" content="0; url=/"><a href="/">Go on</a>'
MOST_ANSWERS = 100
"""Answers that are laid out for one request."""
_YEAR_DAYS = 365


class PageHandler(Guarded):
    """Sends the page and its files."""

    def prepare(self) -> None:
        """Take the token in exchange for the cookie; then the address no longer shows it."""
        guard, token = self.office.guard, self.request.query_arguments.get("token", [b""])[-1]
        if token and is_local(self.request) and guard.opens(token):
            self.set_cookie(guard.cookie, guard.session, path="/", httponly=True, samesite="Strict")
            # No redirect: where a link in another page or program led here, browsers would not send the cookie along.
            self.finish(GO_ON)
            return
        super().prepare()

    def get(self) -> None:
        """Send a file."""
        path, kind = FILES[self.request.path]
        self.set_header("Content-Type", kind)
        self.finish(path.read_bytes())


class NowhereHandler(Guarded):
    """Addresses that there are none of: strangers do not learn even that."""

    def get(self) -> None:
        """Answer with 404."""
        raise HTTPError(404)


class _Name(msgspec.Struct):
    who: str


class MeHandler(Guarded):
    """Tells and remembers who marks in this browser."""

    def get(self) -> None:
        """Send the marker's name, and the bounds of the threshold."""
        self.send({"who": self.who, "least": LEAST, "most": MOST, "threshold": THRESHOLD})

    def post(self) -> None:
        """Remember the marker's name in a cookie."""
        name = " ".join(clean(self.body(_Name).who).split())[:LONGEST_NAME]
        if not name:
            raise HTTPError(400)
        self.set_cookie(MARKER, quote(name), path="/", httponly=True, samesite="Strict", expires_days=_YEAR_DAYS)
        self.send({"who": name})


class QuestionsHandler(Asking):
    """Tells which questions there are, and how far each is."""

    async def get(self) -> None:
        """Send the list of questions."""
        await self.answer(self.office.desk.rows)


class OneQuestionHandler(Asking):
    """Tells all of one question: its text, groups and answers."""

    async def get(self) -> None:
        """Send the question that the address names."""
        threshold = _number(self.get_query_argument("threshold", ""), THRESHOLD)
        await self.answer(lambda: self._page(self.get_query_argument("name", ""), min(max(threshold, LEAST), MOST)))

    def _page(self, name: str, threshold: float) -> QuestionPage:
        desk = self.office.desk
        question = desk.question(name)
        papers = desk.papers(name)
        undo = undoable(Marker(desk, question, self.who))
        return QuestionPage(
            id=question.id,
            title=question.title,
            points=question.points,
            text=str(question.text),
            guide=str(question.guide),
            items=tuple(ItemRow(item.id, item.points, item.text) for item in question.items),
            threshold=threshold,
            groups=tuple(
                GroupRow(group.key, group.kind, group.members) for group in desk.groups(name, papers, threshold)
            ),
            answers=self.rows(papers.values()),
            comments=desk.comments(papers.values()),
            undo=undo["undo"],
            redo=undo["redo"],
        )


class AnswersHandler(Asking):
    """Tells answers as HTML."""

    async def get(self) -> None:
        """Send the answers that the address names."""
        question, names = self.get_query_argument("question", ""), self.get_query_argument("ids", "").split(",")
        await self.answer(lambda: self._html(question, names[:MOST_ANSWERS]))

    def _html(self, question: str, names: list[str]) -> dict[str, str]:
        desk = self.office.desk
        desk.question(question)
        students = {name: desk.names.student(name) for name in names}
        return {
            name: desk.answer_html(question, student, named=self.named) for name, student in students.items() if student
        }


class MarkHandler(Asking):
    """Gives answers a mark."""

    async def post(self) -> None:
        """Give the mark that the request holds."""
        request = self.body(MarkRequest)
        await self.change(request.question, lambda marker: marker.mark(request))


class NoteHandler(Asking):
    """Writes notes and flags."""

    async def post(self) -> None:
        """Write the note or the flag that the request holds."""
        request = self.body(NoteRequest)
        await self.change(request.question, lambda marker: marker.note(request))


class MoveHandler(Asking):
    """Puts answers into another group."""

    async def post(self) -> None:
        """Move the answers that the request names."""
        request = self.body(MoveRequest)
        await self.change(request.question, lambda marker: marker.move(request))


class UndoHandler(Asking):
    """Takes back the last action, or the last taking back."""

    async def post(self) -> None:
        """Take back what the request names."""
        request = self.body(UndoRequest)
        await self.change(request.question, lambda marker: marker.take_back(redo=request.redo, force=request.force))


class SecondHandler(Asking):
    """Gives out answers for the second reading, and takes what was read."""

    async def get(self) -> None:
        """Send the next answer to read."""
        name = self.get_query_argument("question", "")

        def following() -> object:
            marker = self.marker(name)
            return next_to_read(self.office.desk, marker.question, self.who, named=self.named)

        await self.answer(following)

    async def post(self) -> None:
        """Write down a reading."""
        request = self.body(SecondRequest)

        def read() -> object:
            marker = self.marker(request.question)
            read_second(self.office.desk, marker.question, self.who, request)
            return {}

        await self.answer(read)
        if self.get_status() == 200:
            self.office.tell(request.question, self.who)


def application(office: Office) -> Application:
    """Return the server's application. Requests are not logged: the first one's address holds the token."""
    pages = [(path, PageHandler) for path in FILES]
    asked = {
        "me": MeHandler,
        "questions": QuestionsHandler,
        "question": OneQuestionHandler,
        "answers": AnswersHandler,
        "second": SecondHandler,
    }
    changed = {"mark": MarkHandler, "note": NoteHandler, "move": MoveHandler, "undo": UndoHandler}
    apis = [(f"/api/{name}", handler) for name, handler in {**asked, **changed}.items()]
    return Application(
        [*pages, *apis, ("/live", Live)],
        office=office,
        default_handler_class=NowhereHandler,
        log_function=lambda handler: None,
        websocket_ping_interval=30,
    )


def _number(text: str, otherwise: float) -> float:
    try:
        number = float(text)
    except ValueError:
        return otherwise
    return number if number == number else otherwise
