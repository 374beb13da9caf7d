"""Hidden checks of the notebook's `measure_footprint`: a linear model is trained under the student's tracker."""

import numpy as np
import pytest

from autograder import wire
from autograder.checking.comparisons import fail, require
from autograder.checking.remote import Student
from autograder.checks.vit.misconceptions import blame

CLASSES, FEATURES, SAMPLES = 3, 6, 96
SETTINGS = {"epochs": 2, "batch_size": 32, "learning_rate": 0.01, "run_testing": False}
LOGS = "footprint"


@pytest.fixture(scope="module")
def outcome(student: Student, task_rng):
    """Let the submission measure the training of a small model, and return what was observed."""
    model = student.model([(FEATURES,)], wire.Node("keras.Dense", [0], [], {}, init=[CLASSES]))
    points = task_rng.normal(size=(SAMPLES, FEATURES)).astype(np.float32)
    data = (points, task_rng.integers(0, CLASSES, size=SAMPLES))
    return student.train("measure_footprint", model, LOGS, data, data, data, **SETTINGS)


def times(events, name):
    """Return the places in the order of events at which this happened."""
    return [place for place, event in enumerate(events) if event == name]


@pytest.mark.check("The tracker watches the whole training, and its log holds an energy above zero.", weight=3)
def test_tracker(outcome, student):
    events = outcome.events
    fits = times(events, "fit begins")
    if not fits:
        fail("Nothing was trained: `measure_footprint` must call `run_experiment`.")
    starts, ends = times(events, "epoch_start ends"), times(events, "epoch_end begins")
    if not starts:
        blame("tracker_not_started")
    if not ends:
        blame("tracker_not_ended")
    if starts[0] > fits[0] or ends[-1] < times(events, "fit ends")[-1]:
        blame("tracker_beside_training")
    footprint = student.call("read_footprint", LOGS)
    energy = footprint.get("energy_kwh") if isinstance(footprint, dict) else None
    if not isinstance(energy, float) or not 0 < energy < 1:
        fail(f"Expected an energy above 0 kWh in the log that the tracker wrote in `log_dir`; got {energy!r}.")


@pytest.mark.check("The model is trained once, with the given settings, and the history is returned.")
def test_training_follows_the_settings(outcome):
    fits = len(times(outcome.events, "fit begins"))
    require(fits == 1, f"The model must be trained once; yours is trained {fits} times.")
    history = outcome.history
    if not isinstance(history, dict):
        fail("`measure_footprint` must return the history that `run_experiment` gives. Is a return missing?")
    epochs = {len(curve) for curve in history.values() if isinstance(curve, tuple)}
    wanted = SETTINGS["epochs"]
    require(
        epochs == {wanted},
        f"Asked for {wanted} epochs, the history has {sorted(epochs)}. Pass the settings on.",
        "settings_not_passed_on",
    )
