"""Read multi-head attention's variables as four projections, whatever layout a student chose.

The contract fixes how many values each projection holds, not how they are stored: `(heads, dim, width)`,
`(heads, width, dim)`, one wide matrix, a matrix a head, or several projections in one variable are all right. Each
reading here is a record of positions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.checking.variables import Positions, Variables, is_vector
from autograder.checks.vit.oracles.vision_transformer import Projections
from autograder.checks.vit.readings.joined import taken_apart

PROJECTIONS = 4
"""Of queries, keys, values, and of the joined heads."""


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
    seen = set()
    for variables in _stacked(found, sizes.heads):
        for wholes in _wholes(variables, sizes):
            for read in _in_one_layout(wholes, sizes):
                places = tuple(part.tobytes() for part in (read.query, read.key, read.value, read.output))
                if places not in seen:  # a matrix for each of three heads looks like three matrices
                    yield read
                seen.add(places)


def _stacked(found: Sequence[Positions], heads: int) -> Iterator[list[Positions]]:
    """Yield the variables as they are, then those of the heads stacked, where each head has its own.

    The output projection may be one for all, before or after the others.
    """
    yield list(found)
    for output in (None, -1, 0):
        single = [places for number, places in enumerate(found) if output is None or number != output % len(found)]
        kinds, rest = divmod(len(single), heads)
        if rest or not kinds:
            continue
        for groups in (
            [single[kind * heads : (kind + 1) * heads] for kind in range(kinds)],
            [single[kind::kinds] for kind in range(kinds)],  # query, key and value of the first head, of the second …
        ):
            if all(places.shape == group[0].shape for group in groups for places in group):
                yield [np.stack(group) for group in groups] + ([] if output is None else [found[output]])


def _wholes(variables: Sequence[Positions], sizes: Sizes) -> Iterator[list[Positions]]:
    """Yield the four projections, each in one array; several may share a variable."""
    if len(variables) > PROJECTIONS:
        return
    one = [sizes.heads * dim * sizes.width for dim in (sizes.dk, sizes.dv, sizes.width)]
    for held in itertools.product(range(1, PROJECTIONS + 1), repeat=len(variables)):
        as_large = all(places.size / count in one for places, count in zip(variables, held, strict=True))
        if as_large and sum(held) == PROJECTIONS:
            for parts in itertools.product(*map(taken_apart, variables, held)):
                yield list(itertools.chain(*parts))


def _in_one_layout(wholes: Sequence[Positions], sizes: Sizes) -> Iterator[Projections]:
    """Yield readings in which query, key and value, whichever they are, share one layout."""
    heads, width = sizes.heads, sizes.width
    keys, values = (
        [[layout.read(places, heads, dim, width) for places in wholes] for layout in _LAYOUTS]
        for dim in (sizes.dk, sizes.dv)
    )
    outputs = [[layout.read(places, heads, width, width) for places in wholes] for layout in _OUTPUTS]
    for query, key, value, output in itertools.permutations(range(len(wholes))):
        for as_key, as_value in zip(keys, values, strict=True):
            q, k, v = as_key[query], as_key[key], as_value[value]
            if q is None or k is None or v is None:
                continue
            for as_output in outputs:
                o = as_output[output]
                if o is not None:
                    yield Projections(q, k, v, o)


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
