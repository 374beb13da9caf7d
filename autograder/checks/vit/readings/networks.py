"""Read the variables of an mlp, and the mistakes in one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from autograder.checking.comparisons import Floats, expect_array, fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.readings import ABSENT, all_readings
from autograder.checking.remote import Layer
from autograder.checking.variables import Positions, Variables
from autograder.checks.vit.dropout.networks import ALWAYS_ON
from autograder.checks.vit.oracles.vision_transformer import ACTIVATIONS, Activation, Dense, Keep, Mlp, mlp, softmax
from autograder.checks.vit.readings.counting import UNSEEN


def identity(x: Floats) -> Floats:
    """Return x."""
    return x


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def elu(x: Floats) -> Floats:
    """Return x where positive, else exp(x) - 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def swish(x: Floats) -> Floats:
    """Return x sigmoid(x)."""
    return x * sigmoid(x)


def leaky_relu(x: Floats) -> Floats:
    """Return x where positive, else a fifth of it, as TensorFlow does without an argument."""
    return np.where(x > 0, x, 0.2 * x)


def relu_6(x: Floats) -> Floats:
    """Return x, but at least 0 and at most 6."""
    return np.clip(x, 0, 6)


def _with(activation: Activation) -> Callable[..., Floats]:
    """Return the mlp that has this non-linearity in place of each of its own."""

    def wrong(x: Floats, w: Mlp, keep: Sequence[Keep] | None = None) -> Floats:
        return mlp(x, replace(w, activations=tuple(own and activation for own in w.activations)), keep)

    return wrong


_OTHER_KIND = "The non-linearity between your dense layers is neither ReLU nor GELU."
OF_NETWORKS = (
    Mistake(
        "non_linearity_missing",
        "There is no non-linearity between your dense layers, so together they are one linear map.",
        _with(identity),
    ),
    *(
        Mistake("non_linearity_of_other_kind", _OTHER_KIND, _with(kind))
        for kind in (np.tanh, sigmoid, elu, swish, leaky_relu, softmax)
    ),
)
CAPPED = Mistake("non_linearity_of_other_kind", _OTHER_KIND, _with(relu_6))
"""Shows only where values are large."""
LIST_CHANGED = Mistake(
    "list_changed",
    "Your code changes the list of widths that it gets, so that the next call with the same list makes other layers. "
    "The list belongs to the caller: `pop` and `append` need a copy of it, `list(...)`.",
)
DRAWS = 16
"""Most draws that are made where two styles agree, as they do when all units of a narrow layer are silent."""
MISSES = 3
"""So many draws, none of which can be read, are no accident of rounding."""


def accepted_activations(layers: int) -> list[tuple[Activation | None, ...]]:
    """Return the non-linearities that may follow so many layers: any after each, or none after the last one."""
    return [(*inner, last) for inner in inner_activations(layers) for last in (None, *ACTIVATIONS)]


def inner_activations(layers: int) -> list[tuple[Activation, ...]]:
    """Return the non-linearities that may follow all of so many layers but the last."""
    return list(itertools.product(ACTIVATIONS, repeat=layers - 1))


def dense_layers(positions: Sequence[Positions], widths: Sequence[int]) -> tuple[Dense, ...]:
    """Return where dense layers of these widths stand, told by their shapes, which must all differ.

    Args:
        positions: Of the variables; further ones are ignored.
        widths: What comes in, then each layer's width.

    Raises:
        CheckFailed: If a kernel is missing. A bias that is missing counts as 0: another check counts weights.
    """
    by_shape = {tuple(size for size in places.shape if size != 1): places for places in positions}
    layers = []
    for before, after in itertools.pairwise(widths):
        kernel = by_shape.get((before, after), by_shape.get((after, before)))
        if kernel is None:
            shapes = ", ".join(str(places.shape) for places in positions) or "none"
            fail(f"Expected a dense layer from {before} to {after} features. The weights' shapes: {shapes}. {UNSEEN}")
        kernel = kernel.reshape(before, after) if (before, after) in by_shape else kernel.reshape(after, before).T
        bias = by_shape.get((after,))
        layers.append(Dense(kernel, np.full(after, ABSENT) if bias is None else bias.reshape(after)))
    return tuple(layers)


