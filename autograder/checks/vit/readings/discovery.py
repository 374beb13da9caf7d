"""Find out which scalar of a multi-head attention is which entry of WQ, WK, WV and WO, from its answers alone.

A layout that no reading explains (one vector for everything, per-head lists of numbers, queries and keys fused) is
neither refused nor believed. Each scalar is moved a little, and what moves in the output tells its place:

1. One column of the output alone: an entry of WO. Where queries (keys, values) have a single feature that is not 0,
   only entries of WQ (WK, WV) for that feature matter.
2. An entry of WO moves its column by the feature of the concatenated heads that it multiplies: equal moves, one row.
3. An entry of WV moves the output by (attention weights times a feature of V) outer (a row of WO): the row says which
   column of WV it is; equal first factors say which columns belong to one head.
4. With WK at 0, attention is uniform, and an entry of WK moves it by (a column of Q WQ) outer (what its head makes of
   a feature of K): the second factor tells the head, equal first factors the column. With WQ at 0, the same the other
   way round, and WK is known by then: so columns of WQ and WK are paired.

All that holds however the scores are scaled. The checks then compare fresh weights and inputs under what was found.
Wrong layers fail on the way: scalars that do nothing, that have no role, or that fit no row.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from autograder.checking.comparisons import Floats
from autograder.checking.variables import Positions
from autograder.checks.vit.oracles.vision_transformer import Projections, swap
from autograder.checks.vit.readings.layouts import Sizes

OutputOf = Callable[[Floats, Floats, Floats, Floats], Floats]
"""Returns the layer's output `(batch, queries, width)` for the values of all scalars, Q, K and V."""

QUERIES, KEYS = 3, 4
DRAWS = 3
"""Seldom, two rows look alike or a move drowns in float32: then other weights tell."""
SCORES = 3.0
"""How large the scores are, about: where they are larger, a head attends to one key and its queries move nothing."""
STEP, SMALL_STEP = 0.25, 0.05
STILL = 2e-5
"""What moves less than this part of a scalar's largest move does not move."""
NOTHING = 1e-4
"""A scalar that moves no output by more does nothing; real ones move some output by 1e-2 and more."""
ALIKE = 0.02
"""Moves that differ by less than this part are equal: small steps are right to 1e-3, other entries differ by 0.1."""


