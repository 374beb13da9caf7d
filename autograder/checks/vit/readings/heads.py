"""Read a submission's multi-head attention: which of its variables are which projection.

The layer's weights are set, and its answer is compared with the oracle's for every way to read its variables. Where
none fits, the same is tried with the mistakes that we know; and where the layout is one that nobody foresaw, a smaller
layer's is discovered. What was read explains all further answers, so that one mistake is paid once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autograder.checking.comparisons import Floats, agrees, expect_array, fail, require
from autograder.checking.mistakes import Mistake
from autograder.checking.readings import first_reading, values_at
from autograder.checking.remote import Layer, Student
from autograder.checking.variables import Variables, is_vector
from autograder.checks.vit.mistakes.heads import OF_EQUAL_HEADS, OF_HEADS, HeadsOracle
from autograder.checks.vit.oracles.vision_transformer import Projections, multi_head_attention
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
    oracle: HeadsOracle = multi_head_attention
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


ROUGHLY = 0.05
"""Relative: what half of a layer in bfloat16 may round. Axes that are mixed up change all of the output."""
SAMPLES_MIXED = (
    "The result for a sample depends on the other samples of its batch, so axes are swapped that should not be. Does "
    "each transpose have its `perm`? Without one it reverses all axes, the batch too."
)

KEYS_IN_ORDER = (
    "With keys and values in another order, each value still beside its key, the output is another one. It must be the "
    "same: each query looks at all keys, wherever they stand. Is something reshaped that must be transposed?"
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
    student: Student, sizes: Sizes, rng: np.random.Generator, oracles: Sequence[tuple[HeadsOracle, Mistake | None]]
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


def _oracles(sizes: Sizes) -> Iterator[tuple[HeadsOracle, Mistake | None]]:
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

    set_weights(variables, rng)
    _expect_samples_apart(layer, sizes, rng)
    _expect_keys_in_any_order(layer, sizes, rng)
    try:
        places = discover(answer, variables.size, sizes, rng)
    except Undiscovered as error:
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
    require(_answers_alike(layer, sizes, inputs, others, samples=1), SAMPLES_MIXED, "samples_mixed")


def _expect_keys_in_any_order(layer: Layer, sizes: Sizes, rng: np.random.Generator) -> None:
    """Tell a layer that knows the order of its keys, which none does whose layout could be discovered."""
    q, k, v = draw(rng, sizes, TOKENS, TOKENS)
    require(_answers_alike(layer, sizes, (q, k, v), (q, k[:, ::-1], v[:, ::-1])), KEYS_IN_ORDER)


def _answers_alike(
    layer: Layer, sizes: Sizes, inputs: Sequence[Floats], others: Sequence[Floats], samples: int = BATCH
) -> bool:
    """Whether the first samples of other inputs get the same output, or not even those of the same inputs do."""
    shape = (BATCH, TOKENS, sizes.width)
    questions = inputs, others, inputs
    first, other, again = (expect_array(layer(*arrays), shape, "The output")[:samples] for arrays in questions)
    return agrees(other, first, ROUGHLY) or not agrees(again, first)
