"""Hidden checks of `scaled_dot_product_attention(q, k, v)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import expect, expect_array, fail_for_kind
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.pictures import attention_picture
from autograder.checking.remote import Student
from autograder.checks.vit.mistakes.attention import OF_ATTENTION, OVERFLOWS, blame_for_overflow
from autograder.checks.vit.oracles.vision_transformer import attention, swap
from autograder.errors import CheckFailed, StudentRaised

BATCH, QUERIES, KEYS, HEAD_DIM, VALUE_DIM = 2, 5, 7, 6, 3

SWAPPED = Mistake(
    "output_and_weights_swapped",
    "You return the attention weights where the output belongs, and the output where the weights belong.",
)
UNDERFLOWS = Mistake(
    "softmax_underflows",
    "Where all scores of a query are far below zero, your output is 0 or nan: all exponentials become 0. A softmax stays "
    "the same when a constant is taken from all scores of a query, such as the largest of them.",
)
OF_THE_OUTPUT = (
    Mistake(
        "values_from_keys",
        "Your values come from K. They must come from V.",
        lambda q, k, v: (attention(q, k, v)[1] @ k,),
    ),
    Mistake(
        "weights_for_output",
        "You return the attention weights where the output belongs: the weights still have to be applied to the values.",
        lambda q, k, v: (attention(q, k, v)[1],),
    ),
)


def draw(rng, *leading, queries=QUERIES, head_dim=HEAD_DIM, value_dim=VALUE_DIM):
    """Return q, k and v as float32, with every axis of another size.

    The queries are large enough for weights of all sizes: one that is cut off below 0.001 shows.
    """
    q = 3 * rng.normal(size=(*leading, queries, head_dim))
    k = rng.normal(size=(*leading, KEYS, head_dim))
    v = rng.normal(size=(*leading, KEYS, value_dim))
    return tuple(array.astype(np.float32) for array in (q, k, v))


def ask(student: Student, q, k, v):
    """Return the pair (output, weights) that the submission gives."""
    return pair_of(student.call("scaled_dot_product_attention", q, k, v), q, k, v)


def pair_of(answer, q, k, v):
    """Return an answer as the pair (output, weights); end the check if it is none, or the other way round."""
    if not isinstance(answer, tuple) or len(answer) != 2:
        fail_for_kind("scaled_dot_product_attention must return (output, attention_weights)", answer)
    output, weights = answer
    shapes = (*q.shape[:-1], k.shape[-2]), (*q.shape[:-1], v.shape[-1])
    if (getattr(output, "shape", None), getattr(weights, "shape", None)) == shapes:
        blame(SWAPPED)
    return output, weights


def attention_behind(answer, place, q, k, v):
    """Return the attention that gives this output (place 0) or these weights (1).

    It is the right one, or one with a mistake that another check names: no mistake is paid for twice.
    """
    if not isinstance(answer, np.ndarray):
        return attention
    known = (mistake for mistake in OF_ATTENTION if part_of(mistake, place).gives(np.nan_to_num(answer), q, k, v))
    return next(known, attention)


@pytest.mark.check(
    "The attention weights are softmax(q kᵀ / sqrt(d)), with other numbers of queries and keys.", weight=6
)
def test_weights(student, rng):
    q, k, v = draw(rng, BATCH)
    _, weights = ask(student, q, k, v)
    right = attention(q, k, v)[1]
    student.show(attention_picture(weights, right))
    expect(weights, answers(right, [part_of(mistake, 1) for mistake in OF_ATTENTION], q, k, v), "The attention weights")


@pytest.mark.check("The output is the average of the values under these weights.", weight=3)
def test_output(student, rng):
    q, k, v = draw(rng, BATCH)
    output, weights = ask(student, q, k, v)
    right = attention(q, k, v)[0], attention_behind(weights, 1, q, k, v)(q, k, v)[0]
    mistakes = [part_of(mistake, 0) for mistake in (*OF_ATTENTION, *OF_THE_OUTPUT)]
    expect(output, answers(right, mistakes, q, k, v), "The output")


def part_of(mistake, place):
    """Return a mistake whose oracle gives the output (0) or the weights (1) alone."""
    return Mistake(mistake.slug, mistake.sentence, lambda q, k, v: mistake(q, k, v)[place])


@pytest.mark.check("Any number of leading axes is allowed: none, two, three; and sizes may be equal, or 1.")
@pytest.mark.parametrize("leading", [(), (BATCH, 4), (BATCH, 4, 3)], ids=["rank_2", "rank_4", "rank_5"])
def test_leading_axes(student, rng, leading):
    head_dim = HEAD_DIM + 2 + len(leading)  # another one for each rank
    equal = draw(rng, *leading, queries=KEYS, head_dim=head_dim, value_dim=head_dim)
    of_one = (1, *leading[1:]) if leading else ()  # a batch of one
    for q, k, v in (equal, draw(rng, *of_one, head_dim=head_dim + 4)):
        k[..., 0, :] = 0.0  # a key like any other: there is no mask
        output, weights = ask(student, q, k, v)
        expect_known(output, weights, (q, k, v), f"of rank-{q.ndim} input")


def expect_known(output, weights, inputs, what):
    """Compare both with the right ones; a mistake that another check names is not paid for again."""
    expect(weights, answers(attention_behind(weights, 1, *inputs)(*inputs)[1]), f"The attention weights {what}")
    expect(output, answers(attention_behind(output, 0, *inputs)(*inputs)[0]), f"The output {what}")


@pytest.mark.check("Large scores, above zero or below, neither overflow nor turn into nan.", weight=2)
def test_large_scores(student, rng):
    for size in ("large", "low"):
        q, k, v = draw_clear_winners(rng, low=size == "low")
        output, _ = ask(student, q, k, v)
        blame_for_overflow(output, UNDERFLOWS if size == "low" else OVERFLOWS)
        if isinstance(output, np.ndarray) and size == "low" and not output.any(axis=-1).all():
            blame(UNDERFLOWS)
        nearest = np.take_along_axis(v, np.argmax(q @ swap(k), axis=-1)[..., None], axis=1)
        what = f"The output for {size} scores"
        output = expect_array(output, nearest.shape, what)
        expect(output, answers(nearest), f"{what}, which is the value of each query's best key")


def draw_clear_winners(rng, low):
    """Return q, k and v such that each query has one best key by far, in float32 and however the scores are scaled.

    Its score is far above zero; or, if `low`, far below zero like all others.
    """
    while True:
        q, k, v = draw(rng, BATCH)
        q, k = 15 * q, 40 * k
        if low:
            q[..., 0], k[..., 0] = 200, -200
        ranked = np.sort(q @ swap(k), axis=-1)
        is_clear = (ranked[..., -1] - ranked[..., -2]).min() > 40 * HEAD_DIM
        best = ranked[..., -1]
        if is_clear and (best.max() < -1000 * HEAD_DIM if low else best.min() > 1000):
            return q, k, v


@pytest.mark.check("Gradients reach queries, keys and values, and are those of the output.")
def test_gradients(student, rng):
    q, k, v = draw(rng, BATCH)
    made = attention_behind(ask(student, q, k, v)[0], 0, q, k, v)
    layer = student.as_layer("scaled_dot_product_attention")
    subject = Subject(layer, lambda inputs, _: made(*inputs)[0])
    expect_gradients(subject, [array.shape for array in (q, k, v)], rng)


@pytest.mark.check("In training it gives the same as in inference: nothing in it is left to chance.")
def test_training(student, rng):
    layer = student.as_layer("scaled_dot_product_attention")
    expect_same_in_training(layer, draw(rng, BATCH))
    of_heads = draw(rng, BATCH, 4)
    if is_known_in_inference(student, of_heads):
        expect_same_in_training(layer, of_heads)


def expect_same_in_training(layer, inputs):
    """Compare output and weights in training with the right ones."""
    expect_known(*pair_of(layer(*inputs, training=True), *inputs), inputs, "in training")


def is_known_in_inference(student, inputs):
    """Whether the answer to these inputs passes: another check judges what does not."""
    try:
        expect_known(*ask(student, *inputs), inputs, "in inference")
    except (CheckFailed, StudentRaised):
        return False
    return True
