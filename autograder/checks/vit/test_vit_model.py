"""Hidden checks of `create_vit_classifier(...)`.

Small models, with all weights set by the grader, must give the logits of a Vision Transformer. How many parameters the
large one has is then only a matter of counting.
"""

import numpy as np
import pytest

from autograder.checking.comparisons import describe, expect, fail, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import answers, blame
from autograder.checking.readings import positions_in
from autograder.checking.remote import Layer, Student
from autograder.checks.vit.dropout.networks import NEVER_ON, RATES, blame_for_dropout, expect_nothing_dropped
from autograder.checks.vit.dropout.vits import vit_in_training
from autograder.checks.vit.oracles.vision_transformer import vit_parameters
from autograder.checks.vit.readings.model_candidates import BATCH, VitSizes
from autograder.checks.vit.readings.networks import LIST_CHANGED
from autograder.checks.vit.readings.vits import read_vit
from autograder.errors import CheckFailed, StudentFault

SIZES = VitSizes(side=9, channels=2, patch_size=3, model_dim=4, heads=3, layers=2, head=(7, 11), classes=5)
OTHER = VitSizes(side=6, channels=1, patch_size=3, model_dim=4, heads=3, layers=1, head=(3, 6, 5), classes=2)
BLOCK_RATE, HEAD_RATE, SAMPLES = 0.2, 0.4, 96
RATES_OF = {SIZES: (BLOCK_RATE, HEAD_RATE), OTHER: (0.0, 0.0)}
OTHER_RATES = (
    *((rate, HEAD_RATE) for rate in (0.0, *RATES)),
    *((BLOCK_RATE, rate) for rate in (0.0, *RATES)),
    *((HEAD_RATE, BLOCK_RATE), (BLOCK_RATE, BLOCK_RATE), (HEAD_RATE, HEAD_RATE)),
)
TOLERANCE = 5e-5
"""Of a whole model: what each layer rounds in its own way, the layers after it enlarge."""
DROPPED_ELSEWHERE = (
    "In training, dropout after the attention and the mlp's layers of each block and after the layers of the head cannot "
    "give your logits. Each of them needs it, and nothing else may be dropped: neither pixels nor logits."
)
LARGE = {
    "input_shape": (32, 32, 3),
    "num_classes": 10,
    "patch_size": 16,
    "embedding_proj_dim": 768,
    "num_heads": 12,
    "msa_proj_dim": 768,
    "transformer_layers": 12,
    "msa_dropout_rate": 0.1,
    "mlp_classification_head_units": [3074],
    "mlp_classification_head_dropout_rate": 0.5,
}
LARGE_PARAMETERS = 371_104_544


def read(student: Student, sizes, rng):
    """Return a model as it was read, or why it could not be."""
    try:
        return read_vit(student, sizes, RATES_OF[sizes], rng)
    except CheckFailed as failed:
        return failed


def read_once(student: Student, sizes, rng):
    """Return a model of these sizes, read once for all checks."""
    found = student.once(read, sizes, rng)
    if isinstance(found, CheckFailed):
        raise found
    return found


@pytest.fixture
def model(student, task_rng):
    """The small model, as it was read."""
    return read_once(student, SIZES, task_rng)


@pytest.fixture
def other(student, task_rng):
    """A still smaller one, of other sizes."""
    return read_once(student, OTHER, task_rng)


@pytest.mark.check(
    "The logits are those of a Vision Transformer: patches, tokens, blocks, class token, head; no softmax.", weight=5
)
def test_output(model, rng):
    if model.mistake is not None:
        blame(model.mistake)
    images, values = model.draw(rng)
    for factor in (1, 20):  # a cap on the head's values, or on the logits, shows only where they are large
        for layer in (model.places.head.layers[0], model.places.logits):
            values[layer.kernel] *= factor
        model.variables.set(values)
        expect(model.layer(images), answers(model.right(images, values)), "The logits", TOLERANCE)


@pytest.mark.check("It does the same for models of other sizes, and for a single image.")
def test_other_sizes(student, other, rng, task_rng):
    if other.mistake is not None and is_right(student.once(read, SIZES, task_rng)):
        blame(other.mistake)  # where the first model has one, too, another check names it
    images, values = other.draw(rng, batch=1)
    what = f"The logits of one image for num_classes={OTHER.classes} and a head with the widths {list(OTHER.head)}"
    expect(other.layer(images), answers(other.right(images, values)), what, TOLERANCE)


def is_right(found):
    """Whether a model was read, and has no mistake."""
    return not isinstance(found, CheckFailed) and found.mistake is None


