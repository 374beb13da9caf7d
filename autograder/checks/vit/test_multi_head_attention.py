"""Hidden checks of `MultiHeadAttention(n_heads, proj_size, dk, dv, return_attention_weights=False)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect, expect_array, fail, require
from autograder.checking.remote import Student
from autograder.checks.vit.layouts import Sizes, readings
from autograder.checks.vit.misconceptions import answers, blame
from autograder.checks.vit.oracle import multi_head_attention, wrong_multi_head_attention

BATCH, TOKENS, QUERIES, KEYS = 2, 6, 5, 7
SIZES = Sizes(heads=3, dk=10, dv=11, width=4)
EQUAL = Sizes(heads=3, dk=9, dv=9, width=9)
BOTH_SIZES = pytest.mark.parametrize(
    "sizes", [pytest.param(SIZES, id="different_sizes"), pytest.param(EQUAL, id="equal_sizes")]
)


def draw(rng, sizes, queries=TOKENS, keys=TOKENS):
    """Return Q, K and V as float32; as many queries as keys unless a check is about their numbers."""
    q = rng.normal(size=(BATCH, queries, sizes.dk))
    k = rng.normal(size=(BATCH, keys, sizes.dk))
    v = rng.normal(size=(BATCH, keys, sizes.dv))
    return tuple(one.astype(np.float32) for one in (q, k, v))


def make(student: Student, sizes, inputs, *options):
    """Return the submission's layer, built by one call."""
    layer = student.layer("MultiHeadAttention", sizes.heads, sizes.width, sizes.dk, sizes.dv, *options)
    layer(*inputs)
    return layer


def randomise(layer, rng):
    """Set all weights to random values, biases to zero since another check counts them; return the weights."""
    arrays = [0.5 * rng.normal(size=one.shape).astype(np.float32) for one in layer.weights()]
    arrays = [np.zeros_like(one) if one.ndim < 2 else one for one in arrays]
    layer.set_weights(arrays)
    return [one for one in arrays if one.ndim >= 2]


def trainable_parameters(layer):
    """Return the number of trainable parameters."""
    return sum(int(np.prod(one.shape)) for one in layer.weights() if one.trainable)


def expect_parameters(found, sizes):
    """Compare with four projections without bias and name the known ways to miss that."""
    if found == sizes.parameters:
        return
    heads, width = sizes.heads, sizes.width
    if found - sizes.parameters in (width, 3 * heads * width, 3 * heads * width + width):
        blame("biased_projections")
    if found == width * (2 * sizes.dk + sizes.dv + width) or found == (width // heads) * heads * (
        2 * sizes.dk + sizes.dv + width
    ):
        blame("narrow_heads")
    fail(
        f"Expected {sizes.parameters} trainable weights for n_heads={heads}, proj_size={width}, dk={sizes.dk}, "
        f"dv={sizes.dv}; got {found}. Four projections, each head proj_size wide, no biases.",
        "wrong_number_of_weights",
    )


@pytest.mark.check("The layer holds the weights of four projections without bias, all trainable.")
@BOTH_SIZES
def test_parameters(student, rng, sizes):
    layer = make(student, sizes, draw(rng, sizes))
    expect_parameters(trainable_parameters(layer), sizes)


@pytest.mark.check(
    "The output is that of multi-head attention: project, attend, concatenate the heads, project.", weight=2
)
@BOTH_SIZES
def test_output(student, rng, sizes):
    q, k, v = draw(rng, sizes)
    layer = make(student, sizes, (q, k, v))
    weights = randomise(layer, rng)
    output = expect_array(layer(q, k, v), (BATCH, TOKENS, sizes.width), "The output")
    candidates = list(readings(weights, sizes))
    if sizes is EQUAL or (not candidates and sum(one.size for one in weights) == sizes.parameters):
        expect_properties(layer, output, (q, k, v), rng)
        return
    right = [multi_head_attention(q, k, v, one)[0] for one in candidates]
    if any(close(output, one) for one in right):
        return
    for one in candidates:
        for slug, value in wrong_multi_head_attention(q, k, v, one).items():
            if close(output, value, 1e-4):
                blame(slug)
    if not right:
        fail(
            "The output cannot be that of four projections: the layer holds other weights than theirs.",
            "wrong_number_of_weights",
        )
    expect(output, answers(right), "The output")


