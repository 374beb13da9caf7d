"""Hidden checks of `MultiHeadAttention(n_heads, proj_size, dk, dv, return_attention_weights=False)`.

All weights of the layer are set, and a reading is looked for: which of its variables are which projection. Under it,
the layer must compute multi-head attention, whatever it is asked. See `readings/heads.py`.
"""

import numpy as np
import pytest

from autograder.checking.comparisons import expect, fail, fail_for_kind, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import positions_in, values_at
from autograder.checking.remote import apply
from autograder.checks.vit.mistakes.attention import blame_for_overflow, has_clear_winners
from autograder.checks.vit.readings.heads import BATCH, EQUAL, ONE_HEAD, SIZES, draw, read_heads

TOKENS, QUERIES, KEYS = 6, 5, 7
LOUD = 100.0
"""How much larger queries and keys are made: then an exponential of a score overflows."""
DRAWS = 16
"""Most draws until each query has one key by far, which rounding cannot exchange for another."""

BIASED = Mistake("biased_projections", "Your projections have biases. The layer has none.")

ALL_ZEROS = Mistake(
    "weights_start_at_zero",
    "Your projections start as zeros. From there no gradient moves them, so the layer learns nothing: draw them at random.",
)
ALL_EQUAL = Mistake(
    "weights_start_equal",
    "All weights of your projections start as one number, so all heads are the same and stay so: draw them at random.",
)
OTHER_FOR_ONE_HEAD = Mistake(
    "other_for_one_head",
    "With n_heads = 1 the output is not that of multi-head attention, although with more heads it is. A single head is "
    "projected like several, by WO in the end, too.",
)


@pytest.fixture
def heads(student, task_rng):
    """The layer with different sizes on all axes, as it was read."""
    return read_heads(student, SIZES, task_rng)


@pytest.mark.check(
    "The output is that of multi-head attention: project, attend, concatenate the heads, project.", weight=3
)
@pytest.mark.parametrize(
    "layers", [pytest.param((SIZES, ONE_HEAD), id="different_sizes"), pytest.param((EQUAL,), id="equal_sizes")]
)
def test_output(student, task_rng, rng, layers):
    made = [read_heads(student, sizes, task_rng) for sizes in layers]
    for sizes, found in zip(layers, made, strict=True):  # all are made before: what they share by mistake shows
        if found.mistake is not None:
            blame(found.mistake)
        if made[0].sizes == layers[0] and found.sizes != sizes:  # only the first one could be read at all
            blame(OTHER_FOR_ONE_HEAD)
        values, inputs = found.set_weights(rng), draw(rng, found.sizes, TOKENS, TOKENS)
        what = f"The output for n_heads={found.sizes.heads}"
        expect(found.layer(*inputs), answers(found.right(values, *inputs)[0]), what)


@pytest.mark.check(
    "There may be more or fewer queries than keys; each query is answered by itself, with large scores, too.",
    weight=0.5,
)
@pytest.mark.parametrize(
    "queries, keys, size", [(1, KEYS, 1), (KEYS, QUERIES, LOUD)], ids=["more_keys", "more_queries"]
)
def test_other_lengths(heads, rng, queries, keys, size):
    values = heads.set_weights(rng)
    for _ in range(DRAWS):
        q, k, v = draw(rng, heads.sizes, queries, keys)
        inputs = size * q, size * k, v
        right, weights = heads.right(values, *inputs)
        if size == 1 or has_clear_winners(weights):
            break
    output = heads.layer(*inputs)
    blame_for_overflow(output)
    expect(output, answers(right), f"With n_queries = {queries} and n_keys = {keys}, the output")


@pytest.mark.check("The layer holds the weights of four projections without bias, all trainable.", weight=2)
def test_parameters(heads):
    require(all(heads.variables.trainable), "Some weights of the layer are not trainable. All must be learned.")
    extra = heads.variables.size - len(positions_in(heads.places))
    if extra:
        width = heads.sizes.heads * heads.sizes.width
        if extra in (heads.sizes.width, 3 * width, 3 * width + heads.sizes.width):
            blame(BIASED)
        fail(f"Beside the four projections, the layer holds {extra} further weights.", "wrong_number_of_weights")


@pytest.mark.check("return_attention_weights=True also returns the weights: a distribution over the keys.", weight=1.5)
def test_attention_weights(student, heads, rng):
    flagged = heads.with_weights(student)
    values, inputs = flagged.set_weights(rng), draw(rng, heads.sizes, QUERIES, KEYS)
    answer = flagged.layer(*inputs, training=True)
    if not isinstance(answer, tuple) or len(answer) != 2:
        fail_for_kind("With return_attention_weights=True the layer must return (output, weights)", answer)
    output, per_head = flagged.right(values, *inputs)  # (batch, queries, width), (batch, heads, queries, keys)
    right = per_head.mean(axis=1) if getattr(answer[1], "ndim", 0) == 3 else per_head[:, order_of(answer[1], per_head)]
    expect(answer[1], answers(right), "The attention weights")
    expect(answer[0], answers(output), "With return_attention_weights=True, the output")


def order_of(weights, per_head):
    """Return the heads in the order of the submission's: a layout that was discovered tells them apart, not their order."""
    if getattr(weights, "shape", None) != per_head.shape:
        return np.arange(per_head.shape[1])
    apart = np.abs(weights[:, :, None] - per_head[:, None]).max(axis=(0, 3, 4))  # (theirs, ours)
    order = apart.argmin(axis=1)
    return order if len(set(order)) == len(order) else np.arange(len(order))


@pytest.mark.check("Gradients reach every weight and input, and are those of the output.", weight=0.5)
def test_gradients(heads, rng):
    values, sizes = heads.set_weights(rng), heads.sizes
    subject = Subject.of(
        heads.variables,
        values,
        lambda inputs, values: heads.right(values, *inputs)[0],
        positions_in(heads.places),
        training=True,
    )
    expect_gradients(subject, [(BATCH, QUERIES, sizes.dk), (BATCH, KEYS, sizes.dk), (BATCH, KEYS, sizes.dv)], rng)


def expect_lively_start(heads):
    """End the check if the layer's own first weights keep it from learning, or all its heads alike."""
    parts = values_at(heads.places, heads.variables.now("layer"))
    query, key, value, output = parts.query, parts.key, parts.value, parts.output
    if not (query.any() or key.any()) or not (value.any() or output.any()):
        blame(ALL_ZEROS)
    if all(np.ptp(part) == 0 for part in (query, key, value)):
        blame(ALL_EQUAL)


@pytest.mark.check("Inside a model, in training as well, it gives the same for batches of any size.")
def test_inside_a_model(student, heads, rng):
    sizes, tokens = heads.sizes, [(TOKENS, heads.sizes.dk), (TOKENS, heads.sizes.dk), (TOKENS, heads.sizes.dv)]
    made = apply("MultiHeadAttention", [0, 1, 2], init=[sizes.heads, sizes.width, sizes.dk, sizes.dv])
    model = heads.in_another(student.model(tokens, made))
    expect_lively_start(model)
    values = model.set_weights(rng)
    for batch in (1, BATCH + 3):
        inputs = draw(rng, sizes, TOKENS, TOKENS, batch)
        output = model.layer(*inputs, training=True)
        expect(output, answers(model.right(values, *inputs)[0]), f"In a model, the output for a batch of {batch}")
