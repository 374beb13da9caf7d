"""Hidden checks of `create_vit_classifier(...)`."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, describe, expect, expect_array, fail, require
from autograder.checking.remote import Layer, Student
from autograder.checks.vit.misconceptions import answers, blame, expect_dropout, expect_rates
from autograder.checks.vit.oracle import vit_parameters
from autograder.errors import StudentFault

SMALL = {
    "input_shape": (12, 12, 3),
    "num_classes": 5,
    "patch_size": 4,
    "embedding_proj_dim": 8,
    "num_heads": 3,
    "msa_proj_dim": 8,
    "transformer_layers": 2,
    "msa_dropout_rate": 0.3,
    "mlp_classification_head_units": [11, 9],
    "mlp_classification_head_dropout_rate": 0.25,
}
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
OTHER = SMALL | {
    "input_shape": (28, 28, 1),
    "num_classes": 7,
    "patch_size": 7,
    "embedding_proj_dim": 20,
    "msa_proj_dim": 20,
    "num_heads": 2,
    "transformer_layers": 1,
    "mlp_classification_head_units": [30, 9],
}
BATCH = 4
PLAIN = {"Dense", "LayerNormalization", "Dropout", "InputLayer", "Add", "Activation", "PatchExtractor", "PatchEncoder"}


def draw(rng):
    """Return images as float32."""
    return rng.normal(size=(BATCH, *SMALL["input_shape"])).astype(np.float32)


def small_model(student: Student):
    """Return the small model."""
    return student.layer("create_vit_classifier", **SMALL)


def large_count(student: Student):
    """Return the total and the trainable number of the large model's parameters."""
    return student.count("create_vit_classifier", **LARGE)


def draw_weight(rng, shape):
    """Return a random weight as float32. Vectors, which are biases and gains, are about 1.

    About 0 they would, seldom, silence every ReLU of the head, and the logits would depend on nothing.
    """
    return (0.4 * rng.normal(size=shape) + (len(shape) == 1)).astype(np.float32)


def make(student: Student, rng):
    """Return the small model with random weights, and these weights."""
    model = student.once(small_model)
    arrays = [draw_weight(rng, one.shape) for one in model.weights()]
    model.set_weights(arrays)
    return model, arrays


def trainable(model: Layer):
    """Return the number of the model's trainable parameters."""
    return sum(one.size for one in model.weights(most=10 * LARGE_PARAMETERS) if one.trainable)


def makes_models(student: Student):
    """Whether the module's function makes the small model."""
    try:
        return bool(student.once(small_model))
    except StudentFault:
        return False


def has_large_model(student: Student):
    """Whether the notebook's `vit` comes from the lab's settings and has the right number of parameters.

    Twelve layers take longest of all to build: where the notebook has done so rightly, they are not built again.
    """
    if not makes_models(student):
        return False
    try:
        settings, vit = student.variable("model_params"), student.adopt(student.variable("vit"), "vit")
        return isinstance(settings, dict) and not other_settings(settings) and trainable(vit) == LARGE_PARAMETERS
    except StudentFault:
        return False


def other_settings(given):
    """Return the names in `model_params` whose values are not those of the table, and what is found there."""
    found = {name: plain(given.get(name)) for name in LARGE}
    return {name: one for name, one in found.items() if one != plain(LARGE[name])}


def plain(setting):
    """Return a setting as the table writes it: lists for tuples, numbers for arrays."""
    if isinstance(setting, np.ndarray):
        return setting.tolist()
    return list(setting) if isinstance(setting, tuple) else setting


