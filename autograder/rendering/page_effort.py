"""How much of what students write a page lays out; the rest, which nobody reads, is shown as it is.

Markdown and the colouring of code take a time that grows with the square of some texts. What one cell may take, and all
cells of a page together, is bounded before the work begins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

LONGEST_MARKDOWN, LONGEST_CODE = 30_000, 50_000
"""Characters up to which a cell is laid out."""
MOST_MARKS = 3_000
"""Characters with a meaning in Markdown up to which a cell is laid out: the time grows with their square."""
LONGEST_LAID_OUT = 1_000_000
"""Characters of HTML that a cell may become: what is defined once can be shown a thousand times."""
MARKDOWN_ON_PAGE, CODE_ON_PAGE, PICTURES_ON_PAGE = 60_000_000, 200_000, 48 << 20
"""What all cells of a page together may take, as `PageEffort` counts it."""
_MARK = re.compile(r"[\\\[\]<>*_`$|~!&]")
_BLANKS = re.compile(r"[^\S\n]{500}")
_ODD_CODE = re.compile(r"\s{200}|.{1000}")
_FOR_A_CHARACTER = 200
"""What a character of Markdown takes at most, where a cell takes the square of its marks."""
_RESOURCE = "autograder_page_effort"


class PageEffort:
    """What is left of what one page may take.

    Attributes:
        markdown: For Markdown: a tenth of a microsecond is one.
        code: Characters of code.
        pictures: Letters of pictures, in Base64.
    """

    def __init__(self) -> None:
        self.markdown, self.code, self.pictures = MARKDOWN_ON_PAGE, CODE_ON_PAGE, PICTURES_ON_PAGE

    def allows_markdown(self, source: str) -> bool:
        """Return whether a cell is laid out; it is then taken off."""
        if not is_laid_out(source):
            return False
        self.markdown -= len(_MARK.findall(source)) ** 2 + _FOR_A_CHARACTER * len(source)
        return self.markdown >= 0

    def allows_code(self, source: str) -> bool:
        """Return whether a cell is coloured; it is then taken off."""
        if len(source) > LONGEST_CODE or _ODD_CODE.search(source):
            return False
        self.code -= len(source)
        return self.code >= 0

    def allows_picture(self, letters: str) -> bool:
        """Return whether a picture is shown; it is then taken off."""
        self.pictures -= len(letters)
        return self.pictures >= 0


def is_laid_out(source: str) -> bool:
    """Return whether a cell's Markdown is laid out, if the page allows it."""
    short = len(source) <= LONGEST_MARKDOWN and len(_MARK.findall(source)) <= MOST_MARKS
    return short and not _BLANKS.search(source)


def effort_of(context: Mapping[str, Any]) -> PageEffort:
    """Return what is left for the page that a template writes: it is found in nbconvert's `resources`.

    Args:
        context: The template's variables.
    """
    resources = context.get("resources")
    if not isinstance(resources, dict):
        return PageEffort()
    effort = resources.setdefault(_RESOURCE, PageEffort())
    return effort if isinstance(effort, PageEffort) else PageEffort()


def resources_of_page() -> dict[str, Any]:
    """Return nbconvert's `resources` for a page that no template of nbconvert's writes."""
    return {_RESOURCE: PageEffort()}
