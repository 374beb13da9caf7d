"""Read a submission's multi-head attention: which of its variables are which projection.

The layer's weights are set, and its answer is compared with the oracle's for every way to read its variables. Where
none fits, the same is tried with the mistakes that we know; and where the layout is one that nobody foresaw, a smaller
layer's is discovered. What was read explains all further answers, so that one mistake is paid once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.comparisons import Floats, agrees, expect_array, fail, require
from autograder.checking.mistakes import Mistake
from autograder.checking.readings import first_reading, values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Variables, is_vector
from autograder.checks.vit.mistakes.attention import SCALING, SOFTMAX_OVER_QUERIES
from autograder.checks.vit.oracles.vision_transformer import (
    Projections,
    attention,
    merge,
    multi_head_attention,
    project,
)
from autograder.checks.vit.readings.counting import expect_size
from autograder.checks.vit.readings.discovery import Undiscovered, discover
from autograder.checks.vit.readings.layouts import Sizes, matrices, projections
from autograder.errors import CheckFailed

BATCH, TOKENS = 2, 6
SIZES = Sizes(heads=3, dk=10, dv=11, width=4)
EQUAL = Sizes(heads=3, dk=6, dv=6, width=6)
ONE_HEAD = Sizes(heads=1, dk=6, dv=5, width=4)
SMALL = Sizes(heads=2, dk=4, dv=5, width=3)
SMALL_EQUAL = Sizes(heads=2, dk=3, dv=3, width=3)
"""Of layers whose layout is discovered scalar by scalar."""

Oracle = Callable[[Floats, Floats, Floats, Projections], tuple[Floats, Floats]]


def _with(attend: Callable[..., tuple[Floats, Floats]]) -> Oracle:
    return lambda q, k, v, w: multi_head_attention(q, k, v, w, attend)


def _scaled_by(size: Callable[[Floats, Projections], float]) -> Oracle:
    """Return multi-head attention that divides its scores by the root of a size of Q and the projections."""

    def wrong(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
        factor = np.sqrt(w.query.shape[-1] / size(q, w))
        return multi_head_attention(q, k, v, replace(w, query=w.query * factor))

    return wrong


def _joined_by_reshape(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
    heads, weights = attention(project(q, w.query), project(k, w.key), project(v, w.value))
    batch, count, queries, width = heads.shape
    return heads.reshape(batch, queries, count * width) @ w.output.reshape(count * width, -1), weights


def _projected(keys: str, values: str, of_values: str = "v") -> Oracle:
    """Return multi-head attention that takes other projections, or K, for its keys and values."""

    def wrong(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
        source = k if of_values == "k" else v
        heads, weights = attention(
            project(q, w.query), project(k, getattr(w, keys)), project(source, getattr(w, values))
        )
        return merge(heads, w.output), weights

    return wrong


OF_HEADS = (
    Mistake(
        "heads_not_merged",
        "Your heads are joined by a reshape while the head axis still stands before the tokens, so values of different "
        "tokens are mixed. Move the head axis next to the features first.",
        _joined_by_reshape,
    ),
    *(replace(mistake, wrong=_with(mistake)) for mistake in (*SCALING, SOFTMAX_OVER_QUERIES)),
    Mistake(
        "scaled_by_model_size",
        "You scale by the size of the inputs Q and K. Inside a head, the queries have another size: that of their last "
        "axis after the projection.",
        _scaled_by(lambda q, w: q.shape[-1]),
    ),
    Mistake(
        "scaled_by_shared_size",
        "You scale as if the heads shared proj_size among them. Here each head is proj_size wide.",
        _scaled_by(lambda q, w: w.query.shape[-1] / len(w.query)),
    ),
    Mistake(
        "query_projection_reused",
        "You project K with the weights of the queries. It has a projection of its own.",
        _projected(keys="query", values="value"),
    ),
)
OF_EQUAL_HEADS = (
    Mistake(
        "values_from_keys",
        "Your values come from K. They must come from V.",
        _projected(keys="key", values="value", of_values="k"),
    ),
    Mistake(
        "key_projection_for_values",
        "You project V with the weights of the keys. It has a projection of its own.",
        _projected(keys="key", values="key"),
    ),
)
"""Possible only where keys and values have the same number of features."""


@dataclass(frozen=True)
class Heads:
    """A submission's layer as it was read.

    Attributes:
        sizes: Its sizes.
        layer: The layer itself, or a model of it.
        variables: Its variables.
        places: Where the projections stand among them.
        oracle: What explains its answers: multi-head attention, or the same with `mistake`.
        mistake: The one that was recognised.
    """

    sizes: Sizes
    layer: Layer
    variables: Variables
    places: Projections
    oracle: Oracle = multi_head_attention
    mistake: Mistake | None = None

    def right(self, values: Floats, q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats]:
        """Return what output and weights must be when the variables hold these values."""
        return self.oracle(q, k, v, values_at(self.places, values))

    def set_weights(self, rng: np.random.Generator) -> Floats:
        """Set fresh weights and return the values."""
        return set_weights(self.variables, rng)

    def with_weights(self, student: Student) -> Heads:
        """Return such a layer that returns its attention weights, too."""
        return self.in_another(make_layer(student, self.sizes, True))

    def in_another(self, layer: Layer) -> Heads:
        """Return the same reading of another layer of the submission's, which must have the same variables."""
        variables = Variables(layer)
        require(
            variables.shapes == self.variables.shapes,
            "MultiHeadAttention has other weights inside a model, or when it returns its attention weights, than when "
            "it is called alone.",
        )
        return replace(self, layer=layer, variables=variables)


