"""Read the variables of an mlp, and the mistakes in one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise

import numpy as np

from autograder.checking.comparisons import Floats, expect_array, fail, require
from autograder.checking.dropout import (
    Masks,
    Outcomes,
    all_masks,
    is_as_frequent,
    is_independent,
    kept_factors,
    split_masks,
)
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.readings import ABSENT, all_readings
from autograder.checking.remote import Layer
from autograder.checking.variables import Positions, Variables
from autograder.checks.vit.counting import UNSEEN
from autograder.checks.vit.oracle import ACTIVATIONS, Activation, Dense, Mlp, mlp

ALWAYS_ON = Mistake("dropout_always_on", "Two calls in inference differ: your dropout is active outside training too.")
NEVER_ON = Mistake(
    "dropout_never_on",
    "In training the output is the same as in inference: your dropout is never active. (Inside a model of tf_keras, a "
    "dropout of tf.keras never is.)",
)
OTHER_RATE = Mistake("dropout_rate_ignored", "Your dropout has another rate than the one that is asked for.")

RATES = tuple(round(0.05 * step, 2) for step in range(1, 20))
"""Rates that are tried where dropout has not the one that is asked for."""


def identity(x: Floats) -> Floats:
    """Return x."""
    return x


def sigmoid(x: Floats) -> Floats:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + np.exp(-x))


def elu(x: Floats) -> Floats:
    """Return x where positive, else exp(x) - 1."""
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def _with(activation: Activation) -> Callable[[Floats, Mlp], Floats]:
    return lambda x, w: mlp(x, replace(w, activation=activation, last=w.last and activation))


_OTHER_KIND = "The non-linearity between your dense layers is neither ReLU nor GELU."
OF_NETWORKS = (
    Mistake(
        "non_linearity_missing",
        "There is no non-linearity between your dense layers, so together they are one linear map.",
        _with(identity),
    ),
    *(Mistake("non_linearity_of_other_kind", _OTHER_KIND, _with(kind)) for kind in (np.tanh, sigmoid, elu)),
)
STYLES = tuple((activation, last) for activation in ACTIVATIONS for last in (None, *ACTIVATIONS))
"""Non-linearities that are accepted, without and with one, of any kind, after the last layer."""
DRAWS = 16
"""Most draws that are made where two styles agree, as they do when all units of a narrow layer are silent."""


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
    for before, after in pairwise(widths):
        kernel = by_shape.get((before, after), by_shape.get((after, before)))
        if kernel is None:
            shapes = ", ".join(str(places.shape) for places in positions) or "none"
            fail(f"Expected a dense layer from {before} to {after} features. The weights' shapes: {shapes}. {UNSEEN}")
        kernel = kernel.reshape(before, after) if (before, after) in by_shape else kernel.reshape(after, before).T
        bias = by_shape.get((after,))
        layers.append(Dense(kernel, np.full(after, ABSENT) if bias is None else bias.reshape(after)))
    return tuple(layers)


@dataclass(frozen=True)
class Network:
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

    def right(self, x: Floats, w: Mlp) -> Floats:
        """Return what the output must be: the definition's, or the same with the mistake that was recognised."""
        return mlp(x, w) if self.mistake is None else self.mistake(x, w)


def calm_output(layer: Layer, x: Floats, shape: Sequence[int]) -> Floats:
    """Return a layer's output in inference, the same each time."""
    output, again = (expect_array(layer(x), shape, "The output") for _ in range(2))
    if not np.array_equal(output, again):
        blame(ALWAYS_ON)
    return output


def read_network(variables: Variables, x: Floats, widths: Sequence[int], rng: np.random.Generator) -> Network:
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
    styles = [Mlp(layers, activation, last) for activation, last in STYLES]
    values, output = _draw_and_ask(variables, x, widths[-1], rng)
    for oracle, mistake in _oracles():
        left = list(all_readings(styles, values, partial(oracle, x), output))
        for _ in range(DRAWS):
            if len(left) > 1:  # silent units: two styles agree
                again = _draw_and_ask(variables, x, widths[-1], rng)
                left = list(all_readings(left, again[0], partial(oracle, x), again[1]))
        if left:
            return Network(variables, left[0], mistake)
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


@dataclass(frozen=True)
class Dropped:
    """How dropout was found to act after the layers of an mlp.

    Attributes:
        kept: Which units were kept, by layer, `(samples, ..., width)`.
        times: Dropouts in a row after the last layer.
    """

    kept: list[Masks]
    times: int


def network_outcomes(
    widths: Sequence[int], rate: float, times: int, run: Callable[[list[Floats]], Floats]
) -> tuple[Outcomes, list[int]]:
    """Return all outcomes of dropout after each layer of an mlp.

    Args:
        widths: Of the layers.
        rate: Of the dropout.
        times: Dropouts in a row after the last layer; 0 for none.
        run: Returns the outputs `(outcomes, ..., features)`, given the factors of each layer `(outcomes, width)`.
    """
    dropped = list(widths) if times else list(widths[:-1])
    masks = all_masks(sum(dropped))
    factors: list[Floats] = []
    for number, mask in enumerate(split_masks(masks, dropped)):
        last = number == len(widths) - 1
        factors.append(kept_factors(mask, rate, times if last else 1))
    if not times:
        factors.append(np.ones((len(masks), widths[-1])))
    return Outcomes(run(factors), masks), dropped


def explain_network_dropout(
    samples: Floats,
    widths: Sequence[int],
    rate: float,
    accepted: Sequence[int],
    run: Callable[[list[Floats]], Floats],
) -> Dropped | None:
    """Return how dropout of this rate explains samples of one input; None if it does not.

    Args:
        samples: `(samples, ..., features)`, in training.
        widths: Of the mlp's layers.
        rate: Of the dropout.
        accepted: How many dropouts may follow the last layer.
        run: See `network_outcomes`.
    """
    for times in accepted:
        outcomes, dropped = network_outcomes(widths, rate, times, run)
        kept = outcomes.decode(samples)
        if kept is not None:
            return Dropped(np.split(kept, np.cumsum(dropped)[:-1], axis=-1), times)
    return None


def expect_frequencies(kept: Sequence[Masks], shares: Sequence[float]) -> None:
    """End the check unless units are kept as often as they should be, each by itself.

    Args:
        kept: By layer, `(samples, ..., width)`. A layer's mask shows only where something of all later layers was kept.
        shares: How often a unit of each layer is kept.
    """
    for number, (layer, share) in enumerate(zip(kept, shares, strict=False)):
        later = [other.any(axis=-1) for other in kept[number + 1 :]]
        shown = np.logical_and.reduce(later) if later else np.ones(layer.shape[:-1], bool)
        if not is_as_frequent(layer[shown], share):
            blame(OTHER_RATE)
        if not is_independent(layer, shown, share):
            fail("Your dropout drops the same units of several tokens or samples. Each has a mask of its own.")


def shares_of(found: Dropped, widths: Sequence[int], rate: float) -> list[float]:
    """Return how often a unit of each layer is kept."""
    return [*[1 - rate for _ in widths[:-1]], (1 - rate) ** found.times]
