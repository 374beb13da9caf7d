"""Hidden checks of `PatchExtractor(patch_size=16)`, asked inside models, as it is used."""

import numpy as np
import pytest

from autograder.checking.comparisons import expect, require
from autograder.checking.gradients import Subject, expect_gradients
from autograder.checking.mistakes import Mistake, answers, blame
from autograder.checking.pictures import patch_picture
from autograder.checking.readings import values_at
from autograder.checking.remote import Student, apply
from autograder.checking.variables import Variables
from autograder.checks.vit.oracles.vision_transformer import dense, extract_patches
from autograder.checks.vit.readings.networks import dense_layers


def grid_of(images, size):
    """Return images `(batch, rows, size, columns, size, channels)`, and the shape of their patches."""
    batch, height, width, channels = images.shape
    grid = images.reshape(batch, height // size, size, width // size, size, channels)
    return grid, (batch, height * width // size**2, size * size * channels)


def in_order(*axes):
    """Return the function that joins the axes of the grid in this order."""

    def wrong(images, size):
        grid, shape = grid_of(images, size)
        return grid.transpose(axes).reshape(shape)

    return wrong


def dilated(images, size):
    """Return patches whose pixels are `size` apart, with zeros around the image: `rates` and SAME padding."""
    steps, before = np.arange(images.shape[1] // size), (size - 1) ** 2 // 2
    padded = np.pad(images, ((0, 0), (before, size**2), (before, size**2), (0, 0)))
    places = size * (steps[:, None] + np.arange(size))  # (rows, pixels)
    patches = padded[:, places][:, :, :, places].transpose(0, 1, 3, 2, 4, 5)
    return patches.reshape(grid_of(images, size)[1])


RESHAPED = Mistake(
    "image_only_reshaped",
    "You only reshape the image, so that a patch holds pixels of whole rows. A patch is a square: the axes must be "
    "split and moved before they are joined.",
    in_order(0, 1, 2, 3, 4, 5),
)
TOO_FEW = Mistake(
    "too_few_patches",
    "There are fewer patches than the image has squares of that size. With `extract_patches`, `sizes` and `strides` are the "
    "size of a patch, and `rates` are 1.",
)
MISTAKES = (
    Mistake(
        "patches_by_columns",
        "Your patches come column by column. They must come row by row.",
        in_order(0, 3, 1, 2, 4, 5),
    ),
    Mistake(
        "pixels_by_columns",
        "Inside a patch, your pixels come column by column. They must come row by row.",
        in_order(0, 1, 3, 4, 2, 5),
    ),
    Mistake(
        "channels_before_pixels",
        "Inside a patch, all values of one channel come first. The order is row, column, channel.",
        in_order(0, 1, 3, 5, 2, 4),
    ),
    RESHAPED,
    Mistake(
        "pixels_spread_by_rates",
        "Your patches take pixels from all over the image: `rates` is the step between pixels of one patch, `strides` the "
        "step between patches.",
        dilated,
    ),
)


def draw(rng, batch, side, channels):
    """Return images as float32."""
    return rng.normal(size=(batch, side, side, channels)).astype(np.float32)


def make(student: Student, side, channels, *size):
    """Return the submission's layer as a model of images."""
    return student.model([(side, side, channels)], apply("PatchExtractor", [0], init=list(size)))


@pytest.fixture
def order(student, task_rng):
    """How patches of three channels are made: rightly, or in a wrong order that another check names."""
    return student.once(recognised_order, task_rng)


def recognised_order(student: Student, rng):
    """Return the oracle that explains the submission's patches; the right one if none does.

    A reshape alone is no other order of patches but none at all: it explains nothing.
    """
    images = draw(rng, 2, 12, 3)
    patches = student.once(make, 12, 3, 4)(images)
    known = (mistake for mistake in MISTAKES if mistake is not RESHAPED and mistake.gives(patches, images, 4))
    return next(known, extract_patches)


@pytest.mark.check("Patches come row by row; inside a patch the order is row, column, channel.", weight=4)
def test_order(student, rng):
    images = draw(rng, 2, 12, 3)
    patches = student.once(make, 12, 3, 4)(images)
    student.show(patch_picture(patches, extract_patches(images, 4), columns=3))
    if isinstance(patches, np.ndarray) and patches.ndim == 3 and patches.shape[1] < 9:
        blame(TOO_FEW)
    expect(patches, answers(extract_patches(images, 4), MISTAKES, images, 4), "The patches")


@pytest.mark.check("A Dense layer can be put on the patches of an image (32, 32, 3) with patch_size 8.")
def test_dense_on_patches(student, order, rng):
    patches = apply("PatchExtractor", [0], init=[8])
    variables = Variables(student.model([(32, 32, 3)], patches, apply("keras.Dense", [1], init=[5])))
    layer, values = dense_layers(variables.positions, (192, 5))[0], variables.draw(rng)
    variables.set(values)
    images = draw(rng, 2, 32, 3)
    right = dense(order(images, 8), values_at(layer, values))
    expect(variables.layer(images), answers(right), "What a Dense layer makes of the patches in a model")


@pytest.mark.check("It works for other numbers of channels and patch sizes, up to the whole image.")
@pytest.mark.parametrize(
    "images",
    [((3, 15, 1, 5),), ((3, 18, 4, 3), (1, 8, 6, 8))],
    ids=["one_channel", "four_channels"],
)
def test_other_images(student, order, rng, images):
    for batch, side, channels, size in images:
        drawn = draw(rng, batch, side, channels)
        what = f"The patches of size {size} of images of {side} by {side} pixels with {channels} channels"
        expect(make(student, side, channels, size)(drawn), answers(order(drawn, size)), what)


@pytest.mark.check("Without an argument, patch_size is 16; pixels stay what they are, up to 255.")
def test_default_size(student, order, rng):
    images = rng.uniform(0, 255, size=(1, 48, 48, 3)).astype(np.float32)
    expect(make(student, 48, 3)(images, training=False), answers(order(images, 16)), "The patches")


@pytest.mark.check("It has no weights, and does in training what it does in inference.")
def test_training(student, order, rng):
    model, images = student.once(make, 12, 3, 4), draw(rng, 2, 12, 3)
    require(not model.weights(), "PatchExtractor must have no weights: it only moves numbers.")
    expect(model(images, training=True), answers(order(images, 4)), "The patches in training")
    expect_gradients(Subject(model, lambda inputs, _: order(inputs[0], 4), training=True), [images.shape], rng)
