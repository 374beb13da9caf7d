"""Clean the HTML that pages are made of: nothing of a submission runs, loads or covers anything in a browser.

nbconvert's templates call these filters on every cell and output: in formgrader's page through `c.HTMLExporter`
in course_config.py, in the students' page through `FeedbackExporter`.
"""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

import nh3
from jinja2 import pass_context
from nbconvert.filters import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

from autograder.rendering.page_effort import LONGEST_LAID_OUT, PageEffort, effort_of
from autograder.rendering.picture_kinds import is_safe_address
from autograder.rendering.style_values import PROPERTIES, plain_style
from autograder.text import escape_html

Pictures = Mapping[str, Mapping[str, str]]

_CLIPPED = "overflow:hidden;position:relative"
"""Of what is put around each cell, so that nothing in it shows beyond its edges."""
_OWN_STYLES = {"overflow", "position"}

_CLASSES = re.compile(r"highlight|hl-\w+|ipython\d?|anchor-link|tex2jax_ignore|mathjax_ignore|[a-z][a-z0-9]{0,2}")
_ID = re.compile(r"task-[\w-]+|automatic-tasks")
_LINKS = {"http", "https", "mailto"}
_ATTACHED = "attachment:"
_IMAGE = re.compile(r'<img\b(?:[^>"]|"[^"]*")*>')  # as the cleaner writes it: with double quotes, none within
_SOURCE = re.compile(r'\ssrc="([^"]+)"')
_NAME = re.compile(r'\s(?:alt|title)="([^"]+)"')
_HEADINGS = {f"h{level}" for level in range(1, 7)}
_ATTRIBUTES = {tag: set(names) for tag, names in nh3.ALLOWED_ATTRIBUTES.items()}
_ATTRIBUTES["*"] = {"class", "id", "style", "title"}


def clean_html(fragment: object, pictures: Pictures = MappingProxyType({}), effort: PageEffort | None = None) -> str:
    """Return an HTML fragment with nothing but plain formatting, links and embedded pictures.

    Scripts, event handlers, forms, frames, drawings and remote pictures are removed; so are styles, classes and ids
    that could place something over the rest of the page or pass for something else in it. Where a picture cannot be
    shown, a note says why.

    Args:
        fragment: What a template produced, as text or UTF-8 bytes.
        pictures: Name to media type to Base64 text of the pictures that it may show; or `text/plain` to why not.
        effort: What is left for the page that it stands on; None if it stands alone.
    """
    text = fragment.decode("utf-8", "replace") if isinstance(fragment, bytes) else str(fragment)
    cleaned = nh3.clean(
        text,
        attributes=_ATTRIBUTES,
        attribute_filter=_clean_attribute,
        filter_style_properties=PROPERTIES | _OWN_STYLES,
        url_schemes=_LINKS | {"data", _ATTACHED[:-1]},
    )
    left = effort or PageEffort()
    return _IMAGE.sub(lambda found: _shown_picture(found[0], pictures, left), cleaned)


class _Renderer(IPythonRenderer):  # type: ignore[misc]
    """Leaves pictures to `clean_html`: nbconvert's own stops at the first that is missing."""

    def _embed_image_or_attachment(self, src: str) -> str:
        return src


@pass_context
def markdown2html(context: Mapping[str, Any], source: str) -> str:
    """Return a cell's Markdown as clean HTML, or as plain text if that fails: one cell must not cost the whole page.

    nbgrader's templates show graded cells through this filter alone.

    Args:
        context: The template's variables; `cell` has the pasted pictures.
        source: The cell's text.
    """
    pictures, effort = context.get("cell", {}).get("attachments", {}), effort_of(context)
    try:
        if not effort.allows_markdown(source):
            raise ValueError("takes too long to be laid out")
        laid_out = MarkdownWithMath(renderer=_Renderer(escape=False)).render(source)
        if len(laid_out) > LONGEST_LAID_OUT:
            raise ValueError("becomes too long")
        return f'<div style="{_CLIPPED}">{clean_html(laid_out, pictures, effort)}</div>'
    except Exception:  # endless nesting, say
        return _as_it_is(source)


@pass_context
def highlight_code(
    context: Mapping[str, Any], source: str, language: str | None = None, metadata: object = None
) -> str:
    """Return a cell's code in colours, or as plain text where that would take too long.

    Args:
        context: The template's variables.
        source: The cell's text.
        language: Which lexer of Pygments to use.
        metadata: The cell's; nbconvert's templates pass it.
    """
    if not effort_of(context).allows_code(source):
        return _as_it_is(source)
    coloured: str = Highlight2HTML(pygments_lexer="ipython3")(source, language=language)
    return coloured


def _as_it_is(source: str) -> str:
    # nbconvert looks for links in it, in a time that grows with the square of the number of brackets.
    return f"<pre>{escape_html(source).replace('[', '&#91;')}</pre>"


def _clean_attribute(tag: str, name: str, value: str) -> str | None:
    """Return what may stay of an attribute's value; None removes the attribute."""
    if name == "class":
        return " ".join(name for name in value.split() if _CLASSES.fullmatch(name)) or None
    if name == "style":
        return value if value == _CLIPPED else plain_style(value) or None
    if name == "id":
        return value if tag in _HEADINGS or _ID.fullmatch(value) else None
    if tag == "img" and name == "src":
        return value if value.startswith(_ATTACHED) or is_safe_address(value) or _is_relative(value) else None
    if name == "cite" or value.strip().lower().startswith("data:"):
        return None
    return value


def _is_relative(address: str) -> bool:
    return re.match(r"\s*([A-Za-z][\w+.-]*:|[/\\])", address) is None


def _shown_picture(image: str, pictures: Pictures, effort: PageEffort) -> str:
    """Return an image that is clean with its picture in it, or a note where there is none to show."""
    source = _SOURCE.search(image)
    address = html.unescape(source[1]) if source else ""
    name = unquote(address.removeprefix(_ATTACHED))
    bundle = pictures.get(name) or pictures.get(address)
    kind, content = next(iter(bundle.items()), ("", "")) if isinstance(bundle, Mapping) else ("", "")
    shown = f"data:{kind};base64,{content}"
    if source and bundle and not effort.allows_picture(content):
        content = "is one too many"
        kind = "text/plain"
    elif source and bundle and is_safe_address(shown):
        return image[: source.start(1)] + shown + image[source.end(1) :]
    if source and not bundle and not address.startswith(_ATTACHED):
        return image
    named = _NAME.search(image)
    label = escape_html(name) or (named[1] if named else "")
    why = escape_html(content) if kind == "text/plain" else "is not in the notebook" if source else "is not loaded"
    return f"<em>[The picture {label} {why}.]</em>".replace("picture  ", "picture ")