class Undiscovered(Exception):
    """This is no multi-head attention, or the draw was bad.

    Args:
        reason: What did not fit, as part of a sentence to a student.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def discover(answer: OutputOf, size: int, sizes: Sizes, rng: np.random.Generator) -> Projections:
    """Return where the entries of the projections stand among a layer's scalars.

    Args:
        answer: Asks the layer.
        size: Number of its scalars.
        sizes: Of the layer; two heads or more, values at least as wide as there are heads.
        rng: Draws weights and inputs.

    Raises:
        Undiscovered: If there is no such layout.
    """
    if size != sizes.parameters:
        raise Undiscovered(f"there are {size} weights where four projections have {sizes.parameters}")
    for _ in range(DRAWS - 1):
        try:
            return _Search(answer, size, sizes, rng).run()
        except Undiscovered:
            continue
    return _Search(answer, size, sizes, rng).run()


@dataclass(frozen=True)
class _Roles:
    """Positions of the entries of each projection, by the feature that they belong to.

    Attributes:
        query: `(dk, heads * width)`, in no order along the last axis; `key`, `value` and `output` likewise.
    """

    query: Positions
    key: Positions
    value: Positions
    output: Positions


class _Search:
    """One attempt: weights and inputs drawn, and what was found so far."""

    def __init__(self, answer: OutputOf, size: int, sizes: Sizes, rng: np.random.Generator) -> None:
        self._answer, self._size, self._sizes = answer, size, sizes
        self._values = rng.choice([-1, 1], size) * rng.uniform(0.4, 1.0, size)
        calm = (SCORES / (sizes.dk * sizes.width**0.5)) ** 0.5
        self._q = rng.normal(size=(1, QUERIES, sizes.dk)) * calm
        self._k = rng.normal(size=(1, KEYS, sizes.dk)) * calm
        self._v = rng.normal(size=(1, KEYS, sizes.dv))

    def run(self) -> Projections:
        """Return the layout, or raise `Undiscovered`."""
        moves = self._moves_of_all()  # (scalars, items, queries, width)
        roles = self._roles(moves)
        base = moves[:, 0]
        output = self._rows_of_output(roles.output, base)
        value, heads = self._columns_of_values(roles.value, output, base)
        columns = [np.flatnonzero(heads == head) for head in range(self._sizes.heads)]
        value = np.stack([value[:, places] for places in columns])  # (heads, dv, width)
        output = np.stack([output[places] for places in columns])  # (heads, width, output_dim)
        key = self._keys(roles, value, output)
        return Projections(self._queries(roles, value, output, key), key, value, output)

    # 1. Roles

    def _items(self) -> tuple[Floats, Floats, Floats]:
        """Return the inputs, then the same with a single feature of Q, of K, and of V that is not 0."""
        sizes, plain = self._sizes, (self._q, self._k, self._v)
        items = [plain]
        for which, features in enumerate((sizes.dk, sizes.dk, sizes.dv)):
            for feature in range(features):
                alone = np.zeros_like(plain[which])
                alone[..., feature] = plain[which][..., feature] + 0.8
                items.append(tuple(alone if place == which else array for place, array in enumerate(plain)))  # type: ignore[arg-type]
        q, k, v = (np.concatenate(arrays) for arrays in zip(*items, strict=True))
        return q, k, v

    def _moves_of_all(self) -> Floats:
        inputs = self._items()
        start = self._answer(self._values, *inputs)
        moves = np.empty((self._size, *start.shape))
        for scalar in range(self._size):
            moved = self._values.copy()
            moved[scalar] += STEP
            moves[scalar] = (self._answer(moved, *inputs) - start) / STEP
        return moves

    def _roles(self, moves: Floats) -> _Roles:
        largest = np.abs(moves).max(axis=(1, 2, 3))
        idle = int((largest < NOTHING).sum())
        if idle:
            raise Undiscovered(f"{idle} of {self._size} weights have no effect on the output")
        sizes = self._sizes
        moving = np.abs(moves).max(axis=2) > STILL * largest[:, None, None]  # (scalars, items, columns)
        columns, items = moving[:, 0], moving.any(axis=-1)
        parts = np.split(items[:, 1:], np.cumsum([sizes.dk, sizes.dk]), axis=1)
        single = [part.sum(axis=1) == 1 for part in parts]
        whole = [part.all(axis=1) for part in parts]
        of_output = columns.sum(axis=1) == 1
        of_query = ~of_output & single[0] & whole[1] & whole[2]
        of_key = ~of_output & whole[0] & single[1] & whole[2]
        of_value = ~of_output & whole[0] & whole[1] & single[2]
        return _Roles(
            query=self._by_feature(of_query, parts[0]),
            key=self._by_feature(of_key, parts[1]),
            value=self._by_feature(of_value, parts[2]),
            output=self._by_feature(of_output, columns),
        )

    def _by_feature(self, chosen: Positions, feature: Positions) -> Positions:
        """Return `(features, heads * width)`: the chosen scalars of each feature."""
        rows = [np.flatnonzero(chosen & feature[:, number]) for number in range(feature.shape[1])]
        of_feature = self._sizes.heads * self._sizes.width
        if any(len(row) != of_feature for row in rows):
            raise Undiscovered("its weights do not act as those of four projections do")
        return np.stack(rows)

    # 2. and 3. WO and WV

    def _rows_of_output(self, scalars: Positions, moves: Floats) -> Positions:
        """Return WO's positions, `(heads * width, width)`; the rows are in the order of the first column's scalars."""
        columns = [moves[row, :, column] for column, row in enumerate(scalars)]
        orders = [_match(columns[0], column, "the output projection") for column in columns]
        return np.stack([row[order] for row, order in zip(scalars, orders, strict=True)], axis=1)

    def _columns_of_values(self, scalars: Positions, output: Positions, moves: Floats) -> tuple[Positions, Positions]:
        """Return WV's positions, `(dv, heads * width)`, its columns in the order of WO's rows, and each one's head."""
        rows = self._values[output]  # (heads * width, width)
        value = np.empty((self._sizes.dv, len(rows)), np.intp)
        profiles = np.empty((len(rows), self._sizes.dv, QUERIES))
        for feature, candidates in enumerate(scalars):
            along, misfit = _factors(moves[candidates], rows)
            order = _assign(misfit, _largest(moves[candidates]), "the projection of the values")
            value[feature, order] = candidates
            profiles[order, feature] = along[np.arange(len(order)), :, order]
        return value, self._heads(profiles.reshape(len(rows), -1))

    def _heads(self, profiles: Floats) -> Positions:
        """Return the head of each column: columns of one head have one profile."""
        heads = np.full(len(profiles), -1)
        for head in range(self._sizes.heads):
            free = np.flatnonzero(heads < 0)
            apart = np.abs(profiles[free] - profiles[free[0]]).max(axis=1)
            heads[free[np.argsort(apart)[: self._sizes.width]]] = head
            if np.sort(apart)[self._sizes.width - 1] > ALIKE * np.abs(profiles).max():
                raise Undiscovered("its heads do not attend each in a way of its own")
        return heads

    # 4. WK, then WQ

    def _keys(self, roles: _Roles, value: Positions, output: Positions) -> Positions:
        """Return WK's positions, `(heads, dk, width)`; its columns in the order of the first feature's scalars."""
        sizes = self._sizes
        moves = self._moves_at_uniform(roles.key)  # (dk, heads * width, queries, output_dim)
        features = swap(self._k[0])  # (dk, keys)
        made = np.einsum("dk,hko->dho", self._shifts(features), self._heads_make(value, output))
        key = np.empty((sizes.heads, sizes.dk, sizes.width), np.intp)
        first: dict[int, Floats] = {}
        for feature in range(sizes.dk):
            along, misfit = _factors(moves[feature], made[feature])
            heads = misfit.argmin(axis=1)
            if (misfit.min(axis=1) > ALIKE * _largest(moves[feature])).any():
                raise Undiscovered("some weights are no entries of a projection of the keys")
            for head in range(sizes.heads):
                mine = np.flatnonzero(heads == head)
                if len(mine) != sizes.width:
                    raise Undiscovered("its keys do not belong to heads of one width")
                profile = along[mine, :, head]
                order = _match(first.setdefault(head, profile), profile, "the projection of the keys")
                key[head, feature] = roles.key[feature][mine[order]]
        return key

    def _queries(self, roles: _Roles, value: Positions, output: Positions, key: Positions) -> Positions:
        """Return WQ's positions, `(heads, dk, width)`, each column beside that of WK with which it is multiplied."""
        sizes = self._sizes
        moves = self._moves_at_uniform(roles.query)  # (dk, heads * width, queries, output_dim)
        projected = swap(self._k[0] @ self._values[key])  # (heads, width, keys)
        made = np.einsum("hpk,hko->hpo", self._shifts(projected), self._heads_make(value, output))
        made = made.reshape(sizes.heads * sizes.width, 1, -1)  # of each column of WK
        query = np.empty((sizes.heads, sizes.dk, sizes.width), np.intp)
        for feature in range(sizes.dk):
            right = self._q[0, :, feature][:, None] * made  # (heads * width, queries, output_dim)
            right = right * np.linalg.norm(moves[feature]) / np.linalg.norm(right)  # however the scores are scaled
            order = _match(right, moves[feature], "the projection of the queries")
            query[:, feature] = roles.query[feature][order].reshape(sizes.heads, sizes.width)
        return query

    def _moves_at_uniform(self, scalars: Positions) -> Floats:
        """Return how each of these scalars moves the output where all of them are 0, per unit."""
        values, inputs = self._values.copy(), (self._q, self._k, self._v)
        values[scalars] = 0.0
        moves = []
        for scalar in scalars.ravel():
            ends = []
            for step in (SMALL_STEP, -SMALL_STEP):
                values[scalar] = step
                ends.append(self._answer(values, *inputs)[0])
            values[scalar] = 0.0
            moves.append((ends[0] - ends[1]) / (2 * SMALL_STEP))
        return np.stack(moves).reshape(*scalars.shape, *moves[0].shape)

    def _shifts(self, scores: Floats) -> Floats:
        """Return how scores `(..., keys)` shift uniform attention weights."""
        return (scores - scores.mean(axis=-1, keepdims=True)) / KEYS / np.sqrt(self._sizes.width)

    def _heads_make(self, value: Positions, output: Positions) -> Floats:
        """Return what each head makes of each value, `(heads, keys, output_dim)`."""
        return self._v[0] @ self._values[value] @ self._values[output]


