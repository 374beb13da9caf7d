"""The marking page in real browsers: serve a course, open the page as somebody, ask its server without a browser."""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

from tests.tiny import REPOSITORY


@contextmanager
def served(root: Path) -> Iterator[str]:
    """Serve a course as the command does; yields the address that it prints."""
    words = [sys.executable, "-m", "autograder", "mark", "--no-browser", "--course", str(root)]
    with (
        (root / "server.log").open("wb") as log,
        subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=log) as server,
    ):
        try:
            assert server.stdout is not None
            line = server.stdout.readline().decode()
            assert line.startswith("Mark here: "), f"{line}{(root / 'server.log').read_text()}"
            yield line.removeprefix("Mark here: ").strip()
        finally:
            server.send_signal(signal.SIGINT)
            assert server.wait(timeout=60) == 0, (root / "server.log").read_text()


LAID_OUT = """() => {
    const answers = [...document.querySelectorAll("#cards .answer")];
    return answers.length > 0 && answers.every(each => each.textContent !== "…");
}"""
DEAF = "window.WebSocket = class {};"
"""Keeps a page from hearing what others do."""


def opened_as(browser: Browser, address: str, who: str, script: str = "", **settings: Any) -> Page:
    """Open the page in a browser of its own and say who marks there.

    Args:
        browser: From `browsers.launched`.
        address: From `served`.
        who: Their name.
        script: Runs before the page's own.
        **settings: Of the browser's context.
    """
    context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | settings))
    context.add_init_script(script)
    page = context.new_page()
    page.goto(address)
    page.get_by_label("Your name").fill(who)
    page.get_by_label("Your name").press("Enter")
    page.wait_for_function(LAID_OUT)
    return page


class Client:
    """A program that knows the token and says what it wants; each request is a connection of its own."""

    def __init__(self, address: str, who: str = "Kim") -> None:
        """Take the cookie."""
        parts = urlsplit(address)
        self.host = parts.netloc
        self.cookie = ""
        answer = self.ask(f"/?{parts.query}")
        self.cookie = answer.getheader("Set-Cookie", "").partition(";")[0] + f"; autograder-marker={who}"

    def ask(self, path: str, method: str = "GET", body: object = None, **headers: str) -> http.client.HTTPResponse:
        """Send a request and return the whole answer."""
        own = {"Cookie": self.cookie, "Origin": f"http://{self.host}", "Content-Type": "application/json"}
        wanted = {name.replace("_", "-"): value for name, value in headers.items()}
        sent = {name: value for name, value in (own | wanted).items() if value}
        connection = http.client.HTTPConnection(self.host, timeout=30)
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        answer = connection.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        connection.close()
        return answer

    def get(self, path: str) -> Any:
        """Return what stands at an address."""
        return json.loads(self.ask(path).content)  # type: ignore[attr-defined]

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """Return status and answer."""
        answer = self.ask(path, "POST", body)
        return answer.status, json.loads(answer.content)  # type: ignore[attr-defined]
