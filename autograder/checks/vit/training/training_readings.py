"""Make the network of a rigged training, and read from its weights and its tape how a submission trained it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import close, expect_array, fail
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.remote import Layer, Student, apply
from autograder.checking.testimony import Curve, TrainOutcome
from autograder.checks.vit.oracles.vision_transformer import Floats
from autograder.checks.vit.training.looks import Looks
from autograder.checks.vit.training.rigged_training import (
    BATCH_SIZE,
    CLASSES,
    OF_TEST,
    OF_VALIDATION,
    SHAPE,
    LabelledPoints,
    RiggedTraining,
)
from autograder.checks.vit.training.trajectories import Trajectory

EXACT = 1.5e-5
"""Of a weight. Training in float32 is right to 4e-6; the closest wrong one, AMSGrad, is off by 8e-5 or more."""
EXACT_ANSWER = 2e-4
"""Relative, of logits; float32 is right to 1e-5."""
EXACT_CURVE = 1e-3
"""Of a loss in the history, relative; float32 is right to 4e-5."""
UNSURE = 2.5
"""Points that float32 may answer otherwise after an epoch that points were not chosen for: one of another recipe."""
KEPT_LOOKS = 16_384
"""Samples that a tape keeps. Three looks at all data after each of 12 epochs and three more are at most 9,000."""

NO_HISTORY = (
    "The object that has `.history` is meant: is a `return` missing, or is it `history.history`, its dictionary?"
)
TRAINED_ON_VALIDATION_DATA = Mistake(
    "trained_on_validation_data",
    "Weights have moved that only the validation data have an effect on: the model learned from them. It must only be "
    "measured on them.",
)
TRAINED_ON_TEST_DATA = Mistake(
    "trained_on_test_data",
    "Weights have moved that only the test data have an effect on: the model learned from them. It must only be "
    "measured on them, in the end.",
)
WEIGHTS_DECAY = Mistake(
    "weights_decay",
    "All weights shrink, even those on which the training data have no effect. Adam by itself moves only those that "
    "have a gradient: is it another optimiser, or a regulariser?",
)
NOT_IN_TRAINING = Mistake(
    "not_in_training",
    "The model is never called in the training phase, so its dropout would drop nothing. In a loop of your own, call "
    "`model(images, training=True)`.",
)
HISTORY_OF_LAST_EPOCHS = Mistake(
    "history_of_last_epochs",
    "The history tells of fewer epochs than the model was trained for. After several calls of `fit` put their "
    "histories together.",
)
NOTHING_LEARNED = Mistake("nothing_learned", "The training changed nothing: all weights are as they were before it.")


@dataclass(frozen=True)
class Reading:
    """How a model was trained, as far as its weights and its tape tell.

    Attributes:
        rigged: What it was trained on.
        mistake: What is wrong with the recipe, if anything.
        path: What that recipe does.
        epoch: The model has the weights of this epoch, counted from 1.
        watched: Which points the epochs were validated on; None where no set of points was seen after each of them.
        tests: How often all test points were seen with the model's final weights, but for that validation.
        history: What the process says of the epochs.
        saved: What it says of files with weights that were written.
        in_training: Whether the model was called in the training phase.
    """

    rigged: RiggedTraining
    mistake: Mistake | None
    path: Trajectory
    epoch: int
    watched: LabelledPoints | None
    tests: int
    history: Mapping[str, Curve] | None
    saved: tuple[str, ...]
    in_training: bool

    @property
    def best_epoch(self) -> int:
        """The epoch that the points chose on which the epochs were validated."""
        return self.rigged.best_epoch(self.path, self.watched or self.rigged.validation)

    @property
    def has_best_weights(self) -> bool:
        """Whether no epoch did better in validation than the one whose weights the model has."""
        accuracy = self.curves["val_accuracy"]
        unsure = 0 if self.path is self.rigged.path else UNSURE / len(self.rigged.validation.labels)
        return self.epoch <= self.rigged.plan.epochs and bool(accuracy[self.epoch - 1] >= accuracy.max() - unsure)

    @property
    def curves(self) -> Mapping[str, Floats]:
        """The right history of what was done."""
        return self.rigged.history(self.path, self.watched or self.rigged.validation)

    @property
    def epochs(self) -> int:
        """How many epochs the history tells of; 0 where there is none."""
        return len((self.history or {}).get("loss", ()))

    @property
    def turns_off(self) -> bool:
        """Whether the history is as it must be up to the epoch whose weights the model has, and then another."""
        told = self._told("loss")
        if told is None or len(told) != self.rigged.plan.epochs:
            return False
        right = self._right("loss", told)[: self.epoch]
        return not self.adds_up and close(told[: self.epoch], right, EXACT_CURVE) and not self.tells("loss")

    @property
    def adds_up(self) -> bool:
        """Whether the history's losses are means over all epochs so far, as of metrics that are never reset."""
        told, count = self._told("loss"), self.rigged.plan.epochs
        if told is None or len(told) != count:
            return False
        choices = self.curves["loss"], self.path.losses[:count].mean(axis=-1)
        return any(close(told, np.cumsum(right) / np.arange(1, count + 1), EXACT_CURVE) for right in choices)

    def tells(self, name: str) -> bool:
        """Whether the history holds this curve with the right values."""
        told = self._told(name)
        return (
            told is not None
            and len(told) == self.rigged.plan.epochs
            and close(told, self._right(name, told), EXACT_CURVE)
        )

    def saved_beside(self, folder: str) -> bool:
        """Whether weights were saved in files, and none of them in this folder."""
        return bool(self.saved) and not any(folder in PurePath(path).parts for path in self.saved)

    def _right(self, name: str, told: Floats) -> Floats:
        """Return a right curve: of those that differ in the short batch's place in an epoch, or weight, the nearest.

        A loop of one's own may take the mean of all batches, the short one too.
        """
        epochs, of_steps = len(told), {"loss": self.path.losses, "accuracy": self.path.rights}
        if name in of_steps:
            steps = of_steps[name][:epochs]
            right = [*self.path.wherever_the_last(steps).T, steps.mean(axis=-1)]
        else:
            right = [self.curves[name]]
        if name == "val_loss":
            watched = self.watched or self.rigged.validation
            losses = [watched.losses(weights) for weights in self.path.weights[1 : epochs + 1]]
            ends = range(BATCH_SIZE, len(watched.labels), BATCH_SIZE)
            right.append(np.array([np.mean([*map(np.mean, np.split(of_epoch, ends))]) for of_epoch in losses]))
        choices = np.array(right)
        return choices[np.abs(choices - told).argmin(axis=0), np.arange(epochs)]

    def _told(self, name: str) -> Floats | None:
        told = (self.history or {}).get(name)
        return None if told is None else np.array([np.nan if value is None else value for value in told])


