"""Hidden checks of `MultiHeadAttention(n_heads, proj_size, dk, dv, return_attention_weights=False)`."""

import numpy as np
import pytest

from autograder.checking import Student, close, expect, expect_array, fail, require
from autograder.checks.vit.layouts import Sizes, readings
from autograder.checks.vit.misconceptions import answers, blame
from autograder.checks.vit.oracle import multi_head_attention, wrong_multi_head_attention

BATCH, QUERIES, KEYS = 2, 5, 7
SIZES = Sizes(heads=3, dk=10, dv=11, width=4)
EQUAL = Sizes(heads=3, dk=9, dv=9, width=9)


def draw(rng, sizes):
    """Return Q, K and V as float32."""
    q = rng.normal(size=(BATCH, QUERIES, sizes.dk))
    k = rng.normal(size=(BATCH, KEYS, sizes.dk))
    v = rng.normal(size=(BATCH, KEYS, sizes.dv))
    return tuple(one.astype(np.float32) for one in (q, k, v))


def make(student: Student, sizes, inputs, *options):
    """Return the submission's layer, built by one call."""
    layer = student.layer("MultiHeadAttention", sizes.heads, sizes.width, sizes.dk, sizes.dv, *options)
    layer(*inputs)
    return layer


def randomise(layer, rng):
    """Set all weights to random values and return them."""
    arrays = [0.5 * rng.normal(size=one.shape).astype(np.float32) for one in layer.weights()]
    layer.set_weights(arrays)
    return arrays


def trainable_parameters(layer):
    """Return the number of trainable parameters."""
    return sum(int(np.prod(one.shape)) for one in layer.weights() if one.trainable)


def expect_parameters(found, sizes):
    """Compare with four projections without bias and name the known ways to miss that."""
    if found == sizes.parameters:
        return
    heads, width = sizes.heads, sizes.width
    if found == sizes.parameters + 3 * heads * width + width or found == sizes.parameters + width:
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


@pytest.mark.check("The layer holds the weights of four projections without bias, all trainable.", weight=2)
def test_weights_of_four_projections(student, rng):
    layer = make(student, SIZES, draw(rng, SIZES))
    expect_parameters(trainable_parameters(layer), SIZES)


@pytest.mark.check("With equal sizes d, the layer has 4 · heads · d² parameters.")
def test_parameters_for_equal_sizes(student, rng):
    layer = make(student, EQUAL, draw(rng, EQUAL))
    expect_parameters(trainable_parameters(layer), EQUAL)


@pytest.mark.check("The output has shape (batch, queries, proj_size).")
def test_output_shape(student, rng):
    inputs = draw(rng, SIZES)
    layer = make(student, SIZES, inputs)
    expect_array(layer(*inputs), (BATCH, QUERIES, SIZES.width), "The output")


@pytest.mark.check(
    "The output is that of multi-head attention: project, attend, concatenate the heads, project.", weight=4
)
@pytest.mark.parametrize("sizes", [pytest.param(SIZES, id="different_sizes"), pytest.param(EQUAL, id="equal_sizes")])
def test_output(student, rng, sizes):
    q, k, v = draw(rng, sizes)
    layer = make(student, sizes, (q, k, v))
    weights = randomise(layer, rng)
    output = expect_array(layer(q, k, v), (BATCH, QUERIES, sizes.width), "The output")
    if sizes is EQUAL:
        expect_properties(layer, output, (q, k, v))
        return
    candidates = list(readings(weights, sizes))
    if not candidates:
        expect_properties(layer, output, (q, k, v))
        return
    right = [multi_head_attention(q, k, v, one)[0] for one in candidates]
    if any(close(output, one) for one in right):
        return
    for one in candidates:
        wrong = wrong_multi_head_attention(q, k, v, one)
        for slug, value in wrong.items():
            if close(output, value, 1e-4):
                blame(slug)
    expect(output, answers(right), "The output")


def expect_properties(layer, output, inputs):
    """Check what holds in every layout: linear in V, blind to the order of keys, uniform for equal keys."""
    q, k, v = inputs
    shape = output.shape
    doubled = expect_array(layer(q, k, 2 * v), shape, "The output")
    expect(doubled, answers(2 * output), "The output for doubled V")
    same_keys = np.repeat(k[:, :1], KEYS, axis=1)
    uniform = expect_array(layer(q, same_keys, v), shape, "The output for equal keys")
    mean = np.repeat(v.mean(axis=1, keepdims=True), KEYS, axis=1)
    expect(uniform, answers(expect_array(layer(q, k, mean), shape, "The output")), "The output for equal keys")


@pytest.mark.check("Keys and values may come in any order; queries in another order give outputs in that order.")
def test_order_of_tokens(student, rng):
    q, k, v = draw(rng, SIZES)
    layer = make(student, SIZES, (q, k, v))
    randomise(layer, rng)
    shape = (BATCH, QUERIES, SIZES.width)
    output = expect_array(layer(q, k, v), shape, "The output")
    keys, queries = rng.permutation(KEYS), np.roll(np.arange(QUERIES), 2)
    shuffled = expect_array(layer(q, k[:, keys], v[:, keys]), shape, "The output")
    require(close(shuffled, output), "Keys and values in another order must not change the output; yours changes.")
    moved = expect_array(layer(q[:, queries], k, v), shape, "The output")
    require(
        close(moved, output[:, queries]),
        "Each output must depend on its own query alone; with the queries in another order, yours give other outputs. "
        "Look at how the heads are joined.",
    )


@pytest.mark.check("return_attention_weights=True also returns the weights: a distribution over the keys.")
def test_attention_weights(student, rng):
    inputs = draw(rng, SIZES)
    layer = make(student, SIZES, inputs, True)
    variables = randomise(layer, rng)
    answer = layer(*inputs)
    if not isinstance(answer, tuple) or len(answer) != 2:
        fail("With return_attention_weights=True the layer must return (output, weights).")
    expect_array(answer[0], (BATCH, QUERIES, SIZES.width), "The output")
    weights = answer[1]
    averaged = getattr(weights, "ndim", 0) == 3
    shape = (BATCH, QUERIES, KEYS) if averaged else (BATCH, SIZES.heads, QUERIES, KEYS)
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


@pytest.mark.check("Training reaches every weight: each has a gradient.")
def test_gradients(student, rng):
    inputs = draw(rng, SIZES)
    layer = make(student, SIZES, inputs)
    randomise(layer, rng)
    cotangent = rng.normal(size=(BATCH, QUERIES, SIZES.width)).astype(np.float32)
    _, gradients = layer.gradients(*inputs, cotangent=cotangent)
    dead = sum(1 for one in gradients if one is None or not np.any(one))
    require(bool(gradients), "The layer has no trainable weights.")
    require(dead == 0, f"{dead} of {len(gradients)} weights get no gradient: they have no effect on the output.")
