"""Hidden checks of `mlp(x, hidden_units, dropout_rate)`."""

from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from autograder.checking.comparisons import agrees, expect, expect_array, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.readings import positions_in, values_at
from autograder.checking.remote import Student, node
from autograder.checking.variables import Variables, is_vector
from autograder.checks.vit.dropout.networks import ALWAYS_ON, NetworkInTraining, ask_in_training, expect_nothing_dropped
from autograder.checks.vit.oracles.vision_transformer import dense_parameters, mlp
from autograder.checks.vit.readings.counting import expect_size
from autograder.checks.vit.readings.networks import CAPPED, LIST_CHANGED, dense_layers, enliven, read_network
from autograder.errors import CheckFailed, StudentRaised

BATCH, TOKENS, WIDTH, RATE = 2, 6, 5, 0.3
UNITS = (4, 3, 2)
WIDTHS = (WIDTH, *UNITS)
SAMPLES = 48

ON_TOKENS_ONLY = Mistake(
    "dropout_on_tokens_only",
    "On vectors, which have no axis of tokens, nothing is dropped in training. The model's head calls your mlp on such ones.",
)
DROPPED_ELSEWHERE = (
    "In training, dropout after the dense layers cannot give your outputs. Look at what is dropped: it must be what a "
    "layer returns, after its non-linearity, each unit of each token by itself."
)


def draw(rng, *leading):
    """Return tokens as float32."""
    return rng.normal(size=(*leading, WIDTH)).astype(np.float32)


def make(student: Student, rate=RATE):
    """Return `mlp` as a model on tokens."""
    return student.model([(TOKENS, WIDTH)], node("mlp", [0], list(UNITS), rate))


def read(student: Student, rng):
    """Return the mlp on tokens as it was read, or why it could not be."""
    x = draw(rng, BATCH, TOKENS)
    try:
        return read_network(Variables(make(student)), x, WIDTHS, rng)
    except CheckFailed as failed:
        if failed.misconception != ALWAYS_ON.slug:
            return failed
    try:
        return replace(read_network(Variables(make(student, rate=0.0)), x, WIDTHS, rng), always_on=True)
    except CheckFailed as failed:
        return failed


