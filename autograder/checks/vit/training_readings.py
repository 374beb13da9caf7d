"""Train a linear model as a rigged training says, and read from its weights and its tape how that was done."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NoReturn

import numpy as np

from autograder.checking.comparisons import close, expect_array, fail
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.remote import Layer, Student, apply
from autograder.checking.testimony import Curve, TrainOutcome
from autograder.checks.vit.oracle import Floats
from autograder.checks.vit.rigged_training import CLASSES, EPOCHS, FEATURES, LEARNED, SHAPE, Points, RiggedTraining
from autograder.checks.vit.trajectories import Trajectory

EXACT = 1.5e-5
"""Of a weight. Training in float32 is right to 4e-6; the closest wrong one, AMSGrad, is off by 8e-5 or more."""
EXACT_SUM = 2e-4
"""Relative, of a tape. Sums of hundreds of float32 logits are right to 3e-5; a set of points looked at with the weights
of another epoch is off by 7e-4 or more."""
EXACT_CURVE = 1e-3
"""Of a loss in the history, relative; float32 is right to 4e-5."""
MOST_LOOKS = 2
"""How often a set of points may be looked at with the final weights besides the validation after each epoch."""

TRAINED_ON_VALIDATION_DATA = Mistake(
    "trained_on_validation_data",
    "Weights have moved that the training data have no effect on: the model learned from the validation data, which it "
    "must only be measured on.",
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
    """

    rigged: RiggedTraining
    mistake: Mistake | None
    path: Trajectory
    epoch: int
    watched: Points | None
    tests: int
    history: Mapping[str, Curve] | None

    @property
    def best_epoch(self) -> int:
        """The epoch that the points chose on which the epochs were validated."""
        return self.rigged.best_epoch(self.path, self.watched or self.rigged.validation)

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

    def _told(self, name: str) -> Floats | None:
        told = (self.history or {}).get(name)
        return None if told is None else np.array([np.nan if value is None else value for value in told])


def linear_model(student: Student, start: Floats) -> Layer:
    """Return a dense layer as a model with these weights, kernel above bias, and a tape behind it."""
    layers = [apply("keras.Flatten", [0]), apply("keras.Dense", [1], [CLASSES]), apply("grader.Tape", [2])]
    model = student.model([SHAPE], *layers)
    model.set_weights([start[:-1], start[-1], np.zeros(CLASSES + 1)])
    return model


def read_training(rigged: RiggedTraining, model: Layer, outcome: TrainOutcome, mistakes: Sequence[Mistake]) -> Reading:
    """Return how a model was trained.

    Args:
        rigged: What it was to be trained on.
        model: Made by `linear_model`, and trained.
        outcome: What the process says of the training.
        mistakes: Their oracles turn the right recipe into those that are recognised.

    Raises:
        CheckFailed: If no recipe leads to the model's weights.
    """
    weights, tape = _weights(model)
    _expect_answers(rigged, model, weights)
    half_explained = None
    for mistake, path in _paths(rigged, mistakes):
        apart = np.abs(path.weights[1:] - weights).max(axis=(1, 2))
        epoch = int(apart.argmin()) + 1
        if apart.min() <= EXACT:
            watched, tests = _read_tape(rigged, path, epoch, tape)
            reading = Reading(rigged, mistake, path, epoch, watched, tests, outcome.history)
            if watched is not None:
                return reading
            if reading.tells("loss") and reading.tells("accuracy"):
                half_explained = half_explained or reading
    return half_explained or _explain(weights, rigged)


def _explain(weights: Floats, rigged: RiggedTraining) -> NoReturn:
    """End the check: no recipe leads to these weights, or not in epochs."""
    moved = (weights - rigged.start)[LEARNED:FEATURES]  # the training data do not reach these
    if np.abs(moved).max() > EXACT:
        shrunk = moved / rigged.start[LEARNED:FEATURES]
        blame(
            WEIGHTS_DECAY if shrunk.max() < 0 and np.ptp(shrunk) < 0.05 * -shrunk.mean() else TRAINED_ON_VALIDATION_DATA
        )
    if np.abs(weights - rigged.start).max() <= EXACT:
        blame(NOTHING_LEARNED)
    fail(
        "After the training the model's weights are those of no epoch of a training by Adam with the given data, "
        "learning rate and batch size. Is it trained once, and in the same way from the first step to the last?"
    )


def _weights(model: Layer) -> tuple[Floats, Floats]:
    """Return a trained model's weights, kernel above bias, and its tape."""
    values = model.get_weights()
    shapes = ((FEATURES, CLASSES), (CLASSES,), (CLASSES + 1,))
    if len(values) != len(shapes):
        fail("The trained model no longer has the weights that it had before.")
    kernel, bias, tape = (
        expect_array(value, shape, "A weight of the trained model").astype(float)
        for value, shape in zip(values, shapes, strict=True)
    )
    return np.vstack([kernel, bias]), tape


def _paths(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> Iterator[tuple[Mistake | None, Trajectory]]:
    """Yield the right path and those of known mistakes."""
    yield None, rigged.path
    for mistake in mistakes:
        for recipe in mistake(rigged.recipe):
            yield mistake, rigged.follow(recipe)


def _expect_answers(rigged: RiggedTraining, model: Layer, weights: Floats) -> None:
    """End the check unless the model answers new points as these weights do: it is what it says that it is."""
    turned = Points(-rigged.validation.images, rigged.validation.labels)
    right = turned.logits(weights)
    answers = expect_array(model(turned.images, training=False), right.shape, "What the trained model returns")
    if not close(answers, right, EXACT_SUM):
        fail("The trained model does not answer as its weights do.")


def _read_tape(rigged: RiggedTraining, path: Trajectory, epoch: int, tape: Floats) -> tuple[Points | None, int]:
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


def _trace(points: Points, weights: Floats) -> Floats:
    """Return what a tape adds up when it sees all points once: their number, and the sum of each logit."""
    return np.append(len(points.labels), points.logits(weights).sum(axis=0))
