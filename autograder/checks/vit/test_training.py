"""Hidden checks of the notebook's `run_experiment`.

It trains two networks on data made so that every weight after every epoch is known beforehand (`rigged_training`): a
linear one, which is tested in the end, and a deeper one, which is not. It also trains a small Vision Transformer of the
submission's, whose new weights then answer images in the grader's own (`learning`).
"""

from dataclasses import replace

import pytest

from autograder.checking.comparisons import fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.pictures import curve_picture
from autograder.checks.vit.readings.vits import read_vit
from autograder.checks.vit.training import learning
from autograder.checks.vit.training.rigged_training import (
    BATCH_SIZE,
    LATE,
    LONG,
    SAMPLES,
    in_batches,
    rig_training,
)
from autograder.checks.vit.training.training_readings import (
    HISTORY_OF_LAST_EPOCHS,
    NO_HISTORY,
    NOT_IN_TRAINING,
    NOTHING_LEARNED,
    read_training,
    trainable_model,
)
from autograder.checks.vit.training.trajectories import OF_PROBABILITIES, adam_w, ams_grad, rms_prop, sgd
from autograder.errors import StudentFault, StudentRaised

FOLDER, FOLDER_OF_UNTESTED, FOLDER_OF_VIT = "checkpoints", "checkpoints_of_untested", "checkpoints_of_vit"
"""One for each training: a `run_experiment` may go on from the weights that it finds."""
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")

