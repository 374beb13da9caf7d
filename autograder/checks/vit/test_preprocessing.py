"""Hidden checks of the notebook's preprocessing."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect_array, fail, require
from autograder.checking.remote import Student
from autograder.checks.vit.misconceptions import blame

PARTS = ("train", "val", "test")


def images(student: Student, part):
    """Return one set's images."""
    found = student.variable(f"X{part}")
    if not isinstance(found, np.ndarray):
        fail(f"`X{part}` must be an array of images.")
    return found


@pytest.mark.check("Images are float32 in [-1, 1], in all three sets.")
@pytest.mark.parametrize("part", PARTS)
def test_images(student, part):
    found = images(student, part)
    require(found.dtype == np.float32, f"`X{part}` must be float32; it is {found.dtype}.")
    found = expect_array(found, found.shape, f"`X{part}`")
    low, high = float(found.min()), float(found.max())
    if high > 10:
        blame("pixels_not_scaled")
    if low >= 0 and high <= 1 + 1e-5:
        blame("pixels_in_0_1")
    require(
        abs(low + 1) < 0.01 and abs(high - 1) < 0.01,
        f"`X{part}` must lie in [-1, 1], pixel 0 at -1 and pixel 255 at 1; yours lies in [{low:.3g}, {high:.3g}].",
    )


@pytest.mark.check("Each pixel of the test images goes to its own place in [-1, 1], and no image is lost.")
def test_pixels(student):
    before, after = student.variable("X_test"), images(student, "test")
    require(
        before.shape == after.shape,
        f"`Xtest` must hold the images of `X_test`, {before.shape}; yours has the shape {after.shape}.",
    )
    right = before.astype(np.float64) / 127.5 - 1  # 0 goes to -1, 255 to 1
    require(close(after, right, 0.01), "The pixels of `Xtest` are not those of `X_test`, moved linearly to [-1, 1].")


@pytest.mark.check("Labels stay integers, one for each image.")
@pytest.mark.parametrize("part", PARTS)
def test_labels(student, part):
    labels = student.variable(f"Y{part}")
    if not isinstance(labels, np.ndarray):
        fail(f"`Y{part}` must be an array of labels.")
    if labels.ndim == 2 and labels.shape[1] > 1:
        blame("one_hot_labels")
    require(np.issubdtype(labels.dtype, np.integer), f"`Y{part}` must hold integers; it holds {labels.dtype}.")
    require(
        labels.size == len(images(student, part)),
        f"`Y{part}` must hold one label for each image of `X{part}`.",
    )
