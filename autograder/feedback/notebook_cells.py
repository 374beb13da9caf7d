"""A graded notebook's cells as the student's page shows them: clean, bounded, and without any style of their own.

Nothing in a cell may run, load or cover anything. What cleaning leaves of styles, classes and ids goes, too: the page's
policy ignores styles that stand in a tag, and ids belong to the page alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import nh3
from markupsafe import Markup
from nbconvert.filters import strip_ansi
from nbformat import NotebookNode

from autograder.gradebook.graded_notebook import MARKING_GUIDE, SUMMARY
from autograder.rendering.formulas import with_formulas
from autograder.rendering.page_effort import resources_of_page
from autograder.rendering.sanitising import clean_html, highlight_code, markdown2html
from autograder.text import clean, escape_html

LONGEST_SOURCE = 50_000
"""Characters of a cell that are shown."""
LONGEST_OUTPUT = 5_000
"""Characters of an output that are shown."""
MOST_PICTURE_BYTES = 8 << 20
"""Characters of all pictures in outputs together."""
_ATTRIBUTES = {
    tag: names - {"style", "id", "class"} for tag, names in nh3.ALLOWED_ATTRIBUTES.items() if names - {"style"}
}
_HEADING = re.compile(r"<(/?)h[1-6]>")
_ANCHOR = re.compile(r'<a class="anchor-link"[^>]*>.*?</a>')
_PICTURES = ("image/png", "image/jpeg", "image/gif")
Whose = Literal["given", "answer", "check", "question", "added"]
LABELS: dict[Whose, str] = {"answer": "Your answer", "question": "Your answer", "added": "A cell of yours"}


@dataclass(frozen=True)
class CellOnPage:
    """One cell.

    Attributes:
        grade_id: Its name; empty if it has none.
        whose: What kind of cell it is.
        source: Its text or code.
        outputs: What it printed and drew when the student ran it.
        heading: Its first heading; empty if it has none.
    """

    grade_id: str
    whose: Whose
    source: Markup
    outputs: tuple[Markup, ...] = ()
    heading: str = ""

    @property
    def label(self) -> str:
        """Whose cell it is, in words."""
        return LABELS.get(self.whose, "")


def notebook_cells(nb: NotebookNode, given: Iterable[str]) -> list[CellOnPage]:
    """Return the cells of a graded notebook that students see: neither the summary nor a marking guide.

    Args:
        nb: The graded notebook.
        given: Texts of the cells that the course gave out: what else has no name is the student's.
    """
    shown = [
        cell for cell in nb.cells if cell.get("id") != SUMMARY and cell.metadata.get("autograder") != MARKING_GUIDE
    ]
    texts = {text.strip() for text in given}
    page = _Page(_Pictures(), resources_of_page())
    return [_cell_on_page(cell, texts, page) for cell in shown]


def _cell_on_page(cell: NotebookNode, texts: set[str], page: _Page) -> CellOnPage:
    marking = cell.metadata.get("nbgrader", {})
    whose = _whose(cell, marking, texts)
    outputs: tuple[Markup, ...] = ()
    if cell.cell_type == "code" and whose not in ("check", "given"):
        outputs = tuple(_outputs(cell, page.pictures))
    heading = re.search(r"^#+ +(.+)$", cell.source, re.MULTILINE) if cell.cell_type == "markdown" else None
    name = str(marking.get("grade_id", ""))
    return CellOnPage(name, whose, shown_source(cell, page.resources), outputs, heading[1].strip() if heading else "")


def _whose(cell: NotebookNode, marking: NotebookNode, texts: set[str]) -> Whose:
    if marking.get("solution") or marking.get("task"):
        return "question" if marking.get("grade") or marking.get("task") else "answer"
    if marking.get("grade"):
        return "check"
    return "given" if marking.get("locked") or cell.source.strip() in texts else "added"


def shown_source(cell: NotebookNode, resources: Mapping[str, Any] = MappingProxyType({})) -> Markup:
    """Return a cell's text or code as clean HTML without styles, classes and ids, and not endless.

    Args:
        cell: The cell.
        resources: What is left for the page: from `resources_of_page`.
    """
    text = cell.source[:LONGEST_SOURCE]
    if len(cell.source) > len(text):
        return _plain(f"{text}\n… {len(cell.source) - len(text)} more characters")
    if cell.cell_type == "markdown":
        return with_formulas(_bare(markdown2html({"cell": cell, "resources": resources}, text)))
    if cell.cell_type != "code":
        return _plain(text)
    lines = highlight_code({"resources": resources}, text, language="python")
    return Markup(clean(lines))  # noqa: S704 (pygments escapes all it marks up)


def _outputs(cell: NotebookNode, pictures: _Pictures) -> Iterator[Markup]:
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            yield _plain(strip_ansi(output.get("text", "")))
        elif output.output_type == "error":
            yield _plain(f"{output.get('ename', '')}: {output.get('evalue', '')}")
        else:
            yield from _data(output.get("data", {}), pictures)


def _data(data: NotebookNode, pictures: _Pictures) -> Iterator[Markup]:
    """Yield the best of the forms in which an output was stored."""
    kind = next((kind for kind in _PICTURES if isinstance(data.get(kind), str)), None)
    if kind is not None:
        yield pictures.shown(kind, data[kind])
    elif isinstance(data.get("text/html"), str) and len(data["text/html"]) <= LONGEST_SOURCE:
        yield _bare(clean_html(data["text/html"]))
    elif isinstance(data.get("text/plain"), str):
        yield _plain(strip_ansi(data["text/plain"]))


@dataclass(frozen=True)
class _Page:
    """What all cells of a page share.

    Attributes:
        resources: What is left for laying out texts.
    """

    pictures: _Pictures
    resources: Mapping[str, Any]


class _Pictures:
    """Shows pictures as long as there is room on the page."""

    def __init__(self) -> None:
        self._left = MOST_PICTURE_BYTES

    def shown(self, kind: str, content: str) -> Markup:
        """Return a picture, or a sentence in its place."""
        letters = "".join(content.split())
        if not re.fullmatch(r"[A-Za-z0-9+/=]*", letters) or len(letters) > self._left:
            return _plain("A picture that is too large to be shown here.")
        self._left -= len(letters)
        return Markup(f'<img alt="What your cell drew" src="data:{kind};base64,{letters}">')  # noqa: S704 (checked above)


def _plain(text: str) -> Markup:
    """Return text as it is, and not endless."""
    cut = (
        text
        if len(text) <= LONGEST_SOURCE
        else f"{text[:LONGEST_OUTPUT]}\n… {len(text) - LONGEST_OUTPUT} more characters"
    )
    return Markup(f"<pre>{escape_html(cut)}</pre>")  # noqa: S704 (escaped)


def _bare(cleaned: str) -> Markup:
    """Return clean HTML without styles, classes and ids; all headings are below that of the page's section."""
    bare = nh3.clean(
        _ANCHOR.sub("", cleaned),
        attributes=_ATTRIBUTES,
        attribute_filter=_only_embedded,
        url_schemes={"http", "https", "mailto", "data"},
    )
    return Markup(_HEADING.sub(r"<\1h3>", clean(bare)))  # noqa: S704 (cleaned)


def _only_embedded(tag: str, name: str, value: str) -> str | None:
    """Return what may stay of an attribute: pictures that are not in the page would not be loaded."""
    return None if (tag, name) == ("img", "src") and not value.startswith("data:image/") else value