def trainable_model(student: Student, rigged: RiggedTraining) -> Layer:
    """Return the network of a rigged training as a model, with its first weights, and a tape behind it."""
    *hidden, last = rigged.plan.network.widths[1:]
    layers = [apply("keras.Dense", [number], [units, "tanh"]) for number, units in enumerate(hidden, 1)]
    layers = [apply("keras.Flatten", [0]), *layers, apply("keras.Dense", [len(layers) + 1], [last])]
    model = student.model([SHAPE], *layers, apply("grader.Tape", [len(layers)], [KEPT_LOOKS]))
    kernels = rigged.plan.network.layers(rigged.start)
    parts = [part for layer in kernels for part in (layer[:-1], layer[-1])]
    model.set_weights([*parts, np.zeros((KEPT_LOOKS, CLASSES + 1)), np.zeros(())])
    return model


def read_training(rigged: RiggedTraining, model: Layer, outcome: TrainOutcome, mistakes: Sequence[Mistake]) -> Reading:
    """Return how a model was trained.

    Args:
        rigged: What it was to be trained on.
        model: Made by `trainable_model`, and trained.
        outcome: What the process says of the training.
        mistakes: Their oracles turn the right recipe into those that are recognised.

    Raises:
        CheckFailed: If no recipe leads to the model's weights.
    """
    weights, tape, steps = _weights(rigged, model)
    _expect_answers(rigged, model, weights)
    readings: list[Reading] = []
    for mistake, path in _paths(rigged, mistakes):
        apart = np.abs(path.weights[1:] - weights).max(axis=-1)
        if apart.min() <= EXACT:
            epoch = int(apart.argmin()) + 1
            untold = Reading(rigged, mistake, path, epoch, None, 0, outcome.history, outcome.saved, steps > 0)
            reading = _with_looks(untold, Looks.on(tape))
            if _is_plausible(reading):
                readings.append(reading)
            if reading.watched is not None and reading.has_best_weights:
                break  # nothing is likelier
    return max(readings, key=_explained_epochs) if readings else _explain(weights, rigged)


