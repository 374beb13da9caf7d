"""What is read from a trained model's weights and tape: models that NumPy trains in right ways and in wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from autograder.checking.testimony import TrainOutcome
from autograder.checks.vit.training.rigged_training import (
    BATCH_SIZE,
    CLASSES,
    OF_TEST,
    OF_VALIDATION,
    LabelledPoints,
    RiggedTraining,
    TrainingPlan,
)
from autograder.checks.vit.training.training_readings import KEPT_LOOKS, Reading, read_training
from autograder.errors import CheckFailed
from tests.hidden_checks import load_checks

TRAINING = load_checks("training")

Floats = np.ndarray[Any, Any]


class TrainedModel:
    """Stands for a model in a student's process, with weights in float32 as its training left them."""

    def __init__(self, plan: TrainingPlan, weights: Floats, tape: Floats, steps: int = 6) -> None:
        self._network, self._weights, self._tape = plan.network, weights.astype(np.float32), tape.astype(np.float32)
        self._steps = np.float32(steps)

    def get_weights(self) -> tuple[Any, ...]:
        """Return each layer's kernel and bias, the tape, and how often it was called in training."""
        layers = self._network.layers(self._weights)
        return (*(part for layer in layers for part in (layer[:-1], layer[-1])), self._tape, np.array(self._steps))

    def __call__(self, images: Floats, training: bool | None = None) -> Floats:
        """Return logits."""
        return self._network.run(self._weights, images.reshape(len(images), -1))[-1]


def tape(looks: Sequence[tuple[LabelledPoints, Floats]]) -> Floats:
    """Return the rows that a tape keeps when each of these points is looked at with these weights."""
    logits = np.concatenate([np.zeros((0, CLASSES)), *(points.logits(weights) for points, weights in looks)])
    rows = np.hstack([np.ones((len(logits), 1)), logits])
    return np.vstack([np.zeros((KEPT_LOOKS - len(rows), CLASSES + 1)), rows])


def first(points: LabelledPoints, count: int) -> LabelledPoints:
    """Return the first of some points."""
    return replace(points, images=points.images[:count], labels=points.labels[:count])


def read(rigged: RiggedTraining, weights: Floats, rows: Floats, history: Any = None, steps: int = 6) -> Reading:
    model: Any = TrainedModel(rigged.plan, weights, rows, steps)
    mistakes = TRAINING.OF_RECIPE + ((TRAINING.NOT_ALL_TRAINED,) if rigged.plan.late else ())
    return read_training(rigged, model, TrainOutcome(history, (), ()), mistakes)


def told(curves: Any) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(float, values)) for name, values in curves.items()}


