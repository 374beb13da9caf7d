"""Hidden checks of `scaled_dot_product_attention(q, k, v)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import describe, expect, expect_array, fail, require
from autograder.checking.pictures import attention_picture
from autograder.checking.remote import Student
from autograder.checks.vit.misconceptions import answers, blame
from autograder.checks.vit.oracle import attention, wrong_attention

BATCH, QUERIES, KEYS, HEAD_DIM, VALUE_DIM = 2, 5, 7, 6, 3


def draw(rng, *leading):
    """Return q, k and v as float32, with every axis of another size."""
    q = rng.normal(size=(*leading, QUERIES, HEAD_DIM))
    k = rng.normal(size=(*leading, KEYS, HEAD_DIM))
    v = rng.normal(size=(*leading, KEYS, VALUE_DIM))
    return tuple(one.astype(np.float32) for one in (q, k, v))


def ask(student: Student, q, k, v):
    """Return the pair (output, weights) that the submission gives."""
    answer = student.call("scaled_dot_product_attention", q, k, v)
    if not isinstance(answer, tuple) or len(answer) != 2:
        fail(f"scaled_dot_product_attention must return (output, attention_weights); got {describe(answer)}.")
    output, weights = answer
    if getattr(output, "shape", None) == (*q.shape[:-1], k.shape[-2]) and getattr(weights, "shape", None) == (
        *q.shape[:-1],
        v.shape[-1],
    ):
        blame("output_and_weights_swapped")
    return output, weights


def wrong_outputs(q, k, v):
    """Return misconception to output."""
    outputs = {slug: output for slug, (output, _) in wrong_attention(q, k, v).items()}
    weights = attention(q, k, v)[1]
    return outputs | {"values_from_keys": weights @ k, "weights_for_output": weights}


def wrong_weights(q, k, v):
    """Return misconception to weights."""
    return {slug: weights for slug, (_, weights) in wrong_attention(q, k, v).items()}


@pytest.mark.check(
    "The attention weights are softmax(q kᵀ / sqrt(d)), with other numbers of queries and keys.", weight=3
)
def test_weights(student, rng):
    q, k, v = draw(rng, BATCH)
    _, weights = ask(student, q, k, v)
    student.show(attention_picture(weights, attention(q, k, v)[1]))
    expect(weights, answers(attention(q, k, v)[1], wrong_weights(q, k, v)), "The attention weights")


@pytest.mark.check("The output is the average of the values under these weights.", weight=3)
def test_output(student, rng):
    q, k, v = draw(rng, BATCH)
    output, weights = ask(student, q, k, v)
    accepted = [attention(q, k, v)[0]]
    if getattr(weights, "shape", None) == (BATCH, QUERIES, KEYS):  # whether they are right is for another check
        require(bool(np.any(weights)), "The attention weights: all values are zero.", "only_zeros")
        accepted.append(np.nan_to_num(weights.astype(np.float64)) @ v)
    expect(output, answers(accepted, wrong_outputs(q, k, v)), "The output")


@pytest.mark.check("It works for rank 4, with batch and heads as leading axes.")
def test_rank_4(student, rng):
    q, k, v = draw(rng, BATCH, 4)
    output, weights = ask(student, q, k, v)
    shape = (BATCH, 4, QUERIES, KEYS)
    weights = expect_array(weights, shape, "The attention weights of rank-4 input")
    require(bool(weights.any()), "The attention weights of rank-4 input: all values are zero.", "only_zeros")
    expect_array(output, (*shape[:-1], VALUE_DIM), "The output of rank-4 input")
    q0, k0, v0 = q[1, 2], k[1, 2], v[1, 2]
    alone = ask(student, q0[None], k0[None], v0[None])[0]
    expect(
        output[1:2, 2], answers(expect_array(alone, (1, QUERIES, VALUE_DIM), "The output")), "One head of the output"
    )


@pytest.mark.check("Large scores neither overflow nor turn into nan.")
def test_large_scores(student, rng):
    q, k, v = draw(rng, BATCH)
    shape = (BATCH, QUERIES, VALUE_DIM)
    expect_array(ask(student, q, k, v)[0], shape, "The output")
    output, _ = ask(student, 300 * q, 300 * k, v)
    if isinstance(output, np.ndarray) and not np.isfinite(output).all():
        blame("softmax_overflows")
    output = expect_array(output, shape, "The output for large scores")
    winners = np.argmax(q @ np.swapaxes(k, -1, -2), axis=-1)  # (batch, queries)
    nearest = np.take_along_axis(v, winners[..., None], axis=1)
    matching = np.isclose(output, nearest, atol=1e-2).all(axis=-1)
    require(
        float(matching.mean()) >= 0.8,
        "With very large scores, a query must return the value of its best key; yours does not.",
    )