@pytest.mark.check("In training, all blocks and the head drop units at the two rates that are given.", weight=2)
def test_dropout(student, model, rng, task_rng):
    for number in range(SIZES.layers):
        expect_dropout(vit_in_training(model, number, (BLOCK_RATE, HEAD_RATE), SAMPLES, rng), model.mistake)
    try:
        other = read_once(student, OTHER, task_rng)
    except (CheckFailed, StudentFault):  # another check says why
        return
    expect_nothing_dropped(other.layer, other.draw(rng, batch=SAMPLES)[0])


def expect_dropout(training, mistake):
    """End the check unless both rates explain what was seen."""
    if training.never:
        blame(mistake or NEVER_ON)  # a mistake may hide that dropout acts
    faults = []
    for fault in training.faults((BLOCK_RATE, HEAD_RATE)):
        if fault is None:
            return
        faults.append(fault)
    if faults:
        raise faults[0]
    blame_for_dropout(mistake, lambda: training.has_any_of(OTHER_RATES), DROPPED_ELSEWHERE)


@pytest.mark.check("Gradients reach every weight of the model, and are those of the logits.")
def test_gradients(model, rng):
    values = model.lively(rng, masked=False)
    model.variables.set(values)
    subject = Subject.of(
        model.variables, values, lambda inputs, values: model.right(inputs[0], values), positions_in(model.places)
    )
    expect_gradients(subject, [(BATCH, SIZES.side, SIZES.side, SIZES.channels)], rng)


@pytest.mark.check("The model has the right number of parameters, the lab's large one too, and all are trained.")
def test_parameters(student, model):
    require(all(model.variables.trainable), "Some weights of the model are not trainable. All must be learned.")
    expect_count(vit_parameters(SIZES.settings()), model.variables.size)
    if not has_large_model(student):
        expect_count(LARGE_PARAMETERS, student.once(large_count).trainable)


def expect_count(right, found):
    """Compare a model's number of parameters with the count part by part."""
    require(
        found == right,
        f"Expected {right:,} trainable parameters; got {found:,}. Compare the model's summary part by part: encoder, "
        "blocks, head.",
        "wrong_parameter_count",
    )


def large_count(student: Student):
    """Return the total and the trainable number of the large model's parameters."""
    return student.count("create_vit_classifier", **LARGE)


def trainable(model: Layer):
    """Return the number of a model's trainable parameters."""
    return sum(variable.size for variable in model.weights(most=10 * LARGE_PARAMETERS) if variable.trainable)


def has_large_model(student: Student):
    """Whether the notebook's `vit` comes from the lab's settings and has the right number of parameters.

    Twelve layers take longest of all to build: where the notebook has done so rightly, they are not built again.
    """
    try:
        settings, vit = student.variable("model_params"), student.adopt(student.variable("vit"), "vit")
        return isinstance(settings, dict) and not other_settings(settings) and trainable(vit) == LARGE_PARAMETERS
    except StudentFault:
        return False


MOST_NUMBERS = 100
"""In an array that a setting may be; one of a million would make a list that takes a hundred times the memory."""


def other_settings(given):
    """Return the names in `model_params` whose values are not those of the table, and what is found there."""
    found = {name: plain(given.get(name)) for name in LARGE}
    return {name: value for name, value in found.items() if value != plain(LARGE[name])}


def plain(setting):
    """Return a setting as the table writes it: lists for tuples, numbers for arrays; of a large array what it is."""
    if isinstance(setting, np.ndarray):
        return setting.tolist() if setting.size <= MOST_NUMBERS else describe(setting)
    return list(setting) if isinstance(setting, tuple) else setting


@pytest.mark.check("In the notebook, model_params holds what the table asks for, and vit is the model made from it.")
def test_model_of_the_notebook(student, model):
    given = student.variable("model_params")
    if not isinstance(given, dict):
        fail(f"`model_params` must be a dictionary; got {describe(given)}.")
    for name, found in other_settings(given).items():
        if found == []:
            blame(LIST_CHANGED)
        fail(f"`model_params` must set `{name}` as in the table; got {found!r}.", "model_params_other")
    vit = student.adopt(student.variable("vit"), "vit")
    found = sum(variable.size for variable in vit.weights(most=10 * LARGE_PARAMETERS))
    if found != LARGE_PARAMETERS:
        made = student.once(large_count).total
        require(
            found == made,
            f"`vit` has {found:,} parameters; what your create_vit_classifier makes from these settings has {made:,}.",
        )
