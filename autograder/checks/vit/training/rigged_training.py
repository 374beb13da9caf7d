"""A training whose every outcome is known before it happens.

The training samples are alike (see `trajectories`). Validation points are chosen by what the model will answer after
each epoch, so that one epoch has the best validation accuracy and every other rule chooses another one: the lowest
loss, the lowest accuracy, the last epoch, an epoch more, the training accuracy, the accuracy on the test points; in a
training that is `late`, the sum of both accuracies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from autograder.checking.mistakes import Mistake
from autograder.checks.vit.oracles.vision_transformer import Floats, softmax
from autograder.checks.vit.training.trajectories import Network, Recipe, Sample, Trajectory, follow

SHAPE, FEATURES, CLASSES = (3, 3, 1), 9, 10  # as many classes as the notebook's `class_names` tells
OF_VALIDATION, OF_TEST = 6, 8
"""Features that only validation points and only test points have. In the training sample both are 0, so that their
weights never move. One is the other's mirror image: a mirrored sample has neither, too."""
LINEAR, DEEP = Network((FEATURES, CLASSES)), Network((FEATURES, 6, 5, CLASSES))
FURTHER = 3
"""Epochs beyond the end that are followed, too."""
SAMPLES, BATCH_SIZE = 50, 16  # the last batch of an epoch is a short one
CLEAR = 0.03
"""Least distance of a point's two largest logits after each epoch; float32 weights are off by 4e-6."""
MOST_BEFORE = 0.7
"""Training accuracy in the best epoch of a late training, at most. In the next one it grows to 1, which is by more than
the validation accuracy falls."""
APART = 8e-5
"""Least distance of the best epoch's weights from those of a wrong recipe."""
NUDGE = 2e-6
"""How far the sample is moved, relative, to see what rounding does to a training: thirty times what float32 rounds."""
STEADY = 3e-6
"""How far the weights may then be off, at most."""
NUDGES = 3
EVEN = 0.5
"""The label's first logit: a number that is a probability, too."""
CANDIDATES = 2500
ATTEMPTS = 400  # 2, 2 or 11 are needed on average, for the three plans


@dataclass(frozen=True)
class TrainingPlan:
    """What a rigged training is to be like.

    Attributes:
        network: What is trained.
        best: The epoch of the best validation accuracy, counted from 1.
        best_on_test: That of the best accuracy on the test points.
        rates: The least and the largest learning rate.
        late: Whether the training sample is learned only in the epoch after the best.
        epochs: How many are asked for.
    """

    network: Network
    best: int
    best_on_test: int
    rates: tuple[float, float]
    late: bool = False
    epochs: int = 6


PLAIN = TrainingPlan(LINEAR, best=5, best_on_test=3, rates=(0.03, 0.06))
LONG = TrainingPlan(LINEAR, best=11, best_on_test=8, rates=(0.018, 0.028), epochs=12)
"""Beyond the ten epochs after which much that is copied lowers the rate, or stops."""
LATE = TrainingPlan(DEEP, best=4, best_on_test=2, rates=(0.005, 0.009), late=True)

