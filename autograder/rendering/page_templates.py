"""What our HTML pages share: templates that escape and clean all they show, and filters for times and long names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from autograder.text import clean

TEMPLATES = Path(__file__).parent / "templates"


def page_template(name: str, **filters: Callable[..., str]) -> Template:
    """Return a page's template.

    Args:
        name: Its file.
        **filters: Filters of this page alone, beside `duration` and `breakable`.
    """
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, finalize=_cleaned, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"duration": duration, "breakable": breakable, **filters}
    return environment.get_template(name)


def page_text(*names: str) -> str:
    """Return the text of style sheets or scripts, one after the other."""
    return "".join((TEMPLATES / name).read_text("utf-8") for name in names)


def duration(seconds: float) -> str:
    """Return a time in its two greatest units."""
    minutes = max(round(seconds / 60), 1)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {rest} min" if hours else f"{rest} min"


def breakable(name: str) -> Markup:
    """Return a name that may be broken after underscores and double colons."""
    escaped = str(Markup.escape(clean(name)))
    return Markup(escaped.replace("_", "_<wbr>").replace("::", "::<wbr>"))  # noqa: S704


def _cleaned(value: object) -> object:
    return clean(value) if isinstance(value, str) and not isinstance(value, Markup) else value
