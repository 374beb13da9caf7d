"""Load what HTML is made of: templates that escape and clean all they show, style sheets and scripts."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from autograder.text import clean, is_visible

TEMPLATES = Path(__file__).parent / "templates"


@functools.cache
def load_template(name: str, **filters: Callable[..., str]) -> Template:
    """Return a template.

    Args:
        name: Its file.
        **filters: Its own filters, beside `duration`, `breakable` and `code_marked`.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=_cleaned, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "breakable": breakable, "code_marked": code_marked, **filters}
    return environment.get_template(name)


def load_asset(*names: str) -> Markup:
    """Return style sheets or scripts of our own, one after the other, to be put into a page as they are."""
    return Markup("".join((TEMPLATES / name).read_text("utf-8") for name in names))  # noqa: S704 (our own files)


def policy_hash(asset: str) -> str:
    """Return the name by which a page's Content-Security-Policy allows this one style sheet or script."""
    return f"sha256-{base64.b64encode(hashlib.sha256(asset.encode()).digest()).decode()}"


def duration(seconds: float) -> str:
    """Return a time in its two largest units."""
    minutes = max(round(seconds / 60), 1)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def breakable(name: str) -> Markup:
    """Return a name in which lines may break after underscores and double colons."""
    escaped = str(Markup.escape(clean(name)))
    return Markup(escaped.replace("_", "_<wbr>").replace("::", "::<wbr>"))  # noqa: S704 (escaped above)


def code_marked(text: str) -> Markup:
    """Return a text in which what stands between backticks is code; one with a backtick too many stays as it is."""
    parts = str(Markup.escape(_cleaned(text))).split("`")
    if len(parts) % 2 == 0:
        parts = ["`".join(parts)]
    marked = (f"<code>{part}</code>" if place % 2 else part for place, part in enumerate(parts))
    return Markup("".join(marked))  # noqa: S704 (escaped above)


def _cleaned(value: object) -> object:
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return clean(value) if value.isspace() or is_visible(value) or not value else ascii(value)
