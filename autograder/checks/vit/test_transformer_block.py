"""Hidden checks of `transformerBlock(x, num_heads, projection_dim, transformer_units, dropout_rate=0.1)`.

The block is tested as `Input -> transformerBlock -> Model`. Attention and mlp are taken as they are, by
themselves: what is graded here is how the block puts them together.
"""

import itertools
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect, expect_array, fail, require
from autograder.checking.remote import Layer, Student, node
from autograder.checks.vit.former_oracle import ACTIVATIONS, dense, layer_norm, mlp, wrong_blocks
from autograder.checks.vit.misconceptions import answers, blame, expect_dropout, expect_rates

BATCH, TOKENS, WIDTH, HEADS = 2, 6, 8, 3
UNITS = (3 * WIDTH, WIDTH)
PLAIN = {"Dense", "LayerNormalization", "Dropout", "InputLayer", "Add", "Activation", "ReLU"}


def make(student: Student, *rate):
    """Return the block as a model; without a rate, the block's own default holds."""
    return student.model([(TOKENS, WIDTH)], node("transformerBlock", [0], HEADS, WIDTH, list(UNITS), *rate))


def draw(rng):
    """Return tokens as float32."""
    return rng.normal(size=(BATCH, TOKENS, WIDTH)).astype(np.float32)


@dataclass(frozen=True)
class Anatomy:
    """The parts of a block and the random weights they got.

    Attributes:
        attention: Returns what the block's own attention gives on tokens.
        dense: Kernel and bias of the two dense layers.
        norms: Scale and offset of the two normalisations.
    """

    attention: Layer
    dense: list
    norms: list


def dissect(model, rng):
    """Set all weights to random values and find attention, mlp and normalisations among the layers."""
    weights = model.weights()
    arrays = [0.5 * rng.normal(size=one.shape).astype(np.float32) for one in weights]
    parts = [part for part in model.parts() if part.weights]
    norms = [part for part in parts if part.kind == "LayerNormalization"]
    for part in norms:  # tokens far larger than any epsilon a normalisation may have
        for index in part.weights:
            if "gamma" in weights[index].name:
                arrays[index] = (30 + 10 * rng.random(weights[index].shape)).astype(np.float32)
    model.set_weights(arrays)
    attention = [part for part in parts if part.kind not in PLAIN]
    if len(attention) != 1:
        fail(
            f"Expected one MultiHeadAttention layer in the block; found {len(attention)} layers that could be it.",
            None if attention else "no_attention",
        )
    if len(norms) != 2:
        fail(
            f"Expected two LayerNormalization layers in the block; found {len(norms)}.", norm_misconception(len(norms))
        )
    kernels = [(part, [arrays[index] for index in part.weights]) for part in parts if part.kind == "Dense"]
    by_shape = {found[0].shape: tuple(found) for _, found in kernels if len(found) == 2}
    if set(by_shape) != {(WIDTH, UNITS[0]), (UNITS[0], WIDTH)}:
        fail(f"Expected an mlp with widths {list(UNITS)} in the block.", "no_mlp" if not by_shape else None)
    return Anatomy(
        attention=attention[0].layer,
        dense=[by_shape[WIDTH, UNITS[0]], by_shape[UNITS[0], WIDTH]],
        norms=[scale_and_offset(part, weights, arrays) for part in norms],
    )


def norm_misconception(found):
    """Return the slug for a missing normalisation."""
    return "normalisation_missing" if found < 2 else None


def scale_and_offset(part, weights, arrays):
    """Return gamma and beta of one normalisation over the features."""
    shapes = {weights[index].shape for index in part.weights}
    if len(part.weights) != 2 or shapes != {(WIDTH,)}:
        fail(
            f"Each LayerNormalization must scale and shift the {WIDTH} features of a token (the last axis); "
            f"yours has weights of shapes {sorted(shapes)}.",
            "norm_over_wrong_axis",
        )
    first, second = part.weights
    gamma, beta = (first, second) if "gamma" in weights[first].name else (second, first)
    return arrays[gamma], arrays[beta]


