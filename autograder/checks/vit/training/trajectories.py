"""How dense layers learn from samples that are all alike, weight by weight, in NumPy and float64.

The samples are copies of one, so no shuffling changes what happens: the start, the optimiser, its rate, the sizes of
the batches and the loss decide every weight after every step.

Reference: Kingma and Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1 in the order of section 2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from autograder.checks.vit.oracles.vision_transformer import Floats, softmax

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Keras' defaults
WEIGHT_DECAY = 0.004  # AdamW's default


@dataclass(frozen=True)
class Network:
    """Dense layers with tanh between them, and all their weights as one vector: each kernel above its bias.

    Attributes:
        widths: Of what comes in, then of each layer.
    """

    widths: tuple[int, ...]

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """The shape of each layer's kernel above its bias."""
        return [(before + 1, after) for before, after in pairwise(self.widths)]

    def size(self, layers: int | None = None) -> int:
        """Return how many weights there are in the first layers; in all of them by default."""
        return sum(rows * columns for rows, columns in self.shapes[:layers])

    def layers(self, weights: Floats) -> list[Floats]:
        """Return each layer's kernel above its bias, `(before + 1, after)`."""
        ends = [self.size(number) for number in range(len(self.shapes) + 1)]
        places = zip(pairwise(ends), self.shapes, strict=True)
        return [weights[begin:end].reshape(shape) for (begin, end), shape in places]

    def run(self, weights: Floats, inputs: Floats) -> list[Floats]:
        """Return what goes into each layer, with a 1 for the bias, `(..., before + 1)`, and then the logits."""
        seen: list[Floats] = []
        for layer in self.layers(weights):
            features = np.tanh(inputs) if seen else inputs
            seen.append(np.concatenate([features, np.ones((*features.shape[:-1], 1))], axis=-1))
            inputs = seen[-1] @ layer
        return [*seen, inputs]

    def gradient(self, weights: Floats, seen: list[Floats], slope: Floats) -> Floats:
        """Return the gradient by all weights for one sample.

        Args:
            weights: All of them.
            seen: What `run` returned.
            slope: Gradient of the loss by the logits.
        """
        parts = []
        for layer, features in zip(reversed(self.layers(weights)), reversed(seen[:-1]), strict=True):
            parts.append(np.outer(features, slope).ravel())
            slope = (layer @ slope * (1 - features**2))[:-1]  # through tanh; of the first layer nobody asks
        return np.concatenate(parts[::-1])


@dataclass
class Moments:
    """What an optimiser remembers from step to step."""

    mean: Floats
    square: Floats
    largest: Floats
    steps: int = 0

    def note(self, gradient: Floats) -> None:
        """Average a further gradient and its square into the running means."""
        self.steps += 1
        self.mean = BETA_1 * self.mean + (1 - BETA_1) * gradient
        self.square = BETA_2 * self.square + (1 - BETA_2) * gradient**2
        self.largest = np.maximum(self.largest, self.square)

    def corrected(self, rate: float) -> float:
        """Return the rate with both means' bias towards zero taken out."""
        return rate * np.sqrt(1 - BETA_2**self.steps) / (1 - BETA_1**self.steps)


Optimiser = Callable[[Moments, Floats, Floats, float], Floats]
"""Returns by how much a step changes the weights, given moments, weights, gradient and rate."""


def adam(moments: Moments, weights: Floats, gradient: Floats, rate: float) -> Floats:
    """Return Adam's change of the weights."""
    moments.note(gradient)
    return -moments.corrected(rate) * moments.mean / (np.sqrt(moments.square) + EPSILON)


def adam_w(moments: Moments, weights: Floats, gradient: Floats, rate: float) -> Floats:
    """Return the change by Adam with decoupled weight decay."""
    kept = 1 - WEIGHT_DECAY * rate
    return kept * weights + adam(moments, weights, gradient, rate) - weights


def ams_grad(moments: Moments, weights: Floats, gradient: Floats, rate: float) -> Floats:
    """Return the change by Adam's variant that divides by the largest mean square so far."""
    moments.note(gradient)
    return -moments.corrected(rate) * moments.mean / (np.sqrt(moments.largest) + EPSILON)


def sgd(moments: Moments, weights: Floats, gradient: Floats, rate: float) -> Floats:
    """Return the change by plain gradient descent."""
    return -rate * gradient


def rms_prop(moments: Moments, weights: Floats, gradient: Floats, rate: float) -> Floats:
    """Return the change by RMSprop."""
    moments.square = 0.9 * moments.square + 0.1 * gradient**2
    return -rate * gradient / np.sqrt(moments.square + EPSILON)


@dataclass(frozen=True)
class Loss:
    """A loss of one sample.

    Attributes:
        value: Of logits and a label.
        slope: Its gradient by the logits.
    """

    value: Callable[[Floats, int], float]
    slope: Callable[[Floats, int], Floats]


