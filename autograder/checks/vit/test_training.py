"""Hidden checks of the notebook's `run_experiment`.

Two models are trained: a linear one, on data made so that each answer is known, and a small Vision
Transformer on handwritten digits.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder import wire
from autograder.checking.comparisons import describe, fail, require
from autograder.checking.pictures import curve_picture
from autograder.checking.remote import Layer, Student
from autograder.checking.testimony import TrainOutcome
from autograder.checks.vit.data import digits
from autograder.checks.vit.misconceptions import SENTENCES, blame
from autograder.checks.vit.oracle import cross_entropy, cross_entropy_of_probabilities

CLASSES, FEATURES = 3, 6
BATCH_SIZE = 48  # no size that anybody would choose: Keras takes 32 where `fit` is given none
SEEN, UNSEEN = slice(0, 3), slice(3, 6)  # features that only training data have, and that only the others have
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")
VIT = {
    "input_shape": (8, 8, 1),
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
STEPS, RATE = 4, 0.013  # a rate of nobody's own
SURE = 2.0
START = 0.3  # of biases: above zero, so that even a loss that takes logits for probabilities has a gradient
EPOCHS, CHANCE, CLEARLY_BETTER = 2, 0.1, 0.4
PARTS = [768, 912, 960]  # where the images for training, validation and testing end


def linear_model(student: Student, kernel):
    """Return a dense layer as a model, with this kernel and the bias START for each class."""
    dense = wire.Node("keras.Dense", [0], [], {}, init=[CLASSES])
    model = student.model([(FEATURES,)], dense)
    model.set_weights([kernel, np.full(CLASSES, START)])
    return model


def train(student: Student, model: Layer, data, **options):
    """Run the submission's `run_experiment`; data are training, validation and test sets."""
    return student.train("run_experiment", model, *data, batch_size=BATCH_SIZE, ckpt_path=".", **options)


def curve(outcome, name, epochs):
    """Return one curve of the history that was returned, a number for each epoch."""
    if not isinstance(outcome.history, dict):
        fail(
            "`run_experiment` must return the history that Keras' `fit` gives; got something else. Is a return missing?"
        )
    values = outcome.history.get(name)
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
class Evidence:
    """What one training of a linear model shows of the loss and of the optimiser.

    Attributes:
        moved: By how much each bias changed, in learning rates: about 1 for each step of Adam.
        losses: The losses on validation data that were reported, one for each epoch.
        right_loss: The cross-entropy of the model's logits on these data.
        wrong_loss: What comes out when the loss takes the logits for probabilities.
    """

    moved: np.ndarray
    losses: np.ndarray
    right_loss: float
    wrong_loss: float

    def reported(self, loss):
        """Whether one of the reported losses is this one."""
        return bool(np.isclose(self.losses, loss, rtol=1e-3).any())

    def moved_by(self, steps, rtol=0.1):
        """Whether each bias moved as by so many steps of Adam."""
        return np.allclose(self.moved, steps, rtol=rtol)

    def moved_once(self):
        """Whether each bias moved by the learning rate, as in one step of Adam."""
        return self.moved_by(1, rtol=0.05)


def gather(model, outcome, validation, rate):
    """Return the evidence of a training with this learning rate."""
    moved = np.abs(model(np.zeros((1, FEATURES), np.float32), training=False)[0] - START) / rate
    logits = model(validation[0], training=False).astype(np.float64)
    losses = (one(logits, validation[1]) for one in (cross_entropy, cross_entropy_of_probabilities))
    return Evidence(moved, np.array(measured_losses(outcome)), *losses)


def measured_losses(outcome):
    """Return the losses on data that are not trained on, from the history or else from tests."""
    values = outcome.history.get("val_loss") if isinstance(outcome.history, dict) else None
    if isinstance(values, tuple) and values and all(isinstance(one, float) for one in values):
        return values
    return [one["loss"] for one in outcome.evaluations if isinstance(one, dict) and "loss" in one]


