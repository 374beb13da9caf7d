"""Hidden checks of `transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1)`.

The block is asked as `Input -> transformerBlock -> Model`, with all weights set by the grader.
"""

from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest

from autograder.checking.comparisons import agrees, expect, require, rounded
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import moved_to, positions_in, values_at
from autograder.checking.variables import Variables, without
from autograder.checks.vit.dropout.blocks import attention_in_training, network_in_training
from autograder.checks.vit.dropout.networks import (
    ALWAYS_ON,
    blame_for_dropout,
    expect_frequencies,
    expect_nothing_dropped,
)
from autograder.checks.vit.mistakes.attention import blame_for_overflow, has_clear_winners
from autograder.checks.vit.mistakes.blocks import NO_ATTENTION_DROPOUT
from autograder.checks.vit.oracles.vision_transformer import dense_parameters, multi_head_attention
from autograder.checks.vit.readings.block_parts import BlockSizes
from autograder.checks.vit.readings.blocks import BATCH, STABLE, draw_tokens, read_block
from autograder.checks.vit.readings.counting import expect_size
from autograder.checks.vit.readings.networks import DRAWS, LIST_CHANGED, enliven
from autograder.errors import CheckFailed, StudentRaised

SIZES = BlockSizes(tokens=6, model_dim=5, heads=2, hidden=4)
OTHER = BlockSizes(tokens=4, model_dim=6, heads=1, hidden=5, between=(7,))
"""Of a block of which only the weights are counted, and which is asked in training without dropout."""
WIDTHS = (SIZES.hidden, SIZES.model_dim)
LOUD = 100.0
"""How much larger queries and keys are made: then an exponential of a score overflows."""
RATE, DEFAULT_RATE, SAMPLES = 0.3, 0.1, 48

OTHER_DEFAULT = Mistake("other_default_rate", "Without the argument, dropout_rate is 0.1; yours is another.")
ELSEWHERE = (
    "In training, dropout on what the {part} returns cannot give your outputs. It must drop units of that, before the "
    "residual addition, and nothing else."
)


def read(student, rng):
    """Return the block as it was read, or why it could not be."""
    try:
        return read_block(student, SIZES, RATE, rng)
    except CheckFailed as failed:
        return failed


