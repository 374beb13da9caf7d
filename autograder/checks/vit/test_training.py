"""Hidden checks of the notebook's `run_experiment`.

Two models are trained: a linear one, on data made so that each answer is known, and a small Vision
Transformer on handwritten digits.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder import wire
from autograder.checking import Layer, Student, describe, fail, require
from autograder.checks.vit.data import digits
from autograder.checks.vit.misconceptions import SENTENCES, blame
from autograder.checks.vit.oracle import cross_entropy

CLASSES, FEATURES, BATCH_SIZE = 3, 6, 32
SEEN, UNSEEN = slice(0, 3), slice(3, 6)  # features that only training data have, and that only the others have
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
VIT = {
    "input_shape": (16, 16, 1),
    "num_classes": 10,
    "patch_size": 4,
    "embedding_proj_dim": 32,
    "num_heads": 2,
    "msa_proj_dim": 32,
    "transformer_layers": 1,
    "msa_dropout_rate": 0.0,
    "mlp_classification_head_units": [64],
    "mlp_classification_head_dropout_rate": 0.0,
}
EPOCHS, CHANCE, CLEARLY_BETTER = 6, 0.1, 0.4


def linear_model(student: Student, kernel):
    """Return a dense layer as a model, with this kernel and no bias."""
    dense = wire.Node("keras.Dense", [0], [], {}, init=[CLASSES])
    model = student.model([(FEATURES,)], dense)
    model.set_weights([kernel, np.zeros(CLASSES)])
    return model


def train(student: Student, model: Layer, data, **options):
    """Run the submission's `run_experiment`; data are training, validation and test sets."""
    outcome = student.train("run_experiment", model, *data, batch_size=BATCH_SIZE, ckpt_path=".", **options)
    if not isinstance(outcome["history"], dict):
        fail(
            "`run_experiment` must return the history that Keras' `fit` gives; got something else. Is a return missing?"
        )
    return outcome


def curve(history, name, epochs):
    """Return one curve of the history, a number for each epoch."""
    values = history.get(name)
    if not isinstance(values, tuple) or len(values) != epochs or not all(isinstance(one, float) for one in values):
        fail(
            f"The history must hold `{name}` for each of the {epochs} epochs that were asked for. Name the metric accuracy, "
            "give `fit` the validation data and the number of epochs."
        )
    return values


def accuracy(model: Layer, data):
    """Return the share of right answers of the model as it is now."""
    points, labels = data
    logits = model(points, training=False)
    if not isinstance(logits, np.ndarray) or logits.ndim != 2 or len(logits) != len(labels):
        fail(f"The trained model must give one row of logits for each image; got {describe(logits)}.")
    return float((logits.argmax(axis=-1) == labels).mean())


@dataclass(frozen=True)
class Spoiled:
    """A linear model after training on data that make it worse and worse on the validation data.

    All training points belong to one class and use features of their own, so training moves the bias
    towards that class and leaves the kernel's other rows alone, unless other data are trained on too.
    """

    model: Layer
    kernel: np.ndarray
    outcome: dict
    validation: tuple
    epochs: int = 8


@pytest.fixture(scope="module")
def spoiled(student, task_rng):
    """Train the model that gets worse."""
    kernel = np.concatenate([np.zeros((3, CLASSES)), np.eye(3)])
    model = linear_model(student, kernel)
    training = np.zeros((192, FEATURES), np.float32)
    training[:, SEEN] = task_rng.normal(size=(192, 3))
    validation, testing = (corners(task_rng, samples) for samples in (96, 60))
    data = [(training, np.full(192, CLASSES - 1)), validation, testing]
    outcome = train(student, model, data, epochs=Spoiled.epochs, learning_rate=0.05)
    return Spoiled(model, kernel, outcome, validation)


def corners(rng, samples):
    """Return points at one corner a class, in the features that training data lack, and labels of all classes."""
    labels = rng.permutation(np.arange(samples) % CLASSES)
    points = np.zeros((samples, FEATURES), np.float32)
    points[:, UNSEEN] = 1.5 * np.eye(CLASSES)[labels]
    return points, labels


@pytest.mark.check("The Keras history is returned: loss and accuracy in training and validation, for each epoch.")
def test_history(spoiled):
    for name in CURVES:
        curve(spoiled.outcome["history"], name, Spoiled.epochs)


