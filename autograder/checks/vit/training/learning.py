"""What a small Vision Transformer has learned of patterns in noise.

The grader draws the patterns, the images and the weights that the training starts from, and asks for the weights that
it ends with. With these, NumPy's own Vision Transformer answers images that the student's process was never given.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import numpy as np

from autograder.checking.comparisons import Floats
from autograder.checking.readings import ABSENT
from autograder.checks.vit.readings.model_candidates import VitSizes
from autograder.checks.vit.readings.vits import ReadVit

SIZES = VitSizes(side=6, channels=1, patch_size=3, model_dim=12, heads=3, layers=1, head=(20, 16), classes=6)
EPOCHS, BATCH_SIZE, RATE = 3, 32, 0.01
TRAINING, VALIDATION, TEST, HELD_OUT = 16 * BATCH_SIZE, 60, 30, 240
"""Images, the classes equally often in each."""
NOISE = 0.3
"""Standard deviation of what is added to a pattern, whose pixels are -1 and 1."""
CHANCE = 1 / SIZES.classes
CLEARLY = 5
"""Standard errors above chance. Any right training is at 30 or more; 7 is the least of a wrong rate, optimiser or loss,
for which other checks take points."""
LEAST = CHANCE + CLEARLY * (CHANCE * (1 - CHANCE) / HELD_OUT) ** 0.5
UNLIKELY = 0.01
"""Share of the orders of names that may fit as well as the right one."""
EVEN = 0.5
"""The first logit of each class: a number that is a probability, too, for a loss that takes it for one."""


@dataclass(frozen=True)
class Patterns:
    """Images `(images, side, side, channels)` and their labels: to train, validate and test on, and held out."""

    data: tuple[tuple[Floats, Floats], ...]
    held_out: tuple[Floats, Floats]


def draw_patterns(rng: np.random.Generator) -> Patterns:
    """Return images of one pattern for each class, in noise."""
    shape = (SIZES.side, SIZES.side, SIZES.channels)
    patterns = rng.choice([-1.0, 1.0], size=(SIZES.classes, *shape))
    pairs = []
    for count in (TRAINING, VALIDATION, TEST, HELD_OUT):
        labels = rng.permutation(np.arange(count) % SIZES.classes)
        images = patterns[labels] + rng.normal(scale=NOISE, size=(count, *shape))
        pairs.append((images.astype(np.float32), labels))
    return Patterns(tuple(pairs[:-1]), pairs[-1])


def first_weights(model: ReadVit, rng: np.random.Generator) -> Floats:
    """Return weights to start from, under which all classes are as likely for every image.

    So the smallest step of a training towards the right labels shows in the answers.
    """
    values, places = model.variables.draw(rng), model.places
    norms = [norm for layer in places.blocks for norm in (layer.first, layer.second)]
    dense = [
        places.encoder.projection,
        *places.head.layers,
        *(part for layer in places.blocks for part in layer.network.layers),
    ]
    zeros = [
        places.encoder.token,
        *(norm.offset for norm in norms),
        *(layer.bias for layer in dense),
        places.logits.kernel,
    ]
    for value, rows in ((0.0, zeros), (1.0, [norm.scale for norm in norms]), (EVEN, [places.logits.bias])):
        for row in rows:
            values[row[row != ABSENT]] = value
    return values


@dataclass(frozen=True)
class Learned:
    """What a Vision Transformer with some weights makes of held-out images.

    Attributes:
        share: Of images that it answers rightly.
        names_fit: Whether its logits fit the classes' right names better than the same names in nearly all other
            orders, which a network that learned nothing does once in 100 times. (One that gives all images of a class
            the same answer, by luck the right one for some, can well be above chance. Not all other orders: a training
            may leave two classes alike, whose names can then be exchanged.)
    """

    share: float
    names_fit: bool


def what_was_learned(model: ReadVit, weights: Floats, patterns: Patterns) -> Learned:
    """Return how the grader's own Vision Transformer answers held-out images with these weights."""
    images, labels = patterns.held_out
    logits = model.right(images, weights)
    means = np.stack([logits[labels == label].mean(axis=0) for label in range(SIZES.classes)])  # (classes, classes)
    orders = np.array(list(permutations(range(SIZES.classes))))  # the first one is the right one
    fits = means[np.arange(SIZES.classes), orders].sum(axis=-1)
    return Learned(float((logits.argmax(axis=-1) == labels).mean()), bool((fits >= fits[0]).mean() < UNLIKELY))
