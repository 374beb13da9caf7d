"""The pieces of a figure: SVG shapes that take their colours from the page, numbers that fit, and plain records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from autograder.text import escape_html

CELL = 36
"""Pixels of a square."""


@dataclass(frozen=True)
class FigureTable:
    """The numbers of a figure: headings, then rows that begin with their own."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Figure:
    """One picture as a page shows it.

    Attributes:
        title: What it is.
        words: What there is to see, in sentences.
        drawings: Captions and their SVG.
        tables: The same in numbers.
        has_legend: Whether the page has to say which line is which.
    """

    title: str
    words: tuple[str, ...]
    drawings: tuple[tuple[str, Markup], ...]
    tables: tuple[FigureTable, ...]
    has_legend: bool = False


def svg(width: float, height: float, label: str, shapes: Sequence[str]) -> Markup:
    """Return a picture.

    Args:
        width: In pixels.
        height: In pixels.
        label: The picture in words, for those who do not see it.
        shapes: What is in it.
    """
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg role="img" aria-label="{escape_html(label)}" {size}>{"".join(shapes)}</svg>')  # noqa: S704


def square(x: float, y: float, style: str, more: str = "", side: int = CELL) -> str:
    """Return a square.

    Args:
        x: Of its upper left corner.
        y: Of its upper left corner.
        style: A class of the page's style sheet.
        more: Further attributes.
        side: In pixels.
    """
    return f'<rect class="{style}" x="{x}" y="{y}" width="{side}" height="{side}"{more}/>'


def label(x: float, y: float, text: str, style: str) -> str:
    """Return text at a place; its style, a class of the page's style sheet, says how it is aligned."""
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{escape_html(text)}</text>'


def short(value: float | None) -> str:
    """Return a number in at most five characters."""
    if value is None:
        return "n/a"
    if abs(value) >= 1000:
        return "> 999" if value > 0 else "< -999"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
