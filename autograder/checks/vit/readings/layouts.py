"""Read multi-head attention's variables as four projections, whatever layout a student chose.

The contract fixes how many values each projection holds, not how they are stored: `(heads, dim, width)`,
`(heads, width, dim)`, one wide matrix, or a matrix a head are all right. Each reading here is a record of positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.checking.variables import Positions, Variables, is_vector
from autograder.checks.vit.oracles.vision_transformer import Projections


@dataclass(frozen=True)
class Sizes:
    """Sizes of a multi-head attention layer; all different, so that no axis is mistaken for another."""

    heads: int
    dk: int
    dv: int
    width: int

    @property
    def parameters(self) -> int:
        """Number of parameters: four projections without bias."""
        return self.heads * self.width * (2 * self.dk + self.dv + self.width)


def matrices(variables: Variables) -> list[Positions]:
    """Return the variables that are no vectors; vectors beside four projections can only be biases."""
    return [places for places in variables.positions if not is_vector(places)]


def projections(found: Sequence[Positions], sizes: Sizes) -> Iterator[Projections]:
    """Yield every way to read these variables as projections, the usual ones first; none if their layout is unknown."""
    for wholes in _wholes(found, sizes.heads):
        for query, key, value, output in itertools.permutations(wholes):
            yield from _in_one_layout((query, key, value), output, sizes)


def _wholes(found: Sequence[Positions], heads: int) -> Iterator[list[Positions]]:
    """Yield the four projections, each in one array: as they are, or stacked from a matrix for each head."""
    if len(found) == 4:
        yield list(found)
        return
    outputs = {3 * heads + 1: (-1, 0), 4 * heads: (None,)}.get(len(found), ())
    for output in outputs:
        single = [places for number, places in enumerate(found) if output is None or number != output % len(found)]
        roles = len(single) // heads
        for groups in (
            [single[role * heads : (role + 1) * heads] for role in range(roles)],
            [single[role::roles] for role in range(roles)],  # query, key and value of the first head, of the second …
        ):
            if all(places.shape == group[0].shape for group in groups for places in group):
                yield [np.stack(group) for group in groups] + ([] if output is None else [found[output]])


def _in_one_layout(inward: Sequence[Positions], output: Positions, sizes: Sizes) -> Iterator[Projections]:
    """Yield readings in which query, key and value share one layout."""
    dims = (sizes.dk, sizes.dk, sizes.dv)
    for layout in _LAYOUTS:
        read = [layout.read(places, sizes.heads, dim, sizes.width) for places, dim in zip(inward, dims, strict=True)]
        query, key, value = read
        if query is None or key is None or value is None:
            continue
        for out in _OUTPUTS:
            merged = out.read(output, sizes.heads, sizes.width, sizes.width)
            if merged is not None:
                yield Projections(query, key, value, merged)


@dataclass(frozen=True)
class _AxisLayout:
    """A way to lay a projection out in a variable.

    Attributes:
        axes: Which of heads, dim and width each axis is.
        joined: First of two neighbouring axes that are one axis of the variable, and the one after; None if none are.
    """

    axes: tuple[int, int, int]
    joined: tuple[int, int] | None

    def read(self, places: Positions, heads: int, dim: int, width: int) -> Positions | None:
        """Return positions as `(heads, dim, width)` if they have this layout.

        Args:
            places: Of one variable.
            heads: Number of heads.
            dim: Features that come in.
            width: Features of a head.
        """
        sizes = (heads, dim, width)
        full = tuple(sizes[axis] for axis in self.axes)
        shape = full
        if self.joined is not None:
            first, second = self.joined
            shape = (*full[:first], full[first] * full[second], *full[second + 1 :])
        if tuple(size for size in places.shape if size != 1) != tuple(size for size in shape if size != 1):
            return None
        return places.reshape(full).transpose(np.argsort(self.axes))


_AXES = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
_LAYOUTS = [
    _AxisLayout(axes, joined)
    for joined in (None, (1, 2), (0, 1))
    for axes in _AXES
    if joined is None or {0, 2} == {axes[place] for place in joined} or axes == (0, 1, 2)
]
"""Three axes in any order; or heads and width joined, either of them first; or heads and dim, as in a tall matrix."""

_OUTPUTS = [
    _AxisLayout(axes, joined)
    for joined in (None, (0, 1), (1, 2))
    for axes in _AXES
    if joined is None or {0, 1} == {axes[place] for place in joined}
]
"""For WO, whose `dim` is the width of a head: rows head by head, or the heads interleaved; or three axes."""
