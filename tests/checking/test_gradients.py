"""Gradients against central differences: right ones pass in every draw, changed ones in none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from autograder.checking.comparisons import Floats
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.variables import Variables
from autograder.errors import CheckFailed
from tests.numpy_layers import NumpyLayer

SHAPES = [(4, 3), (3,)]


def dense(x: Floats, values: Floats) -> Floats:
    return np.tanh(x @ values[:12].reshape(4, 3) + values[12:])


def nearly(x: Floats, values: Floats) -> Floats:
    """The same with 0.1 % of the bias's effect stopped."""
    return dense(x, np.concatenate([values[:12], 0.999 * values[12:]]))


def subject_of(layer: NumpyLayer, rng: np.random.Generator) -> Subject:
    variables = Variables(layer)
    values = variables.draw(rng)
    variables.set(values)

    def right(inputs: Sequence[Floats], values: Floats) -> Floats:
        return dense(inputs[0], values)

    return Subject.of(variables, values, right)


def test_right_gradients_pass_in_every_draw() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        expect_gradients(subject_of(NumpyLayer(SHAPES, dense), rng), [(2, 4)], rng)


def test_changed_gradients_fail_in_every_draw() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        with pytest.raises(CheckFailed, match="not those of the output"):
            expect_gradients(subject_of(NumpyLayer(SHAPES, dense, nearly), rng), [(2, 4)], rng)


def test_a_gradient_that_is_missing_is_counted() -> None:
    class Stopped(NumpyLayer):
        def gradients(self, *inputs: Floats, cotangent: Floats, training: bool | None = None) -> Any:
            of_inputs, of_weights = super().gradients(*inputs, cotangent=cotangent, training=training)
            return of_inputs, (of_weights[0], None)

    rng = np.random.default_rng(1)
    with pytest.raises(CheckFailed, match="1 of 2 weights get no gradient"):
        expect_gradients(subject_of(Stopped(SHAPES, dense), rng), [(2, 4)], rng)


def steep(x: Floats, values: Floats) -> Floats:
    """Features of which a rounding of the weights changes the gradients by far more."""
    features: Floats = np.sin(values / 0.002) + x
    size: Floats = np.sqrt((features**2).mean(axis=-1, keepdims=True))
    return features / size


def test_what_a_rounding_of_the_weights_does_is_allowed() -> None:
    for seed in range(50):
        rng = np.random.default_rng(seed)
        noise = 1 + 6e-8 * rng.normal(size=8)

        def rounded(x: Floats, values: Floats, noise: Floats = noise) -> Floats:
            return steep(x, values * noise)

        variables = Variables(NumpyLayer([(8,)], steep, rounded))
        values = variables.draw(rng)
        variables.set(values)
        subject = Subject.of(variables, values, lambda inputs, values: steep(inputs[0], values))
        expect_gradients(subject, [(2, 8)], rng)
