"""Hidden checks of `PatchExtractor(patch_size=16)`."""

import numpy as np
import pytest

from autograder import wire
from autograder.checking import Student, expect, expect_array
from autograder.checks.vit.misconceptions import answers
from autograder.checks.vit.oracle import extract_patches, wrong_patches


def draw(rng, batch, side, channels):
    """Return images as float32."""
    return rng.normal(size=(batch, side, side, channels)).astype(np.float32)


def expect_patches(student: Student, images, size, *arguments):
    """Compare the submission's patches with the definition."""
    patches = student.layer("PatchExtractor", *arguments)(images)
    right = extract_patches(images, size)
    expect_array(patches, right.shape, "The patches")
    expect(patches, answers(right, wrong_patches(images, size)), "The patches")


@pytest.mark.check("An image (1, 32, 32, 3) gives (1, 16, 192) with patch_size 8, inside a model too.")
def test_shape(student, rng):
    image = draw(rng, 1, 32, 3)
    expect_array(student.layer("PatchExtractor", 8)(image), (1, 16, 192), "The patches")
    patches = wire.Node("PatchExtractor", [0], [], {}, init=[8])
    projected = student.model([(32, 32, 3)], patches, wire.Node("keras.Dense", [1], [], {}, init=[5]))
    expect_array(projected(image), (1, 16, 5), "What a Dense layer makes of the patches in a model")


@pytest.mark.check("Patches come row by row; inside a patch the order is row, column, channel.", weight=3)
def test_order(student, rng):
    expect_patches(student, draw(rng, 2, 12, 3), 4, 4)


@pytest.mark.check("It works for images with one channel.")
def test_one_channel(student, rng):
    expect_patches(student, draw(rng, 2, 15, 1), 5, 5)


@pytest.mark.check("It works for other patch sizes and numbers of patches.")
def test_other_sizes(student, rng):
    expect_patches(student, draw(rng, 3, 18, 4), 3, 3)


@pytest.mark.check("Without an argument, patch_size is 16.")
def test_default_size(student, rng):
    expect_patches(student, draw(rng, 1, 48, 3), 16)
