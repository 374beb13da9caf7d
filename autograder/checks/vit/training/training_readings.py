"""Make the network of a rigged training, and read from its weights and its tape how a submission trained it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import PurePath
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import close, expect_array, fail
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.remote import Layer, Student, apply
from autograder.checking.testimony import Curve, TrainOutcome
from autograder.checks.vit.oracles.vision_transformer import Floats
from autograder.checks.vit.training.rigged_training import (
    CLASSES,
    EPOCHS,
    OF_TEST,
    OF_VALIDATION,
    SHAPE,
    LabelledPoints,
    RiggedTraining,
)
from autograder.checks.vit.training.trajectories import Trajectory

EXACT = 1.5e-5
"""Of a weight. Training in float32 is right to 4e-6; the closest wrong one, AMSGrad, is off by 8e-5 or more."""
EXACT_SUM = 2e-4
"""Relative, of a tape. Sums of hundreds of float32 logits are right to 3e-5; a set of points looked at with the weights
of another epoch is off by 7e-4 or more."""
EXACT_CURVE = 1e-3
"""Of a loss in the history, relative; float32 is right to 4e-5."""
UNSURE = 2.5
"""Points that float32 may answer otherwise after an epoch that points were not chosen for: one of another recipe."""
MOST_LOOKS = 2
"""How often a set of points may be looked at with the final weights besides the validation after each epoch."""

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
NOTHING_LEARNED = Mistake("nothing_learned", "The training changed nothing: all weights are as they were before it.")


@dataclass(frozen=True)
class Reading:
    """How a model was trained, as far as its weights and its tape tell.

    Attributes:
        rigged: What it was trained on.
        mistake: What is wrong with the recipe, if anything.
        path: What that recipe does.
        epoch: The model has the weights of this epoch, counted from 1.
        watched: Which points the epochs were validated on; None where no set of points explains the tape.
        tests: How often the test points were seen with the model's final weights.
        history: What the process says of the epochs.
        saved: What it says of files with weights that were written.
    """

    rigged: RiggedTraining
    mistake: Mistake | None
    path: Trajectory
    epoch: int
    watched: LabelledPoints | None
    tests: int
    history: Mapping[str, Curve] | None
    saved: tuple[str, ...]

    @property
    def best_epoch(self) -> int:
        """The epoch that the points chose on which the epochs were validated."""
        return self.rigged.best_epoch(self.path, self.watched or self.rigged.validation)

    @property
    def has_best_weights(self) -> bool:
        """Whether no epoch did better in validation than the one whose weights the model has."""
        accuracy = self.curves["val_accuracy"]
        unsure = 0 if self.path is self.rigged.path else UNSURE / len(self.rigged.validation.labels)
        return self.epoch <= EPOCHS and bool(accuracy[self.epoch - 1] >= accuracy.max() - unsure)

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
        """Whether the history begins as it must, but goes on in another way."""
        told = self._told("loss")
        if told is None or len(told) != EPOCHS:
            return False
        return close(told[:1], self.curves["loss"][:1], EXACT_CURVE) and not self.tells("loss")

    def tells(self, name: str) -> bool:
        """Whether the history holds this curve with the right values."""
        told = self._told(name)
        return told is not None and close(told, self.curves[name], EXACT_CURVE)

    def saved_beside(self, folder: str) -> bool:
        """Whether weights were saved in files, and none of them in this folder."""
        return bool(self.saved) and not any(folder in PurePath(path).parts for path in self.saved)

    def _told(self, name: str) -> Floats | None:
        told = (self.history or {}).get(name)
        return None if told is None else np.array([np.nan if value is None else value for value in told])


def trainable_model(student: Student, rigged: RiggedTraining) -> Layer:
    """Return the network of a rigged training as a model, with its first weights, and a tape behind it."""
    *hidden, last = rigged.plan.network.widths[1:]
    layers = [apply("keras.Dense", [number], [units, "tanh"]) for number, units in enumerate(hidden, 1)]
    layers = [apply("keras.Flatten", [0]), *layers, apply("keras.Dense", [len(layers) + 1], [last])]
    model = student.model([SHAPE], *layers, apply("grader.Tape", [len(layers)]))
    kernels = rigged.plan.network.layers(rigged.start)
    parts = [part for layer in kernels for part in (layer[:-1], layer[-1])]
    model.set_weights([*parts, np.zeros(CLASSES + 1)])
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
    weights, tape = _weights(rigged, model)
    _expect_answers(rigged, model, weights)
    half_explained = None
    for mistake, path in _paths(rigged, mistakes):
        apart = np.abs(path.weights[1:] - weights).max(axis=-1)
        epoch = int(apart.argmin()) + 1
        if apart.min() <= EXACT:
            watched, tests = _read_tape(rigged, path, epoch, tape)
            reading = Reading(rigged, mistake, path, epoch, watched, tests, outcome.history, outcome.saved)
            if watched is not None:
                return reading
            if reading.tells("loss") and reading.tells("accuracy"):
                half_explained = half_explained or reading
    return half_explained or _explain(weights, rigged)


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


def _weights(rigged: RiggedTraining, model: Layer) -> tuple[Floats, Floats]:
    """Return a trained model's weights as the network's vector, and its tape."""
    values = model.get_weights()
    shapes = [shape for rows, units in rigged.plan.network.shapes for shape in ((rows - 1, units), (units,))]
    shapes.append((CLASSES + 1,))
    if len(values) != len(shapes):
        fail("The trained model no longer has the weights that it had before.")
    *weights, tape = (
        expect_array(value, shape, "A weight of the trained model").astype(float)
        for value, shape in zip(values, shapes, strict=True)
    )
    return np.concatenate([weight.ravel() for weight in weights]), tape


def _paths(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> Iterator[tuple[Mistake | None, Trajectory]]:
    """Yield the right path and those of known mistakes."""
    yield None, rigged.path
    for mistake in mistakes:
        for recipe in mistake(rigged.recipe):
            yield mistake, rigged.follow(recipe)


def _expect_answers(rigged: RiggedTraining, model: Layer, weights: Floats) -> None:
    """End the check unless the model answers new points as these weights do: it is what it says that it is."""
    turned = replace(rigged.validation, images=-rigged.validation.images)
    right = turned.logits(weights)
    answers = expect_array(model(turned.images, training=False), right.shape, "What the trained model returns")
    if not close(answers, right, EXACT_SUM):
        fail("The trained model does not answer as its weights do.")


def _read_tape(rigged: RiggedTraining, path: Trajectory, epoch: int, tape: Floats) -> tuple[LabelledPoints | None, int]:
    """Return what the epochs were validated on, and how often the test points were seen in the end.

    The tape is put back together with the weights, so it holds the validations up to the model's own epoch, or all of
    them where only weights that are trained are put back, and what was looked at after that.
    """
    sets = (rigged.validation, rigged.test, rigged.training)
    final = np.stack([_trace(points, path.weights[epoch]) for points in sets])  # (sets, 1 + classes)
    looks = np.array(sorted(product(range(MOST_LOOKS + 1), repeat=len(sets)), key=sum))
    for watched in sets:
        validations = np.cumsum([_trace(watched, weights) for weights in path.weights[1:]], axis=0)
        for last in (epoch, *range(EPOCHS, len(path.weights))):
            sums = validations[last - 1] + looks @ final
            fitting = np.abs(sums - tape).max(axis=-1) <= EXACT_SUM * np.abs(sums).max(axis=-1)
            if fitting.any():
                return watched, int(looks[fitting.argmax()][1])
    return None, 0


def _trace(points: LabelledPoints, weights: Floats) -> Floats:
    """Return what a tape adds up when it sees all points once: their number, and the sum of each logit."""
    return np.append(len(points.labels), points.logits(weights).sum(axis=0))
