"""Replies with one field changed: which fields a reply has, and what may stand there instead."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np

from autograder import wire

Reply = wire.Answer | wire.Raised
Place = tuple[str | int, ...]
"""Where a field stands in a reply: the keys and indices that lead there."""
_HUGE = 8 << 20
ODD_ARRAYS = [
    np.zeros(()), np.zeros(0), np.zeros((0, 3)), np.zeros((2, 0)), np.ones(1, bool), np.arange(4), np.full(3, np.nan),
    np.array(np.inf), np.full((2, 2), 1e300), np.full((2, 2), 60000, np.float16), np.zeros(_HUGE, np.float16),
    np.zeros((_HUGE // 64, 64), np.float32), np.ones((1,) * 16), np.full(5, np.iinfo(np.uint64).max),
    np.eye(3, dtype=np.int8),
]  # fmt: skip
ODD_VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 1 << 40, (1 << 64) - 1, -(1 << 63), 0.5, math.nan, math.inf, -math.inf, 1e300,
    "", "no", "\ud7ff\x00", "x" * 4000, "x" * 1_000_000, b"no", [], {}, [1 << 40] * 16,
]  # fmt: skip


def spoilt(value: wire.Value) -> wire.Value:
    """Return a value in which every array holds other numbers."""
    if isinstance(value, wire.Array):
        array = wire.unpack_array(value)
        turned = array.ravel()[::-1].reshape(array.shape)
        if array.dtype.kind == "f":
            turned = turned * 1.5 + np.linspace(0.1, 0.9, array.size).reshape(array.shape)
        return wire.pack_array(turned.astype(array.dtype) if array.dtype.kind == "f" else ~turned)
    if isinstance(value, wire.Items):
        return wire.Items([spoilt(item) for item in value.items])
    if isinstance(value, wire.Table):
        return wire.Table({name: spoilt(item) for name, item in value.items.items()})
    return value


def places_in(reply: Reply, *, arrays: bool) -> list[Place]:
    """Return where the fields of a reply stand.

    Args:
        reply: The right one.
        arrays: Whether arrays are among them.
    """
    return list(_places(_tree_of(reply), arrays))


def changed_reply(rng: random.Random, reply: Reply, place: Place, *, arrays: bool) -> bytes:
    """Return the body of a reply in which one field is another.

    Args:
        rng: Draws what stands there instead.
        reply: The right one.
        place: One of `places_in` it.
        arrays: Whether an array may be put there.
    """
    changed = _with_change(_tree_of(reply), place, rng, lambda field: _changed(rng, field, arrays))
    return msgspec.msgpack.encode(changed)


def _tree_of(reply: Reply) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(reply))


def _places(tree: Any, arrays: bool) -> Iterator[Place]:
    if isinstance(tree, dict) and tree.get("type") == "array" and not arrays:
        return
    yield ()
    if isinstance(tree, dict):
        for key, part in tree.items():
            yield from ((key, *place) for place in _places(part, arrays))
    elif isinstance(tree, list):
        for index, part in enumerate(tree):
            yield from ((index, *place) for place in _places(part, arrays))


def _with_change(tree: Any, place: tuple[Any, ...], rng: random.Random, change: Callable[[Any], Any]) -> Any:
    """Return a tree with one field changed or, where it is an item of a list or table, removed, renamed or repeated."""
    if not place:
        return change(tree)
    step, further = place[0], place[1:]
    changed = _with_change(tree[step], further, rng, change)
    if isinstance(tree, list):
        times = rng.choice((0, 1, 1, 1, 1, 2, 40)) if not further else 1
        return [*tree[:step], *[changed] * times, *tree[step + 1 :]]
    fate = rng.random() if not further else 1.0
    if fate < 0.1:
        return {key: part for key, part in tree.items() if key != step}
    return {("other" if key == step and fate < 0.15 else key): part for key, part in (tree | {step: changed}).items()}


def _changed(rng: random.Random, field: Any, arrays: bool) -> Any:
    if isinstance(field, dict) and field.get("type") == "array":
        return _changed_array(rng, field)
    if isinstance(field, dict) and field.get("type") in ("answer", "raised"):
        return {"type": "raised", "id": 1, "exception": rng.choice(("NameError", "MemoryError", "")), "message": "no"}
    if field in ("object", "model", "layer", "function"):
        return rng.choice(("object", "model", "layer", "function", "no"))
    if isinstance(field, int | float) and not isinstance(field, bool) and rng.random() < 0.5:
        return rng.choice([field + 1, field - 1, -field, field * 1000, float(field), field // 2])
    return _odd(rng, arrays)


def _changed_array(rng: random.Random, tree: Any) -> Any:
    array = wire.unpack_array(msgspec.convert(tree, wire.Array))
    number = np.asarray(array.astype(np.float64) if array.dtype.kind == "f" else array)
    one_off = number.copy()
    if one_off.size:
        values = [0, 1e30, np.nan, np.inf] if one_off.dtype.kind == "f" else [0, 1]
        one_off.flat[rng.randrange(one_off.size)] = rng.choice(values)
    choices = [
        one_off, number[..., :-1] if number.ndim else number, number[None], number.ravel(), number.T, number * 1.01,
        number[:0] if number.ndim else number, np.concatenate([np.atleast_1d(number)] * 2), number * 0 + 1e300,
        number.astype(np.float16), number.astype(bool), np.nan_to_num(number).astype(np.int64), np.zeros_like(number),
    ]  # fmt: skip
    chosen = rng.choice([*choices, None, None])
    if chosen is None:
        return _odd(rng, True)
    return msgspec.to_builtins(wire.pack_array(np.asarray(chosen)), builtin_types=(bytes,))


def _odd(rng: random.Random, arrays: bool) -> Any:
    """Return something that was not asked for."""
    fate = rng.random()
    if fate < 0.3 and arrays:
        return msgspec.to_builtins(wire.pack_array(rng.choice(ODD_ARRAYS)), builtin_types=(bytes,))
    if fate < 0.4:
        return {"type": "items", "items": rng.choices(ODD_VALUES, k=rng.choice((0, 1, 2, 5)))}
    if fate < 0.5:
        return {"type": "table", "items": {name: rng.choice(ODD_VALUES) for name in ("loss", "weights")}}
    if fate < 0.55:
        return {"type": "ref", "id": rng.choice((0, 7, 1 << 62)), "kind": "layer", "type_name": "Dense"}
    return rng.choice(ODD_VALUES)