Labels = np.ndarray[Any, np.dtype[np.int64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


@dataclass(frozen=True)
class LabelledPoints:
    """Images of SHAPE, float32 `(points, ...)`, their labels `(points,)`, and the network that learns them."""

    images: Floats
    labels: Labels
    network: Network

    def first(self) -> Sample:
        """Return the first of them as a sample; in training data all are like it."""
        return Sample(self.images[0].ravel().astype(float), int(self.labels[0]))

    def pair(self) -> tuple[Floats, Labels]:
        """Return them as `run_experiment` takes them."""
        return self.images, self.labels

    def logits(self, weights: Floats) -> Floats:
        """Return the network's answers with these weights, `(points, classes)`."""
        return self.network.run(weights, self.images.reshape(len(self.images), -1).astype(float))[-1]

    def accuracy(self, weights: Floats) -> float:
        """Return the share of right answers."""
        return float((self.logits(weights).argmax(axis=-1) == self.labels).mean())

    def losses(self, weights: Floats) -> Floats:
        """Return the cross-entropy of each point."""
        chosen: Floats = softmax(self.logits(weights))[np.arange(len(self.labels)), self.labels]
        return -np.log(chosen)


@dataclass(frozen=True)
class RiggedTraining:
    """A training whose outcome is known.

    Attributes:
        plan: What it is like.
        start: The network's first weights.
        recipe: How it must be trained.
        path: What then happens, in the plan's epochs and in FURTHER ones.
        training: Copies of one sample.
    """

    plan: TrainingPlan
    start: Floats
    recipe: Recipe
    path: Trajectory
    training: LabelledPoints
    validation: LabelledPoints
    test: LabelledPoints

    def data(self) -> list[tuple[Floats, Labels]]:
        """Return training, validation and test data as `run_experiment` takes them."""
        return [points.pair() for points in (self.training, self.validation, self.test)]

    def follow(self, recipe: Recipe) -> Trajectory:
        """Return what happens with another recipe."""
        return _follow(recipe, self.start, self.training, self.plan.epochs + FURTHER)

    def history(self, path: Trajectory, watched: LabelledPoints) -> Mapping[str, Floats]:
        """Return Keras' history of the plan's epochs of a path, validated on these points."""
        epochs = self.plan.epochs
        after = path.weights[1 : epochs + 1]
        return {
            "loss": path.loss[:epochs],
            "accuracy": path.accuracy[:epochs],
            "val_loss": np.array([watched.losses(weights).mean() for weights in after]),
            "val_accuracy": np.array([watched.accuracy(weights) for weights in after]),
        }

    def best_epoch(self, path: Trajectory, watched: LabelledPoints) -> int:
        """Return the epoch, counted from 1, whose weights are the best on these points, the first of equal ones."""
        return int(self.history(path, watched)["val_accuracy"].argmax()) + 1


def rig_training(rng: np.random.Generator, plan: TrainingPlan, mistakes: Sequence[Mistake]) -> RiggedTraining:
    """Return a training that tells the best epoch from all others and the right recipe from those of these mistakes.

    Args:
        rng: Makes it; drawn again until everything is told apart.
        plan: What it is like.
        mistakes: Their oracles turn the right recipe into wrong ones.
    """
    for _ in range(ATTEMPTS):
        rigged = _draw(rng, plan)
        if not _is_clear(rigged) or not _moves_weights(rigged, mistakes):
            continue
        validation = _choose_points(rng, rigged, OF_VALIDATION)
        test = _choose_points(rng, rigged, OF_TEST)
        if validation is None or test is None:
            continue
        rigged = replace(rigged, validation=validation, test=test)
        if not _is_decisive(rigged) or not _is_tested_in_time(rigged):
            continue
        if _tells_apart(rigged, mistakes) and _is_steady(rng, rigged):  # the dearest last
            return rigged
    raise RuntimeError(f"no training with a single best epoch came in {ATTEMPTS} draws")


def in_batches(size: int, samples: int = SAMPLES) -> tuple[int, ...]:
    """Return the sizes of the batches of one epoch."""
    whole, rest = divmod(samples, size)
    return (size,) * whole + ((rest,) if rest else ())


def _follow(recipe: Recipe, start: Floats, training: LabelledPoints, epochs: int) -> Trajectory:
    return follow(recipe, training.network, start, training.first(), epochs)


def _draw(rng: np.random.Generator, plan: TrainingPlan) -> RiggedTraining:
    """Return a training without points to validate and test on."""
    recipe = Recipe(rate=round(float(rng.uniform(*plan.rates)), 4), batches=in_batches(BATCH_SIZE))
    *hidden, last = (rng.normal(size=shape) for shape in plan.network.shapes)
    layers = [*(layer / np.sqrt(len(layer)) for layer in hidden), last]
    start = np.concatenate([layer.ravel() for layer in layers]).astype(np.float32).astype(float)
    sample = (rng.uniform(0.5, 1.5, FEATURES) * rng.choice([-1, 1], FEATURES)).astype(np.float32)
    sample[[OF_VALIDATION, OF_TEST]] = 0.0
    logits = plan.network.run(start, sample)[-1]
    label = int(logits.argmin())  # what the network has to learn most about
    start[-CLASSES:] += np.float32(EVEN - logits[label])  # for a loss that takes logits for probabilities, too
    start = start.astype(np.float32).astype(float)
    images = np.tile(sample.reshape(1, *SHAPE), (SAMPLES, 1, 1, 1))
    training = LabelledPoints(images, np.full(SAMPLES, label), plan.network)
    path = _follow(recipe, start, training, plan.epochs + FURTHER)
    return RiggedTraining(plan, start, recipe, path, training, validation=training, test=training)


def _is_clear(rigged: RiggedTraining) -> bool:
    """Whether it is clear which samples are answered rightly, and that the training accuracy chooses another epoch."""
    path, plan = rigged.path, rigged.plan
    if path.margin < CLEAR or path.accuracy[: plan.epochs].argmax() + 1 == plan.best:
        return False
    return not plan.late or bool(path.accuracy[plan.best - 1] <= MOST_BEFORE < path.accuracy[plan.best] == 1)


def _wrong(rigged: RiggedTraining, mistakes: Sequence[Mistake], epochs: int) -> Iterator[Floats]:
    """Yield the weights after some epochs with each of the wrong recipes, `(epochs + 1, weights)`."""
    for recipe in (recipe for mistake in mistakes for recipe in mistake(rigged.recipe)):
        yield _follow(recipe, rigged.start, rigged.training, epochs).weights


def _moves_weights(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> bool:
    """Whether wrong recipes can be told from no training at all."""
    return all(np.abs(after - before).max() > APART for before, after in _wrong(rigged, mistakes, 1))


def _tells_apart(rigged: RiggedTraining, mistakes: Sequence[Mistake]) -> bool:
    """Whether wrong recipes lead elsewhere than to the best epoch, in any number of epochs."""
    best = rigged.path.weights[rigged.plan.best]
    wrong = _wrong(rigged, mistakes, rigged.plan.epochs + FURTHER)
    return all(np.abs(weights[1:] - best).max(axis=-1).min() > APART for weights in wrong)


def _is_steady(rng: np.random.Generator, rigged: RiggedTraining) -> bool:
    """Whether rounding hardly moves the weights.

    Adam divides each gradient by its own size. Of one that is nearly 0 in the first steps, rounding decides where the
    weight goes, and a right training in float32 may end too far from this one.
    """
    features, label = rigged.training.first()
    for _ in range(NUDGES):
        sample = Sample(features * (1 + NUDGE * rng.choice([-1, 1], FEATURES)), label)
        path = follow(rigged.recipe, rigged.plan.network, rigged.start, sample, rigged.plan.epochs)
        if np.abs(path.weights - rigged.path.weights[: rigged.plan.epochs + 1]).max() > STEADY:
            return False
    return True


def _is_tested_in_time(rigged: RiggedTraining) -> bool:
    """Whether the sums of the logits tell a test with the best weights from one with the last ones."""
    weights = rigged.path.weights
    best, last = (rigged.test.logits(weights[epoch]).sum(axis=0) for epoch in (rigged.plan.best, rigged.plan.epochs))
    return bool(np.abs(best - last).max() > 1.0)


def _is_decisive(rigged: RiggedTraining) -> bool:
    """Whether other rules choose other epochs: the sum of both accuracies the next, the validation loss the first."""
    history = rigged.history(rigged.path, rigged.validation)
    if rigged.plan.late:
        return int((history["accuracy"] + history["val_accuracy"]).argmax()) == rigged.plan.best
    return bool(np.all(np.diff(history["val_loss"]) > 1e-3))


def _choose_points(rng: np.random.Generator, rigged: RiggedTraining, feature: int) -> LabelledPoints | None:
    """Return points, with labels by which the network answers most of them right after one epoch.

    Points to validate on have decoys among them: they are right after the first epoch only, after the end only, and
    never, with a loss that grows from epoch to epoch. One point of each class is never answered rightly, which decides
    nothing: a report on all classes finds each. `feature` is OF_VALIDATION or OF_TEST, which no other points have.
    """
    decoys = feature == OF_VALIDATION
    best = rigged.plan.best if decoys else rigged.plan.best_on_test
    images = rng.normal(size=(CANDIDATES, FEATURES)) * rng.uniform(0.3, 2, size=(CANDIDATES, 1))
    images[:, OF_TEST if decoys else OF_VALIDATION] = 0.0
    candidates = LabelledPoints(images.astype(np.float32), np.zeros(CANDIDATES, np.int64), rigged.plan.network)
    logits = np.stack([candidates.logits(weights) for weights in rigged.path.weights[1:]], axis=1)
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
            _right_when(rng, answers, clear, epochs > rigged.plan.epochs, count + count // 2),
            _ever_more_wrong(logits, clear, 2 * count),
        ]
    groups += [_never_right(rng, answers, clear, label) for label in range(CLASSES)]
    chosen = np.concatenate([group[0] for group in groups])
    labels = np.concatenate([group[1] for group in groups])
    if any(not len(group[0]) for group in groups):
        return None
    order = rng.permutation(len(chosen))
    return LabelledPoints(candidates.images[chosen[order]].reshape(-1, *SHAPE), labels[order], rigged.plan.network)


ChosenPoints = tuple[Labels, Labels]
"""Places among the candidates, and the labels that they get."""


def _right_when(rng: np.random.Generator, answers: Labels, clear: Bools, when: Bools, count: int) -> ChosenPoints:
    """Return points that have one answer in these epochs and other ones in all others; none if there are none."""
    label = answers[:, when.argmax()]
    fitting = np.flatnonzero(clear & ((answers == label[:, None]) == when).all(axis=-1))
    chosen = rng.choice(fitting, count) if len(fitting) else fitting
    return chosen, label[chosen]


def _never_right(rng: np.random.Generator, answers: Labels, clear: Bools, label: int) -> ChosenPoints:
    """Return a point with a label that the network never answers; none if there is none."""
    fitting = np.flatnonzero(clear & (answers != label).all(axis=-1))
    chosen = rng.choice(fitting, 1) if len(fitting) else fitting
    return chosen, np.full(len(chosen), label)


def _ever_more_wrong(logits: Floats, clear: Bools, count: int) -> ChosenPoints:
    """Return the points and labels, never answered, whose loss grows most in each epoch."""
    loss = -np.log(softmax(logits))  # (points, epochs, classes)
    growth = np.diff(loss, axis=1).min(axis=1)  # (points, classes)
    answered = (logits.argmax(axis=-1)[..., None] == np.arange(CLASSES)).any(axis=1)
    growth[answered | ~clear[:, None]] = -np.inf
    chosen = np.argsort(growth.max(axis=-1))[-count:]
    return chosen, growth[chosen].argmax(axis=-1)
