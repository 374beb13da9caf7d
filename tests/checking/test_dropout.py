"""Dropout's outcomes: right dropout is explained in every draw, other places, rates and masks in none."""

from __future__ import annotations

import numpy as np
import pytest

from autograder.checking.comparisons import Floats
from autograder.checking.dropout import Outcomes, all_masks, is_as_frequent, is_independent, kept_factors

CALLS, UNITS, SAMPLES, TOKENS, RATE = 2, 5, 24, 6, 0.3
DRAWS = 50
SHAPE = (CALLS, SAMPLES, TOKENS, UNITS)


def outcomes_of(x: Floats, rate: float) -> Outcomes:
    masks = all_masks(UNITS)
    return Outcomes(np.tanh(x * kept_factors(masks, rate)[:, None]), masks)


def drop(x: Floats, rate: float, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    kept = np.broadcast_to(rng.random(shape) >= rate, SHAPE)
    return np.tanh(x * kept_factors(kept, rate)).astype(np.float32)


def test_right_dropout_is_explained_as_frequent_and_independent() -> None:
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(TOKENS, UNITS))
        kept = outcomes_of(x, RATE).decode(drop(x, RATE, rng, SHAPE))
        assert kept is not None
        assert is_as_frequent(kept.units[kept.shown], 1 - RATE)
        assert is_independent(kept)


def test_what_cannot_be_seen_is_not_counted() -> None:
    masks = all_masks(2)
    values = masks[:, :1] * (1.0 + masks[:, 1:])  # the second unit shows only where the first one was kept
    kept = Outcomes(values, masks).decode(np.array([[[0.0], [1.0], [2.0]]]))
    assert kept is not None
    assert kept.shown.tolist() == [[[True, False], [True, True], [True, True]]]
    assert kept.units[kept.shown].tolist() == [False, True, False, True, True]


def test_dropout_of_another_rate_is_no_outcome() -> None:
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(TOKENS, UNITS))
        assert outcomes_of(x, RATE).decode(drop(x, 0.31, rng, SHAPE)) is None


@pytest.mark.parametrize("axis", range(4), ids=["calls", "samples", "tokens", "units"])
def test_a_mask_that_is_shared_is_not_independent(axis: int) -> None:
    shape = (*SHAPE[:axis], 1, *SHAPE[axis + 1 :])
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=(TOKENS, UNITS))
        kept = outcomes_of(x, RATE).decode(drop(x, RATE, rng, shape))
        assert kept is not None
        assert not is_independent(kept)


def test_units_that_fall_too_often_are_noticed() -> None:
    rng = np.random.default_rng(1)
    assert not is_as_frequent(rng.random(2000) >= 0.4, 0.7)
    assert is_as_frequent(rng.random(2000) >= 0.3, 0.7)


def test_values_that_are_no_numbers_are_no_outcome() -> None:
    x = np.ones((TOKENS, UNITS))
    assert outcomes_of(x, RATE).decode(np.full(SHAPE, np.nan)) is None
