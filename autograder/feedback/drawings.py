"""Draw what checks show as SVG that stands in the page itself and takes its colours from it, light or dark.

Every picture has its words and its numbers beside it: nothing is told by colour or shape alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from autograder.results import AttentionPicture, CurvePicture, Numbers, PatchPicture, Picture
from autograder.text import escape_html

CELL = 36
MARGIN = 34
CHART_WIDTH, CHART_HEIGHT = 286, 200
LEFT, RIGHT, TOP, BOTTOM = 36, 6, 10, 36
TICKS = 5
PANELS = {
    "Loss": (("loss", "training"), ("val_loss", "validation")),
    "Accuracy": (("accuracy", "training"), ("val_accuracy", "validation")),
}
"""Panel to the names that Keras gives its curves, and their words."""
SAME_SUM = 5e-3
"""How far a sum of rounded weights may lie from 1."""


@dataclass(frozen=True)
class Table:
    """The numbers of a drawing: headings, then rows that begin with their own."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Shown:
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
    tables: tuple[Table, ...]
    has_legend: bool = False


def draw(picture: Picture) -> Shown:
    """Return a picture with its words and numbers."""
    if isinstance(picture, AttentionPicture):
        return _attention(picture)
    return _patches(picture) if isinstance(picture, PatchPicture) else _curves(picture)


def _attention(picture: AttentionPicture) -> Shown:
    pair = (("Yours", picture.got), ("By the definition", picture.right))
    words = [
        "Each row is a query, each column a key; the stronger its colour, the larger the weight, from 0 to 1.",
        f"By the definition each row sums to 1. {_sums(picture.got)}",
    ]
    words += _largest_difference(picture.got, picture.right)
    return Shown(
        title="Your attention weights beside those of the definition",
        words=tuple(words),
        drawings=tuple((caption, _heatmap(rows, caption)) for caption, rows in pair),
        tables=tuple(
            Table(
                caption=caption,
                head=("", *(f"key {column}" for column in range(1, _width(rows) + 1))),
                rows=tuple((f"query {row}", *map(_short, values)) for row, values in enumerate(rows, 1)),
            )
            for caption, rows in pair
        ),
    )


def _sums(rows: Sequence[Numbers]) -> str:
    if any(value is None for row in rows for value in row):
        return "Some of yours are no finite numbers."
    along = [math.fsum(value or 0.0 for value in row) for row in rows]
    down = [math.fsum(value or 0.0 for value in column) for column in zip(*rows, strict=True)]
    if all(abs(one - 1) < SAME_SUM for one in along):
        return "So do yours, with other values."
    if all(abs(one - 1) < SAME_SUM for one in down):
        return "In yours each column does."
    least, most = _short(min(along)), _short(max(along))
    return f"Yours sum to {least}." if least == most else f"Yours sum to between {least} and {most}."


def _largest_difference(got: Sequence[Numbers], right: Sequence[Numbers]) -> Iterator[str]:
    if (len(got), _width(got)) != (len(right), _width(right)):
        yield f"Yours have {len(got)} rows and {_width(got)} columns, the right ones {len(right)} and {_width(right)}."
        return
    apart = [
        (abs(mine - other), row, column, mine, other)
        for row, (ours, theirs) in enumerate(zip(got, right, strict=True), 1)
        for column, (mine, other) in enumerate(zip(ours, theirs, strict=True), 1)
        if mine is not None and other is not None
    ]
    if apart:
        _, row, column, mine, other = max(apart)
        where = f"query {row} and key {column}"
        yield f"They differ most at {where}: {_short(mine)} in place of {_short(other)}."