@pytest.fixture
def quiet_block(student, task_rng):
    """The block, as it was read, if only as long as nothing comes from its attention."""
    found = student.once(read, task_rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


@pytest.fixture
def block(quiet_block):
    """The block, as it was read, attention included."""
    if quiet_block.unread is not None:
        raise quiet_block.unread
    return quiet_block


@pytest.mark.check("Attention, residual, normalisation, mlp, residual, normalisation: in that order.", weight=3)
def test_output(block, rng):
    if block.mistake is not None:
        blame(block.mistake)
    x, values = block.draw(rng)
    expect(block.layer(x), answers(block.oracle(x, values_at(block.places, values))), "The output")


@pytest.mark.check(
    "Where nothing comes from the attention, the rest is right: two normalisations, mlp, residual.", weight=2
)
def test_without_attention(quiet_block, rng):
    block, x = quiet_block, draw_tokens(rng, SIZES)
    if block.mistake is not None:
        blame(block.mistake)
    values = without(block.variables.draw(rng), positions_in(block.places.attention))
    block.variables.set(values)
    expect(block.layer(x), answers(block.oracle(x, values_at(block.places, values))), "The output without attention")


@pytest.mark.check("One block can follow another, and nothing overflows where the scores are large.", weight=0.5)
def test_in_turn(student, block, rng):
    variables = make_two(student, block)
    places = [moved_to(block.places, half) for half in np.split(np.arange(variables.size), 2)]

    def two(x, values):
        return block.oracle(block.oracle(x, values_at(places[0], values)), values_at(places[1], values))

    for _ in range(DRAWS):
        x, values = draw_tokens(rng, SIZES, batch=1), variables.draw(rng)
        for part in (places[0].attention.query, places[0].attention.key):
            values[part] *= LOUD
        weights = multi_head_attention(x, x, x, values_at(places[0].attention, values))[1]
        right = two(x, values)
        if has_clear_winners(weights) and agrees(two(rounded(x, rng), rounded(values, rng)), right, STABLE):
            break
    variables.set(values)
    output = variables.layer(x)
    blame_for_overflow(output)
    expect(output, answers(right), "The output of two blocks in turn for a single image")


def make_two(student, block):
    """Return the variables of two blocks in turn, made with the same list of widths."""
    try:
        variables = Variables(SIZES.model(student, 0.0, on=(0, 1)))
        require(
            variables.shapes == 2 * block.variables.shapes,
            "Two blocks in turn have other weights than twice those of a block.",
        )
    except (CheckFailed, StudentRaised):
        if not has_same_weights_again(student, block):
            blame(LIST_CHANGED)
        raise
    return variables


def has_same_weights_again(student, block):
    """Whether the block that a second call makes with the same list of widths has the weights of the first one."""
    try:
        return Variables(SIZES.model(student, 0.0, on=(0, 0))).shapes == block.variables.shapes
    except (CheckFailed, StudentRaised):
        return False


@pytest.mark.check("Attention and mlp have as many weights as the heads and widths that are asked for.", weight=1.5)
def test_parameters(student, block):
    expect_parameters(block.variables, SIZES)
    expect_parameters(Variables(student.once(make_other)), OTHER)
    require(all(block.variables.trainable), "Some weights of the block are not trainable. All must be learned.")


def make_other(student):
    """Return a block of other sizes, without dropout."""
    return OTHER.model(student, 0.0)


def expect_parameters(variables, sizes):
    """Compare a block's number of weights with that of a block of these sizes."""
    d = sizes.model_dim
    network = sum(dense_parameters(before, after) for before, after in pairwise([d, *sizes.widths]))
    right = 4 * sizes.heads * d**2 + network + 2 * (2 * d)
    expect_size(variables.size, right, f"num_heads={sizes.heads}, projection_dim={d} and mlp widths {sizes.widths}")


@pytest.mark.check("In training, dropout acts on what the attention returns, before its residual addition.")
def test_attention_dropout(block, rng):
    if block.always_on:
        blame(ALWAYS_ON)
    attended = attention_in_training(block, RATE, SAMPLES, rng)
    kept = attended.kept(RATE)
    if kept is None:
        blame_for_dropout(block.mistake, attended.has_other_rate, ELSEWHERE.format(part="attention"))
    if kept.units.all():
        blame(NO_ATTENTION_DROPOUT)
    expect_frequencies([kept], [1 - RATE])


@pytest.mark.check("In training, dropout acts within the mlp and on what it returns, before its residual addition.")
def test_network_dropout(student, quiet_block, rng):
    block = quiet_block
    if block.always_on:
        blame(ALWAYS_ON)
    require(
        block.sizes == SIZES, f"The mlp has not the widths {list(WIDTHS)} that are asked for, so it is not looked into."
    )
    network = network_in_training(block, RATE, SAMPLES, rng)
    network.expect_dropout(RATE, block.mistake, ELSEWHERE.format(part="mlp"))
    with suppress(StudentRaised):  # if it cannot be made, another check says why
        expect_nothing_dropped(student.once(make_other), draw_tokens(rng, OTHER, batch=SAMPLES))


@pytest.mark.check("Without the argument, dropout_rate is 0.1.", weight=0.5)
def test_default_rate(student, block, rng):
    if block.always_on:
        blame(ALWAYS_ON)
    attended = attention_in_training(block.in_another(SIZES.model(student)), DEFAULT_RATE, 2 * SAMPLES, rng)
    kept = attended.kept(DEFAULT_RATE)
    if kept is None:
        blame_for_dropout(block.mistake, attended.has_other_rate, ELSEWHERE.format(part="attention"), OTHER_DEFAULT)
    if kept.units.all():  # nothing is dropped: by default, or at any rate
        asked = attention_in_training(block, RATE, SAMPLES, rng).kept(RATE)
        blame(NO_ATTENTION_DROPOUT if asked is not None and asked.units.all() else OTHER_DEFAULT)


@pytest.mark.check("Gradients reach every weight and the input, and are those of the output.", weight=0.5)
def test_gradients(block, rng):
    values = enliven(block.variables.draw(rng), block.places.network, rng, masked=False)
    block.variables.set(values)

    def output(inputs, values):
        return block.oracle(inputs[0], values_at(block.places, values))

    subject = Subject.of(block.variables, values, output, positions_in(block.places))
    expect_gradients(subject, [(BATCH, SIZES.tokens, SIZES.model_dim)], rng)