def expect_properties(layer, output, inputs, rng):
    """Check what holds in every layout: linear in V, uniform for equal keys, each query by itself, keys in any order."""
    q, k, v = inputs
    shape = output.shape
    require(bool(output.any()), "The output: all values are zero.", "only_zeros")
    doubled = expect_array(layer(q, k, 2 * v), shape, "The output")
    if close(doubled, output):
        blame("values_ignored")
    expect(doubled, answers(2 * output), "The output for doubled V")
    same_keys = np.repeat(k[:, :1], TOKENS, axis=1)
    uniform = expect_array(layer(q, same_keys, v), shape, "The output for equal keys")
    mean = np.repeat(v.mean(axis=1, keepdims=True), TOKENS, axis=1)
    expect(uniform, answers(expect_array(layer(q, k, mean), shape, "The output")), "The output for equal keys")
    keys, queries = rng.permutation(TOKENS), np.roll(np.arange(TOKENS), 2)
    shuffled = expect_array(layer(q, k[:, keys], v[:, keys]), shape, "The output")
    require(close(shuffled, output), "Keys and values in another order must not change the output; yours changes.")
    moved = expect_array(layer(q[:, queries], k, v), shape, "The output")
    require(
        close(moved, output[:, queries]),
        "Each output must depend on its own query alone; with the queries in another order, yours give other outputs. "
        "Look at how the heads are joined.",
    )


@pytest.mark.check("There may be more or fewer queries than keys; each query is answered by itself.", weight=2)
def test_other_lengths(student, rng):
    q, k, v = draw(rng, SIZES, QUERIES, KEYS)
    more = np.concatenate([q, draw(rng, SIZES, KEYS - QUERIES)[0]], axis=1)  # as many queries as keys
    layer = make(student, SIZES, (more, k, v))
    randomise(layer, rng)
    output = expect_array(
        layer(q, k, v), (BATCH, QUERIES, SIZES.width), f"The output for {QUERIES} queries and {KEYS} keys"
    )
    require(bool(output.any()), "The output: all values are zero.", "only_zeros")
    among_more = expect_array(layer(more, k, v), (BATCH, KEYS, SIZES.width), "The output")
    require(
        close(output, among_more[:, :QUERIES]),
        f"The outputs of {QUERIES} queries change when {KEYS - QUERIES} further queries come after them. Each must depend on "
        "its own query alone.",
    )


@pytest.mark.check("return_attention_weights=True also returns the weights: a distribution over the keys.", weight=2)
def test_attention_weights(student, rng):
    inputs = draw(rng, SIZES)
    layer = make(student, SIZES, inputs, True)
    variables = randomise(layer, rng)
    answer = layer(*inputs)
    if not isinstance(answer, tuple) or len(answer) != 2:
        fail("With return_attention_weights=True the layer must return (output, weights).")
    expect_array(answer[0], (BATCH, TOKENS, SIZES.width), "The output")
    weights = answer[1]
    averaged = getattr(weights, "ndim", 0) == 3
    shape = (BATCH, TOKENS, TOKENS) if averaged else (BATCH, SIZES.heads, TOKENS, TOKENS)
    weights = expect_array(weights, shape, "The attention weights")
    require(
        np.allclose(weights.sum(axis=-1), 1, atol=1e-4),
        "The attention weights of a query must sum to 1 over the keys; yours do not.",
    )
    per_head = [multi_head_attention(*inputs, one)[1] for one in readings(variables, SIZES)]
    if per_head:
        expect_one_of(weights, per_head)


def expect_one_of(weights, per_head):
    """Compare with the weights of every head, their order free, or with their mean."""
    averaged = [one.mean(axis=1) for one in per_head]
    right = averaged if weights.ndim == 3 else per_head
    expect(weights, answers(right), "The attention weights")


@pytest.mark.check("Training reaches every weight: each has a gradient.", weight=2)
def test_gradients(student, rng):
    inputs = draw(rng, SIZES)
    layer = make(student, SIZES, inputs)
    randomise(layer, rng)
    cotangent = rng.normal(size=(BATCH, TOKENS, SIZES.width)).astype(np.float32)
    _, gradients = layer.gradients(*inputs, cotangent=cotangent)
    dead = sum(1 for one in gradients if one is None or not np.any(one))
    require(bool(gradients), "The layer has no trainable weights.")
    require(dead == 0, f"{dead} of {len(gradients)} weights get no gradient: they have no effect on the output.")
