"""Hidden checks of `PatchExtractor(patch_size=16)`."""

import numpy as np
import pytest

from autograder import wire
from autograder.checking.comparisons import expect, expect_array, require
from autograder.checking.pictures import patch_picture
from autograder.checking.remote import Student
from autograder.checks.vit.former_oracle import extract_patches, wrong_patches
from autograder.checks.vit.misconceptions import answers


def draw(rng, batch, side, channels):
    """Return images as float32."""
    return rng.normal(size=(batch, side, side, channels)).astype(np.float32)


def expect_same_pixels(student: Student, images, size, *arguments):
    """Check the patches' shape, and that they hold the pixels of each image once; their order is for another check."""
    patches = student.layer("PatchExtractor", *arguments)(images)
    patches = expect_array(patches, extract_patches(images, size).shape, "The patches")
    for image, found in zip(images, patches, strict=True):
        require(
            np.array_equal(np.sort(image, axis=None), np.sort(found, axis=None)),
            "The patches of an image must hold each of its pixels once; yours lack some, or hold those of another image.",
        )


@pytest.mark.check("An image (1, 32, 32, 3) gives (1, 16, 192) with patch_size 8, inside a model too.")
def test_shape(student, rng):
    image = draw(rng, 1, 32, 3)
    expect_array(student.layer("PatchExtractor", 8)(image), (1, 16, 192), "The patches")
    patches = wire.Node("PatchExtractor", [0], [], {}, init=[8])
    projected = student.model([(32, 32, 3)], patches, wire.Node("keras.Dense", [1], [], {}, init=[5]))
    expect_array(projected(image), (1, 16, 5), "What a Dense layer makes of the patches in a model")


@pytest.mark.check("Patches come row by row; inside a patch the order is row, column, channel.", weight=4)
def test_order(student, rng):
    images = draw(rng, 2, 12, 3)
    patches = student.layer("PatchExtractor", 4)(images)
    student.show(patch_picture(patches, extract_patches(images, 4), columns=3))
    expect(patches, answers(extract_patches(images, 4), wrong_patches(images, 4)), "The patches")


@pytest.mark.check("It works for images with one channel and with four, and for other patch sizes.")
@pytest.mark.parametrize("channels, side, size", [(1, 15, 5), (4, 18, 3)], ids=["one_channel", "four_channels"])
def test_other_images(student, rng, channels, side, size):
    expect_same_pixels(student, draw(rng, 3, side, channels), size, size)


@pytest.mark.check("Without an argument, patch_size is 16.")
def test_default_size(student, rng):
    expect_same_pixels(student, draw(rng, 1, 48, 3), 16)
