"""Hidden checks of the notebook's `measure_footprint`: a linear model is trained under the student's tracker.

How the model was trained is read from its weights, as in `test_training`. That a tracker watched it, and where the
weights were saved, only the student's process can tell; see docs/evidence.md.
"""

from dataclasses import replace

import numpy as np
import pytest

from autograder.checking.comparisons import fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checks.vit.training.rigged_training import BATCH_SIZE, PLAIN, in_batches, rig_training
from autograder.checks.vit.training.training_readings import NO_HISTORY, read_training, trainable_model
from autograder.errors import StudentFault

LOGS, LOGS_OF_TESTED = "footprint", "footprint_of_tested"
TRAINING = "run_experiment"
NOTHING_TRAINED = "Nothing was trained: `measure_footprint` must call `run_experiment`."
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy")

SETTINGS_NOT_PASSED_ON = Mistake(
    "settings_not_passed_on",
    "The settings (epochs, batch_size, learning_rate, run_testing) do not reach `run_experiment`.",
    lambda recipe: [
        replace(recipe, rate=1e-4, batches=in_batches(64)),  # the defaults of run_experiment
        replace(recipe, rate=1e-4),
        replace(recipe, batches=in_batches(64)),
    ],
)
DATA_EXCHANGED = Mistake(
    "data_exchanged",
    "The epochs are not validated on the validation data. In which order does `run_experiment` take its data?",
)
NOT_TESTED = Mistake(
    "footprint_not_tested",
    "With `run_testing=True` the model is not tested on the test data. Are they passed on to `run_experiment`, and the "
    "setting, too?",
)
SAVED_ELSEWHERE = Mistake(
    "saved_elsewhere",
    "The best weights are not saved in `log_dir`: pass it on as `ckpt_path`, or two models overwrite each other's.",
)
NOT_STARTED = Mistake("tracker_not_started", "The tracker is never started: call its `epoch_start()`.")
NOT_ENDED = Mistake(
    "tracker_not_ended", "The tracker is started but its epoch never ends, so nothing is computed: call `epoch_end()`."
)
BESIDE_TRAINING = Mistake(
    "tracker_beside_training",
    "Some of the training happens before the tracker is started or after its epoch has ended: start it before you call "
    "`run_experiment`, and end it afterwards.",
)

NOT_EACH_TIME = Mistake(
    "tracker_not_each_time",
    "A first training is measured, but not a second one, with `run_testing=True`. Each call makes a tracker of its own, "
    "starts and ends it, whatever the settings are.",
)


@pytest.fixture(scope="module")
def rigged(task_rng):
    """Draw a training whose outcome is known."""
    return rig_training(task_rng, PLAIN, [SETTINGS_NOT_PASSED_ON])


def measure(student, rigged, model, folder, **settings):
    """Let the submission measure a training, and return what its process says of it."""
    settings |= {"epochs": PLAIN.epochs, "batch_size": BATCH_SIZE, "learning_rate": rigged.recipe.rate}
    folders = {"folder": folder, "inner": TRAINING}
    return student.train("measure_footprint", model, folder, *rigged.data(), **folders, **settings)


@pytest.fixture(scope="module")
def model(student, rigged):
    """Make the linear model."""
    return trainable_model(student, rigged)


@pytest.fixture(scope="module")
def outcome(student, model, rigged):
    """Let the submission measure the training of this model, without a test."""
    return measure(student, rigged, model, LOGS, run_testing=False)


@pytest.fixture(scope="module")
def another(student, rigged):
    """Make such a model once more."""
    return trainable_model(student, rigged)


@pytest.fixture(scope="module")
def tested(student, another, rigged):
    """Let the submission measure that one's training, with a test; return what came or why nothing did."""
    try:
        return measure(student, rigged, another, LOGS_OF_TESTED, run_testing=True)
    except StudentFault as fault:
        return fault


@pytest.fixture(scope="module")
def trained(model, rigged, outcome):
    """Read from the model how it was trained."""
    kernel = rigged.plan.network.layers(rigged.start)[0][:-1]
    if np.array_equal(model.get_weights()[0], kernel):
        fail(NOTHING_TRAINED)
    trainings = len(times(outcome.events, f"{TRAINING} begins"))
    require(trainings < 2, f"The model must be trained once; yours is trained {trainings} times.")
    return read_training(rigged, model, outcome, [SETTINGS_NOT_PASSED_ON])


@pytest.mark.check("The model is trained once by `run_experiment`, on the given data, with the given settings.")
def test_training_follows_the_settings(rigged, trained, another, tested):
    if trained.mistake or trained.tests:
        blame(SETTINGS_NOT_PASSED_ON)
    if trained.watched is not trained.rigged.validation:
        blame(DATA_EXCHANGED)
    require(
        trained.has_best_weights,
        f"Of {PLAIN.epochs} epochs, epoch {trained.best_epoch} had the best validation accuracy. After the training the model has "
        f"the weights of epoch {trained.epoch}. Is it `run_experiment` that trains, with all settings?",
    )
    if trained.saved_beside(LOGS):
        blame(SAVED_ELSEWHERE)
    if isinstance(tested, StudentFault):
        raise tested
    if not read_training(rigged, another, tested, [SETTINGS_NOT_PASSED_ON]).tests:
        blame(NOT_TESTED)


@pytest.mark.check("The history of the training is returned.")
def test_history(trained):
    if trained.history is None:
        fail("`measure_footprint` must return the history that `run_experiment` gives. " + NO_HISTORY)
    if trained.epochs != PLAIN.epochs:
        blame(SETTINGS_NOT_PASSED_ON)
    for name in CURVES:
        require(trained.tells(name), f"`{name}` in the history is not that of this training.")


@pytest.mark.check("The tracker watches the whole training, and its log holds an energy above zero.", weight=2)
def test_tracker(student, outcome, tested):
    expect_measured(student, outcome, LOGS)
    if isinstance(tested, StudentFault):
        return  # another check raises it
    try:
        expect_measured(student, tested, LOGS_OF_TESTED)
    except StudentFault:
        blame(NOT_EACH_TIME)


def expect_measured(student, outcome, folder):
    """End the check unless a tracker watched a training, and left its energy in a folder."""
    events = outcome.events
    begin, end = interval_of_training(events)
    starts, ends = times(events, "epoch_start ends"), times(events, "epoch_end begins")
    if not starts:
        blame(NOT_STARTED)
    if not ends:
        blame(NOT_ENDED)
    runs = sum(place < begin for place in starts) > sum(place < begin for place in ends)
    if not runs or ends[-1] < end:
        blame(BESIDE_TRAINING)
    footprint = student.call("read_footprint", folder)
    energy = footprint.get("energy_kwh") if isinstance(footprint, dict) else None
    if not isinstance(energy, float) or not 0 < energy < 1:
        fail(f"Expected an energy above 0 kWh in the log that the tracker wrote in `log_dir`; got {energy!r}.")


def interval_of_training(events):
    """Return the places of the first begin and the last end of `fit`, or of a training that does without it."""
    for name in ("fit", TRAINING):
        begins, ends = times(events, f"{name} begins"), times(events, f"{name} ends")
        if begins and ends:
            return begins[0], ends[-1]
    return fail(NOTHING_TRAINED)


def times(events, name):
    """Return the places in the order of events at which this happened."""
    return [place for place, event in enumerate(events) if event == name]
