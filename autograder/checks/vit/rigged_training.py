"""A training whose every outcome is known before it happens.

The training samples are alike (see `trajectories`). Validation points are chosen by what the model will answer after
each epoch, so that one epoch has the best validation accuracy and every other rule chooses another one: the lowest
loss, the lowest accuracy, the last epoch, an epoch more, the training accuracy, the accuracy on the test points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograder.checking.mistakes import Mistake
from autograder.checks.vit.oracle import Floats, softmax
from autograder.checks.vit.trajectories import Recipe, Trajectory, follow

SHAPE, FEATURES, CLASSES = (3, 3, 1), 9, 4
LEARNED = 7
"""Features of the training sample. In the others it is 0, so that their weights never move."""
EPOCHS, BEST, BEST_ON_TEST = 6, 5, 3
FURTHER = 3
"""Epochs beyond the end that are followed, too."""
SAMPLES, BATCH_SIZE = 50, 16  # the last batch of an epoch is a short one
RATES = (0.02, 0.05)
CLEAR = 0.03
"""Least distance of a point's two largest logits after each epoch; float32 weights are off by 4e-6."""
APART = 8e-5
"""Least distance of the best epoch's weights from those of a wrong recipe."""
CANDIDATES = 2500
ATTEMPTS = 200  # 2 are needed on average, 15 at most in a thousand

Labels = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class Points:
    """Images of SHAPE, float32 `(points, ...)`, and their labels `(points,)`."""

    images: Floats
    labels: Labels

    def pair(self) -> tuple[Floats, Labels]:
        """Return them as `run_experiment` takes them."""
        return self.images, self.labels

    def logits(self, weights: Floats) -> Floats:
        """Return a linear model's answers, `(points, classes)`; weights are the kernel above the bias."""
        flat = self.images.reshape(len(self.images), -1).astype(float)
        return flat @ weights[:-1] + weights[-1]

    def accuracy(self, weights: Floats) -> float:
        """Return the share of right answers."""
        return float((self.logits(weights).argmax(axis=-1) == self.labels).mean())

    def loss(self, weights: Floats) -> float:
        """Return the mean cross-entropy."""
        chosen = softmax(self.logits(weights))[np.arange(len(self.labels)), self.labels]
        return float(-np.log(chosen).mean())


@dataclass(frozen=True)
class RiggedTraining:
    """A training whose outcome is known.

    Attributes:
        start: The model's first weights, kernel above bias, `(FEATURES + 1, CLASSES)`.
        recipe: How the model must be trained.
        path: What then happens, in EPOCHS epochs and in FURTHER ones.
        training: Copies of one sample.
    """

    start: Floats
    recipe: Recipe
    path: Trajectory
    training: Points
    validation: Points
    test: Points

    def data(self) -> list[tuple[Floats, Labels]]:
        """Return training, validation and test data as `run_experiment` takes them."""
        return [points.pair() for points in (self.training, self.validation, self.test)]

    def follow(self, recipe: Recipe) -> Trajectory:
        """Return what happens with another recipe."""
        return _follow(recipe, self.start, self.training)

    def history(self, path: Trajectory, watched: Points) -> Mapping[str, Floats]:
        """Return Keras' history of EPOCHS epochs of a path, validated on these points."""
        after = path.weights[1 : EPOCHS + 1]
        return {
            "loss": path.loss[:EPOCHS],
            "accuracy": path.accuracy[:EPOCHS],
            "val_loss": np.array([watched.loss(weights) for weights in after]),
            "val_accuracy": np.array([watched.accuracy(weights) for weights in after]),
        }

    def best_epoch(self, path: Trajectory, watched: Points) -> int:
        """Return the epoch, counted from 1, whose weights are the best on these points, the first of equal ones."""
        return int(self.history(path, watched)["val_accuracy"].argmax()) + 1


def rig_training(rng: np.random.Generator, mistakes: Sequence[Mistake]) -> RiggedTraining:
    """Return a training that tells the best epoch from all others and the right recipe from those of these mistakes.

    Args:
        rng: Makes it; drawn again until everything is told apart.
        mistakes: Their oracles turn the right recipe into wrong ones.
    """
    for _ in range(ATTEMPTS):
        rigged = _draw(rng)
        if _tells_apart(rigged, mistakes):
            validation = _choose_points(rng, rigged.path, BEST, decoys=True)
            test = _choose_points(rng, rigged.path, BEST_ON_TEST, decoys=False)
            if validation is not None and test is not None and _is_tested_in_time(rigged.path, test):
                return replace(rigged, validation=validation, test=test)
    raise RuntimeError(f"no training with a single best epoch came in {ATTEMPTS} draws")


def in_batches(size: int) -> tuple[int, ...]:
    """Return the sizes of the batches of one epoch."""
    whole, rest = divmod(SAMPLES, size)
    return (size,) * whole + ((rest,) if rest else ())


