"""What all answers of the server have in common: strangers are refused, errors become statuses, news is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast
from urllib.parse import unquote

import msgspec
from tornado.web import HTTPError, RequestHandler
from tornado.websocket import WebSocketClosedError, WebSocketHandler

from autograder.errors import AutograderError, UsageError
from autograder.gradebook.database import transaction
from autograder.ledger.markings import Step
from autograder.marking.actions import Marker, MarksDiffer
from autograder.marking.desk import Desk, Paper
from autograder.marking.serving.guard import HEADERS, Guard, is_own, policy
from autograder.marking.views import AnswerRow
from autograder.text import clean

MARKER = "autograder-marker"
"""Cookie with the name of whoever marks, which each browser asks for once."""
LONGEST_NAME = 60
T = TypeVar("T")
RequestT = TypeVar("RequestT", bound=msgspec.Struct)


@dataclass
class Office:
    """What all handlers share.

    Attributes:
        worker: The one thread that the desk and its database belong to, so that a busy database stops nobody else.
        listeners: The browsers that want to know what others do.
    """

    desk: Desk
    guard: Guard
    worker: ThreadPoolExecutor
    listeners: set[Live] = field(default_factory=set)

    async def at_desk(self, work: Callable[[], T]) -> T:
        """Do something at the desk."""
        return await asyncio.get_running_loop().run_in_executor(self.worker, work)

    def tell(self, question: str, who: str) -> None:
        """Tell all browsers that somebody changed something."""
        for listener in list(self.listeners):
            listener.tell({"question": question, "who": who})


class Guarded(RequestHandler):
    """Answers nobody who was not given the token."""

    @property
    def office(self) -> Office:
        """What all handlers share."""
        return cast(Office, self.settings["office"])

    def set_default_headers(self) -> None:
        """Let nothing run or load but our own files."""
        self.clear_header("Server")
        self.set_header("Content-Security-Policy", policy(self.request))
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> Awaitable[None] | None:
        """Refuse strangers, and pages of others that borrow a browser which knows us."""
        if not self.office.guard.admits(self.request) or (
            self.request.method not in ("GET", "HEAD") and not self.is_ours
        ):
            raise HTTPError(403)
        return None

    @property
    def is_ours(self) -> bool:
        """Whether the request comes from our own page."""
        return is_own(self.request)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: ANN401 - tornado's
        """Say what happened, as JSON, and nothing of the program."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        known = error.args[0] if isinstance(error, AutograderError) else ""
        self.send({"problem": clean(known) or f"{status_code}: {self._reason}"})

    def send(self, answer: object) -> None:
        """Answer with JSON."""
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(answer))

    @property
    def who(self) -> str:
        """Who marks in this browser; empty until they said so."""
        return clean(unquote(self.get_cookie(MARKER) or ""))[:LONGEST_NAME].strip()

    @property
    def named(self) -> bool:
        """Whether names are shown."""
        return self.get_query_argument("names", "0") == "1"

    def body(self, kind: type[RequestT]) -> RequestT:
        """Return what the page asks for.

        Raises:
            HTTPError: If it cannot be read.
        """
        if not (self.request.headers.get("Content-Type") or "").startswith("application/json"):
            raise HTTPError(403)
        try:
            return msgspec.json.decode(self.request.body, type=kind)
        except msgspec.MsgspecError as error:
            raise HTTPError(400) from error

    def marker(self, question: str) -> Marker:
        """Return whoever marks in this browser, at a question.

        Raises:
            UsageError: If there is no such question, or nobody said who they are.
        """
        if not self.who:
            raise UsageError("Nobody has said yet who marks in this browser.", "Load the page again.")
        return Marker(self.office.desk, self.office.desk.question(question), self.who)


class Asking(Guarded):
    """A request that the desk answers; errors become statuses here."""

    async def answer(self, work: Callable[[], object]) -> None:
        """Do something at the desk and send what comes of it."""
        try:
            self.send(await self.office.at_desk(work))
        except MarksDiffer as error:
            papers = list(error.papers.values())
            self.set_status(409)
            self.send({"problem": str(error), "now": await self.office.at_desk(lambda: self.rows(papers))})
        except UsageError as error:
            self.set_status(400)
            self.send({"problem": str(error)})
        except AutograderError as error:
            self.set_status(503)
            self.send({"problem": str(error)})

    def rows(self, papers: Iterable[Paper]) -> dict[str, AnswerRow]:
        """Return answers as the page shows them."""
        rows = [self.office.desk.answer_row(paper, named=self.named) for paper in papers]
        return {row.id: row for row in sorted(rows, key=lambda row: row.id)}  # the gradebook's order tells names

    async def change(self, question: str, work: Callable[[Marker], list[Step]]) -> None:
        """Change something at the desk, send the answers that changed, and tell the other browsers."""

        def done() -> object:
            marker = self.marker(question)
            steps = work(marker)
            papers = self.office.desk.papers(question)
            return {"rows": self.rows(papers[step.student] for step in steps), **undoable(marker)}

        await self.answer(done)
        if self.get_status() == 200:
            self.office.tell(question, self.who)


class Live(Guarded, WebSocketHandler):
    """Tells a browser what others do."""

    def prepare(self) -> None:
        """Refuse strangers, and pages of others: a WebSocket is open to them otherwise."""
        super().prepare()
        if not self.is_ours:
            raise HTTPError(403)

    def check_origin(self, origin: str) -> bool:
        """Return that the origin is ours, as `prepare` found."""
        return self.is_ours

    def open(self, *args: str, **kwargs: str) -> None:
        """Begin to listen."""
        self.office.listeners.add(self)

    def on_close(self) -> None:
        """Stop listening."""
        self.office.listeners.discard(self)

    def on_message(self, message: str | bytes) -> None:
        """Browsers have nothing to say here."""

    def tell(self, news: dict[str, str]) -> None:
        """Send news."""
        try:
            self.write_message(msgspec.json.encode(news).decode())
        except WebSocketClosedError:
            self.office.listeners.discard(self)


def undoable(marker: Marker) -> dict[str, str]:
    """Return what can be taken back, and what can be done again, in words; empty for nothing."""
    with transaction(marker.desk.coursedir) as connection:
        undo, redo = marker.undoable(connection)
    return {"undo": undo.said if undo else "", "redo": redo.said if redo else ""}