def expect_count(parameters, found):
    """Compare a model's number of trainable parameters with the count part by part."""
    right = vit_parameters(**parameters)
    if found == right:
        return
    patches = (parameters["input_shape"][0] // parameters["patch_size"]) ** 2
    widths = (parameters["mlp_classification_head_units"][0], parameters["embedding_proj_dim"])
    if found == right + patches * widths[0] * widths[1] or found == right + (patches - 1) * widths[0] * widths[1]:
        fail("Your head reads all tokens flattened. It must read the class token alone.", "flattened_tokens")
    blocks = parameters["transformer_layers"]
    if found < right and blocks > 1 and (right - found) % blocks == 0:
        hint = "The difference divides by the number of blocks: compare the parts of one block."
    else:
        hint = "Compare the model's summary part by part: encoder, blocks, head."
    fail(f"Expected {right:,} trainable parameters; got {found:,}. {hint}", "wrong_parameter_count")


@pytest.mark.check(
    "The model has the right number of parameters: the lab's large one, and models of other sizes.", weight=2
)
@pytest.mark.parametrize("sizes", ["large", "small", "one_channel"])
def test_parameters(student, sizes):
    assert vit_parameters(**LARGE) == LARGE_PARAMETERS
    if sizes == "small":
        expect_count(SMALL, trainable(student.once(small_model)))
    elif sizes == "one_channel":
        expect_count(OTHER, student.count("create_vit_classifier", **OTHER).trainable)
    elif not has_large_model(student):
        expect_count(LARGE, student.once(large_count).trainable)


@pytest.mark.check("In the notebook, model_params holds what the table asks for, and vit is the model made from it.")
def test_model_of_the_notebook(student):
    given = student.variable("model_params")
    if not isinstance(given, dict):
        fail(f"`model_params` must be a dictionary; got {describe(given)}.")
    for name, found in other_settings(given).items():
        fail(f"`model_params` must set `{name}` as in the table; got {found!r}.", "model_params_other")
    vit = student.adopt(student.variable("vit"), "vit")
    found = sum(one.size for one in vit.weights(most=10 * LARGE_PARAMETERS))
    if found == LARGE_PARAMETERS and makes_models(student):
        return
    made = student.once(large_count).total
    require(
        found == made,
        f"`vit` has {found:,} parameters; what your create_vit_classifier makes from these settings has {made:,}.",
    )


@pytest.mark.check("The output is one logit for each class, without a softmax.", weight=2)
def test_logits(student, rng):
    model, arrays = make(student, rng)
    logits = expect_array(model(draw(rng)), (BATCH, SMALL["num_classes"]), "The output")
    if close(logits.sum(axis=-1), np.ones(BATCH), 1e-4) and logits.min() >= 0:
        blame("softmax_on_logits")
    head = [part for part in model.parts() if part.kind == "Dense"]
    if not head or len(head[-1].weights) != 2 or arrays[head[-1].weights[1]].shape != (SMALL["num_classes"],):
        fail("The model must end in a tf_keras Dense layer with num_classes units, whose weights the model knows.")
    kernel, bias = head[-1].weights
    arrays[kernel] = np.zeros_like(arrays[kernel])
    model.set_weights(arrays)
    right = np.broadcast_to(arrays[bias], logits.shape)
    expect(model(draw(rng)), answers(right), "With the last kernel set to zero, the output")


@pytest.mark.check("The classifier reads the class token.", weight=3)
def test_class_token_is_read(student, rng):
    model, arrays = make(student, rng)
    images = draw(rng)
    shape = (BATCH, SMALL["num_classes"])
    seeing = expect_array(model(images), shape, "The output")
    if close(seeing, np.broadcast_to(seeing[:1], shape), 1e-4):
        blame("image_not_seen")
    attention = [part for part in model.parts() if part.weights and part.kind not in PLAIN]
    if len(attention) != SMALL["transformer_layers"]:
        fail(f"Expected {SMALL['transformer_layers']} attention layers in the model; found {len(attention)}.")
    for part in attention:
        for index in part.weights:
            arrays[index] = np.zeros_like(arrays[index])
    model.set_weights(arrays)
    blind = expect_array(model(images), shape, "The output")
    if not close(blind, np.broadcast_to(blind[:1], shape)):
        blame("class_token_not_read")


@pytest.mark.check("In inference the output is the same each time; in training dropout changes it.")
def test_dropout(student, rng):
    model, _ = make(student, rng)
    images, shape = draw(rng), (BATCH, SMALL["num_classes"])
    calm = [expect_array(model(images, training=False), shape, "The output") for _ in range(2)]
    lively = [expect_array(model(images, training=True), shape, "The output in training") for _ in range(2)]
    expect_dropout(calm, lively)
    expect_rates(model, SMALL["msa_dropout_rate"], SMALL["mlp_classification_head_dropout_rate"])


@pytest.mark.check("Training reaches every weight of the model.")
def test_gradients(student, rng):
    model, _ = make(student, rng)
    cotangent = rng.normal(size=(BATCH, SMALL["num_classes"])).astype(np.float32)
    _, gradients = model.gradients(draw(rng), cotangent=cotangent)
    require(bool(gradients), "The model has no trainable weights.")
    dead = sum(1 for one in gradients if one is None)
    require(dead == 0, f"{dead} of {len(gradients)} weights get no gradient: they have no effect on the logits.")