@pytest.mark.check("The weights of the best epoch are reloaded before the model is tested.", weight=2)
def test_best_weights_are_reloaded(spoiled):
    values = curve(spoiled.outcome["history"], "val_accuracy", Spoiled.epochs)
    tested = [one.get("accuracy") for one in spoiled.outcome["evaluations"] if isinstance(one, dict)]
    reloaded = accuracy(spoiled.model, spoiled.validation) >= max(values) - 0.02 and max(values) > 0.6
    tested_well = any(isinstance(one, float) and one > 0.6 for one in tested)
    if not reloaded and not tested_well:
        blame("best_not_reloaded")


@pytest.mark.check("Validation data are measured on, never trained on.")
def test_validation_data_are_not_learned(spoiled):
    values = curve(spoiled.outcome["history"], "val_accuracy", Spoiled.epochs)
    require(len(set(values)) > 1, "The validation accuracy stays the same in every epoch: is there any training?")
    probe = spoiled.model(np.eye(FEATURES, dtype=np.float32)) - spoiled.model(np.zeros((1, FEATURES), np.float32))
    moved = not np.allclose(probe[UNSEEN], spoiled.kernel[UNSEEN], atol=1e-4)
    if moved:
        blame("trained_on_validation_data")


@pytest.mark.check("The loss is the cross-entropy of the logits with integer labels.")
def test_loss(student, rng):
    points, labels = rng.normal(size=(64, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, size=64)
    kernel = rng.normal(size=(FEATURES, CLASSES)).astype(np.float32)
    data = (points, labels)
    outcome = train(student, linear_model(student, kernel), [data] * 3, epochs=1, learning_rate=0.0)
    (found,) = curve(outcome["history"], "val_loss", 1)
    right = cross_entropy(points.astype(np.float64) @ kernel, labels)
    require(
        abs(found - right) <= 1e-3 * max(1.0, right),
        f"{SENTENCES['loss_not_from_logits']} For a model whose logits are known the loss is {right:.4f}; yours is "
        f"{found:.4f}.",
        "loss_not_from_logits",
    )


@pytest.mark.check("It is Adam that trains, with the given learning rate and batch size.")
def test_settings(student):
    rate, samples = 0.01, 4 * BATCH_SIZE
    data = (np.zeros((samples, FEATURES), np.float32), np.zeros(samples, np.int64))  # only the biases can learn
    few = tuple(one[:BATCH_SIZE] for one in data)
    first = np.abs(moved_biases(student, few, rate)) / rate  # Adam's first step is 1 for every weight
    require(first.min() > 1e-6, "Training on one batch does not move the model's biases.")
    if not np.allclose(first, first[0], rtol=0.01):
        blame("not_adam")
    if not np.allclose(first, np.round(first), rtol=0.05) or first[0] < 0.5:
        blame("learning_rate_ignored")
    require(first[0] < 1.5, "An epoch of one batch makes more than one training step.")
    steps = np.abs(moved_biases(student, data, rate)) / rate
    if not np.allclose(steps, samples / BATCH_SIZE, rtol=0.2):
        blame("batch_size_ignored")


def moved_biases(student, data, rate):
    """Return by how much one epoch changes the biases of a model that starts with all weights at zero."""
    model = linear_model(student, np.zeros((FEATURES, CLASSES)))
    curve(train(student, model, [data] * 3, epochs=1, learning_rate=rate)["history"], "loss", 1)
    return model(np.zeros((1, FEATURES), np.float32), training=False)[0]


@pytest.mark.check(
    "A small ViT learns: the loss falls and validation accuracy is clearly better than chance.", weight=2
)
def test_vit_learns(student, rng):
    images, labels = digits()
    parts = np.split(rng.permutation(len(images)), [960, 1280, 1400])[:3]
    data = [(images[part], labels[part]) for part in parts]
    model = student.layer("create_vit_classifier", **VIT)
    outcome = train(student, model, data, epochs=EPOCHS, learning_rate=2e-3)
    losses = curve(outcome["history"], "loss", EPOCHS)
    require(losses[-1] < 0.9 * losses[0], SENTENCES["nothing_learned"], "nothing_learned")
    reached = accuracy(model, data[1])
    require(
        reached >= CLEARLY_BETTER,
        f"After {EPOCHS} epochs the model is right on {reached:.0%} of the validation images; guessing gives {CHANCE:.0%}, "
        f"and at least {CLEARLY_BETTER:.0%} is expected.",
    )