@pytest.fixture
def network(student, task_rng):
    """The mlp on tokens, as it was read."""
    found = student.once(read, task_rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


@pytest.mark.check("The output is that of the dense layers with ReLU or GELU between them.", weight=2)
def test_output(network, rng):
    if network.mistake is not None:
        blame(network.mistake)
    values = network.variables.draw(rng)
    network.variables.set(values)
    for size in (1, 20):  # large ones, too, since a non-linearity such as ReLU6 shows its cap only there
        x = size * draw(rng, BATCH, TOKENS)
        weights = values_at(network.places, values)
        expect(network.layer(x), answers(mlp(x, weights), [CAPPED], x, weights), "The output")


SHARED = Mistake(
    "layers_shared",
    "Called twice in a model, or for a width twice in a row, your mlp uses layers again that it has used before. Each call "
    "makes layers of its own, one for each width.",
)
ALL_ZEROS = Mistake(
    "kernels_start_at_zero", "All your kernels start as zeros. From there the training moves no kernel."
)


@pytest.mark.check(
    "There is one dense layer for each width in hidden_units, all of it trainable, and new ones for each call."
)
def test_widths(student, network):
    right = sum(dense_parameters(before, after) for before, after in zip(WIDTHS, UNITS, strict=False))
    expect_size(network.variables.size, right, f"hidden_units={list(UNITS)} on {WIDTH} features")
    require(all(network.variables.trainable), "Some weights are not trainable. All must be learned.")
    expect_own_layers(student)


def expect_own_layers(student: Student):
    """End the check unless two calls in one model, for equal widths, have layers of their own that can learn."""
    calls = [WIDTH] * 2, [WIDTH] * 3
    nodes = [node("mlp", [number], units, 0.0) for number, units in enumerate(calls)]
    variables = Variables(student.model([(TOKENS, WIDTH)], *nodes))
    if variables.size < sum(dense_parameters(WIDTH, WIDTH) for units in calls for _ in units):
        blame(SHARED)
    values = variables.now("mlp")
    kernels = [values[places] for places in variables.positions if places.ndim > 1]
    if kernels and not any(kernel.any() for kernel in kernels):
        blame(ALL_ZEROS)


@pytest.mark.check("It works on vectors and on tokens with any number of axes, for one width and for equal ones.")
def test_vectors(student, network, rng):
    for leading, units in (((), [WIDTH, 3]), ((), [4]), ((2, 3), [3, 3])):
        variables, layers = make_for(student, leading, units)
        x, values = draw(rng, BATCH, *leading), indifferent(variables.draw(rng), variables)
        variables.set(values)
        what = f"The output for hidden_units={units} on inputs of shape {x.shape}"
        right = [network.right(x, values_at(places, values)) for places in network.of_layers(layers)]
        expect(variables.layer(x), answers(right), what)


def make_for(student: Student, leading, units):
    """Return the mlp on inputs with these leading axes, and where its layers stand.

    Of one width, it is what a second call with the same list returns.
    """
    once = node("mlp", [0], units, 0.0)

    def made(*nodes):
        variables = Variables(student.model([(*leading, WIDTH)], *nodes))
        return variables, dense_layers(variables.positions, (WIDTH, *units))

    if len(units) > 1:
        return made(once)
    try:
        return made(once, once)
    except (CheckFailed, StudentRaised):
        made(once)  # if that cannot be made, either, this is the reason
        blame(LIST_CHANGED)


def indifferent(values, variables):
    """Return values that do not tell which of two biases of one length is which, nor a square kernel from its transpose."""
    values, biases = values.copy(), {}
    for places in variables.positions:
        if is_vector(places):
            values[places] = biases.setdefault(places.size, values[places].ravel()).reshape(places.shape)
        elif places.shape[-1] == places.shape[-2]:
            values[places] = (values[places] + values[places].swapaxes(-1, -2)) / 2
    return values


@pytest.mark.check("In training, dropout of the given rate follows the dense layers; in inference there is none.")
def test_dropout(student, network, rng):
    if network.always_on:
        blame(ALWAYS_ON)
    values = enliven(network.variables.draw(rng), network.places, rng, masked=True)
    network.variables.set(values)
    one, weights = np.abs(draw(rng, 1, TOKENS)), values_at(network.places, values)
    samples = ask_in_training(network.layer, one, SAMPLES, (TOKENS, UNITS[-1]))

    def run(factors):
        return network.right(one, weights, [factor[:, None] for factor in factors])

    NetworkInTraining(samples, UNITS, (0, 1, 2), run).expect_dropout(RATE, network.mistake, DROPPED_ELSEWHERE)
    expect_nothing_dropped(make(student, rate=0.0), draw(rng, SAMPLES, TOKENS))
    with suppress(StudentRaised):  # another check says why
        expect_dropout_on_vectors(student, rng)


def expect_dropout_on_vectors(student: Student, rng):
    """End the check if nothing is dropped in training where there is no axis of tokens.

    All numbers are positive, so that no ReLU makes the outputs 0, of which dropout would leave no trace.
    """
    variables = Variables(student.model([(WIDTH,)], node("mlp", [0], list(UNITS), RATE)))
    variables.set(np.abs(variables.draw(rng)))
    x = np.abs(draw(rng, SAMPLES))
    if agrees(variables.layer(x, training=True), expect_array(variables.layer(x), (SAMPLES, UNITS[-1]), "The output")):
        blame(ON_TOKENS_ONLY)


@pytest.mark.check("Gradients reach every weight and the input, and are those of the output.")
def test_gradients(network, rng):
    values = enliven(network.variables.draw(rng), network.places, rng, masked=False)
    network.variables.set(values)

    def output(inputs, values):
        return network.right(inputs[0], values_at(network.places, values))

    subject = Subject.of(network.variables, values, output, positions_in(network.places))
    expect_gradients(subject, [(BATCH, TOKENS, WIDTH)], rng)
