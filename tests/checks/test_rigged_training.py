"""Rigged trainings: one best epoch, whatever is drawn, and every wrong recipe leads elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autograder.checking.comparisons import Floats
from autograder.checks.vit.training.rigged_training import (
    LATE,
    OF_TEST,
    OF_VALIDATION,
    RiggedTraining,
    in_batches,
)
from autograder.checks.vit.training.training_readings import EXACT
from autograder.checks.vit.training.trajectories import (
    OF_LOGITS,
    Network,
    Recipe,
    Sample,
    adam_w,
    follow,
    rms_prop,
    sgd,
)
from tests.hidden_checks import load_checks

TRAINING = load_checks("training")


def test_one_epoch_is_the_best_and_no_other_rule_chooses_it(drawn: list[RiggedTraining]) -> None:
    for rigged in drawn:
        history = rigged.history(rigged.path, rigged.validation)
        accuracy = history["val_accuracy"]
        assert accuracy.argmax() + 1 == rigged.plan.best == rigged.best_epoch(rigged.path, rigged.validation)
        assert np.sum(accuracy == accuracy.max()) == 1
        assert rigged.plan.best not in {
            history["loss"].argmin() + 1,
            history["accuracy"].argmax() + 1,
            history["val_loss"].argmin() + 1,
            accuracy.argmin() + 1,
            rigged.plan.epochs,
            rigged.best_epoch(rigged.path, rigged.test),
        }
        assert rigged.best_epoch(rigged.path, rigged.test) == rigged.plan.best_on_test
        assert rigged.validation.accuracy(rigged.path.weights[rigged.plan.epochs + 1]) > accuracy.max()


def test_the_sum_of_both_accuracies_chooses_another_epoch_of_a_late_training(drawn_late: list[RiggedTraining]) -> None:
    for rigged in drawn_late:
        history = rigged.history(rigged.path, rigged.validation)
        assert history["val_accuracy"].argmax() + 1 == LATE.best == rigged.best_epoch(rigged.path, rigged.validation)
        for weight in (1.0, 0.8, 2.0):
            assert (history["accuracy"] * weight + history["val_accuracy"]).argmax() + 1 not in {LATE.best, LATE.epochs}


def test_a_plateau_of_loss_or_accuracy_comes_before_the_best_epoch(drawn: list[RiggedTraining]) -> None:
    """Who lowers the rate on one then reaches other weights."""
    for rigged in drawn:
        history = rigged.history(rigged.path, rigged.validation)
        assert np.all(np.diff(history["val_loss"]) > 1e-3)
        assert np.all(history["val_accuracy"][1 : rigged.plan.best - 1] <= history["val_accuracy"][0])


def test_no_answer_is_so_close_that_float32_could_turn_it(
    drawn: list[RiggedTraining], drawn_late: list[RiggedTraining]
) -> None:
    for rigged in drawn + drawn_late:
        for points in (rigged.validation, rigged.test):
            for weights in rigged.path.weights[1:]:
                ordered = np.sort(points.logits(weights), axis=-1)
                assert np.all(ordered[:, -1] - ordered[:, -2] > 1e-2)


def test_no_weight_hangs_on_rounding(drawn: list[RiggedTraining], drawn_late: list[RiggedTraining]) -> None:
    """In one of twenty deep trainings it did, by up to 2,600 times what float32 rounds."""
    rng = np.random.default_rng(5)
    for rigged in drawn + drawn_late:
        features = rigged.training.images[0].ravel() * (1 + 2e-6 * rng.choice([-1, 1], rigged.training.images[0].size))
        sample = Sample(features, int(rigged.training.labels[0]))
        path = follow(rigged.recipe, rigged.plan.network, rigged.start, sample, rigged.plan.epochs)
        assert np.abs(path.weights - rigged.path.weights[: rigged.plan.epochs + 1]).max() < EXACT / 2


def test_weights_that_training_does_not_reach_stay(
    drawn: list[RiggedTraining], drawn_late: list[RiggedTraining]
) -> None:
    for rigged in drawn + drawn_late:
        first = [rigged.plan.network.layers(weights)[0] for weights in rigged.path.weights]
        unseen = np.stack(first)[:, [OF_VALIDATION, OF_TEST]]
        assert np.array_equal(unseen, np.broadcast_to(unseen[0], unseen.shape))
        flat = (points.images.reshape(len(points.images), -1) for points in (rigged.validation, rigged.test))
        of_validation, of_test = (images[:, [OF_VALIDATION, OF_TEST]].any(axis=0).tolist() for images in flat)
        assert (of_validation, of_test) == ([True, False], [False, True])


def test_the_first_step_of_adam_moves_each_weight_by_the_rate() -> None:
    rng = np.random.default_rng(1)
    start, sample = rng.normal(size=12), rng.uniform(1, 2, size=3)
    moved = follow(Recipe(0.01, (8,)), Network((3, 3)), start, Sample(sample, 1), 1).weights[1] - start
    assert np.allclose(np.abs(moved), 0.01, rtol=2e-3)
    moved = moved.reshape(4, 3)
    assert np.all(moved[:, 1] > 0)
    assert np.all(moved[:, [0, 2]] < 0)


def test_gradients_of_a_deep_network_are_those_of_its_loss() -> None:
    network, rng = Network((4, 5, 3, 6)), np.random.default_rng(3)
    weights, sample = rng.normal(size=network.size()), rng.normal(size=4)

    def loss(weights: Floats) -> float:
        return OF_LOGITS.value(network.run(weights, sample)[-1], 2)

    seen = network.run(weights, sample)
    gradient = network.gradient(weights, seen, OF_LOGITS.slope(seen[-1], 2))
    steps = 1e-6 * np.eye(len(weights))
    slopes = [(loss(weights + step) - loss(weights - step)) / 2e-6 for step in steps]
    assert np.allclose(gradient, slopes, atol=1e-8)


def test_only_the_number_of_steps_counts_unless_the_loss_is_summed() -> None:
    rng = np.random.default_rng(2)
    start, sample = rng.normal(size=12), rng.uniform(1, 2, size=3)
    right = Recipe(0.01, (8, 8, 1))
    other = replace(right, batches=(4, 3, 2))

    def ends(recipe: Recipe) -> Floats:
        weights: Floats = follow(recipe, Network((3, 3)), start, Sample(sample, 1), 4).weights[-1]
        return weights

    assert np.array_equal(ends(right), ends(other))
    assert np.abs(ends(replace(right, summed=True)) - ends(right)).max() > 1e-4
    for optimiser in (sgd, adam_w, rms_prop):
        assert not np.array_equal(ends(replace(right, optimiser=optimiser)), ends(right))


@pytest.mark.parametrize(("size", "sizes"), [(16, (16, 16, 16, 2)), (25, (25, 25)), (64, (50,))])
def test_batches_of_an_epoch(size: int, sizes: tuple[int, ...]) -> None:
    assert in_batches(size) == sizes
