"""Parameters that share one variable: queries, keys and values of one kernel, or a scale beside its offset."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from autograder.checking.variables import Positions


def taken_apart(places: Positions, count: int) -> Iterator[list[Positions]]:
    """Yield the ways in which so many arrays of one shape may share a variable along one of its axes.

    They stand one after the other, or take turns: head by head, for example. The shape of each is that of the
    variable, with a shorter axis.
    """
    if count == 1:
        yield [places]
        return
    for axis, length in enumerate(places.shape):
        before, after = places.shape[:axis], places.shape[axis + 1 :]
        share = length // count
        for turn in range(share, 0, -1):  # how many rows of one array there are in turn
            if length % count == 0 and share % turn == 0:
                turns = places.reshape(*before, share // turn, count, turn, *after)
                yield [turns.take(number, axis + 1).reshape(*before, share, *after) for number in range(count)]


def pair_in(places: Positions, width: int) -> list[Positions]:
    """Return the two vectors of this width that share a variable, such as a scale and an offset; itself if none do."""
    shape = tuple(size for size in places.shape if size != 1)
    if shape == (2, width):
        return list(places.reshape(2, width))
    return list(places.reshape(width, 2).T) if shape == (width, 2) else [places]


Hand = list[Positions]
"""The variables of one block."""


def dealt(variables: Sequence[Positions], count: int) -> Iterator[list[Hand]]:
    """Yield the ways to deal a model's variables to so many blocks that are alike, those of one kind in turn.

    A model may make one block after the other, which is the first way, or all first normalisations, then all second
    ones, and so on.
    """
    if count == 1:
        yield [list(variables)]
    else:
        yield from _dealt_from(0, variables, count, _shares(variables, count))


def _shares(variables: Sequence[Positions], count: int) -> dict[int, list[int]]:
    """Return by place how many variables each block may get there, such that all that follow can be dealt, too."""
    shares: dict[int, list[int]] = {len(variables): []}
    for start in reversed(range(len(variables))):
        within = range((len(variables) - start) // count, 0, -1)
        fit = [share for share in within if start + share * count in shares]
        alike = [share for share in fit if _are_alike(_hands(variables, start, share, count))]
        if alike:
            shares[start] = alike
    return shares


def _dealt_from(
    start: int, variables: Sequence[Positions], count: int, shares: dict[int, list[int]]
) -> Iterator[list[Hand]]:
    if start == len(variables):
        yield [[] for _ in range(count)]
    for share in shares.get(start, ()):
        for rest in _dealt_from(start + share * count, variables, count, shares):
            hands = _hands(variables, start, share, count)
            yield [hand + more for hand, more in zip(hands, rest, strict=True)]


def _hands(variables: Sequence[Positions], start: int, share: int, count: int) -> list[Hand]:
    return [list(variables[place : place + share]) for place in range(start, start + share * count, share)]


def _are_alike(hands: list[Hand]) -> bool:
    shapes = [[places.shape for places in hand] for hand in hands]
    return shapes.count(shapes[0]) == len(shapes)