def _with_looks(untold: Reading, looks: Looks) -> Reading:
    """Return a reading that also tells what was looked at.

    The tape is put back together with the weights, so of the epochs it is sure to hold those up to the model's own.
    Whatever else was looked at does not matter. Of sets that were all seen after each epoch, that one was watched
    which chose the epoch whose weights were put back, or else that of the history.
    """
    rigged, epoch = untold.rigged, untold.epoch
    after = untold.path.weights[1 : epoch + 1]
    sets = (rigged.validation, rigged.test, rigged.training)
    watched = [points for points in sets if all(looks.at(points, weights) for weights in after)]
    tests = looks.at(rigged.test, after[-1])
    if not watched:
        return replace(untold, tests=tests)
    readings = [replace(untold, watched=points, tests=tests - (points is rigged.test)) for points in watched]
    return max(
        readings,
        key=lambda reading: (reading.has_best_weights and epoch < rigged.plan.epochs, reading.tells("val_accuracy")),
    )


def _is_plausible(reading: Reading) -> bool:
    """Whether a reading is told by the tape, or at least by the history."""
    return reading.watched is not None or (reading.tells("loss") and reading.tells("accuracy"))


def _explained_epochs(reading: Reading) -> int:
    """Return after how many epochs the tape holds what a reading says.

    Some epochs of one recipe can be those of another: two steps each in six lead to what four steps each do in three.
    """
    return 0 if reading.watched is None else reading.epoch


def _explain(weights: Floats, rigged: RiggedTraining) -> NoReturn:
    """End the check: no recipe leads to these weights, or not in epochs."""
    first, before = (rigged.plan.network.layers(values)[0] for values in (weights, rigged.start))
    unreached = [OF_VALIDATION, OF_TEST]  # features that the training data do not have
    shrunk = (first - before)[unreached] / before[unreached]
    moved = np.abs(first - before).max(axis=-1) > EXACT
    if moved[unreached].all() and shrunk.max() < 0 and np.ptp(shrunk) < 0.05 * -shrunk.mean():
        blame(WEIGHTS_DECAY)
    if moved[OF_VALIDATION]:
        blame(TRAINED_ON_VALIDATION_DATA)
    if moved[OF_TEST]:
        blame(TRAINED_ON_TEST_DATA)
    if np.abs(weights - rigged.start).max() <= EXACT:
        blame(NOTHING_LEARNED)
    fail(
        "After the training the model's weights are those of no epoch of a training by Adam with the given data, "
        "learning rate and batch size. Is it trained once, and in the same way from the first step to the last?"
    )


def _weights(rigged: RiggedTraining, model: Layer) -> tuple[Floats, Floats, float]:
    """Return a trained model's weights as the network's vector, its tape, and how often it was called in training."""
    values = model.get_weights()
    shapes: list[tuple[int, ...]] = []
    for rows, units in rigged.plan.network.shapes:
        shapes += [(rows - 1, units), (units,)]
    shapes += [(KEPT_LOOKS, CLASSES + 1), ()]
    if len(values) != len(shapes):
        fail("The trained model no longer has the weights that it had before.")
    *weights, tape, steps = (
        expect_array(value, shape, "A weight of the trained model").astype(float)
        for value, shape in zip(values, shapes, strict=True)
    )
    return np.concatenate([weight.ravel() for weight in weights]), tape, float(steps)


def _paths(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> Iterator[tuple[Mistake | None, Trajectory]]:
    """Yield the right paths and those of known mistakes."""
    yield None, rigged.path
    yield None, rigged.follow(replace(rigged.recipe, counts_one_more=True))
    for mistake in mistakes:
        for recipe in mistake(rigged.recipe):
            yield mistake, rigged.follow(recipe)


def _expect_answers(rigged: RiggedTraining, model: Layer, weights: Floats) -> None:
    """End the check unless the model answers new points as these weights do: it is what it says that it is."""
    turned = replace(rigged.validation, images=-rigged.validation.images)
    right = turned.logits(weights)
    answers = expect_array(model(turned.images, training=False), right.shape, "What the trained model returns")
    if not close(answers, right, EXACT_ANSWER):
        fail("The trained model does not answer as its weights do.")