NOT_ADAM = Mistake(
    "not_adam",
    "The weights are not those that Adam reaches but those of another optimiser. Which one do you compile with?",
    lambda recipe: [replace(recipe, optimiser=other) for other in (ams_grad, adam_w, sgd, rms_prop)],
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
VALIDATED_ON_A_PART = Mistake(
    "validated_on_training_data",
    "A part of the training data is kept from the training, as `validation_split` does it. All of them are for training; "
    "each epoch is validated on `validation_data`.",
    lambda recipe: [replace(recipe, batches=in_batches(BATCH_SIZE, samples)) for samples in (45, 40, 37, 35)],
)
OF_SETTINGS = (NOT_ADAM, LEARNING_RATE_IGNORED, BATCH_SIZE_IGNORED, LAST_BATCH_DROPPED)
OF_LOSS = (LOSS_NOT_FROM_LOGITS, LOSS_SUMMED)
OF_RECIPE = (*OF_LOSS, *OF_SETTINGS, VALIDATED_ON_A_PART)

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
METRICS_NOT_RESET = Mistake(
    "metrics_not_reset",
    "What you count in one epoch is still counted in the next ones: reset your metrics before each epoch.",
)
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
NEEDS_TEST_DATA = Mistake(
    "needs_test_data",
    "With `run_testing=False`, `test_data` may be None, and your training then stops with an error. Unpack the test data "
    "only where you test.",
)
TESTED_UNASKED = Mistake("tested_unasked", "With `run_testing=False` the model is tested all the same.")
NOT_ALL_TRAINED = Mistake(
    "not_all_trained",
    "The first layers of the model are not trained: `run_experiment` freezes them.",
    lambda recipe: [replace(recipe, frozen=layers) for layers in (1, 2)],
)
SAVED_ELSEWHERE = Mistake(
    "saved_elsewhere",
    "The best weights are not saved in the folder `ckpt_path`: the next training, in another folder, would overwrite them.",
)


def train(student, rigged, mistakes, folder, **settings):
    """Let the submission train the network of a rigged training, and read how it did that."""
    model = trainable_model(student, rigged)
    settings |= {
        "epochs": rigged.plan.epochs,
        "batch_size": BATCH_SIZE,
        "learning_rate": rigged.recipe.rate,
        "ckpt_path": folder,
    }
    outcome = student.train("run_experiment", model, *rigged.data(), folder=folder, **settings)
    student.show(curve_picture(outcome.history, CURVES))
    return read_training(rigged, model, outcome, mistakes)


@pytest.fixture(scope="module")
def trained(student, task_rng):
    """A linear network, trained and tested."""
    return train(student, rig_training(task_rng, LONG, OF_RECIPE), OF_RECIPE, FOLDER)


@pytest.fixture(scope="module")
def untested(student, task_rng):
    """A deeper network, trained with `run_testing=False`."""
    mistakes = (*OF_RECIPE, NOT_ALL_TRAINED)
    rigged = rig_training(task_rng, LATE, [NOT_ALL_TRAINED])
    return train(student, rigged, mistakes, FOLDER_OF_UNTESTED, run_testing=False)


class VitTraining:
    """The training of a small Vision Transformer, without test data; with some if it stops without.

    Attributes:
        model: As it was read.
        patterns: What it is trained on.
        start: Its first weights.
        outcome: What came, None if nothing did.
        fault: Why nothing came.
        needs_test_data: Whether it stops without test data and not with some.
    """

    def __init__(self, student, rng):
        self.outcome, self.fault, self.needs_test_data = None, None, False
        try:
            self.model = read_vit(student, learning.SIZES, (0.0, 0.0), rng)
            self.patterns, self.start = learning.draw_patterns(rng), learning.first_weights(self.model, rng)
            self._train(student)
        except StudentFault as fault:
            self.fault = fault

    def _train(self, student):
        *data, test_data = self.patterns.data
        try:
            self.outcome = self._train_with(student, *data, None)
        except StudentRaised:
            self.outcome = self._train_with(student, *data, test_data)
            self.needs_test_data = True

    def _train_with(self, student, *data):
        self.model.variables.set(self.start)
        settings = {"epochs": learning.EPOCHS, "batch_size": learning.BATCH_SIZE, "learning_rate": learning.RATE}
        folders = {"folder": FOLDER_OF_VIT, "ckpt_path": FOLDER_OF_VIT}
        return student.train("run_experiment", self.model.layer, *data, run_testing=False, **folders, **settings)


@pytest.fixture(scope="module")
def vit_training(student, task_rng):
    """A small Vision Transformer, trained with `run_testing=False`."""
    return VitTraining(student, task_rng)


@pytest.mark.check("Adam trains the model, with the given learning rate and batch size.", weight=2)
def test_settings(trained):
    if trained.mistake in OF_SETTINGS:
        blame(trained.mistake)
    if not trained.in_training:
        blame(NOT_IN_TRAINING)


@pytest.mark.check("The loss is the mean cross-entropy of the logits with integer labels.")
def test_loss(trained):
    if trained.mistake in OF_LOSS:
        blame(trained.mistake)


@pytest.mark.check("The Keras history is returned: loss and accuracy in training and validation, for each epoch.")
def test_history(trained):
    if trained.history is None:
        fail("`run_experiment` must return the history that Keras' `fit` gives. " + NO_HISTORY)
    expect_whole(trained)
    for name in CURVES if trained.mistake is None else ("accuracy", "val_accuracy"):
        if name not in trained.history:
            fail(f"The history must hold `{name}`, a number for each epoch.")
        if trained.epochs < trained.epoch:
            blame(HISTORY_OF_LAST_EPOCHS)
        if trained.adds_up:
            blame(METRICS_NOT_RESET)
        if trained.epochs != trained.rigged.plan.epochs:
            blame(EPOCHS_IGNORED)
        if trained.turns_off and trained.mistake is None:
            blame(RATE_CHANGES)
        require(trained.tells(name), f"`{name}` in the history is not that of this training.")


@pytest.mark.check("Each epoch is validated, on the validation data.")
def test_validation(trained):
    expect_whole(trained)
    if trained.watched is trained.rigged.test:
        blame(VALIDATED_ON_TEST_DATA)
    if trained.watched is trained.rigged.training:
        blame(VALIDATED_ON_TRAINING_DATA)
    require(
        trained.watched is not None,
        "After an epoch, not all of the validation data were seen with the weights that the model had then.",
    )


@pytest.mark.check("The weights of the best validation accuracy are put back, whether or not a test follows.", weight=2)
def test_best_weights_are_reloaded(trained, untested):
    expect_best(trained)
    if untested.epoch == LATE.epochs and not untested.has_best_weights:
        blame(RELOADED_ONLY_WHEN_TESTING)
    expect_best(untested)
    if trained.saved_beside(FOLDER):
        blame(SAVED_ELSEWHERE)


def expect_whole(trained):
    """End the check if a part of the training data was kept from the training."""
    if trained.mistake is VALIDATED_ON_A_PART:
        blame(VALIDATED_ON_A_PART)


def expect_best(trained):
    """End the check unless the model has the weights of its best epoch."""
    if trained.has_best_weights:
        return
    expect_whole(trained)
    epochs = trained.rigged.plan.epochs
    if trained.epochs != epochs or trained.epoch > epochs:
        blame(EPOCHS_IGNORED)
    if trained.adds_up:
        blame(METRICS_NOT_RESET)
    if trained.turns_off:
        blame(RATE_CHANGES)
    if trained.epoch == trained.curves["val_loss"].argmin() + 1:
        blame(BEST_BY_LOSS)
    if trained.epoch == epochs:
        blame(BEST_NOT_RELOADED)
    fail(
        f"Of {epochs} epochs, epoch {trained.best_epoch} had the best validation accuracy. After the training the model has "
        f"the weights of epoch {trained.epoch}.",
        BEST_NOT_RELOADED.slug,
    )


@pytest.mark.check("If asked for, and only then, the model is tested with its best weights.")
def test_testing(trained, untested, vit_training):
    if not trained.tests:
        blame(NOT_TESTED)
    if untested.tests:
        blame(TESTED_UNASKED)
    if vit_training.needs_test_data:
        blame(NEEDS_TEST_DATA)


@pytest.mark.check("Every layer of a deeper network is trained, the first one, too.", weight=2)
def test_all_layers_are_trained(untested):
    if untested.mistake is NOT_ALL_TRAINED:
        blame(NOT_ALL_TRAINED)


@pytest.mark.check(
    "A small Vision Transformer learns: with its new weights, new images are answered rightly.", weight=2
)
def test_vit_learns(student, vit_training):
    if vit_training.fault is not None:
        raise vit_training.fault
    student.show(curve_picture(vit_training.outcome.history, CURVES))
    weights = vit_training.model.variables.now("trained model")
    if (weights == vit_training.start.astype("float32")).all():
        blame(NOTHING_LEARNED)
    learned = learning.what_was_learned(vit_training.model, weights, vit_training.patterns)
    if learned.share < learning.LEAST or not learned.names_fit:
        fail(
            f"With the weights after the training, the model is right on {learned.share:.0%} of new images; guessing gives "
            f"{learning.CHANCE:.0%}. Is it trained on the training images with their own labels?"
        )