@dataclass(frozen=True)
class Spoiled:
    """A linear model after training on data that make it worse and worse on the validation data.

    All training points belong to one class and use features of their own, so training moves the bias
    towards that class and leaves the kernel's other rows alone, unless other data are trained on too. The best
    epoch is the first, so with its weights the biases have moved by the steps of one epoch.

    Attributes:
        moved: By how much the response to each feature changed, `(features, classes)`.
    """

    model: Layer
    moved: np.ndarray
    outcome: TrainOutcome
    validation: tuple
    evidence: Evidence
    epochs: int = 6
    steps: int = 5  # in each epoch


@pytest.fixture(scope="module")
def spoiling(student, task_rng):
    """Train the model that gets worse, whatever comes of it."""
    kernel = np.concatenate([np.zeros((3, CLASSES)), np.eye(3)])
    model = linear_model(student, kernel)
    training = np.zeros((Spoiled.steps * BATCH_SIZE, FEATURES), np.float32)
    training[:, SEEN] = task_rng.normal(size=(len(training), 3))
    validation, testing = (corners(task_rng, samples) for samples in (96, 64))
    data = [(training, np.full(len(training), CLASSES - 1)), validation, testing]
    rate = 4 * RATE
    outcome = train(student, model, data, epochs=Spoiled.epochs, learning_rate=rate)
    return Spoiled(model, responses(model) - kernel, outcome, validation, gather(model, outcome, validation, rate))


@pytest.fixture(scope="module")
def spoiled(spoiling):
    """Return the model that got worse, if anything has changed."""
    require(bool(np.any(spoiling.moved)), SENTENCES["nothing_learned"], "nothing_learned")
    return spoiling


def responses(model):
    """Return how much each feature adds to each logit, `(features, classes)`."""
    return model(np.eye(FEATURES, dtype=np.float32)) - model(np.zeros((1, FEATURES), np.float32))


def corners(rng, samples):
    """Return points at one corner a class, in the features that training data lack, and labels of all classes."""
    labels = rng.permutation(np.arange(samples) % CLASSES)
    points = np.zeros((samples, FEATURES), np.float32)
    points[:, UNSEEN] = 2 * np.eye(CLASSES)[labels]
    return points, labels


@pytest.mark.check("The Keras history is returned: loss and accuracy in training and validation, for each epoch.")
def test_history(spoiled):
    for name in CURVES:
        curve(spoiled.outcome, name, Spoiled.epochs)


@pytest.mark.check("The weights of the best epoch are reloaded before the model is tested.", weight=2)
def test_best_weights_are_reloaded(spoiled):
    """The first epochs are right on all validation data, the last ones on a third."""
    tested = [one.get("accuracy", 0.0) for one in spoiled.outcome.evaluations if isinstance(one, dict)]
    if max([accuracy(spoiled.model, spoiled.validation), *tested]) < 0.6:
        blame("best_not_reloaded")


@pytest.mark.check("Validation data are measured on, never trained on.")
def test_validation_data_are_not_learned(spoiled):
    if not np.allclose(spoiled.moved[UNSEEN], 0, atol=1e-4):
        blame("trained_on_validation_data")


@pytest.fixture(scope="module")
def stepped(student, task_rng):
    """Train for STEPS steps: evidence of its own, where that of the spoiled model is not what it should be."""
    return step(student, task_rng, STEPS * BATCH_SIZE, RATE)


def step(student, rng, samples, rate):
    """Train a linear model for one epoch with so many points, zeros of one class, so that only its biases learn.

    A single point makes a single step, whatever the batch size. The model's answers to the validation data are right
    before and after, so the best epoch is the first, however many there are: who trains for more epochs than asked,
    which another check judges, is still seen after one.
    """
    kernel = rng.normal(size=(FEATURES, CLASSES))
    model = linear_model(student, kernel)
    training = (np.zeros((samples, FEATURES), np.float32), np.zeros(samples, np.int64))
    others = clear_points(rng, kernel, 8)
    outcome = train(student, model, [training, others, others], epochs=1, learning_rate=rate)
    return gather(model, outcome, others, rate)