@pytest.mark.parametrize("kept", ["all weights", "trained weights"])
def test_a_right_training_is_read(drawn: list[RiggedTraining], drawn_late: list[RiggedTraining], kept: str) -> None:
    for rigged in drawn + drawn_late:
        weights, best = rigged.path.weights, rigged.plan.best
        last = best if kept == "all weights" else rigged.plan.epochs
        looks = [(rigged.validation, weights[epoch]) for epoch in range(1, last + 1)]
        looks += [(rigged.validation, weights[best]), (rigged.test, weights[best])]
        reading = read(rigged, weights[best], tape(looks), told(rigged.history(rigged.path, rigged.validation)))
        assert reading.mistake is None
        assert reading.epoch == reading.best_epoch == best
        assert reading.watched is rigged.validation
        assert reading.tests == 1
        assert all(reading.tells(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy"))


def test_a_model_that_was_never_called_in_training_is_read(drawn: list[RiggedTraining]) -> None:
    rigged = drawn[0]
    weights, best = rigged.path.weights, rigged.plan.best
    rows = tape([(rigged.validation, weights[epoch]) for epoch in range(1, best + 1)])
    assert [read(rigged, weights[best], rows, steps=steps).in_training for steps in (0, 1)] == [False, True]


def test_wrong_recipes_are_read_by_their_names(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        for mistake in (*TRAINING.OF_LOSS, *TRAINING.OF_SETTINGS):  # a part of the data is told by the history alone
            for recipe in mistake(rigged.recipe):
                path = rigged.follow(recipe)
                best = rigged.best_epoch(path, rigged.validation)
                looks = [(rigged.validation, path.weights[epoch]) for epoch in range(1, best + 1)]
                reading = read(rigged, path.weights[best], tape(looks))
                assert reading.mistake is not None
                assert reading.mistake.slug == mistake.slug
                assert reading.epoch == reading.best_epoch


def test_a_frozen_layer_is_read(drawn_late: list[RiggedTraining]) -> None:
    for rigged in drawn_late:
        path = rigged.follow(replace(rigged.recipe, frozen=1))
        size = rigged.plan.network.size(1)
        assert np.array_equal(path.weights[-1][:size], rigged.start[:size])
        reading = read(rigged, path.weights[2], tape([(rigged.validation, path.weights[n]) for n in (1, 2)]))
        assert reading.mistake is TRAINING.NOT_ALL_TRAINED


def test_what_was_looked_at_is_read(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        weights = rigged.path.weights
        best = rigged.best_epoch(rigged.path, rigged.test)
        reading = read(rigged, weights[best], tape([(rigged.test, weights[epoch]) for epoch in range(1, best + 1)]))
        assert reading.watched is rigged.test
        best = rigged.plan.best
        validated = [(rigged.validation, weights[epoch]) for epoch in range(1, best + 1)]
        assert read(rigged, weights[best], tape(validated)).tests == 0


def test_other_looks_do_not_matter(drawn: list[RiggedTraining], drawn_late: list[RiggedTraining]) -> None:
    """At everything before training, at training and test data after each epoch, at single points in the end."""
    for rigged in drawn[:10] + drawn_late[:10]:
        weights, best = rigged.path.weights, rigged.plan.best
        everything = (rigged.training, rigged.validation, rigged.test)
        looks = [(points, weights[epoch]) for epoch in range(best + 1) for points in (*everything, rigged.validation)]
        looks += [(rigged.test, weights[best])] * 2 + [(first(rigged.test, 5), weights[best])]
        reading = read(rigged, weights[best], tape(looks), told(rigged.history(rigged.path, rigged.validation)))
        assert reading.watched is rigged.validation
        assert reading.has_best_weights
        assert reading.tests == 3
        looks = [(points, weights[epoch]) for epoch in range(1, rigged.plan.epochs + 1) for points in everything]
        for watched in (rigged.validation, rigged.test):
            reading = read(rigged, weights[rigged.plan.epochs], tape(looks), told(rigged.history(rigged.path, watched)))
            assert reading.watched is watched
            assert not reading.has_best_weights


def test_the_epoch_put_back_tells_what_chose_it(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        weights = rigged.path.weights
        for watched in (rigged.validation, rigged.test):
            best = rigged.best_epoch(rigged.path, watched)
            looks = [(points, weights[n]) for n in range(1, best + 1) for points in (rigged.validation, rigged.test)]
            reading = read(rigged, weights[best], tape(looks))
            assert reading.watched is watched
            assert reading.tests == (watched is rigged.validation)


def test_a_part_of_the_points_is_not_all_of_them(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        weights, best = rigged.path.weights, rigged.plan.best
        history = told(rigged.history(rigged.path, rigged.validation))
        most = first(rigged.validation, len(rigged.validation.labels) - 1)
        of_each_epoch = [(rigged.validation, weights[epoch]) for epoch in range(1, best + 1)]
        for looks in ([(most, at) for _, at in of_each_epoch], of_each_epoch[1:], of_each_epoch[:-1]):
            assert read(rigged, weights[best], tape(looks), history).watched is None
        looks = [*of_each_epoch, (first(rigged.test, len(rigged.test.labels) - 1), weights[best])]
        assert read(rigged, weights[best], tape(looks), history).tests == 0


def test_steps_of_another_batch_size_are_not_taken_for_epochs(drawn: list[RiggedTraining]) -> None:
    """Six epochs of two steps end where three epochs of four steps do."""
    for rigged in drawn[:10]:
        [recipe, _] = TRAINING.BATCH_SIZE_IGNORED(rigged.recipe)
        path = rigged.follow(recipe)
        assert np.array_equal(path.weights[rigged.plan.epochs], rigged.path.weights[rigged.plan.epochs // 2])
        looks = [(rigged.validation, path.weights[epoch]) for epoch in range(1, rigged.plan.epochs + 1)]
        assert read(rigged, path.weights[rigged.plan.epochs], tape(looks)).mistake is TRAINING.BATCH_SIZE_IGNORED


def test_a_test_with_other_weights_does_not_count(drawn: list[RiggedTraining]) -> None:
    """Where only trained weights are put back, the tape still holds a test that came too early."""
    for rigged in drawn:
        weights = rigged.path.weights
        looks = [(rigged.validation, weights[epoch]) for epoch in range(1, rigged.plan.epochs + 1)]
        looks.append((rigged.test, weights[rigged.plan.epochs]))
        history = told(rigged.history(rigged.path, rigged.validation))
        reading = read(rigged, weights[rigged.plan.best], tape(looks), history)
        assert reading.tests == 0


def test_the_short_batch_may_be_anywhere_in_an_epoch(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        path, at = rigged.path, rigged.path.weights[rigged.plan.best]
        looks = [(rigged.validation, path.weights[epoch]) for epoch in range(1, rigged.plan.best + 1)]
        places = np.arange(rigged.plan.epochs) % len(path.batches)
        shuffled = {
            name: path.wherever_the_last(values)[np.arange(rigged.plan.epochs), places]
            for name, values in (("loss", path.losses), ("accuracy", path.rights))
        }
        history = rigged.history(path, rigged.validation)
        reading = read(rigged, at, tape(looks), told({**history, **shuffled}))
        assert all(reading.tells(name) for name in history)
        assert not reading.turns_off
        assert not read(rigged, at, tape(looks), told({**history, "loss": path.loss})).tells("loss")


def test_a_loop_of_ones_own_may_take_the_mean_of_all_batches(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        path, epochs = rigged.path, rigged.plan.epochs
        losses = np.array([rigged.validation.losses(weights) for weights in path.weights[1 : epochs + 1]])
        batches = [losses[:, at : at + BATCH_SIZE] for at in range(0, losses.shape[1], BATCH_SIZE)]
        means = {
            "loss": path.losses[:epochs].mean(axis=-1),
            "accuracy": path.rights[:epochs].mean(axis=-1),
            "val_loss": np.mean([batch.mean(axis=-1) for batch in batches], axis=0),
        }
        history = rigged.history(path, rigged.validation)
        looks = [(rigged.validation, path.weights[epoch]) for epoch in range(1, rigged.plan.best + 1)]
        for curves in (means, {name: curve * 1.02 for name, curve in means.items()}):
            reading = read(rigged, path.weights[rigged.plan.best], tape(looks), told({**history, **curves}))
            assert {name for name in means if reading.tells(name)} == (set(means) if curves is means else set())


def test_weights_of_an_early_epoch_are_those_of_the_right_recipe(drawn: list[RiggedTraining]) -> None:
    """After one epoch, AMSGrad has hardly gone another way."""
    for rigged in drawn[:10]:
        reading = read(rigged, rigged.path.weights[1], tape([(rigged.validation, rigged.path.weights[1])]))
        assert reading.mistake is None
        assert not reading.has_best_weights


def test_weights_of_no_epoch_are_explained(drawn: list[RiggedTraining]) -> None:
    rigged = drawn[0]
    start, trained = rigged.start, rigged.path.weights[rigged.plan.best]
    decayed = np.where(trained == start, start * 0.999, trained)

    def beyond(feature: int) -> Floats:
        moved = np.zeros_like(start)
        rigged.plan.network.layers(moved)[0][feature, 0] = 0.1
        return moved

    for weights, slug in (
        (trained + beyond(OF_VALIDATION), "trained_on_validation_data"),
        (trained + beyond(OF_TEST), "trained_on_test_data"),
        (start, "nothing_learned"),
        (decayed, "weights_decay"),
        (np.where(trained == start, start, trained + 1e-4), None),
    ):
        with pytest.raises(CheckFailed) as failed:
            read(rigged, weights, tape([]))
        assert failed.value.misconception == slug


@pytest.mark.parametrize(
    "values",
    [(), (1.0, 2.0, 3.0), ("a", None, ()), tuple(np.full((9, 4), np.nan, np.float32) for _ in range(3))],
    ids=["nothing", "numbers", "words", "nan"],
)
def test_answers_that_are_no_weights_fail_with_a_reason(
    drawn: list[RiggedTraining], values: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainedModel, "get_weights", lambda model: values)
    with pytest.raises(CheckFailed):
        read(drawn[0], drawn[0].start, tape([]))