def _factors(moves: Floats, rows: Floats) -> tuple[Floats, Floats]:
    """Return the factors by which each move is an outer product with each row, and how far it is from being one.

    Args:
        moves: `(scalars, queries, output_dim)`.
        rows: `(rows, output_dim)`.

    Returns:
        Factors `(scalars, queries, rows)` and misfits `(scalars, rows)`.
    """
    along = moves @ rows.T / (rows**2).sum(axis=1)
    misfit = np.abs(moves[:, None] - swap(along)[..., None] * rows[:, None])  # (scalars, rows, queries, output_dim)
    return along, misfit.max(axis=(2, 3))


def _largest(moves: Floats) -> Floats:
    return np.abs(moves).reshape(len(moves), -1).max(axis=1)


def _match(right: Floats, found: Floats, what: str) -> Positions:
    """Return for each of `right` the place of its equal in `found`.

    Raises:
        Undiscovered: Unless each has one of its own.
    """
    misfit = np.abs(right[:, None] - found[None]).reshape(len(right), len(found), -1).max(axis=-1)
    return _assign(misfit, _largest(right), what)


def _assign(misfit: Floats, scale: Floats, what: str) -> Positions:
    """Return the best fit of each row of `misfit`, which differ and are good.

    Raises:
        Undiscovered: Else.
    """
    places = misfit.argmin(axis=1)
    if len(set(places)) != len(places) or (misfit.min(axis=1) > ALIKE * scale).any():
        raise Undiscovered(f"some weights are no entries of {what}")
    return places
