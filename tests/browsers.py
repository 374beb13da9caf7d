"""A real browser for the tests that look at pages; they are skipped where none is installed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next((found for name in BROWSERS if (found := shutil.which(name))), None)
SWITCHES = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
IN_BROWSER = pytest.mark.skipif(BROWSER is None, reason=f"needs a browser: none of {', '.join(BROWSERS)} is installed")


@contextmanager
def launched() -> Iterator[Browser]:
    """Start a browser and end it."""
    with sync_playwright() as playwright:
        yield (browser := playwright.chromium.launch(executable_path=BROWSER, args=list(SWITCHES)))
        browser.close()


def opened_file(
    browser: Browser, file: Path, scheme: str = "light", width: int = 1280, *, scripts: bool = True
) -> Page:
    """Open a page.

    Args:
        browser: From `launched`.
        file: The page.
        scheme: `light` or `dark`.
        width: Of the window, in pixels.
        scripts: Whether scripts run.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
    )
    page = context.new_page()
    page.goto(file.as_uri())
    return page


def heard(browser: Browser, file: Path) -> tuple[list[str], list[str]]:
    """Open a file until nothing more is loaded; return what the page asked for, and what it said, errors included."""
    page = browser.new_page()
    asked: list[str] = []
    said: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(file.as_uri(), wait_until="networkidle")
    return asked, said


def find_no_fault(page: Page, width: int, least_passes: int) -> None:
    """Fail where axe finds anything, where it looked at too little, or where the page is wider than the window."""
    found = Axe().run(page).response
    assert [(rule["id"], rule["impact"], rule["nodes"][0]["html"]) for rule in found["violations"]] == []
    assert len(found["passes"]) > least_passes
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def serious_faults(page: Page) -> set[str]:
    """Return the rules of axe that the page breaks seriously."""
    return {rule["id"] for rule in Axe().run(page).response["violations"] if rule["impact"] == "serious"}


def opened_without_alerts(browser: Browser, file: Path) -> Page:
    """Open a file until nothing more is loaded; fail where its scripts open a dialog."""
    page = browser.new_page()
    alerts: list[str] = []
    page.on("dialog", lambda dialog: alerts.append(dialog.message))
    page.goto(file.as_uri(), wait_until="networkidle")
    assert alerts == []
    return page