def _heatmap(rows: Sequence[Numbers], caption: str) -> Markup:
    width, height = MARGIN + CELL * _width(rows) + 1, MARGIN + CELL * len(rows) + 1
    parts = [_text(MARGIN + CELL * (n + 0.5), 22, f"k{n + 1}", "axis") for n in range(_width(rows))]
    for row, values in enumerate(rows):
        y = MARGIN + CELL * row
        parts.append(_text(MARGIN / 2, y + CELL / 2 + 5, f"q{row + 1}", "axis"))
        for column, value in enumerate(values):
            x = MARGIN + CELL * column
            shade = min(max(value or 0.0, 0.0), 1.0)
            parts.append(_square(x, y, "cell") + _square(x, y, "heat", f' fill-opacity="{shade:.2f}"'))
            parts.append(_text(x + CELL / 2, y + CELL / 2 + 5, _short(value), "number"))
    label = f"{caption}: attention weights, {len(rows)} queries by {_width(rows)} keys. The numbers stand in the table."
    return _svg(width, height, label, parts)


def _patches(picture: PatchPicture) -> Shown:
    columns = max(picture.columns, 1)
    count = len(picture.wrong)
    found = [_stands_there(place, *one) for place, one in enumerate(zip(picture.wrong, picture.origins, strict=True))]
    wrong = sum(picture.wrong)
    words = [
        f"The patches of one image are numbered row by row, from 1 to {count}. {wrong} of your {count} are wrong.",
        *(words for sign, words in SIGNS.items() if any(one[0].endswith(sign) for one in found)),
    ]
    right = [(str(place + 1), False) for place in range(count)]
    drawn = [(sign, wrong) for (sign, _), wrong in zip(found, picture.wrong, strict=True)]
    said = "; ".join(f"place {place}: {words}" for place, (_, words) in enumerate(found, 1))
    return Shown(
        title="Whose pixels stand in each of your patches",
        words=tuple(words),
        drawings=(
            ("Yours", _grid(drawn, columns, f"Your patches. {said}.")),
            ("As it should be", _grid(right, columns, f"The right patches, numbered row by row from 1 to {count}.")),
        ),
        tables=(
            Table(
                caption="Your patches",
                head=("place", "what stands there"),
                rows=tuple((str(place), words) for place, (_, words) in enumerate(found, 1)),
            ),
        ),
    )


OTHER, MIXED_UP, MANY = "✗", "↻", "?"
SIGNS = {
    OTHER: "✗ means: the pixels of another patch, whose number is given.",
    MIXED_UP: "↻ means: the right pixels, in another order.",
    MANY: "? means: pixels that are not those of one single patch.",
}


def _stands_there(place: int, wrong: bool, origin: int | None) -> tuple[str, str]:
    """Return what a patch holds, as a sign and in words."""
    if not wrong:
        return str(place + 1), "right"
    if origin is None:
        return MANY, "pixels that are not those of one single patch"
    if origin == place:
        return f"{place + 1}{MIXED_UP}", "its own pixels, in another order"
    return f"{origin + 1}{OTHER}", f"the pixels of patch {origin + 1}"


