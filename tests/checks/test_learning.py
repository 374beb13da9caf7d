"""What counts as learned: not guessing, and not what is right by luck with whole classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder.checks.vit.training.learning import (
    CHANCE,
    HELD_OUT,
    LEAST,
    SIZES,
    Learned,
    draw_patterns,
    what_was_learned,
)

Floats = np.ndarray[Any, Any]
CLASSES = SIZES.classes


class ModelOf:
    """Stands for a model that was read, and answers by a function."""

    def __init__(self, answer: Callable[[Floats], Floats]) -> None:
        self._answer = answer

    def right(self, images: Floats, weights: Floats) -> Floats:
        """Return logits."""
        return self._answer(images)


def judge(seed: int, answer: Callable[[np.random.Generator, Floats, Floats], Floats]) -> Learned:
    """Judge what is made of the held-out images of one draw, given the mean image of each class and the images."""
    rng = np.random.default_rng(seed)
    patterns = draw_patterns(rng)
    images, labels = patterns.data[0]
    means = np.stack([images[labels == label].mean(axis=0).ravel() for label in range(CLASSES)])
    model: Any = ModelOf(lambda images: answer(rng, means, images.reshape(len(images), -1)))
    return what_was_learned(model, np.zeros(0), patterns)


def is_enough(learned: Learned) -> bool:
    return learned.share >= LEAST and learned.names_fit


@pytest.mark.parametrize("scale", [1.0, 1e-6])
def test_whoever_knows_the_patterns_is_right(scale: float) -> None:
    for seed in range(20):
        learned = judge(seed, lambda rng, means, images: scale * images @ means.T)
        assert learned.share > 0.9
        assert learned.names_fit


def test_guessing_is_never_enough() -> None:
    for seed in range(50):
        assert not is_enough(judge(seed, lambda rng, means, images: rng.normal(size=(len(images), CLASSES))))


def test_one_answer_for_all_is_chance() -> None:
    learned = judge(1, lambda rng, means, images: np.zeros((len(images), CLASSES)))
    assert learned == Learned(CHANCE, names_fit=False)
    assert LEAST - CHANCE == pytest.approx(5 * np.sqrt(CHANCE * (1 - CHANCE) / HELD_OUT))


def test_two_classes_that_are_taken_for_one_do_not_undo_the_others() -> None:
    def answer(rng: np.random.Generator, means: Floats, images: Floats) -> Floats:
        logits = images @ means.T
        logits[:, :2] = logits[:, :2].mean(axis=1, keepdims=True) + np.array([0.1, 0.0])
        return logits

    for seed in range(20):
        assert is_enough(judge(seed, answer))


def test_a_network_that_learned_nothing_is_seldom_taken_for_one_that_did() -> None:
    """Random features sort images by class, too: some classes then have their own name by luck."""
    found = [
        judge(
            seed,
            lambda rng, means, images: (
                np.tanh(images @ rng.normal(size=(len(means[0]), 8))) @ rng.normal(size=(8, CLASSES))
            ),
        )
        for seed in range(300)
    ]
    assert sum(learned.share >= LEAST for learned in found) > 20
    assert sum(map(is_enough, found)) <= 4
