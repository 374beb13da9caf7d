"""Images for the checks of the notebook's data: drawn by the grader, which knows each of them again."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from autograder.checking.comparisons import Floats

SIDE, CHANNELS, CLASSES = 32, 3, 10  # as in the notebook

ALIKE, EVERY = 0.3, 5
"""Least correlation of two images that are one, over every fifth value. Different ones reach 0.2; what overflown pixels
leave of an image, and the image itself, 0.5."""

SURE = 5.5
"""Standard deviations. A random split is farther from the mean once in 25 million; of 500 images, the closest that is
not random, taking every fourth, is at 7 or more."""
CLOSE = 0.1
"""By how much of a pixel's step images that were scaled may be off."""

Integers = np.ndarray[Any, np.dtype[np.integer[Any]]]


@dataclass(frozen=True)
class LabelledImages:
    """Images, uint8 `(images, side, side, channels)`, and their labels, int64 `(images,)`."""

    images: Integers
    labels: Integers

    def as_variables(self, part: str) -> dict[str, object]:
        """Return the notebook's variables that hold them; part is `train` or `test`."""
        return {f"X_{part}": self.images, f"Y_{part}": self.labels, f"n_{part}": len(self.labels)}

    def places_of(self, images: np.ndarray[Any, Any]) -> Integers:
        """Return for each of some images where it stands among these, -1 if it is none of them."""
        fits = images.shape[1:] == self.images.shape[1:]
        return np.array([self._places.get(image.tobytes(), -1) if fits else -1 for image in images], dtype=np.int64)

    def likest_of(self, images: np.ndarray[Any, Any]) -> Integers:
        """Return which of these each image was made from, whatever happened to its pixels; -1 if from none of them.

        Args:
            images: Of the same shape, finite.
        """
        alike = np.abs(_standardised(images) @ _standardised(self.images).T)  # (images, ours)
        return np.where(alike.max(axis=1) > ALIKE, alike.argmax(axis=1), -1)

    def scale_of(self, images: np.ndarray[Any, Any]) -> tuple[float, float] | None:
        """Return by what all pixels of some of these images were multiplied, and what was added; None if not so."""
        if images.shape[1:] != self.images.shape[1:] or not len(images) or not np.isfinite(images).all():
            return None
        drawn = self.images[self.likest_of(images)].astype(float)
        factor, offset = np.polyfit(drawn[0].ravel(), images[0].astype(float).ravel(), 1)
        exact = factor > 0 and np.abs(images - (factor * drawn + offset)).max() < factor * CLOSE
        return (float(factor), float(offset)) if exact else None

    @cached_property
    def _places(self) -> dict[bytes, int]:
        return {image.tobytes(): place for place, image in enumerate(self.images)}


def draw_images(rng: np.random.Generator, count: int, least: int = 0, largest: int = 255) -> LabelledImages:
    """Return images of noise and labels, each class as often as any other.

    In half of the images, at random, a value is anything from the least to the largest; in the others none is near to
    either end.

    Args:
        rng: Draws them.
        count: Of images.
        least: Value of a pixel, at most 60.
        largest: Value of a pixel, at least 187.
    """
    images = rng.integers(least, largest + 1, size=(count, SIDE, SIDE, CHANNELS), dtype=np.uint8)
    pale = rng.permutation(np.arange(count) % 2 == 0)
    images[pale] = 60 + images[pale] // 2
    return LabelledImages(images, rng.permutation(np.arange(count) % CLASSES))


def deviation(kept: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """Return by how many standard deviations the number of runs of equal values is off that of a random order.

    Reference: Wald and Wolfowitz 1940, "On a Test Whether Two Samples are from the Same Population".
    """
    whole, chosen = len(kept), int(kept.sum())
    if chosen in (0, whole):
        return math.inf
    runs = 1 + int((kept[1:] != kept[:-1]).sum())
    mean = 1 + 2 * chosen * (whole - chosen) / whole
    return abs(runs - mean) / math.sqrt((mean - 1) * (mean - 2) / (whole - 1))


def _standardised(images: np.ndarray[Any, Any]) -> Floats:
    flat = images.reshape(len(images), -1)[:, ::EVERY].astype(np.float32)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12)