def _follow(recipe: Recipe, start: Floats, training: Points) -> Trajectory:
    sample = training.images[0].ravel().astype(float)
    return follow(recipe, start, sample, int(training.labels[0]), EPOCHS + FURTHER)


def _draw(rng: np.random.Generator) -> RiggedTraining:
    """Return a training without points to validate and test on."""
    recipe = Recipe(rate=round(float(rng.uniform(*RATES)), 4), batches=in_batches(BATCH_SIZE))
    start = rng.normal(size=(FEATURES + 1, CLASSES)).astype(np.float32).astype(float)
    sample = np.zeros(FEATURES, np.float32)
    sample[:LEARNED] = rng.uniform(0.5, 1.5, LEARNED) * rng.choice([-1, 1], LEARNED)
    label = int((np.append(sample, 1.0) @ start).argmin())  # what the model has to learn most about
    training = Points(np.tile(sample.reshape(1, *SHAPE), (SAMPLES, 1, 1, 1)), np.full(SAMPLES, label))
    path = _follow(recipe, start, training)
    return RiggedTraining(start, recipe, path, training, validation=training, test=training)


def _tells_apart(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> bool:
    path = rigged.path
    if path.margin < CLEAR or path.accuracy[:EPOCHS].argmax() + 1 == BEST:
        return False
    wrong = [rigged.follow(recipe).weights for mistake in mistakes for recipe in mistake(rigged.recipe)]
    return all(
        np.abs(weights[1] - weights[0]).max() > APART  # it can be told from no training at all
        and np.abs(weights[1:] - path.weights[BEST]).max(axis=(1, 2)).min() > APART
        for weights in wrong
    )


def _is_tested_in_time(path: Trajectory, test: Points) -> bool:
    """Whether the sums of the logits tell a test with the best weights from one with the last ones."""
    best, last = (test.logits(path.weights[epoch]).sum(axis=0) for epoch in (BEST, EPOCHS))
    return bool(np.abs(best - last).max() > 1.0)


def _choose_points(rng: np.random.Generator, path: Trajectory, best: int, *, decoys: bool) -> Points | None:
    """Return points, with labels by which the model answers most of them right after one epoch.

    Args:
        rng: Draws candidates.
        path: The model's weights.
        best: The epoch, counted from 1.
        decoys: Add points that are right after the first epoch only, after the end only, and never, with a loss that
            grows from epoch to epoch.
    """
    images = rng.normal(size=(CANDIDATES, FEATURES)) * rng.uniform(0.3, 2, size=(CANDIDATES, 1))
    candidates = Points(images.astype(np.float32), np.zeros(CANDIDATES, np.int64))
    logits = np.stack([candidates.logits(weights) for weights in path.weights[1:]], axis=1)  # (points, epochs, classes)
    ordered = np.sort(logits, axis=-1)
    clear = (ordered[..., -1] - ordered[..., -2]).min(axis=-1) > CLEAR
    answers, epochs, count = logits.argmax(axis=-1), np.arange(1, logits.shape[1] + 1), int(rng.integers(17, 24))
    groups = [
        _right_when(rng, answers, clear, epochs >= best, count),
        _right_when(rng, answers, clear, epochs <= best, count),
    ]
    if decoys:
        groups += [
            _right_when(rng, answers, clear, epochs == 1, count // 3),
            _right_when(rng, answers, clear, epochs > EPOCHS, count + count // 2),
            _ever_more_wrong(logits, clear, 2 * count),
        ]
    chosen = np.concatenate([group[0] for group in groups])
    labels = np.concatenate([group[1] for group in groups])
    if any(not len(group[0]) for group in groups):
        return None
    order = rng.permutation(len(chosen))
    return Points(candidates.images[chosen[order]].reshape(-1, *SHAPE), labels[order])


Group = tuple[Labels, Labels]
"""Places among the candidates, and the labels that they get."""


def _right_when(rng: np.random.Generator, answers: Labels, clear: Bools, when: Bools, count: int) -> Group:
    """Return points that have one answer in these epochs and other ones in all others; none if there are none."""
    label = answers[:, when.argmax()]
    fitting = np.flatnonzero(clear & ((answers == label[:, None]) == when).all(axis=-1))
    chosen = rng.choice(fitting, count) if len(fitting) else fitting
    return chosen, label[chosen]


def _ever_more_wrong(logits: Floats, clear: Bools, count: int) -> Group:
    """Return the points and labels, never answered, whose loss grows most in each epoch."""
    loss = -np.log(softmax(logits))  # (points, epochs, classes)
    growth = np.diff(loss, axis=1).min(axis=1)  # (points, classes)
    answered = (logits.argmax(axis=-1)[..., None] == np.arange(CLASSES)).any(axis=1)
    growth[answered | ~clear[:, None]] = -np.inf
    chosen = np.argsort(growth.max(axis=-1))[-count:]
    return chosen, growth[chosen].argmax(axis=-1)