SAMPLES_MIXED = (
    "The result for a sample depends on the other samples of its batch, so axes are swapped that should not be. Does "
    "each transpose have its `perm`? Without one it reverses all axes, the batch too."
)


def draw(
    rng: np.random.Generator, sizes: Sizes, queries: int, keys: int, batch: int = BATCH
) -> tuple[Floats, Floats, Floats]:
    """Return Q, K and V as float32."""
    shapes = (batch, queries, sizes.dk), (batch, keys, sizes.dk), (batch, keys, sizes.dv)
    q, k, v = (rng.normal(size=shape).astype(np.float32) for shape in shapes)
    return q, k, v


def make_layer(student: Student, sizes: Sizes, *options: object) -> Layer:
    """Return the submission's layer, built by one call."""
    layer = student.layer("MultiHeadAttention", sizes.heads, sizes.width, sizes.dk, sizes.dv, *options)
    layer(*draw(np.random.default_rng(0), sizes, TOKENS, TOKENS))
    return layer


def set_weights(variables: Variables, rng: np.random.Generator) -> Floats:
    """Set all weights to random values and return them; biases, which another check counts, to 0."""
    values = variables.draw(rng)
    if len(matrices(variables)) >= 4:
        for places in variables.positions:
            if is_vector(places):
                values[places] = 0.0
    variables.set(values)
    return values