def _grid(signs: Sequence[tuple[str, bool]], columns: int, label: str) -> Markup:
    parts, size = [], CELL + 8
    for place, (sign, wrong) in enumerate(signs):
        x, y = 2 + size * (place % columns), 2 + size * (place // columns)
        parts.append(_square(x, y, "wrong" if wrong else "cell", side=size))
        parts.append(_text(x + size / 2, y + size / 2 + 5, sign, "sign" if wrong else "number"))
    rows = -(-len(signs) // columns)
    return _svg(size * columns + 4, size * rows + 4, label, parts)


def _curves(picture: CurvePicture) -> Shown:
    panels = [
        (panel, [(words, picture.curves[name]) for name, words in curves if picture.curves.get(name)])
        for panel, curves in PANELS.items()
    ]
    panels = [(panel, curves) for panel, curves in panels if curves]
    told = {panel: ", ".join(_told(words, values) for words, values in curves) for panel, curves in panels}
    epochs = max((len(values) for _, curves in panels for _, values in curves), default=0)
    columns = [(f"{panel.lower()}, {words}", values) for panel, curves in panels for words, values in curves]
    return Shown(
        title="How your small model was trained",
        words=tuple(f"{panel} by epoch: {words}." for panel, words in told.items()),
        drawings=tuple((panel, _chart(curves, f"{panel} by epoch: {told[panel]}.")) for panel, curves in panels),
        tables=(
            Table(
                caption="Loss and accuracy by epoch",
                head=("epoch", *(name for name, _ in columns)),
                rows=tuple(
                    (str(epoch + 1), *(_short(values[epoch]) if epoch < len(values) else "–" for _, values in columns))
                    for epoch in range(epochs)
                ),
            ),
        ),
        has_legend=True,
    )


def _told(words: str, values: Numbers) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return f"in {words} never a finite number"
    return f"in {words} from {_short(known[0])} to {_short(known[-1])}"


def _chart(curves: Sequence[tuple[str, Numbers]], label: str) -> Markup:
    """Return the curves over the epochs; the first is a solid line with dots, the second dashed with squares."""
    known = [value for _, values in curves for value in values if value is not None]
    ticks = _ticks(min([*known, 0.0]), max([*known, 1e-3]))
    epochs = max(len(values) for _, values in curves)
    scale = _Scale(epochs, ticks[0], ticks[-1])
    parts = []
    for tick in ticks:
        y = scale.y(tick)
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{CHART_WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 6, y + 4, _tick(tick), "axis end"))
    step = max(1, math.ceil(epochs / 8))
    parts += [_text(scale.x(n), CHART_HEIGHT - 18, str(n + 1), "axis") for n in range(0, epochs, step)]
    parts.append(_text((LEFT + CHART_WIDTH - RIGHT) / 2, CHART_HEIGHT - 3, "epoch", "axis"))
    for number, (_, values) in enumerate(curves):
        parts += _line(values, scale, number)
    return _svg(CHART_WIDTH, CHART_HEIGHT, label, parts)


@dataclass(frozen=True)
class _Scale:
    """From epochs and values to places in the chart."""

    epochs: int
    least: float
    most: float

    def x(self, epoch: int) -> float:
        """Return the place of an epoch, counted from 0."""
        return LEFT + 8 + (CHART_WIDTH - LEFT - RIGHT - 16) * (epoch / (self.epochs - 1) if self.epochs > 1 else 0.5)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return TOP + (CHART_HEIGHT - TOP - BOTTOM) * (1 - (value - self.least) / (self.most - self.least))


def _line(values: Numbers, scale: _Scale, number: int) -> Iterator[str]:
    kind = "first" if number == 0 else "second"
    path, pen_down = "", False
    for epoch, value in enumerate(values):
        if value is not None:
            path += f"{'L' if pen_down else 'M'}{scale.x(epoch):.1f} {scale.y(value):.1f}"
        pen_down = value is not None
    yield f'<path class="curve {kind}" d="{path}"/>'
    for epoch, value in enumerate(values):
        if value is not None and len(values) <= 30:
            x, y = scale.x(epoch), scale.y(value)
            yield (
                f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
                if number == 0
                else f'<rect class="dot {kind}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'
            )


def _ticks(least: float, most: float) -> list[float]:
    """Return about five round numbers that hold both ends between them."""
    rough = (most - least) / (TICKS - 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(least / step), math.ceil(most / step)
    return [round(number * step, 12) for number in range(first, last + 1)]


def _tick(value: float) -> str:
    """Return a round number in at most five characters."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def _width(rows: Sequence[Numbers]) -> int:
    return max((len(row) for row in rows), default=0)


def _short(value: float | None) -> str:
    """Return a number in at most five characters."""
    if value is None:
        return "n/a"
    if abs(value) >= 1000:
        return "> 999" if value > 0 else "< -999"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"


def _square(x: float, y: float, kind: str, more: str = "", side: int = CELL) -> str:
    return f'<rect class="{kind}" x="{x}" y="{y}" width="{side}" height="{side}"{more}/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape_html(text)}</text>'


def _svg(width: float, height: float, label: str, parts: Sequence[str]) -> Markup:
    size = f'viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}"'
    return Markup(f'<svg role="img" aria-label="{escape_html(label)}" {size}>{"".join(parts)}</svg>')  # noqa: S704