def clear_points(rng, kernel, samples):
    """Return points for which a linear model is sure, by about SURE between its two largest logits, and its answers."""
    points = rng.normal(size=(8 * samples, FEATURES)).astype(np.float32)
    logits = np.sort(points @ kernel, axis=-1)
    chosen = points[np.argsort(np.abs(logits[:, -1] - logits[:, -2] - SURE))[:samples]]
    return chosen, (chosen @ kernel).argmax(axis=-1)


@pytest.mark.check("The loss is the cross-entropy of the logits with integer labels.")
def test_loss(spoiling, request):
    seen = spoiling.evidence
    if seen.reported(seen.right_loss) and not seen.reported(seen.wrong_loss):
        return
    stepped = request.getfixturevalue("stepped")
    if not len(stepped.losses):
        fail("Neither the history nor a test of the model gives a loss.")
    if stepped.reported(stepped.right_loss):
        return
    if stepped.reported(stepped.wrong_loss):
        blame("loss_not_from_logits")
    fail(
        f"For a model whose logits are known, the mean cross-entropy is {stepped.right_loss:.4f}; your loss is "
        f"{stepped.losses[-1]:.4f}."
    )


@pytest.mark.check("It is Adam that trains, with the given learning rate and batch size.")
def test_settings(student, spoiling, rng, request):
    if spoiling.evidence.moved_by(Spoiled.steps):
        return
    stepped = request.getfixturevalue("stepped")
    require(stepped.moved.min() > 1e-6, "Training on some batches does not move the model's biases.")
    if stepped.moved_by(STEPS):
        return
    if stepped.moved_by(STEPS + 1):
        return  # a step more with the validation data: another check judges that
    first = step(student, rng, 1, RATE)
    if not np.allclose(first.moved, first.moved[0], rtol=0.01):
        blame("not_adam")
    if not first.moved_once():
        explain_step(first.moved[0], 2 * step(student, rng, 1, 2 * RATE).moved[0])
    blame("batch_size_ignored")


def explain_step(once, doubled):
    """End the check: a first step of `once` the learning rate is not 1; `doubled` came with twice that rate."""
    if np.isclose(once, doubled, rtol=0.05):
        blame("learning_rate_ignored")
    fail(
        f"After one batch, each weight has moved by {once:.2g} times the learning rate. A step of Adam moves it by 1 times "
        "the rate. Do you compile with Adam, with the given rate, and make one step for each batch?"
    )


def judged_already(student, stepped, rng):
    """Whether the loss or the first step is wrong: a model may not learn with those, and other checks judge them."""
    return not stepped.reported(stepped.right_loss) or not step(student, rng, 1, RATE).moved_once()


@pytest.mark.check("A small ViT learns: its validation accuracy is clearly better than chance.", weight=2)
def test_vit_learns(student, rng, request):
    images, labels = digits(side=8)
    parts = np.split(rng.permutation(len(images)), PARTS)[:3]
    data = [(images[part], labels[part]) for part in parts]
    model = student.layer("create_vit_classifier", **VIT)
    free = sum(one.trainable for one in model.weights())
    outcome = train(student, model, data, epochs=EPOCHS, learning_rate=5e-3)
    student.show(curve_picture(outcome.history, CURVES))
    frozen = free - sum(one.trainable for one in model.weights())
    require(frozen == 0, f"{frozen} of the model's {free} weights are not trained: `run_experiment` freezes them.")
    reached = accuracy(model, data[1])
    require(
        reached >= CLEARLY_BETTER or judged_already(student, request.getfixturevalue("stepped"), rng),
        f"After {EPOCHS} epochs the model is right on {reached:.0%} of the validation images; guessing gives {CHANCE:.0%}, "
        f"and at least {CLEARLY_BETTER:.0%} is expected.",
    )
