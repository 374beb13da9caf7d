"""Draw a class's figures as SVG that stands in the page itself and takes its colours from it, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from autograder.reports.item_analysis import CheckFigures, TaskFigures
from autograder.text import escape_html, escape_mathtext

INK, BAR, ACCENT, GRID = "#010101", "#020202", "#030303", "#040404"
_COLOURS = {INK: "currentColor", BAR: "var(--bar)", ACCENT: "var(--accent)", GRID: "var(--rule)"}
"""Colours to draw with, and the names by which the page knows them, light or dark."""
_STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": GRID,
    "hatch.color": INK,
}
BINS = 20
"""Bars of the histogram."""


def distribution(totals: Sequence[float], max_score: float) -> str:
    """Return a histogram of the marks, with the median as a line.

    Args:
        totals: Points of each student.
        max_score: Points of the whole assignment.
    """
    with _drawn(5.6, 2.6) as (figure, axes):
        axes.hist(totals, bins=list(np.linspace(0, max(max_score, *totals, 1), BINS + 1)), color=BAR, rwidth=0.92)
        median = float(np.median(totals)) if totals else 0.0
        axes.axvline(median, color=ACCENT, linewidth=2, linestyle="--")
        side, gap = ("left", 1) if median <= max_score / 2 else ("right", -1)
        place = axes.get_xaxis_transform()  # points along, share of the height up
        axes.text(median + gap * max_score / 150, 1.02, f"median {median:g}", ha=side, transform=place)
        axes.set(xlabel="points", ylabel="students", xlim=(0, None))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        alternative = f"Histogram of the points of {len(totals)} students; the median is {median:g} of {max_score:g}."
        return _svg(figure, alternative, "distribution")


def marks_by_task(figures: Sequence[TaskFigures]) -> str:
    """Return one box a task: quartiles and range of the share of its points, and the mean.

    Args:
        figures: Those of tasks in which nobody is marked yet are left out.
    """
    figures = [task for task in figures if task.students]
    with _drawn(5.6, 0.8 + 0.24 * max(len(figures), 1)) as (figure, axes):
        lines = {"color": INK, "linewidth": 1.2}
        axes.bxp(
            list(map(_box, figures)), orientation="horizontal", widths=0.6,
            showfliers=False, showmeans=True, patch_artist=True,
            boxprops={"facecolor": BAR, "edgecolor": INK}, medianprops={"color": INK, "linewidth": 2.5},
            whiskerprops=lines, capprops=lines,
            meanprops={"marker": "D", "markerfacecolor": ACCENT, "markeredgecolor": INK, "markersize": 5},
        )  # fmt: skip
        axes.set_yticks(range(1, len(figures) + 1), [escape_mathtext(task.title) for task in figures])
        axes.invert_yaxis()
        axes.set(xlabel="share of the task's points", xlim=(-0.03, 1.03))
        axes.xaxis.set_major_formatter(PercentFormatter(1))
        axes.grid(axis="x")
        return _svg(
            figure, "Box plot of the share of points earned in each task; the table below has the figures.", "tasks"
        )


def difficulty_and_discrimination(figures: Sequence[CheckFigures]) -> str:
    """Return each check as a point: share that passed against discrimination."""
    points = [
        (check.difficulty, check.discrimination, bool(check.remark))
        for check in figures
        if check.difficulty is not None and check.discrimination is not None
    ]
    remarked = [point for point in points if point[2]]
    with _drawn(5.6, 3.0) as (figure, axes):
        for group, marker, colour in ((points, "o", BAR), (remarked, "D", ACCENT)):
            across, up = [point[0] for point in group], [point[1] for point in group]
            axes.scatter(across, up, marker=marker, s=34, color=colour, edgecolors=INK, linewidths=0.8, clip_on=False)
        axes.axhline(0, color=INK, linewidth=1)
        axes.set(xlabel="share that passed (1: everyone)", ylabel="discrimination", xlim=(-0.02, 1.02))
        axes.grid()
        alternative = (
            f"Scatter plot of {len(points)} checks by share that passed and discrimination; {len(remarked)} with a "
            "remark are diamonds. The table below has the figures."
        )
        return _svg(figure, alternative, "items")


@contextmanager
def _drawn(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """Yield an empty figure of this size in inches, in our style."""
    with rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        yield figure, figure.add_subplot()


def _box(task: TaskFigures) -> dict[str, float]:
    """Return a box as matplotlib takes it, in shares of the task's points."""
    points = task.points or 1.0
    low, lower, middle, upper, high = (value / points for value in task.quartiles)
    mean = task.mean / points
    return {"whislo": low, "q1": lower, "med": middle, "q3": upper, "whishi": high, "mean": mean}


def _svg(figure: Figure, alternative: str, name: str) -> str:
    """Return the figure as an SVG element with the page's colours, without metadata.

    Args:
        figure: What was drawn.
        alternative: The picture in words.
        name: Makes the ids within the picture differ from those of other pictures on the page.
    """
    file = io.StringIO()
    with rc_context({**_STYLE, "svg.hashsalt": name}):
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text, flags=re.DOTALL)
    text = re.sub(r'<g id="[^"]*"', "<g", text)
    for drawn, colour in _COLOURS.items():
        text = text.replace(drawn, colour)
    text = re.sub(r'font-family: [^;"]*', "font-family: inherit", text)
    label = escape_html(alternative)
    return re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg role="img" aria-label="{label}" \1>', text, count=1)
