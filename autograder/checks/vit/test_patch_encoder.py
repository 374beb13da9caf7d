"""Hidden checks of `PatchEncoder(num_patches=4, projection_dim=768)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import expect, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import ABSENT, positions_in, values_at
from autograder.checking.remote import Student, apply
from autograder.checking.variables import Variables
from autograder.checks.vit.oracles.vision_transformer import dense_parameters
from autograder.checks.vit.readings.counting import expect_size
from autograder.checks.vit.readings.encoders import NO_BIAS, NO_ROW_FOR_TOKEN, TOKEN_NOT_TRAINABLE, read_encoder
from autograder.errors import CheckFailed

BATCH, PATCHES, PATCH_DIM, WIDTH = 3, 5, 10, 7


MASKED = Mistake(
    "tokens_masked",
    "Your tokens come with a mask that hides the first one from the layers behind them. Is it `mask_zero=True`? No position is "
    "padding.",
    lambda tokens: np.concatenate([np.zeros_like(tokens[:, :1]), tokens[:, 1:]], axis=1),
)


def draw(rng, batch=BATCH, patches=PATCHES, patch_dim=PATCH_DIM):
    """Return flat patches as float32."""
    return rng.normal(size=(batch, patches, patch_dim)).astype(np.float32)


def read(student: Student, rng):
    """Return the encoder as it was read, or why it could not be."""
    try:
        layer = student.layer("PatchEncoder", PATCHES, WIDTH)
        layer(draw(rng))
        return read_encoder(layer, draw(rng), WIDTH, rng)
    except CheckFailed as failed:
        return failed


@pytest.fixture
def encoder(student, task_rng):
    """The encoder, as it was read."""
    found = student.once(read, task_rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


@pytest.mark.check("Tokens are the class token and the projected patches, each plus its position embedding.", weight=4)
def test_tokens(encoder, rng):
    if encoder.mistake is not None:
        blame(encoder.mistake)
    patches, values = draw(rng), encoder.variables.draw(rng)
    encoder.variables.set(values)
    expect(encoder.layer(patches), answers(encoder.oracle(patches, values_at(encoder.places, values))), "The tokens")


@pytest.mark.check("It has a projection with bias, a class token and a position embedding for every token.", weight=2)
def test_parameters(encoder):
    places, trainable = encoder.places, encoder.variables.trainable
    if (places.projection.bias == ABSENT).all():
        blame(NO_BIAS)
    if (places.token == ABSENT).all():
        blame(TOKEN_NOT_TRAINABLE)
    if encoder.mistake is NO_ROW_FOR_TOKEN:
        blame(NO_ROW_FOR_TOKEN)
    right = dense_parameters(PATCH_DIM, WIDTH) + WIDTH + (PATCHES + 1) * WIDTH
    expect_size(encoder.variables.size, right, f"{PATCHES} patches of {PATCH_DIM} values and projection_dim {WIDTH}")
    frozen = [place for place, trained in zip(encoder.variables.positions, trainable, strict=True) if not trained]
    if any(np.isin(places.token, place).all() for place in frozen):
        blame(TOKEN_NOT_TRAINABLE)
    require(not frozen, "Some weights of the encoder are not trainable. All must be learned.")


@pytest.mark.check("In a model, in training as well, it does the same for any number of images; and for one patch.")
def test_inside_a_model(student, encoder, rng):
    made = apply("PatchEncoder", [0], init=[PATCHES, WIDTH])
    variables = Variables(student.model([(PATCHES, PATCH_DIM)], made, apply("grader.Unmasked", [1])))
    require(variables.shapes == encoder.variables.shapes, "Inside a model, the encoder has other weights than alone.")
    values = variables.draw(rng)
    variables.set(values)
    for batch, training in ((BATCH, True), (BATCH + 2, False), (1, True)):
        patches = draw(rng, batch)
        right = encoder.oracle(patches, values_at(encoder.places, values))
        tokens = variables.layer(patches, training=training)
        expect(tokens, answers(right, [MASKED], right), f"In a model, the tokens of {batch} images")
    if encoder.mistake is None:  # otherwise another check names it
        expect_one_patch(student, rng)


def expect_one_patch(student: Student, rng):
    """End the check unless an encoder of a single patch is read like any other."""
    layer, patches = student.layer("PatchEncoder", 1, WIDTH), draw(rng, patches=1)
    layer(patches)
    found = read_encoder(layer, patches, WIDTH, rng)
    require(found.mistake is None, "With num_patches = 1, the tokens are wrong.")


@pytest.mark.check("Without arguments, there are 4 patches and projection_dim is 768.")
def test_defaults(student, encoder, rng):
    layer, patches = student.layer("PatchEncoder"), draw(rng, 2, 4, 3)
    layer(patches)
    found = read_encoder(layer, patches, 768, rng)
    require(found.mistake == encoder.mistake, "Without arguments, the tokens are wrong.")


@pytest.mark.check("Training reaches projection, class token and positions, and nothing is added to the loss.")
def test_gradients(encoder, rng):
    values = encoder.variables.draw(rng)
    encoder.variables.set(values)

    def output(inputs, values):
        return encoder.oracle(inputs[0], values_at(encoder.places, values))

    subject = Subject.of(encoder.variables, values, output, positions_in(encoder.places), training=True)
    expect_gradients(subject, [(BATCH, PATCHES, PATCH_DIM)], rng)
