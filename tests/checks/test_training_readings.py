"""What is read from a trained model's weights and tape: models that NumPy trains in right ways and in wrong ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from autograder.checking.testimony import TrainOutcome
from autograder.checks.vit.rigged_training import BEST, EPOCHS, LEARNED, Points, RiggedTraining, rig_training
from autograder.checks.vit.training_readings import Reading, read_training
from autograder.errors import CheckFailed
from tests.hidden_checks import DRAWS, load_checks

TRAINING = load_checks("training")

Floats = np.ndarray[Any, Any]


class TrainedModel:
    """Stands for a model in a student's process, with weights in float32 as its training left them."""

    def __init__(self, weights: Floats, tape: Floats) -> None:
        self._kernel, self._bias = weights[:-1].astype(np.float32), weights[-1].astype(np.float32)
        self._tape = tape.astype(np.float32)

    def get_weights(self) -> tuple[Any, ...]:
        """Return kernel, bias and tape."""
        return self._kernel, self._bias, self._tape

    def __call__(self, images: Floats, training: bool | None = None) -> Floats:
        """Return logits."""
        logits: Floats = images.reshape(len(images), -1) @ self._kernel + self._bias
        return logits


def tape(looks: Sequence[tuple[Points, Floats]]) -> Floats:
    """Return what was added up when each of these points was looked at with these weights."""
    return sum(
        (np.append(len(points.labels), points.logits(weights).sum(axis=0)) for points, weights in looks), np.zeros(5)
    )


def read(rigged: RiggedTraining, weights: Floats, sums: Floats, history: Any = None) -> Reading:
    model: Any = TrainedModel(weights, sums)
    return read_training(rigged, model, TrainOutcome(history, (), ()), TRAINING.OF_SETTINGS + TRAINING.OF_LOSS)


def told(curves: Any) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(float, values)) for name, values in curves.items()}


@pytest.fixture(scope="module")
def drawn() -> list[RiggedTraining]:
    return [rig_training(np.random.default_rng(seed), TRAINING.OF_SETTINGS + TRAINING.OF_LOSS) for seed in range(DRAWS)]


@pytest.mark.parametrize("kept", [BEST, EPOCHS], ids=["all weights put back", "trained weights put back"])
def test_a_right_training_is_read(drawn: list[RiggedTraining], kept: int) -> None:
    for rigged in drawn:
        weights = rigged.path.weights
        looks = [(rigged.validation, weights[epoch]) for epoch in range(1, kept + 1)]
        looks += [(rigged.validation, weights[BEST]), (rigged.test, weights[BEST])]
        reading = read(rigged, weights[BEST], tape(looks), told(rigged.history(rigged.path, rigged.validation)))
        assert reading.mistake is None
        assert reading.epoch == reading.best_epoch == BEST
        assert reading.watched is rigged.validation
        assert reading.tests == 1
        assert all(reading.tells(name) for name in ("loss", "accuracy", "val_loss", "val_accuracy"))


def test_wrong_recipes_are_read_by_their_names(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn[:10]:
        for mistake in TRAINING.OF_SETTINGS + TRAINING.OF_LOSS:
            for recipe in mistake(rigged.recipe):
                path = rigged.follow(recipe)
                best = rigged.best_epoch(path, rigged.validation)
                looks = [(rigged.validation, path.weights[epoch]) for epoch in range(1, best + 1)]
                reading = read(rigged, path.weights[best], tape(looks))
                assert reading.mistake is not None
                assert reading.mistake.slug == mistake.slug
                assert reading.epoch == reading.best_epoch


def test_what_was_looked_at_is_read(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        weights = rigged.path.weights
        best = rigged.best_epoch(rigged.path, rigged.test)
        reading = read(rigged, weights[best], tape([(rigged.test, weights[epoch]) for epoch in range(1, best + 1)]))
        assert reading.watched is rigged.test
        validated = [(rigged.validation, weights[epoch]) for epoch in range(1, BEST + 1)]
        assert read(rigged, weights[BEST], tape(validated)).tests == 0


def test_a_test_with_other_weights_does_not_count(drawn: list[RiggedTraining]) -> None:
    """Where only trained weights are put back, the tape still holds a test that came too early."""
    for rigged in drawn:
        weights = rigged.path.weights
        looks = [(rigged.validation, weights[epoch]) for epoch in range(1, EPOCHS + 1)]
        looks.append((rigged.test, weights[EPOCHS]))
        history = told(rigged.history(rigged.path, rigged.validation))
        reading = read(rigged, weights[BEST], tape(looks), history)
        assert reading.tests == 0


def test_weights_of_no_epoch_are_explained(drawn: list[RiggedTraining]) -> None:
    rigged = drawn[0]
    start, trained = rigged.start, rigged.path.weights[BEST]
    beyond = np.zeros_like(start)
    beyond[LEARNED, 0] = 0.1
    decayed = np.where(np.arange(len(start))[:, None] < LEARNED, trained, start * 0.999)
    for weights, slug in (
        (trained + beyond, "trained_on_validation_data"),
        (start, "nothing_learned"),
        (decayed, "weights_decay"),
        (np.where(trained == start, start, trained + 1e-4), None),
    ):
        with pytest.raises(CheckFailed) as failed:
            read(rigged, weights, np.zeros(5))
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
        read(drawn[0], drawn[0].start, np.zeros(5))
