"""Hidden checks of `mlp(x, hidden_units, dropout_rate)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect, expect_array, fail, require
from autograder.checking.remote import Student, node
from autograder.checks.vit.former_oracle import dense, identity, mlp, mlp_variants
from autograder.checks.vit.misconceptions import answers, blame, expect_dropout, expect_rates

BATCH, TOKENS, WIDTH = 2, 5, 12
UNITS = (20, 16, 7)


def make(student: Student, dropout_rate=0.0):
    """Return `mlp` as a model on tokens."""
    return student.model([(TOKENS, WIDTH)], node("mlp", [0], list(UNITS), dropout_rate))


def draw(rng):
    """Return tokens as float32."""
    return rng.normal(size=(BATCH, TOKENS, WIDTH)).astype(np.float32)


def randomise(model, rng):
    """Set all weights to random values; return kernel and bias of each dense layer in turn."""
    arrays = [0.5 * rng.normal(size=one.shape).astype(np.float32) for one in model.weights()]
    model.set_weights(arrays)
    layers, before = [], WIDTH
    for width in UNITS:
        kernel = [one for one in arrays if one.shape == (before, width)]
        bias = [one for one in arrays if one.shape == (width,)] or [np.zeros(width)]  # another check counts them
        if len(kernel) != 1 or len(bias) != 1:
            fail(f"Expected one dense layer from {before} to {width} units for hidden_units={list(UNITS)}.")
        layers.append((kernel[0], bias[0]))
        before = width
    return layers


@pytest.mark.check("There is one dense layer for each width in hidden_units.")
def test_widths(student):
    model = student.once(make)
    found = sum(int(np.prod(one.shape)) for one in model.weights() if one.trainable)
    widths = (WIDTH, *UNITS)
    right = sum(dense(before, after) for before, after in zip(widths, UNITS, strict=False))
    require(
        found == right, f"Expected {right} weights for hidden_units={list(UNITS)} on {WIDTH} features; got {found}."
    )


@pytest.mark.check("The output is that of the dense layers with ReLU or GELU between them.", weight=2)
def test_output(student, rng):
    x, model = draw(rng), student.once(make)
    layers = randomise(model, rng)
    output = expect_array(model(x), (BATCH, TOKENS, UNITS[-1]), "The output")
    wrong = {"non_linearity_missing": mlp(x, layers, identity, last=False)}
    for activation in (np.tanh, lambda one: 1 / (1 + np.exp(-one)), lambda one: np.where(one > 0, one, np.expm1(one))):
        for last in (False, True):
            if close(output, mlp(x, layers, activation, last=last)):
                blame("non_linearity_of_other_kind")
    expect(output, answers(mlp_variants(x, layers), wrong), "The output")


@pytest.mark.check("Dropout is active in training and only there.")
def test_dropout(student, rng):
    x, model = draw(rng), student.once(make, 0.3)
    randomise(model, rng)
    shape = (BATCH, TOKENS, UNITS[-1])
    calm = [expect_array(model(x, training=False), shape, "The output") for _ in range(2)]
    lively = [expect_array(model(x, training=True), shape, "The output in training") for _ in range(2)]
    expect_dropout(calm, lively)
    expect_rates(model, 0.3)
