"""Hidden checks of the notebook's `run_experiment`.

It trains two models. A linear one is trained on data made so that every weight after every epoch is known beforehand
(`rigged_training`). A small Vision Transformer learns patterns that were drawn for this submission, without a test in
the end, and then answers images that the student's process has not had before.
"""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from autograder.checking.comparisons import expect_array, fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.pictures import curve_picture
from autograder.checking.remote import apply
from autograder.checks.vit.rigged_training import BATCH_SIZE, EPOCHS, SAMPLES, in_batches, rig_training
from autograder.checks.vit.training_readings import linear_model, read_training
from autograder.checks.vit.trajectories import OF_PROBABILITIES, adam_w, ams_grad, rms_prop, sgd

CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")

NOT_ADAM = Mistake(
    "not_adam",
    "The weights are not those that Adam reaches but those of another optimiser. Which one do you compile with?",
    lambda recipe: [replace(recipe, optimiser=other) for other in (sgd, rms_prop, adam_w, ams_grad)],
)
LEARNING_RATE_IGNORED = Mistake(
    "learning_rate_ignored",
    "The weights move by steps of another size than the given `learning_rate`.",
    lambda recipe: [replace(recipe, rate=rate) for rate in (1e-4, 1e-3, 1e-2)],
)
BATCH_SIZE_IGNORED = Mistake(
    "batch_size_ignored",
    "The number of training steps is not that of the given batch size.",
    lambda recipe: [replace(recipe, batches=in_batches(size)) for size in (32, 64)],
)
LAST_BATCH_DROPPED = Mistake(
    "last_batch_dropped",
    "The last images of an epoch, too few for a whole batch, are left out. They belong to the training data, too.",
    lambda recipe: [replace(recipe, batches=(BATCH_SIZE,) * (SAMPLES // BATCH_SIZE))],
)
LOSS_NOT_FROM_LOGITS = Mistake(
    "loss_not_from_logits",
    "The loss is not the cross-entropy of these logits. Does your loss know that it gets logits?",
    lambda recipe: [replace(recipe, loss=OF_PROBABILITIES)],
)
LOSS_SUMMED = Mistake(
    "loss_summed",
    "The loss of a batch is the sum over its images. With the mean, the size of the gradient does not depend on the size of "
    "the batch.",
    lambda recipe: [replace(recipe, summed=True)],
)
OF_SETTINGS = (NOT_ADAM, LEARNING_RATE_IGNORED, BATCH_SIZE_IGNORED, LAST_BATCH_DROPPED)
OF_LOSS = (LOSS_NOT_FROM_LOGITS, LOSS_SUMMED)

BEST_NOT_RELOADED = Mistake(
    "best_not_reloaded",
    "After training, the model still has the weights of the last epoch, although an earlier one had a better validation "
    "accuracy. Reload the checkpoint before you test.",
)
RELOADED_ONLY_WHEN_TESTING = Mistake(
    "reloaded_only_when_testing",
    "With `run_testing=False` the model keeps the weights of the last epoch. The best ones belong back into it in any case.",
)
BEST_BY_LOSS = Mistake(
    "best_by_loss",
    "The weights that are put back are those of the lowest validation loss. The best epoch is the one with the highest "
    "validation accuracy.",
)
RATE_CHANGES = Mistake(
    "rate_changes",
    "The training begins as it must, but in a later epoch its steps are others. Does something change the learning rate?",
)
EPOCHS_IGNORED = Mistake("epochs_ignored", "The model is trained for another number of epochs than was asked for.")
VALIDATED_ON_TEST_DATA = Mistake(
    "validated_on_test_data",
    "The epochs are validated on the test data. Which epoch is the best must not depend on them.",
)
VALIDATED_ON_TRAINING_DATA = Mistake(
    "validated_on_training_data",
    "The epochs are validated on the training data, which tell nothing about new images.",
)
NOT_TESTED = Mistake(
    "not_tested",
    "The model is not tested: the test data were never seen with the best weights in the model. Is the test after the "
    "reloading, on `test_data`?",
)
TESTED_UNASKED = Mistake("tested_unasked", "With `run_testing=False` the model is tested all the same.")
NOT_ALL_TRAINED = Mistake(
    "not_all_trained", "Some of the model's weights are not trained: `run_experiment` freezes them."
)


@pytest.fixture(scope="module")
def trained(student, task_rng):
    """Let the submission train a linear model, and read how it did that."""
    rigged = rig_training(task_rng, OF_SETTINGS + OF_LOSS)
    model = linear_model(student, rigged.start)
    settings = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "learning_rate": rigged.recipe.rate, "ckpt_path": "."}
    outcome = student.train("run_experiment", model, *rigged.data(), **settings)
    return read_training(rigged, model, outcome, OF_SETTINGS + OF_LOSS)


@pytest.mark.check("It is Adam that trains, with the given learning rate and batch size.", weight=2)
def test_settings(trained):
    if trained.mistake in OF_SETTINGS:
        blame(trained.mistake)


@pytest.mark.check("The loss is the mean cross-entropy of the logits with integer labels.")
def test_loss(trained):
    if trained.mistake in OF_LOSS:
        blame(trained.mistake)


@pytest.mark.check("The Keras history is returned: loss and accuracy in training and validation, for each epoch.")
def test_history(trained):
    if trained.history is None:
        fail("`run_experiment` must return the history that Keras' `fit` gives. Is a return missing?")
    for name in CURVES if trained.mistake is None else ("accuracy", "val_accuracy"):
        if name not in trained.history:
            fail(f"The history must hold `{name}`, a number for each epoch.")
        if trained.epochs != EPOCHS:
            blame(EPOCHS_IGNORED)
        if trained.turns_off:
            blame(RATE_CHANGES)
        require(trained.tells(name), f"`{name}` in the history is not that of this training.")


@pytest.mark.check("Each epoch is validated, on the validation data.")
def test_validation(trained):
    if trained.watched is trained.rigged.test:
        blame(VALIDATED_ON_TEST_DATA)
    if trained.watched is trained.rigged.training:
        blame(VALIDATED_ON_TRAINING_DATA)
    require(
        trained.watched is not None,
        "What the model has seen besides its training is not the validation data after each epoch and the test data at "
        "the end.",
    )


@pytest.mark.check("The weights of the best validation accuracy are put back, whether or not a test follows.", weight=2)
def test_best_weights_are_reloaded(trained, untested):
    if trained.epoch != trained.best_epoch:
        explain_epoch(trained)
    if untested.late >= CLEARLY_BETTER:
        blame(RELOADED_ONLY_WHEN_TESTING)


def explain_epoch(trained):
    """End the check: the model has not the weights of the best epoch."""
    if trained.epochs != EPOCHS or trained.epoch > EPOCHS:
        blame(EPOCHS_IGNORED)
    if trained.turns_off:
        blame(RATE_CHANGES)
    if trained.epoch == trained.curves["val_loss"].argmin() + 1:
        blame(BEST_BY_LOSS)
    if trained.epoch == EPOCHS:
        blame(BEST_NOT_RELOADED)
    fail(
        f"Of {EPOCHS} epochs, epoch {trained.best_epoch} had the best validation accuracy. After the training the model has "
        f"the weights of epoch {trained.epoch}.",
        BEST_NOT_RELOADED.slug,
    )


@pytest.mark.check("If asked for, and only then, the model is tested with its best weights.")
def test_testing(trained, untested):
    if not trained.tests:
        blame(NOT_TESTED)
    if untested.tested:
        blame(TESTED_UNASKED)


VIT = {
    "input_shape": (8, 8, 1),
    "num_classes": 8,
    "patch_size": 4,
    "embedding_proj_dim": 32,
    "num_heads": 2,
    "msa_proj_dim": 32,
    "transformer_layers": 1,
    "msa_dropout_rate": 0.0,
    "mlp_classification_head_units": [64],
    "mlp_classification_head_dropout_rate": 0.0,
}
CHANCE, CLEARLY_BETTER = 1 / 8, 0.5
NOISE = 0.7
VIT_BATCH, VIT_STEPS, VIT_EPOCHS, VIT_BEST, VIT_RATE = 32, 8, 3, 2, 5e-3
VALIDATED, TESTED, HELD_OUT = 64, 40, 200
"""Images. No number of tests has as many as some validations together."""


def patterns(rng):
    """Return images of eight patterns in noise and their labels: for training, validation, test, and held out."""
    pattern = rng.choice([-1.0, 1.0], size=(VIT["num_classes"], *VIT["input_shape"]))
    sizes = np.cumsum([VIT_BATCH * VIT_STEPS, VALIDATED, TESTED, HELD_OUT])
    labels = rng.permutation(np.arange(sizes[-1]) % VIT["num_classes"])
    images = (pattern[labels] + rng.normal(scale=NOISE, size=(len(labels), *VIT["input_shape"]))).astype(np.float32)
    return list(zip(np.split(images, sizes[:-1]), np.split(labels, sizes[:-1]), strict=True))


@dataclass(frozen=True)
class Untested:
    """A Vision Transformer after a training with `run_testing=False`.

    After the best epoch, a clock behind the model moves each answer on by one class, so that the validation accuracy
    breaks down: which answers come tells which weights are in the model.

    Attributes:
        early: Share of held-out images that it answers rightly.
        late: Share that it answers with the class after the right one.
        tested: Whether it has seen as many images as in some validations and a test.
        frozen: Number of weights that are no longer trained.
    """

    early: float
    late: float
    tested: bool
    frozen: int


@pytest.fixture(scope="module")
def untested(student, task_rng):
    """Let the submission train a small Vision Transformer without testing it."""
    *data, (images, labels) = patterns(task_rng)
    limit = VIT_RATE * VIT_STEPS * (VIT_BEST + 0.5)
    clocked = [
        apply("create_vit_classifier", [0], **VIT),
        apply("grader.Clock", [1], [limit]),
        apply("grader.Tape", [2]),
    ]
    model = student.model([VIT["input_shape"]], *clocked)
    free = sum(weight.trainable for weight in model.weights())
    settings = {"epochs": VIT_EPOCHS, "batch_size": VIT_BATCH, "learning_rate": VIT_RATE, "ckpt_path": "."}
    outcome = student.train("run_experiment", model, *data, run_testing=False, **settings)
    student.show(curve_picture(outcome.history, CURVES))
    seen = expect_array(model.get_weights()[-1], (VIT["num_classes"] + 1,), "The last weight")[0]
    logits = expect_array(
        model(images, training=False), (HELD_OUT, VIT["num_classes"]), "What the trained model returns"
    )
    answers = logits.argmax(axis=-1)
    return Untested(
        early=float((answers == labels).mean()),
        late=float((answers == (labels + 1) % VIT["num_classes"]).mean()),
        tested=any(seen > count * TESTED and (seen - count * TESTED) % VALIDATED == 0 for count in (1, 2)),
        frozen=free - sum(weight.trainable for weight in model.weights()),
    )


@pytest.mark.check("A small Vision Transformer learns: it answers new images clearly better than by chance.", weight=2)
def test_vit_learns(untested):
    if untested.frozen:
        blame(NOT_ALL_TRAINED)
    learned = max(untested.early, untested.late)
    if learned < CLEARLY_BETTER:
        fail(
            f"After {VIT_EPOCHS} epochs the model is right on {learned:.0%} of new images; guessing gives {CHANCE:.0%}, and at "
            f"least {CLEARLY_BETTER:.0%} is expected."
        )
