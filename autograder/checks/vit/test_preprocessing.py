"""Hidden checks of the notebook's preprocessing.

The grader draws the images that are split and preprocessed, and compares each pixel of the answer with its own.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder.checking.comparisons import close, describe, fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checks.vit.training.data import CHANNELS, CLASSES, SURE, LabelledImages, deviation, draw_images

TOLERANCE = 1e-3  # two neighbouring pixel values are 8e-3 apart

UNSCALED = Mistake(
    "pixels_not_scaled", "Your pixels still reach up to 255. They must lie in [-1, 1].", lambda pixels: pixels
)
IN_0_1 = Mistake("pixels_in_0_1", "Your pixels lie in [0, 1]. They must lie in [-1, 1].", lambda pixels: pixels / 255)
INVERTED = Mistake(
    "pixels_inverted",
    "Your images are negatives: pixel 0 must become -1 and pixel 255 must become 1.",
    lambda pixels: 1 - pixels / 127.5,
)
BY_128 = Mistake(
    "pixels_by_128",
    "Your pixels do not reach 1: there are 256 values, but the largest is 255, not 256.",
    lambda pixels: pixels / 128 - 1,
)
OVERFLOWN = Mistake(
    "pixels_overflown",
    "Your pixels overflow: a uint8 holds 0 to 255 only. Make them floating-point numbers before you compute with them.",
    lambda pixels: (pixels.astype(np.uint8) * 2 - 255).astype(float) / 255,
)
MISTAKES = (UNSCALED, IN_0_1, INVERTED, BY_128, OVERFLOWN)
BY_LARGEST = Mistake(
    "pixels_by_their_largest",
    "You scale by the least or the largest value that is found in some images. They need not hold 0 and 255: whatever the "
    "images, pixel 0 must become -1 and pixel 255 must become 1.",
)
IN_BOTH_SETS = Mistake(
    "prepared_images_in_both",
    "After the preprocessing, images for training are validation images, too: you split again, or take images from "
    "`X_train`. Prepare `Xtrain` and `Xval` as the split made them.",
)
SPLIT_IN_ORDER = Mistake(
    "prepared_split_not_at_random",
    "After the preprocessing, which images are kept for validation follows from their order in `X_train`. Prepare "
    "`Xtrain` and `Xval` as the split made them.",
)
ONE_HOT = Mistake("one_hot_labels", "Your labels are one-hot. They must stay integers, one for each image.")
LABELS_MOVED = Mistake("labels_of_other_images", "Some labels no longer belong to their images.")


@dataclass(frozen=True)
class Prepared:
    """One of the three sets as the submission prepared it.

    Attributes:
        part: `train`, `val` or `test`.
        images: As they came.
        places: Where each stands among those that were drawn.
        drawn: What was drawn.
    """

    part: str
    images: np.ndarray
    places: np.ndarray
    drawn: LabelledImages


@pytest.fixture(scope="module")
def drawn(student, task_rng):
    """Let the submission split and preprocess images that were drawn here; return those for training, and for a test.

    The test images hold neither a 0 nor a 255. Those of `X_train` do, as real ones: who scales all sets by the least and
    the largest of these is right.
    """
    least, largest = int(task_rng.integers(5, 25)), int(task_rng.integers(230, 250))
    images = draw_images(task_rng, 4 * int(task_rng.integers(30, 40)))
    test = draw_images(task_rng, int(task_rng.integers(50, 70)), least, largest)
    student.answer_with(**images.as_variables("train"), **test.as_variables("test"))
    return images, test


@pytest.fixture(scope="module", params=("train", "val", "test"))
def prepared(request, student, drawn):
    """Return one set after checking that it holds the images that it must hold, whatever became of their pixels."""
    return read_prepared(student, drawn, request.param)


def read_prepared(student, drawn, part):
    """Return a set, `train`, `val` or `test`; see `prepared`."""
    images = student.variable(f"X{part}")
    before, given = (drawn[1], "X_test") if part == "test" else (drawn[0], "X_train")
    quarter = len(drawn[0].labels) // 4
    shape = ({"train": 3 * quarter, "val": quarter, "test": len(drawn[1].labels)}[part], *before.images.shape[1:])
    if not isinstance(images, np.ndarray):
        fail(f"`X{part}` must be an array of images; got {describe(images)}.")
    require(images.shape == shape, f"`X{part}` must have the shape {shape}; yours has the shape {images.shape}.")
    require(bool(np.isfinite(images).all()), f"`X{part}` holds values that are not finite (inf or nan).", "not_finite")
    places = before.likest_of(images)
    require(
        (places >= 0).all() and len(np.unique(places)) == len(images),
        f"The images in `X{part}` are not those of `{given}`, each of them once.",
    )
    return Prepared(part, images, places, before)


@pytest.mark.check("Images are float32; each pixel goes to its own place in [-1, 1]; in all three sets.", weight=2)
def test_pixels(prepared):
    part, images = prepared.part, prepared.images
    require(images.dtype == np.float32, f"`X{part}` must be float32; it is {images.dtype}.")
    before = prepared.drawn.images[prepared.places].astype(float)
    if close(images, before / 127.5 - 1, TOLERANCE):  # 0 goes to -1, 255 to 1
        return
    for mistake in MISTAKES:
        if close(images, mistake(before), TOLERANCE):
            blame(mistake)
    if before.max() < 255 and abs(images.max() - 1) < TOLERANCE and in_proportion(before, images):
        blame(BY_LARGEST)
    fail(
        f"`X{part}` must lie in [-1, 1], pixel 0 at -1 and pixel 255 at 1, and all others in proportion; yours lies in "
        f"[{images.min():.3g}, {images.max():.3g}]."
    )


def in_proportion(before, after):
    """Whether in each channel equal steps from one value to the next are equal steps afterwards."""
    for old, new in zip(before.reshape(-1, CHANNELS).T, after.reshape(-1, CHANNELS).T, strict=True):
        if not close(np.polyval(np.polyfit(old, new, 1), old), new.astype(float), TOLERANCE):
            return False
    return True


@pytest.mark.check("Training and validation images are kept apart, as the split made them.")
def test_split_is_kept(student, drawn):
    train, val = (read_prepared(student, drawn, part) for part in ("train", "val"))
    if np.isin(train.places, val.places).any():
        blame(IN_BOTH_SETS)
    if deviation(np.isin(np.arange(len(drawn[0].labels)), val.places)) > SURE:
        blame(SPLIT_IN_ORDER)
    if is_unchanged(train) and is_unchanged(val):  # whoever does nothing splits nothing
        blame(UNSCALED)


@pytest.mark.check("Labels stay integers, one for each image, and belong to it.")
def test_labels(student, prepared):
    part, labels = prepared.part, student.variable(f"Y{prepared.part}")
    if not isinstance(labels, np.ndarray):
        fail(f"`Y{part}` must be an array of labels; got {describe(labels)}.")
    if labels.ndim == 2 and labels.shape[1] == CLASSES:
        blame(ONE_HOT)
    require(np.issubdtype(labels.dtype, np.integer), f"`Y{part}` must hold integers; it holds {labels.dtype}.")
    require(labels.size == len(prepared.places), f"`Y{part}` must hold one label for each image of `X{part}`.")
    if not np.array_equal(labels.ravel(), prepared.drawn.labels[prepared.places]):
        blame(LABELS_MOVED)
    if is_unchanged(prepared):  # whoever does nothing moves no label
        blame(UNSCALED)


def is_unchanged(prepared):
    """Whether these are the images that were given."""
    return np.array_equal(prepared.images, prepared.drawn.images[prepared.places])