@dataclass(frozen=True)
class ReadNetwork:
    """A submission's mlp as it was read.

    Attributes:
        variables: Of the model.
        places: Where its layers stand, and its style.
        mistake: What was recognised.
        always_on: Whether its dropout is active in inference, so that a model of rate 0 was read.
    """

    variables: Variables
    places: Mlp
    mistake: Mistake | None = None
    always_on: bool = False

    @property
    def layer(self) -> Layer:
        """The model itself."""
        return self.variables.layer

    def right(self, x: Floats, w: Mlp, keep: Sequence[Keep] | None = None) -> Floats:
        """Return what the output must be: the definition's, or the same with the mistake that was recognised."""
        oracle = mlp if self.mistake is None else self.mistake
        return oracle(x, w, keep)

    def of_layers(self, layers: tuple[Dense, ...]) -> list[Mlp]:
        """Return the ways to read another mlp of the submission's: its non-linearities are of the same kinds."""
        *inner, last = self.places.activations
        found = itertools.product(set(inner), repeat=len(layers) - 1)
        return [Mlp(layers, (*activations, last)) for activations in found]


def calm_output(layer: Layer, x: Floats, shape: Sequence[int]) -> Floats:
    """Return a layer's output in inference, the same each time, whether or not it is told that this is no training."""
    output, again = (expect_array(layer(x, training=phase), shape, "The output") for phase in (None, False))
    if not np.array_equal(output, again):
        blame(ALWAYS_ON)
    return output


def read_network(variables: Variables, x: Floats, widths: Sequence[int], rng: np.random.Generator) -> ReadNetwork:
    """Find out how a submission's mlp is to be read.

    Args:
        variables: Of the model.
        x: Inputs `(..., widths[0])`.
        widths: What comes in, then each layer's width.
        rng: Draws the weights.

    Raises:
        CheckFailed: If it is no mlp, right or with a mistake that we know.
    """
    layers = dense_layers(variables.positions, widths)
    networks = [Mlp(layers, activations) for activations in accepted_activations(len(layers))]
    values, output = _draw_and_ask(variables, x, widths[-1], rng)
    for oracle, mistake in _oracles():
        left = list(all_readings(networks, values, partial(oracle, x), output))
        for _ in range(DRAWS):
            if len(left) > 1:  # silent units: two styles agree
                again = _draw_and_ask(variables, x, widths[-1], rng)
                left = list(all_readings(left, again[0], partial(oracle, x), again[1]))
        if left:
            return ReadNetwork(variables, left[0], mistake)
    require(bool(output.any()), "The output: all values are zero.", "only_zeros")
    fail("The output is not that of the dense layers in turn, with ReLU or GELU after each but the last.")


def _draw_and_ask(variables: Variables, x: Floats, width: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    values = variables.draw(rng)
    variables.set(values)
    return values, calm_output(variables.layer, x, (*x.shape[:-1], width))


def _oracles() -> Iterator[tuple[Callable[[Floats, Mlp], Floats], Mistake | None]]:
    yield mlp, None
    for mistake in OF_NETWORKS:
        yield mistake, mistake


def enliven(values: Floats, places: Mlp, rng: np.random.Generator, *, masked: bool) -> Floats:
    """Return values under which no unit of the mlp is silent, so that dropout and gradients can be seen.

    Kernels are small and positive. Units get biases of 1 to 3, where GELU bends; where masks act, the last ones get
    larger ones, which no mask can outweigh.
    """
    values = values.copy()
    for number, layer in enumerate(places.layers):
        values[layer.kernel] = 0.3 * np.abs(values[layer.kernel])
        low, high = (6.0, 9.0) if masked and number == len(places.layers) - 1 else (1.0, 3.0)
        bias = layer.bias[layer.bias != ABSENT]
        values[bias] = rng.uniform(low, high, bias.size)
    return values.astype(np.float32).astype(np.float64)
