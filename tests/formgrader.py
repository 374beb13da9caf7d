"""Drive formgrader in a real browser: serve a course, press its buttons, mark."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Page, Response

from tests.browsers import launched
from tests.tiny import TinyCourse

START_MILLISECONDS = 60_000
WORK_MILLISECONDS = 300_000
LISTENING = """() => [".extra-credit", ".comment"].every(
    (field) => [...document.querySelectorAll(field)].at(-1).getAttribute("placeholder") !== null)"""
"""Formgrader sets these when marks and comments have come; what is written before that is never sent."""
HANDED_IN = {"timestamp.txt": "2030-05-01 17:30:00.000000 UTC", "submission_secret.txt": "0123456789abcdef" * 8}
"""What nbgrader's submit adds; without both it releases no feedback."""


def use_exchange(root: Path) -> Path:
    """Give a course an exchange of its own, the folder through which nbgrader hands things to students."""
    exchange = root / "exchange"
    exchange.mkdir()
    exchange.chmod(0o777)
    with (root / "course_config.py").open("a") as file:
        file.write(f"c.Exchange.root = {str(exchange)!r}\n")
    return exchange


@contextmanager
def served(course: TinyCourse, scratch: Path) -> Iterator[str]:
    """Serve the course with Jupyter and nbgrader's formgrader; yields the address of its first page."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(16)
    words = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}"]
    words += [f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={course.root}", "--ServerApp.port_retries=0"]
    own = {name: str(scratch) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    with (scratch / "server.log").open("wb") as log:
        server = subprocess.Popen(words, cwd=course.root, env=os.environ | own, stdout=log, stderr=log)
        try:
            yield f"http://127.0.0.1:{port}/formgrader/?token={token}"
        finally:
            server.terminate()
            server.wait(timeout=30)


@contextmanager
def opened(address: str) -> Iterator[Page]:
    """Open an address in a browser, as soon as something answers there."""
    with launched() as browser:
        page = browser.new_page(viewport={"width": 1200, "height": 1600})
        deadline = START_MILLISECONDS // 500
        for _ in range(deadline):
            try:
                page.goto(address)
                break
            except Exception as error:
                if "ERR_CONNECTION_REFUSED" not in str(error):
                    raise
                page.wait_for_timeout(500)
        yield page


def go(page: Page, address: str, place: str, ready: str) -> None:
    """Go to one of formgrader's pages and wait until it shows something.

    Args:
        page: The browser's page.
        address: From `served`.
        place: What follows `/formgrader/`, such as `manage_submissions/tiny`.
        ready: Selector of what the page must show.
    """
    page.goto(address.replace("/formgrader/", f"/formgrader/{place}"))
    page.wait_for_selector(ready)


def submission_page(page: Page, address: str, submission: str) -> None:
    """Go to one student's submitted notebook, and wait until it listens to what is written into its last fields."""
    go(page, address, f"submissions/{submission}/", ".score")
    page.wait_for_function(LISTENING)


def give(page: Page, points: str, comment: str) -> None:
    """Mark the last answer on a submission's page, as a person does, and wait until the server has kept it."""
    fill(page, "input.score", points, "/api/grade/")
    fill(page, "textarea.comment", comment, "/api/comment/")


def fill(page: Page, selector: str, text: str, address: str) -> None:
    """Write into the last field that a selector finds; formgrader sends it when the field is left."""

    def is_kept(answer: Response) -> bool:
        return address in answer.url and answer.request.method == "PUT"

    with page.expect_response(is_kept):
        page.locator(selector).last.fill(text)
        page.locator(selector).last.press("Tab")


def save_due_date(page: Page, address: str, due: str, zone: str) -> str:
    """Save a due date of the only assignment as a person does, and return what its row says then."""
    go(page, address, "manage_assignments", "td.edit a")
    page.click("td.edit a")
    page.wait_for_selector("#edit-assignment-modal.in")
    page.fill("#edit-assignment-modal input.modal-duedate", due)
    page.fill("#edit-assignment-modal input.modal-timezone", zone)
    page.click("#edit-assignment-modal button.save")
    page.wait_for_selector("#edit-assignment-modal", state="hidden")
    return page.inner_text("td.duedate")


def press(page: Page, address: str, assignment: str, button: str) -> None:
    """Press one of the buttons beside the only submission, wait until it is done, and reload the page."""
    go(page, address, f"manage_submissions/{assignment}", f"td.{button} a")
    page.click(f"td.{button} a")
    page.wait_for_selector(".modal.in", timeout=WORK_MILLISECONDS)
    said = page.inner_text(".modal.in")
    if "Successfully" not in said:
        raise RuntimeError(said)
    page.reload()
    page.wait_for_selector("td.status .label")
