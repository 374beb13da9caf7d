"""Comparisons take whatever comes: only the check's own value can be at fault."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from autograder.checking.comparisons import Answers, agrees, close, describe, expect, expect_array, rounded
from autograder.checks.vit.oracles.vision_transformer import layer_norm
from autograder.errors import CheckFailed

RIGHT = np.linspace(-1, 1, 6).reshape(2, 3)
WRONG_KINDS: list[Any] = [
    None, True, 3, 0.5, "text", (), {}, (RIGHT,), np.float64(1), np.zeros(()), np.zeros((0, 3)), np.zeros((2, 3), bool),
    np.zeros((2, 3), complex), np.zeros((2, 3), np.int64), np.full((2, 3), np.nan), np.full((2, 3), np.inf),
    np.full((2, 3), 1e308), np.full((2, 3), 60000, np.float16), np.full((2, 3), 3e38, np.float32),
    np.full((2, 3), 255, np.uint8), np.full((2, 3), np.iinfo(np.uint64).max), np.zeros((1,) * 16), np.zeros((2, 3, 0)),
]  # fmt: skip


@pytest.mark.parametrize("got", WRONG_KINDS, ids=[f"{number}" for number in range(len(WRONG_KINDS))])
def test_no_answer_makes_a_comparison_raise(got: object) -> None:
    assert not close(got, RIGHT)
    assert not agrees(got, RIGHT)
    assert isinstance(describe(got), str)
    with pytest.raises(CheckFailed):
        expect(got, Answers([RIGHT], {"unscaled": 2 * RIGHT, "overflows": np.full((2, 3), np.inf)}, {}), "It")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_right_answers_agree(dtype: str) -> None:
    right = np.array([[0.5, -0.25], [1.0, 0.0]])
    assert close(right.astype(dtype), right)
    assert np.isfinite(2 * expect_array(right.astype(dtype) * 60000, (2, 2), "It")).all()


def test_nothing_agrees_with_what_is_not_finite() -> None:
    for value in (math.nan, math.inf, -math.inf):
        wrong = np.full((2, 3), value)
        assert not agrees(RIGHT, wrong)
        assert not agrees(wrong, wrong)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_right_value_that_is_not_finite_is_an_internal_error(value: float) -> None:
    broken = np.full((2, 3), value)
    with pytest.raises(ValueError, match="not finite"):
        close(RIGHT, broken)
    with pytest.raises(ValueError, match="not finite"):
        expect(RIGHT, Answers([RIGHT, broken], {}, {}), "It")


def test_what_rounding_does_to_nearly_equal_features_is_seen() -> None:
    rng = np.random.default_rng(0)
    for apart, stable in ((1.0, True), (1e-3, False)):
        features = 1 + apart * np.array([[-3.0, -1.0, 1.0, 3.0]])
        moved = layer_norm(rounded(features, rng), np.ones(4), np.zeros(4))
        assert agrees(moved, layer_norm(features, np.ones(4), np.zeros(4)), 2e-6) == stable
