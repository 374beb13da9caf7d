"""Read multi-head attention's weights whatever layout a student chose.

The contract fixes how many values each projection holds, not how they are stored: `(heads, dim, width)`,
`(heads, width, dim)`, one wide matrix, or a matrix a head are all right. Every reading of the variables as
four projections is a candidate; an output computed from random weights can agree with a wrong
candidate only by an accident that float32 cannot produce.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autograder.checks.vit.oracle import Floats, Projections


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


def readings(variables: Sequence[Floats], sizes: Sizes) -> Iterator[Projections]:
    """Yield every way to read the variables as projections; none if the layout is unknown."""
    queries_and_keys = _of_size(variables, sizes.heads, sizes.dk * sizes.width)
    values = _of_size(variables, sizes.heads, sizes.dv * sizes.width)
    outputs = [one for one in variables if one.size == sizes.heads * sizes.width**2]
    if len(outputs) != 1:
        return
    for query, key in _pairs(queries_and_keys, sizes.heads):
        for value in _whole(values, sizes.heads):
            yield from _combine(query, key, value, outputs[0], sizes)


def _of_size(variables: Sequence[Floats], heads: int, per_head: int) -> list[Floats]:
    """Return the whole projections of this size, or, where there is none, the matrices of single heads."""
    whole = [one for one in variables if one.size == heads * per_head]
    return whole or [one for one in variables if one.size == per_head]


def _pairs(found: list[Floats], heads: int) -> Iterator[tuple[list[Floats], list[Floats]]]:
    """Yield (query, key) as lists of one whole or of `heads` single variables."""
    if len(found) == 2:
        yield [found[0]], [found[1]]
        yield [found[1]], [found[0]]
    elif len(found) == 2 * heads:
        for first, second in ((found[:heads], found[heads:]), (found[::2], found[1::2])):
            yield first, second
            yield second, first


def _whole(found: list[Floats], heads: int) -> Iterator[list[Floats]]:
    if len(found) in (1, heads):
        yield found


def _combine(
    query: list[Floats], key: list[Floats], value: list[Floats], output: Floats, sizes: Sizes
) -> Iterator[Projections]:
    """Yield projections in which query, key and value share one layout."""
    per_part = (
        list(_as_heads(query, sizes.heads, sizes.dk, sizes.width)),
        list(_as_heads(key, sizes.heads, sizes.dk, sizes.width)),
        list(_as_heads(value, sizes.heads, sizes.dv, sizes.width)),
    )
    outputs = list(_as_output(output, sizes.heads, sizes.width))
    for (q, k, v), o in itertools.product(zip(*per_part, strict=False), outputs):
        yield Projections(q, k, v, o)


def _as_heads(parts: list[Floats], heads: int, dim: int, width: int) -> Iterator[Floats]:
    """Yield the variable, or the variables of single heads, as `(heads, dim, width)`, in each layout it can have."""
    if len(parts) == heads and heads > 1:
        if parts[0].shape == (dim, width):
            yield np.stack(parts)
        elif parts[0].shape == (width, dim):
            yield np.stack([one.T for one in parts])
    else:
        yield from _whole_as_heads(parts[0], heads, dim, width)


def _whole_as_heads(array: Floats, heads: int, dim: int, width: int) -> Iterator[Floats]:
    shape = tuple(size for size in array.shape if size != 1)
    for axes in itertools.permutations(range(3)):
        if shape == tuple((heads, dim, width)[axis] for axis in axes):
            yield array.reshape(shape).transpose(np.argsort(axes))
    if shape == (dim, heads * width):
        yield array.reshape(dim, heads, width).transpose(1, 0, 2)
        yield array.reshape(dim, width, heads).transpose(2, 0, 1)
    if shape == (heads * width, dim):
        yield array.reshape(heads, width, dim).transpose(0, 2, 1)
        yield array.reshape(width, heads, dim).transpose(1, 2, 0)
    if shape == (heads * dim, width):
        yield array.reshape(heads, dim, width)


def _as_output(array: Floats, heads: int, width: int) -> Iterator[Floats]:
    """Yield the output projection as `(heads, head_dim, output_dim)`, in each layout it can have."""
    shape = tuple(size for size in array.shape if size != 1)
    if shape == (heads * width, width):
        yield array.reshape(heads, width, width)
        yield array.reshape(width, heads, width).transpose(1, 0, 2)
    elif shape == (width, heads * width):
        yield array.T.reshape(heads, width, width)
        yield array.T.reshape(width, heads, width).transpose(1, 0, 2)
    elif shape == (heads, width, width):
        yield array
        yield array.transpose(0, 2, 1)
    elif shape == (width, heads, width):
        yield array.transpose(1, 0, 2)
        yield array.transpose(1, 2, 0)