def read_heads(student: Student, sizes: Sizes, rng: np.random.Generator) -> Heads:
    """Return the submission's layer of these sizes, or of others if its layout had to be discovered, as it was read.

    Raises:
        CheckFailed: If it cannot be read; found out once for all checks.
    """
    found = student.once(_try_to_read, sizes, rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


def has_known_layout(student: Student, sizes: Sizes, rng: np.random.Generator) -> bool:
    """Whether the submission's layer of these sizes, right or with a known mistake, need not be discovered."""
    return _read_known(student, sizes, rng, list(_oracles(sizes))) is not None


def _try_to_read(student: Student, sizes: Sizes, rng: np.random.Generator) -> Heads | CheckFailed:
    try:
        found = _read_known(student, sizes, rng, list(_oracles(sizes)))
        return found or student.once(discover_heads, SMALL_EQUAL if sizes.dk == sizes.dv else SMALL, rng)
    except CheckFailed as failed:
        return failed


def _read_known(
    student: Student, sizes: Sizes, rng: np.random.Generator, oracles: Sequence[tuple[Oracle, Mistake | None]]
) -> Heads | None:
    """Return the layer as one of the known layouts reads it; None if none does.

    Raises:
        CheckFailed: If what it gives, or how many weights it has, shows that there is no other layout, either.
    """
    layer = make_layer(student, sizes)
    variables = Variables(layer)
    values, inputs = set_weights(variables, rng), draw(rng, sizes, TOKENS, TOKENS)
    output = expect_array(layer(*inputs), (BATCH, TOKENS, sizes.width), "The output")
    for oracle, mistake in oracles:
        candidates = projections(matrices(variables), sizes)
        places = first_reading(candidates, values, lambda w, run=oracle: run(*inputs, w)[0], output)  # type: ignore[misc]
        if places is not None:
            return Heads(sizes, layer, variables, places, oracle, mistake)
    require(bool(output.any()), "The output: all values are zero.", "only_zeros")
    _expect_parameters(variables.size, sizes)
    return None


def _oracles(sizes: Sizes) -> Iterator[tuple[Oracle, Mistake | None]]:
    """Yield the right oracle, then the wrong ones."""
    yield multi_head_attention, None
    for mistake in (*OF_HEADS, *(OF_EQUAL_HEADS if sizes.dk == sizes.dv else ())):
        yield mistake, mistake


def _expect_parameters(found: int, sizes: Sizes) -> None:
    """Name the known ways to miss the number of weights."""
    heads, width = sizes.heads, sizes.width
    features = 2 * sizes.dk + sizes.dv + width
    require(
        heads == 1 or found not in (width * features, (width // heads) * heads * features),
        "Your heads share proj_size among them. In this lab each head is proj_size wide.",
        "narrow_heads",
    )
    expect_size(
        found,
        sizes.parameters,
        f"n_heads={heads}, proj_size={width}, dk={sizes.dk}, dv={sizes.dv} (four projections, no biases, "
        "each head proj_size wide)",
    )


def discover_heads(student: Student, sizes: Sizes, rng: np.random.Generator) -> Heads:
    """Return the submission's layer of these small sizes after its layout was discovered.

    Raises:
        CheckFailed: If it is no multi-head attention, right or with a mistake that we know.
    """
    layer = make_layer(student, sizes)
    variables = Variables(layer)

    def answer(values: Floats, q: Floats, k: Floats, v: Floats) -> Floats:
        variables.set(values)
        q, k, v = (array.astype(np.float32) for array in (q, k, v))
        return expect_array(layer(q, k, v), (*q.shape[:2], sizes.width), "The output").astype(np.float64)

    try:
        places = discover(answer, variables.size, sizes, rng)
    except Undiscovered as error:
        _expect_samples_apart(layer, sizes, rng)
        raise CheckFailed(
            f"The output is not that of multi-head attention, in whatever order its weights are stored: {error.reason}."
        ) from error
    values, inputs = set_weights(variables, rng), draw(rng, sizes, TOKENS, TOKENS)
    output = answer(values, *inputs)
    for oracle, mistake in _oracles(sizes):
        heads = Heads(sizes, layer, variables, places, oracle, mistake)
        if agrees(output, heads.right(values, *inputs)[0]):
            return heads
    fail(
        "The output is not that of multi-head attention: look at what the softmax runs over, at the scale, and at how "
        "the heads are joined."
    )


def _expect_samples_apart(layer: Layer, sizes: Sizes, rng: np.random.Generator) -> None:
    """Name what mixes the samples of a batch; what a single sample gives is another question."""
    inputs, others = (draw(rng, sizes, TOKENS, TOKENS) for _ in range(2))
    for array, other in zip(inputs, others, strict=True):
        other[:1] = array[:1]
    shape = (BATCH, TOKENS, sizes.width)
    first, same, again = (expect_array(layer(*arrays), shape, "The output")[:1] for arrays in (inputs, others, inputs))
    is_random = not agrees(again, first)
    require(is_random or agrees(same, first), SAMPLES_MIXED, "samples_mixed")
