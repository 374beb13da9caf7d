"""Layouts of multi-head attention: the known ones are read, all others discovered, and wrong layers neither."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

from autograder.checking.comparisons import Floats, close
from autograder.checking.readings import first_reading, values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Variables
from autograder.checks.vit.mistakes.heads import OF_HEADS
from autograder.checks.vit.oracles.vision_transformer import Projections, attention, multi_head_attention, softmax, swap
from autograder.checks.vit.readings.block_parts import BlockSizes, sorted_by_discovery
from autograder.checks.vit.readings.discovery import Undiscovered, discover
from autograder.checks.vit.readings.heads import SMALL, discover_heads
from autograder.checks.vit.readings.layouts import Sizes, projections
from autograder.errors import CheckFailed
from tests.numpy_layers import NumpyLayer

SIZES = Sizes(heads=3, dk=10, dv=11, width=4)
EQUAL = Sizes(heads=3, dk=6, dv=6, width=6)
DRAWS = 50


def in_order(sizes: Sizes) -> Projections:
    """Return where the projections stand when one follows the other, each as `(heads, dim, width)`."""
    heads, width = sizes.heads, sizes.width
    shapes = [(heads, dim, width) for dim in (sizes.dk, sizes.dk, sizes.dv, width)]
    ends = np.cumsum([np.prod(shape) for shape in shapes])
    parts = np.split(np.arange(sizes.parameters), ends[:-1])
    return Projections(*(part.reshape(shape) for part, shape in zip(parts, shapes, strict=True)))


def wide(part: Any) -> Any:
    return part.transpose(1, 0, 2).reshape(part.shape[1], -1)


def tall(part: Any) -> Any:
    return part.reshape(-1, part.shape[2])


LAYOUTS: dict[str, Callable[[Projections], list[Any]]] = {
    "three axes": lambda w: [w.query, w.key, w.value, tall(w.output)],
    "transposed": lambda w: [*(part.transpose(0, 2, 1) for part in (w.query, w.key, w.value)), w.output],
    "wide": lambda w: [wide(w.query), wide(w.key), wide(w.value), tall(w.output)],
    "features first": lambda w: [*(part.transpose(1, 0, 2) for part in (w.query, w.key, w.value)), tall(w.output).T],
    "interleaved": lambda w: [
        *(part.transpose(1, 2, 0).reshape(part.shape[1], -1) for part in (w.query, w.key, w.value)),
        w.output.transpose(1, 0, 2).reshape(-1, w.output.shape[2]),
    ],
    "output first": lambda w: [tall(w.output), w.value, w.key, w.query],
    "a matrix a head": lambda w: [*w.query, *w.key, *w.value, tall(w.output)],
    "head by head": lambda w: [
        *(part for head in zip(w.query, w.key, w.value, strict=True) for part in head),
        tall(w.output),
    ],
    "everything a head": lambda w: [*w.query, *w.key, *w.value, *w.output],
    "queries and keys joined": lambda w: [np.stack([w.query, w.key], axis=2), w.value, tall(w.output)],
}
EQUAL_LAYOUTS: dict[str, Callable[[Projections], list[Any]]] = {
    "joined": lambda w: [np.concatenate([wide(w.query), wide(w.key), wide(w.value)], axis=1), tall(w.output)],
    "joined in each head": lambda w: [wide(np.concatenate([w.query, w.key, w.value], axis=2)), tall(w.output)],
    "joined in a matrix a head": lambda w: [*np.concatenate([w.query, w.key, w.value], axis=2), tall(w.output)],
    "keys and values joined": lambda w: [w.output, np.concatenate([w.key, w.value], axis=2), w.query],
    "all in one": lambda w: [np.stack([w.query, w.key, w.value, w.output])],
}
"""Where all projections have one shape."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_known_layouts_are_read(layout: str) -> None:
    expect_to_be_read(LAYOUTS[layout], SIZES)


@pytest.mark.parametrize("layout", LAYOUTS | EQUAL_LAYOUTS)
def test_known_layouts_of_equal_sizes_are_read(layout: str) -> None:
    expect_to_be_read((LAYOUTS | EQUAL_LAYOUTS)[layout], EQUAL)


def expect_to_be_read(layout: Callable[[Projections], list[Any]], sizes: Sizes) -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        right = in_order(sizes)
        values = rng.normal(size=sizes.parameters)
        q, k, v = (rng.normal(size=(2, 5, dim)) for dim in (sizes.dk, sizes.dk, sizes.dv))
        output = multi_head_attention(q, k, v, values_at(right, values))[0]
        candidates = projections(layout(right), sizes)
        found = first_reading(candidates, values, lambda w: multi_head_attention(q, k, v, w)[0], output)  # noqa: B023
        assert found is not None


class Shuffled:
    """A layer whose scalars stand anywhere, in float32."""

    def __init__(self, rng: np.random.Generator, oracle: Callable[..., tuple[Floats, Floats]]) -> None:
        self.order = rng.permutation(SMALL.parameters)
        self._oracle = oracle

    def __call__(self, values: Floats, *inputs: Floats) -> Floats:
        """Return the output `(batch, queries, width)`."""
        ordered = np.empty(len(values), np.float32)
        ordered[self.order] = values
        weights = values_at(in_order(SMALL), ordered)
        output = self._oracle(*(array.astype(np.float32) for array in inputs), weights)[0]
        return output.astype(np.float32).astype(np.float64)


