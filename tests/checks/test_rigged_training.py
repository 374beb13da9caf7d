"""Rigged trainings: one best epoch, whatever is drawn, and every wrong recipe leads elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autograder.checking.comparisons import Floats
from autograder.checks.vit.rigged_training import (
    BEST,
    BEST_ON_TEST,
    EPOCHS,
    LEARNED,
    RiggedTraining,
    in_batches,
    rig_training,
)
from autograder.checks.vit.trajectories import Recipe, adam_w, follow, rms_prop, sgd
from tests.hidden_checks import DRAWS, load_checks

TRAINING = load_checks("training")


@pytest.fixture(scope="module")
def drawn() -> list[RiggedTraining]:
    return [rig_training(np.random.default_rng(seed), TRAINING.OF_SETTINGS + TRAINING.OF_LOSS) for seed in range(DRAWS)]


def test_one_epoch_is_the_best_and_no_other_rule_chooses_it(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        history = rigged.history(rigged.path, rigged.validation)
        accuracy = history["val_accuracy"]
        assert accuracy.argmax() + 1 == BEST == rigged.best_epoch(rigged.path, rigged.validation)
        assert np.sum(accuracy == accuracy.max()) == 1
        assert BEST not in {
            history["loss"].argmin() + 1,
            history["accuracy"].argmax() + 1,
            history["val_loss"].argmin() + 1,
            accuracy.argmin() + 1,
            EPOCHS,
            rigged.best_epoch(rigged.path, rigged.test),
        }
        assert rigged.best_epoch(rigged.path, rigged.test) == BEST_ON_TEST
        assert rigged.validation.accuracy(rigged.path.weights[EPOCHS + 1]) > accuracy.max()


def test_a_plateau_of_loss_or_accuracy_comes_before_the_best_epoch(drawn: list[RiggedTraining]) -> None:
    """Who lowers the rate on one then reaches other weights."""
    for rigged in drawn:
        history = rigged.history(rigged.path, rigged.validation)
        assert np.all(np.diff(history["val_loss"]) > 1e-3)
        assert np.all(history["val_accuracy"][1 : BEST - 1] <= history["val_accuracy"][0])


def test_no_answer_is_so_close_that_float32_could_turn_it(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        for points in (rigged.validation, rigged.test):
            for weights in rigged.path.weights[1:]:
                ordered = np.sort(points.logits(weights), axis=-1)
                assert np.all(ordered[:, -1] - ordered[:, -2] > 1e-2)


def test_weights_that_training_does_not_reach_stay(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        unseen = rigged.path.weights[:, LEARNED:-1]
        assert np.array_equal(unseen, np.broadcast_to(unseen[0], unseen.shape))


def test_the_first_step_of_adam_moves_each_weight_by_the_rate() -> None:
    rng = np.random.default_rng(1)
    start, sample = rng.normal(size=(4, 3)), rng.uniform(1, 2, size=3)
    moved = follow(Recipe(0.01, (8,)), start, sample, 1, 1).weights[1] - start
    assert np.allclose(np.abs(moved), 0.01, rtol=2e-3)
    assert np.all(moved[:, 1] > 0)
    assert np.all(moved[:, [0, 2]] < 0)


def test_only_the_number_of_steps_counts_unless_the_loss_is_summed() -> None:
    rng = np.random.default_rng(2)
    start, sample = rng.normal(size=(4, 3)), rng.uniform(1, 2, size=3)
    right = Recipe(0.01, (8, 8, 1))
    other = replace(right, batches=(4, 3, 2))

    def ends(recipe: Recipe) -> Floats:
        weights: Floats = follow(recipe, start, sample, 1, 4).weights[-1]
        return weights

    assert np.array_equal(ends(right), ends(other))
    assert np.abs(ends(replace(right, summed=True)) - ends(right)).max() > 1e-4
    for optimiser in (sgd, adam_w, rms_prop):
        assert not np.array_equal(ends(replace(right, optimiser=optimiser)), ends(right))


@pytest.mark.parametrize(("size", "sizes"), [(16, (16, 16, 16, 2)), (25, (25, 25)), (64, (50,))])
def test_batches_of_an_epoch(size: int, sizes: tuple[int, ...]) -> None:
    assert in_batches(size) == sizes