def _of_logits(logits: Floats, label: int) -> float:
    return -float(np.log(softmax(logits)[label]))


def _slope_of_logits(logits: Floats, label: int) -> Floats:
    return softmax(logits) - _one_hot(label, len(logits))


def _of_probabilities(values: Floats, label: int) -> float:
    clipped = np.clip(values, EPSILON, 1 - EPSILON)
    return -float(np.log(clipped[label] / clipped.sum()))


def _slope_of_probabilities(values: Floats, label: int) -> Floats:
    clipped = np.clip(values, EPSILON, 1 - EPSILON)
    slope = 1 / clipped.sum() - _one_hot(label, len(values)) / clipped
    return np.where(clipped == values, slope, 0.0)  # no gradient where the clipping has cut


def _one_hot(label: int, classes: int) -> Floats:
    return (np.arange(classes) == label).astype(float)


OF_LOGITS = Loss(_of_logits, _slope_of_logits)
OF_PROBABILITIES = Loss(_of_probabilities, _slope_of_probabilities)
"""What Keras computes where logits are taken for probabilities: clipped, normalised, -log."""


@dataclass(frozen=True)
class Recipe:
    """How a model is trained.

    Attributes:
        rate: The optimiser's learning rate.
        batches: Number of samples in each step of an epoch.
        summed: Whether the loss of a batch is the sum over its samples in place of their mean.
        frozen: Number of first layers that are not trained.
        counts_one_more: Whether a step more is counted after the first epoch than was taken. Keras does so where it is
            told of the end of the data only by trying a further step, as with `from_generator`.
    """

    rate: float
    batches: tuple[int, ...]
    optimiser: Optimiser = adam
    loss: Loss = OF_LOGITS
    summed: bool = False
    frozen: int = 0
    counts_one_more: bool = False


@dataclass(frozen=True)
class Trajectory:
    """What a training does, epoch by epoch.

    Attributes:
        weights: At the start and after each epoch, `(epochs + 1, weights)`.
        rights: Whether the sample was answered rightly in each step, `(epochs, steps)`.
        losses: Likewise.
        batches: Number of samples in each step of an epoch.
        margin: How far the sample's label was from a tie with the best other class, at the closest step.
    """

    weights: Floats
    rights: Floats
    losses: Floats
    batches: tuple[int, ...]
    margin: float

    @property
    def accuracy(self) -> Floats:
        """Of the batches of each epoch, as they were met, `(epochs,)`."""
        return self.wherever_the_last(self.rights)[:, -1]

    @property
    def loss(self) -> Floats:
        """Of the batches of each epoch, as they were met, `(epochs,)`."""
        return self.wherever_the_last(self.losses)[:, -1]

    def wherever_the_last(self, values: Floats) -> Floats:
        """Return the mean of an epoch's steps, weighted by their samples, for each place of the last batch.

        Who shuffles batches may have the short one at any of them.

        Args:
            values: Of each step, `(epochs, steps)`.

        Returns:
            `(epochs, places)`, the last place at the end.
        """
        *others, last = self.batches
        orders = [(*others[:place], last, *others[place:]) for place in range(len(self.batches))]
        return values @ np.array(orders).T / sum(self.batches)


class Sample(NamedTuple):
    """Features `(features,)` and their class."""

    features: Floats
    label: int


def follow(recipe: Recipe, network: Network, start: Floats, sample: Sample, epochs: int) -> Trajectory:
    """Train a network on copies of one sample.

    Args:
        recipe: How.
        network: What.
        start: Its first weights.
        sample: What is copied.
        epochs: How often to go through the recipe's batches.
    """
    features, label = sample
    weights, moments = start.astype(float), Moments(*np.zeros((3, *start.shape)))
    trained = np.arange(len(start)) >= network.size(recipe.frozen)
    after, rights, losses, margin = [weights], [], [], np.inf
    for epoch in range(epochs):
        moments.steps += recipe.counts_one_more and epoch == 1
        right, loss = [], []
        for size in recipe.batches:
            seen = network.run(weights, features)
            logits = seen[-1]  # (classes,)
            ahead = logits[label] - np.delete(logits, label).max()
            margin = min(margin, abs(ahead))
            right.append(ahead > 0)
            loss.append(recipe.loss.value(logits, label))
            slope = recipe.loss.slope(logits, label) * (size if recipe.summed else 1)
            change = recipe.optimiser(moments, weights, network.gradient(weights, seen, slope), recipe.rate)
            weights = weights + trained * change
        after.append(weights)
        rights.append(right)
        losses.append(loss)
    return Trajectory(np.stack(after), np.array(rights, float), np.array(losses), recipe.batches, float(margin))