def draw(rng: np.random.Generator, queries: int, keys: int) -> tuple[Floats, Floats, Floats]:
    return (
        rng.normal(size=(2, queries, SMALL.dk)),
        rng.normal(size=(2, keys, SMALL.dk)),
        rng.normal(size=(2, keys, SMALL.dv)),
    )


def test_any_other_layout_is_discovered_in_every_draw() -> None:
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        layer = Shuffled(rng, multi_head_attention)
        places = discover(layer, SMALL.parameters, SMALL, rng)
        values, inputs = rng.normal(size=SMALL.parameters), draw(rng, 4, 6)
        assert close(layer(values, *inputs), multi_head_attention(*inputs, values_at(places, values))[0])


def test_a_wrong_scale_is_discovered_and_recognised() -> None:
    unscaled = next(mistake for mistake in OF_HEADS if mistake.slug == "unscaled")
    for seed in range(10):
        rng = np.random.default_rng(seed)
        layer = Shuffled(rng, unscaled)
        places = discover(layer, SMALL.parameters, SMALL, rng)
        values, inputs = rng.normal(size=SMALL.parameters), draw(rng, 4, 6)
        assert close(layer(values, *inputs), unscaled(*inputs, values_at(places, values))[0])


def by_weights(weights: Callable[[Floats], Floats]) -> Callable[..., tuple[Floats, Floats]]:
    def attend(q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats]:
        found = weights(q @ swap(k) / np.sqrt(q.shape[-1]))
        return found @ v, found

    return partial(multi_head_attention, attend=attend)


def shared(name: str) -> Callable[..., tuple[Floats, Floats]]:
    """Return a layer whose heads all use the first head's projection."""

    def oracle(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
        parts = {part: getattr(w, part) for part in ("query", "key", "value", "output")}
        parts[name] = np.repeat(parts[name][:1], len(parts[name]), axis=0)
        return multi_head_attention(q, k, v, Projections(**parts))

    return oracle


def of_keys(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
    return multi_head_attention(np.ones_like(q), k, v, w)


WRONG = {
    "queries ignored": of_keys,
    "the mean of V": by_weights(lambda scores: softmax(0 * scores)),
    "heads share their attention": by_weights(
        lambda scores: np.repeat(softmax(scores).mean(axis=1, keepdims=True), scores.shape[1], axis=1)
    ),
    "one projection of the queries": shared("query"),
    "one projection of the keys": shared("key"),
    "one projection of the values": shared("value"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_layers_of_any_layout_are_not_explained(name: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        layer = Shuffled(rng, WRONG[name])
        try:
            places = discover(layer, SMALL.parameters, SMALL, rng)
        except Undiscovered:
            continue
        values, inputs = rng.normal(size=SMALL.parameters), draw(rng, 4, 6)
        output = layer(values, *inputs)
        oracles: list[Callable[..., Any]] = [multi_head_attention, *OF_HEADS]
        for oracle in oracles:
            assert not close(output, oracle(*inputs, values_at(places, values))[0])


class OfHeads(Student):
    """A submission whose layer has all its weights in one row and computes what `oracle` does; counts its calls."""

    def __init__(self, oracle: Callable[..., tuple[Floats, Floats]]) -> None:
        super().__init__(self._no_question, self._no_question, 1.0)
        self._oracle, self.calls = oracle, 0

    def _no_question(self, *_: object) -> Any:
        raise AssertionError("what stands here has no process to ask")

    def layer(self, name: str, *args: Any, **kwargs: Any) -> Layer:
        """Return a layer of these heads, width, dk and dv."""
        heads, width, dk, dv = args
        sizes = Sizes(heads, dk, dv, width)

        def run(*given: Floats) -> Floats:
            self.calls += 1
            *inputs, values = given
            return self._oracle(*inputs, values_at(in_order(sizes), values))[0].astype(np.float32)

        return NumpyLayer([(sizes.parameters,)], run)


def keys_reshaped(q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats]:
    weights = softmax(q @ k.reshape(swap(k).shape) / np.sqrt(q.shape[-1]))
    return weights @ v, weights


def test_a_layer_that_knows_the_order_of_its_keys_is_told_by_a_few_questions() -> None:
    student = OfHeads(partial(multi_head_attention, attend=keys_reshaped))
    with pytest.raises(CheckFailed, match=r"With keys and values in another order, .* reshaped .* transposed"):
        discover_heads(student, SMALL, np.random.default_rng(0))
    assert student.calls < 10


def test_a_wrong_attention_of_a_large_block_is_found_out_by_a_small_layer() -> None:
    student = OfHeads(WRONG["the mean of V"])
    sizes = BlockSizes(tokens=5, model_dim=12, heads=3, hidden=24)
    with pytest.raises(CheckFailed, match="in whatever order its weights are stored"):
        sorted_by_discovery(student, Variables(student.layer("", 3, 12, 12, 12)), sizes, np.random.default_rng(0))
    assert student.calls < sizes.of_heads.parameters / 4


def test_the_oracle_agrees_with_the_definition_head_by_head() -> None:
    rng = np.random.default_rng(1)
    w = values_at(in_order(SIZES), rng.normal(size=SIZES.parameters))
    q, k, v = rng.normal(size=(5, 10)), rng.normal(size=(7, 10)), rng.normal(size=(7, 11))
    heads = [attention(q @ w.query[head], k @ w.key[head], v @ w.value[head])[0] for head in range(SIZES.heads)]
    right = np.concatenate(heads, axis=-1) @ w.output.reshape(-1, SIZES.width)
    assert close(multi_head_attention(q, k, v, w)[0], right, 1e-12)