@pytest.mark.check("Attention and mlp have as many weights as the heads and widths that are asked for.", weight=2)
def test_parameters(student):
    model = student.once(make)
    norms = {index for part in model.parts() if "Normalization" in part.kind for index in part.weights}
    counted = [one for index, one in enumerate(model.weights()) if one.trainable and index not in norms]
    found = sum(int(np.prod(one.shape)) for one in counted)
    right = 4 * HEADS * WIDTH**2 + dense(WIDTH, UNITS[0]) + dense(UNITS[0], WIDTH)
    require(
        found == right,
        f"Expected {right} trainable weights besides the normalisations', for {HEADS} heads, width {WIDTH} and mlp widths "
        f"{list(UNITS)}; got {found}.",
    )


@pytest.mark.check("Attention, residual, normalisation, mlp, residual, normalisation: in that order.", weight=5)
def test_output(student, rng):
    x, model = draw(rng), student.once(make, 0.0)
    anatomy = dissect(model, rng)
    output = expect_array(model(x), (BATCH, TOKENS, WIDTH), "The output")

    def attend(tokens):
        return expect_array(attention_alone(anatomy.attention, tokens), x.shape, "The attention's output").astype(float)

    networks = [
        partial(mlp, layers=anatomy.dense, hidden=one, last=last) for one in ACTIVATIONS for last in (False, True)
    ]
    right, wrong = [], {}
    for norms in itertools.permutations(anatomy.norms):
        first, second = (partial(layer_norm, scale=scale, offset=offset) for scale, offset in norms)
        middle = first(x + attend(x))
        right += [second(middle + network(middle)) for network in networks]
        for slug, value in wrong_blocks(x, attend, networks, (first, second)):
            if close(output, value, 1e-4):
                wrong[slug] = value
    expect(output, answers(right, wrong), "The output", tolerance=5e-5)


def attention_alone(layer, tokens):
    """Return the output of self-attention on these tokens, without its weights."""
    tokens = np.asarray(tokens, np.float32)
    answer = layer(tokens, tokens, tokens)
    return answer[0] if isinstance(answer, tuple) and answer else answer


@pytest.mark.check("In inference the output is the same each time; in training dropout changes it.")
def test_dropout(student, rng):
    x, model = draw(rng), student.once(make, 0.3)
    calm = [expect_array(model(x, training=False), x.shape, "The output") for _ in range(2)]
    lively = [expect_array(model(x, training=True), x.shape, "The output in training") for _ in range(2)]
    expect_dropout(calm, lively)
    expect_rates(model, 0.3)


@pytest.mark.check("There is dropout between the attention and its residual addition.")
def test_attention_dropout(student, rng):
    """With an mlp of zeros, only the attention's own dropout can make two calls in training differ."""
    x, model = draw(rng), student.once(make, 0.3)
    arrays = [0.5 * rng.normal(size=one.shape).astype(np.float32) for one in model.weights()]
    zero(model, arrays, lambda kind: kind == "Dense")
    seeing = expect_array(model(x, training=False), x.shape, "The output")
    lively = [expect_array(model(x, training=True), x.shape, "The output in training") for _ in range(2)]
    if not np.array_equal(*lively):
        return
    zero(model, arrays, lambda kind: kind not in ("Dense", "LayerNormalization"))
    if close(seeing, expect_array(model(x, training=False), x.shape, "The output")):
        fail("The attention has no effect on the output once the mlp returns zeros, so its dropout cannot be seen.")
    blame("no_attention_dropout")


def zero(model, arrays, chosen):
    """Set the weights of the chosen kinds of layers to zero, in the model and in these arrays."""
    for part in model.parts():
        if chosen(part.kind):
            for index in part.weights:
                arrays[index] = np.zeros_like(arrays[index])
    model.set_weights(arrays)


@pytest.mark.check("Training reaches every weight: each has a gradient.")
def test_gradients(student, rng):
    x, model = draw(rng), student.once(make, 0.0)
    arrays = [0.3 * rng.normal(size=one.shape).astype(np.float32) for one in model.weights()]
    model.set_weights(arrays)
    cotangent = rng.normal(size=x.shape).astype(np.float32)
    _, gradients = model.gradients(x, cotangent=cotangent)
    require(bool(gradients), "The block has no trainable weights.")
    dead = sum(1 for one in gradients if one is None or not np.any(one))
    require(dead == 0, f"{dead} of {len(gradients)} weights get no gradient: they have no effect on the output.")
