"""Hidden checks of `transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1)`.

The block is asked as `Input -> transformerBlock -> Model`, with all weights set by the grader.
"""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect, expect_array, fail, require
from autograder.checking.dropout import Outcomes, all_masks, is_as_frequent, is_independent, kept_factors
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import positions_in, values_at
from autograder.checks.vit.block_mistakes import NO_ATTENTION_DROPOUT
from autograder.checks.vit.block_parts import BlockSizes
from autograder.checks.vit.blocks import BATCH, draw_tokens, read_block
from autograder.checks.vit.counting import expect_size
from autograder.checks.vit.networks import (
    ALWAYS_ON,
    NEVER_ON,
    OTHER_RATE,
    RATES,
    enliven,
    expect_frequencies,
    explain_network_dropout,
    shares_of,
)
from autograder.checks.vit.oracle import dense_parameters
from autograder.errors import CheckFailed

SIZES = BlockSizes(tokens=6, model_dim=5, heads=2, hidden=4)
WIDTHS = (SIZES.hidden, SIZES.model_dim)
RATE, DEFAULT_RATE, SAMPLES = 0.3, 0.1, 48

OTHER_DEFAULT = Mistake("other_default_rate", "Without the argument, dropout_rate is 0.1; yours is another.")
ELSEWHERE = (
    "In training, the outputs are none that dropout on what the {part} returns can give. It drops units of that, before "
    "the residual addition, and nothing else."
)


def read(student, rng):
    """Return the block as it was read, or why it could not be."""
    try:
        return read_block(student, SIZES, RATE, rng)
    except CheckFailed as failed:
        return failed


@pytest.fixture
def block(student, task_rng):
    """The block, as it was read."""
    found = student.once(read, task_rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


@pytest.mark.check("Attention, residual, normalisation, mlp, residual, normalisation: in that order.", weight=4)
def test_output(block, rng):
    if block.mistake is not None:
        blame(block.mistake)
    x, values = draw_tokens(rng, SIZES), block.variables.draw(rng)
    block.variables.set(values)
    expect(block.layer(x), answers(block.oracle(x, values_at(block.places, values))), "The output")


@pytest.mark.check("Attention and mlp have as many weights as the heads and widths that are asked for.", weight=2)
def test_parameters(block):
    d, hidden = SIZES.model_dim, SIZES.hidden
    right = 4 * SIZES.heads * d**2 + dense_parameters(d, hidden) + dense_parameters(hidden, d) + 2 * (2 * d)
    expect_size(block.variables.size, right, f"{SIZES.heads} heads, width {d} and mlp widths {[hidden, d]}")
    require(all(block.variables.trainable), "Some weights of the block are not trainable. All must be learned.")


@pytest.mark.check("In training, dropout acts on what the attention returns, before its residual addition.")
def test_attention_dropout(block, rng):
    if block.always_on:
        blame(ALWAYS_ON)
    kept = attention_masks(block, block, RATE, rng)
    if kept is None:
        if any(attention_masks(block, block, rate, rng) is not None for rate in RATES):
            blame(OTHER_RATE)
        fail(ELSEWHERE.format(part="attention"))
    if kept.all():
        blame(NO_ATTENTION_DROPOUT)
    if not is_as_frequent(kept, 1 - RATE):
        blame(OTHER_RATE)
    if not is_independent(kept, np.ones(kept.shape[:-1], bool), 1 - RATE):
        fail("Your dropout drops the same units of several tokens or samples. Each has a mask of its own.")


def attention_masks(block, asked, rate, rng):
    """Return which units of the attention each sample kept, if its dropout has this rate; None if that explains nothing.

    With the mlp silenced, there is one outcome for each mask of the attention's features.
    """
    places = block.places
    values = asked.silenced(block.variables.draw(rng), places.network.layers[-1])
    x = draw_tokens(rng, SIZES, batch=1)
    samples = ask_in_training(asked.layer, x)
    weights, masks = values_at(places, values), all_masks(SIZES.model_dim)
    outcomes = block.oracle(x, weights, kept_factors(masks, rate)[:, None])  # (outcomes, tokens, model_dim)
    if close(outcomes, np.broadcast_to(outcomes[:1], outcomes.shape)):  # a mistake hides what the attention does
        return None
    if close(samples, np.broadcast_to(block.oracle(x, weights), samples.shape)):
        return np.ones((SAMPLES, SIZES.tokens, SIZES.model_dim), bool)
    return Outcomes(outcomes, masks).decode(samples)


def ask_in_training(layer, x):
    """Return outputs in training for many samples of the same tokens."""
    samples = np.broadcast_to(x, (SAMPLES, *x.shape[1:]))
    return expect_array(layer(samples, training=True), samples.shape, "The output in training")


@pytest.mark.check("In training, dropout acts within the mlp and on what it returns, before its residual addition.")
def test_network_dropout(block, rng):
    if block.always_on:
        blame(ALWAYS_ON)
    require(
        block.sizes == SIZES, f"The mlp has not the widths {list(WIDTHS)} that are asked for, so it is not looked into."
    )
    drawn = enliven(block.variables.draw(rng), block.places.network, rng, masked=True)
    values = block.silenced(drawn, block.places.attention)
    x = draw_tokens(rng, SIZES, batch=1)
    samples, weights = ask_in_training(block.layer, x), values_at(block.places, values)
    if close(samples, np.broadcast_to(block.oracle(x, weights), samples.shape)):
        blame(NEVER_ON)

    def run(factors):
        return block.oracle(x, weights, 1.0, [factor[:, None] for factor in factors])

    found = explain_network_dropout(samples, WIDTHS, RATE, (1, 2), run)
    if found is None:
        if any(explain_network_dropout(samples, WIDTHS, rate, (1, 2), run) for rate in RATES):
            blame(OTHER_RATE)
        fail(ELSEWHERE.format(part="mlp"))
    expect_frequencies(found.kept, shares_of(found, WIDTHS, RATE))


@pytest.mark.check("Without the argument, dropout_rate is 0.1.")
def test_default_rate(student, block, rng):
    if block.always_on:
        blame(ALWAYS_ON)
    default = block.in_another(SIZES.model(student))
    kept = attention_masks(block, default, DEFAULT_RATE, rng)
    if kept is None and any(attention_masks(block, default, rate, rng) is not None for rate in RATES):
        blame(OTHER_DEFAULT)
    if kept is None:
        fail(ELSEWHERE.format(part="attention"))
    if kept.all():  # nothing is dropped: by default, or at any rate
        asked = attention_masks(block, block, RATE, rng)
        blame(NO_ATTENTION_DROPOUT if asked is not None and asked.all() else OTHER_DEFAULT)


@pytest.mark.check("Gradients reach every weight and the input, and are those of the output.")
def test_gradients(block, rng):
    values = enliven(block.variables.draw(rng), block.places.network, rng, masked=False)
    block.variables.set(values)

    def output(inputs, values):
        return block.oracle(inputs[0], values_at(block.places, values))

    subject = Subject.of(block.variables, values, output, positions_in(block.places))
    expect_gradients(subject, [(BATCH, SIZES.tokens, SIZES.model_dim)], rng)
