"""Draw what checks show as SVG that stands in the page itself and takes its colours from it, light or dark.

Every picture has its words and its numbers beside it: nothing is told by colour or shape alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from markupsafe import Markup

from autograder.feedback.curves import draw_curves
from autograder.feedback.svg import CELL, Figure, FigureTable, label, short, square, svg
from autograder.results import AttentionPicture, Numbers, PatchPicture, Picture

MARGIN = 34
"""Pixels beside and above the squares, for the names of queries and keys."""
PATCH = CELL + 8
"""Pixels of a square that stands for a patch."""
SAME_SUM = 5e-3
"""How far a sum of rounded weights may lie from 1."""
OTHER, MIXED_UP, MANY = "✗", "↻", "?"
SIGNS = {
    OTHER: "✗ means: the pixels of another patch, whose number is given.",
    MIXED_UP: "↻ means: the right pixels, in another order.",
    MANY: "? means: pixels that are not those of a single patch.",
}
"""What the signs beside the numbers of patches mean."""


def draw(picture: Picture) -> Figure:
    """Return a picture with its words and numbers."""
    if isinstance(picture, AttentionPicture):
        return _draw_attention(picture)
    return _draw_patches(picture) if isinstance(picture, PatchPicture) else draw_curves(picture)


def _draw_attention(picture: AttentionPicture) -> Figure:
    pair = (("Yours", picture.got), ("By the definition", picture.right))
    return Figure(
        title="Your attention weights beside those of the definition",
        words=(
            "Each row is a query, each column a key; the stronger its colour, the larger the weight, from 0 to 1.",
            f"By the definition each row sums to 1. {_sums(picture.got)}",
            *_largest_difference(picture.got, picture.right),
        ),
        drawings=tuple((caption, _heatmap(rows, caption)) for caption, rows in pair),
        tables=tuple(_weights_table(rows, caption) for caption, rows in pair),
    )


def _sums(rows: Sequence[Numbers]) -> str:
    """Say what the student's weights sum to, along rows and, if that explains more, columns."""
    if any(value is None for row in rows for value in row):
        return "Some of yours are not finite numbers."
    along = [math.fsum(value or 0.0 for value in row) for row in rows]
    down = [math.fsum(value or 0.0 for value in column) for column in zip(*rows, strict=True)]
    if all(abs(total - 1) < SAME_SUM for total in along):
        return "So does each of yours, with other values."
    if all(abs(total - 1) < SAME_SUM for total in down):
        return "In yours each column does."
    least, most = short(min(along)), short(max(along))
    return f"Yours sum to {least}." if least == most else f"Yours sum to between {least} and {most}."


def _largest_difference(got: Sequence[Numbers], right: Sequence[Numbers]) -> Iterator[str]:
    if (len(got), _width(got)) != (len(right), _width(right)):
        yield f"Yours have {len(got)} rows and {_width(got)} columns, the right ones {len(right)} and {_width(right)}."
        return
    differences = [
        (abs(mine - other), row, column, mine, other)
        for row, (ours, theirs) in enumerate(zip(got, right, strict=True), 1)
        for column, (mine, other) in enumerate(zip(ours, theirs, strict=True), 1)
        if mine is not None and other is not None
    ]
    if differences:
        _, row, column, mine, other = max(differences)
        yield f"They differ most at query {row} and key {column}: {short(mine)} instead of {short(other)}."


def _weights_table(rows: Sequence[Numbers], caption: str) -> FigureTable:
    return FigureTable(
        caption=caption,
        head=("", *(f"key {column}" for column in range(1, _width(rows) + 1))),
        rows=tuple((f"query {row}", *map(short, values)) for row, values in enumerate(rows, 1)),
    )


def _heatmap(rows: Sequence[Numbers], caption: str) -> Markup:
    columns = _width(rows)
    shapes = [label(MARGIN + CELL * (n + 0.5), 22, f"k{n + 1}", "axis") for n in range(columns)]
    for row, values in enumerate(rows):
        y = MARGIN + CELL * row
        shapes.append(label(MARGIN / 2, y + CELL / 2 + 5, f"q{row + 1}", "axis"))
        for column, value in enumerate(values):
            shapes += _weight(MARGIN + CELL * column, y, value)
    words = f"{caption}: attention weights, {len(rows)} queries by {columns} keys. The table has the numbers."
    return svg(MARGIN + CELL * columns + 1, MARGIN + CELL * len(rows) + 1, words, shapes)


def _weight(x: float, y: float, value: float | None) -> Iterator[str]:
    """Yield one square of the heatmap: its frame, its colour and its number."""
    shade = min(max(value or 0.0, 0.0), 1.0)
    yield square(x, y, "cell")
    yield square(x, y, "heat", f' fill-opacity="{shade:.2f}"')
    yield label(x + CELL / 2, y + CELL / 2 + 5, short(value), "number")


def _width(rows: Sequence[Numbers]) -> int:
    return max((len(row) for row in rows), default=0)


def _draw_patches(picture: PatchPicture) -> Figure:
    columns, count = max(picture.columns, 1), len(picture.wrong)
    places = zip(picture.wrong, picture.origins, strict=True)
    found = [_found_at(place, wrong, origin) for place, (wrong, origin) in enumerate(places)]
    drawn = [(sign, wrong) for (sign, _), wrong in zip(found, picture.wrong, strict=True)]
    said = "; ".join(f"place {place}: {words}" for place, (_, words) in enumerate(found, 1))
    used = [meaning for sign, meaning in SIGNS.items() if any(shown.endswith(sign) for shown, _ in found)]
    numbered = f"The patches of one image are numbered row by row, from 1 to {count}."
    return Figure(
        title="Whose pixels stand in each of your patches",
        words=(f"{numbered} {sum(picture.wrong)} of your {count} are wrong.", *used),
        drawings=(
            ("Yours", _grid(drawn, columns, f"Your patches. {said}.")),
            ("As it should be", _right_grid(count, columns)),
        ),
        tables=(
            FigureTable(
                caption="Your patches",
                head=("place", "what stands there"),
                rows=tuple((str(place), words) for place, (_, words) in enumerate(found, 1)),
            ),
        ),
    )


def _right_grid(count: int, columns: int) -> Markup:
    right = [(str(place), False) for place in range(1, count + 1)]
    return _grid(right, columns, f"The right patches, numbered row by row from 1 to {count}.")


def _found_at(place: int, wrong: bool, origin: int | None) -> tuple[str, str]:
    """Return what stands at the place of a patch, as a sign and in words; places and origins count from 0."""
    if not wrong:
        return str(place + 1), "right"
    if origin is None:
        return MANY, "pixels that are not those of a single patch"
    if origin == place:
        return f"{place + 1}{MIXED_UP}", "its own pixels, in another order"
    return f"{origin + 1}{OTHER}", f"the pixels of patch {origin + 1}"


def _grid(patches: Sequence[tuple[str, bool]], columns: int, words: str) -> Markup:
    """Return squares row by row, each with its sign; wrong ones stand out."""
    shapes = []
    for place, (sign, wrong) in enumerate(patches):
        x, y = 2 + PATCH * (place % columns), 2 + PATCH * (place // columns)
        shapes.append(square(x, y, "wrong" if wrong else "cell", side=PATCH))
        shapes.append(label(x + PATCH / 2, y + PATCH / 2 + 5, sign, "sign" if wrong else "number"))
    rows = -(-len(patches) // columns)
    return svg(PATCH * columns + 4, PATCH * rows + 4, words, shapes)
