"""Draw how training went: loss and accuracy by epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from autograder.feedback.svg import Figure, FigureTable, label, short, svg
from autograder.results import CurvePicture, Numbers

WIDTH, HEIGHT = 286, 200
LEFT, RIGHT, TOP, BOTTOM = 36, 6, 10, 36
"""Margins of a chart."""
TICKS = 5
MOST_DOTS = 30
"""Epochs up to which each has a dot of its own."""
PANELS = {
    "Loss": (("loss", "training"), ("val_loss", "validation")),
    "Accuracy": (("accuracy", "training"), ("val_accuracy", "validation")),
}
"""Panel to the names that Keras gives its curves, and their words."""


@dataclass(frozen=True)
class Curve:
    """One line of a chart.

    Attributes:
        words: What it shows, such as `training`.
        values: One for each epoch.
    """

    words: str
    values: Numbers

    @property
    def told(self) -> str:
        """The curve in words: where it begins and where it ends."""
        known = [value for value in self.values if value is not None]
        if not known:
            return f"in {self.words} never a finite number"
        return f"in {self.words} from {short(known[0])} to {short(known[-1])}"


@dataclass(frozen=True)
class Panel:
    """One chart: the curves of one quantity."""

    name: str
    curves: tuple[Curve, ...]

    @property
    def told(self) -> str:
        """The chart in words."""
        return f"{self.name} by epoch: {', '.join(curve.told for curve in self.curves)}."


def draw_curves(picture: CurvePicture) -> Figure:
    """Return curves with their words and numbers."""
    panels = list(_panels(picture))
    return Figure(
        title="How your small model was trained",
        words=tuple(panel.told for panel in panels),
        drawings=tuple((panel.name, _chart(panel)) for panel in panels),
        tables=(_table(panels),),
        has_legend=True,
    )


def _panels(picture: CurvePicture) -> Iterator[Panel]:
    """Yield the charts for which there are values."""
    for name, known in PANELS.items():
        curves = tuple(Curve(words, picture.curves[key]) for key, words in known if picture.curves.get(key))
        if curves:
            yield Panel(name, curves)


def _table(panels: Sequence[Panel]) -> FigureTable:
    columns = [(f"{panel.name.lower()}, {curve.words}", curve.values) for panel in panels for curve in panel.curves]
    epochs = max((len(values) for _, values in columns), default=0)
    return FigureTable(
        caption="Loss and accuracy by epoch",
        head=("epoch", *(heading for heading, _ in columns)),
        rows=tuple((str(epoch + 1), *(_cell(values, epoch) for _, values in columns)) for epoch in range(epochs)),
    )


def _cell(values: Numbers, epoch: int) -> str:
    return short(values[epoch]) if epoch < len(values) else "–"


def _chart(panel: Panel) -> Markup:
    """Return the curves over the epochs; the first is a solid line with dots, the second dashed with squares."""
    known = [value for curve in panel.curves for value in curve.values if value is not None]
    ticks = _ticks(min([*known, 0.0]), max([*known, 1e-3]))
    epochs = max(len(curve.values) for curve in panel.curves)
    scale = _Scale(epochs, ticks[0], ticks[-1])
    shapes = [*_value_axis(ticks, scale), *_epoch_axis(epochs, scale)]
    for curve, style in zip(panel.curves, ("first", "second"), strict=False):
        shapes += _line(curve.values, scale, style)
    return svg(WIDTH, HEIGHT, panel.told, shapes)


@dataclass(frozen=True)
class _Scale:
    """From epochs and values to places in the chart."""

    epochs: int
    least: float
    most: float

    def x(self, epoch: int) -> float:
        """Return the place of an epoch, counted from 0."""
        return LEFT + 8 + (WIDTH - LEFT - RIGHT - 16) * (epoch / (self.epochs - 1) if self.epochs > 1 else 0.5)

    def y(self, value: float) -> float:
        """Return the place of a value."""
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - self.least) / (self.most - self.least))


def _value_axis(ticks: Sequence[float], scale: _Scale) -> Iterator[str]:
    for tick in ticks:
        y = scale.y(tick)
        yield f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield label(LEFT - 6, y + 4, _tick(tick), "axis end")


def _epoch_axis(epochs: int, scale: _Scale) -> Iterator[str]:
    for epoch in range(0, epochs, max(1, math.ceil(epochs / 8))):
        yield label(scale.x(epoch), HEIGHT - 18, str(epoch + 1), "axis")
    yield label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 3, "epoch", "axis")


def _line(values: Numbers, scale: _Scale, style: str) -> Iterator[str]:
    """Yield a curve, broken where a value is missing, and its dots."""
    path, pen_down = "", False
    for epoch, value in enumerate(values):
        if value is not None:
            path += f"{'L' if pen_down else 'M'}{scale.x(epoch):.1f} {scale.y(value):.1f}"
        pen_down = value is not None
    yield f'<path class="curve {style}" d="{path}"/>'
    if len(values) <= MOST_DOTS:
        for epoch, value in enumerate(values):
            if value is not None:
                yield _dot(scale.x(epoch), scale.y(value), style)


def _dot(x: float, y: float, style: str) -> str:
    if style == "first":
        return f'<circle class="dot {style}" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
    return f'<rect class="dot {style}" x="{x - 3.5:.1f}" y="{y - 3.5:.1f}" width="7" height="7"/>'


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
