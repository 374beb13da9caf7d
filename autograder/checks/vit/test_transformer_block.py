"""Hidden checks of `transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1)`.

The block is asked as `Input -> transformerBlock -> Model`, with all weights set by the grader.
"""

import numpy as np
import pytest

from autograder.checking.comparisons import expect, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import moved_to, positions_in, values_at
from autograder.checking.variables import Variables, without
from autograder.checks.vit.dropout.blocks import attention_in_training, network_in_training
from autograder.checks.vit.dropout.networks import ALWAYS_ON, blame_for_dropout, expect_frequencies
from autograder.checks.vit.mistakes.blocks import NO_ATTENTION_DROPOUT
from autograder.checks.vit.oracles.vision_transformer import dense_parameters
from autograder.checks.vit.readings.block_parts import BlockSizes
from autograder.checks.vit.readings.blocks import BATCH, draw_tokens, read_block
from autograder.checks.vit.readings.counting import expect_size
from autograder.checks.vit.readings.networks import enliven
from autograder.errors import CheckFailed

SIZES = BlockSizes(tokens=6, model_dim=5, heads=2, hidden=4)
OTHER = BlockSizes(tokens=4, model_dim=6, heads=3, hidden=5)
"""Of a block of which only the weights are counted."""
WIDTHS = (SIZES.hidden, SIZES.model_dim)
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


@pytest.mark.check("One block can follow another.", weight=0.5)
def test_in_turn(student, block, rng):
    variables = Variables(SIZES.model(student, 0.0, blocks=2))
    shapes = 2 * block.variables.shapes
    require(variables.shapes == shapes, "Two blocks in turn have other weights than twice those of a block.")
    values, x = variables.draw(rng), draw_tokens(rng, SIZES)
    variables.set(values)
    right = x
    for positions in np.split(np.arange(variables.size), 2):
        right = block.oracle(right, values_at(moved_to(block.places, positions), values))
    expect(variables.layer(x), answers(right), "The output of two blocks in turn")


@pytest.mark.check("Attention and mlp have as many weights as the heads and widths that are asked for.", weight=1.5)
def test_parameters(student, block):
    expect_parameters(block.variables, SIZES)
    expect_parameters(Variables(OTHER.model(student, 0.0)), OTHER)
    require(all(block.variables.trainable), "Some weights of the block are not trainable. All must be learned.")


def expect_parameters(variables, sizes):
    """Compare a block's number of weights with that of a block of these sizes."""
    d, hidden = sizes.model_dim, sizes.hidden
    right = 4 * sizes.heads * d**2 + dense_parameters(d, hidden) + dense_parameters(hidden, d) + 2 * (2 * d)
    expect_size(variables.size, right, f"{sizes.heads} heads, width {d} and mlp widths {[hidden, d]}")


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
def test_network_dropout(quiet_block, rng):
    block = quiet_block
    if block.always_on:
        blame(ALWAYS_ON)
    require(
        block.sizes == SIZES, f"The mlp has not the widths {list(WIDTHS)} that are asked for, so it is not looked into."
    )
    network = network_in_training(block, RATE, SAMPLES, rng)
    network.expect_dropout(RATE, block.mistake, ELSEWHERE.format(part="mlp"))


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
