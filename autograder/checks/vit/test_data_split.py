"""Hidden checks of the notebook's split into training and validation data.

The grader draws images and labels, has the submission split them, and looks each image of the answer up in its own.
"""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder.checking.comparisons import describe, fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checks.vit.training.data import CLOSE, SURE, LabelledImages, deviation, draw_images

ORDER_MIXED = Mistake(
    "split_order_mixed",
    "Images stand where labels belong: `train_test_split` returns both parts of the images first, then both parts of the "
    "labels.",
)
WRONG_SIZE = Mistake("wrong_split_size", "The validation set must hold 25 % of the training images.")
NOT_FROM_TRAINING_IMAGES = Mistake(
    "not_from_training_images",
    "Some of these images are not in `X_train`. Both sets are made from the training images; the test images stay out of "
    "it.",
)
IMAGES_DROPPED = Mistake("images_dropped", "Some training images are in neither of the two sets.")
IMAGES_IN_BOTH = Mistake(
    "images_in_both", "Some images are in the training set and in the validation set, or twice in one."
)
LABELS_SEPARATED = Mistake(
    "labels_separated", "Images and labels were shuffled apart: a label no longer belongs to its image."
)
NOT_AT_RANDOM = Mistake(
    "not_at_random",
    "Which images are kept for validation is not random but follows from their order, or from their labels. Images in a "
    "file may be sorted.",
)
TEST_DATA_CHANGED = Mistake(
    "test_data_changed",
    "The split changes `X_test` or `Y_test`. The test images are for the final measurement and have no part in it.",
)


@dataclass(frozen=True)
class Split:
    """What the submission made of the grader's images.

    Attributes:
        images: The grader's images, of which each answer must be one.
        train: For each image of `Xtrain`, its place among them, -1 if it is none of them.
        val: Likewise for `Xval`.
        labels: Their labels, `Ytrain` and `Yval`, as they came.
        test: `X_test` and `Y_test` after the split.
        test_before: What they were before.
    """

    images: LabelledImages
    train: np.ndarray
    val: np.ndarray
    labels: tuple
    test: tuple
    test_before: LabelledImages


@pytest.fixture(scope="module")
def split(student, task_rng):
    """Let the submission split images that were drawn here."""
    images = draw_images(task_rng, 4 * int(task_rng.integers(125, 150)))
    test = draw_images(task_rng, int(task_rng.integers(60, 100)))
    student.answer_with(**images.as_variables("train"), **test.as_variables("test"))
    names = ("Xtrain", "Xval", "Ytrain", "Yval", "X_test", "Y_test")
    found = {name: student.variable(name) for name in names}
    for name, value in found.items():
        if not isinstance(value, np.ndarray) or not value.ndim:
            fail(f"`{name}` must be an array; got {describe(value)}.")
    if found["Xval"].ndim != images.images.ndim and found["Ytrain"].ndim == images.images.ndim:
        blame(ORDER_MIXED)
    undo_scale(found, images)
    train, val = images.places_of(found["Xtrain"]), images.places_of(found["Xval"])
    if (train < 0).all() and (val < 0).all():
        blame(NOT_FROM_TRAINING_IMAGES)
    return Split(images, train, val, (found["Ytrain"], found["Yval"]), (found["X_test"], found["Y_test"]), test)


def undo_scale(found, images):
    """Give images their pixels back where all of them were scaled alike, before the split or with it: they are the same."""
    scale = images.scale_of(found["Xtrain"])
    if scale is None or found["Xtrain"].dtype == np.uint8:
        return
    factor, offset = scale
    for name in ("Xtrain", "Xval", "X_test"):
        pixels = (found[name] - offset) / factor
        if found[name].dtype != np.uint8 and np.allclose(pixels, np.rint(pixels), atol=CLOSE):
            found[name] = np.rint(pixels).astype(np.uint8)


@pytest.mark.check("A quarter of the training images is kept for validation.")
def test_sizes(split):
    whole = len(split.images.labels)
    require(
        len(split.val) == whole // 4 and len(split.train) == whole - whole // 4,
        f"{WRONG_SIZE.sentence} Of {whole} images, yours are {len(split.train)} for training and {len(split.val)} for "
        "validation.",
        WRONG_SIZE.slug,
    )


@pytest.mark.check("Every image is in exactly one of the two sets, with its own label.", weight=2)
def test_images_and_labels(split):
    places = np.concatenate([split.train, split.val])
    if (places < 0).any():
        blame(NOT_FROM_TRAINING_IMAGES)
    if len(places) < len(split.images.labels):
        blame(IMAGES_DROPPED)
    if len(np.unique(places)) < len(places):
        blame(IMAGES_IN_BOTH)
    for name, places, labels in zip(("train", "val"), (split.train, split.val), split.labels, strict=True):
        require(
            labels.size == len(places),
            f"`X{name}` and `Y{name}` must have the same length; got {len(places)} and {labels.shape[0]}.",
        )
        if not np.array_equal(labels.ravel(), split.images.labels[places]):
            require(are_all_labels(split), "Some labels are not those of `Y_train`: their values were changed.")
            blame(LABELS_SEPARATED)


def are_all_labels(split):
    """Whether both sets together have the labels that were given, in whatever order."""
    labels = np.concatenate([labels.ravel() for labels in split.labels])
    return np.array_equal(np.sort(labels), np.sort(split.images.labels))


def require_both_sets(split):
    """End a check that an empty set would otherwise pass, or fail for another reason."""
    empty = [name for name, places in (("Xtrain", split.train), ("Xval", split.val)) if not len(places)]
    require(
        not empty,
        f"{WRONG_SIZE.sentence} No image is in {' and '.join(f'`{name}`' for name in empty)}.",
        WRONG_SIZE.slug,
    )


@pytest.mark.check("The images for validation are chosen at random.")
def test_at_random(split):
    require_both_sets(split)
    if (split.val < 0).any():
        blame(NOT_FROM_TRAINING_IMAGES)
    kept = np.isin(np.arange(len(split.images.labels)), split.val)
    by_label = np.argsort(split.images.labels, kind="stable")
    if max(deviation(kept), deviation(kept[by_label])) > SURE:
        blame(NOT_AT_RANDOM)


@pytest.mark.check("The test images stay as they are.")
def test_test_data_are_untouched(split):
    require_both_sets(split)
    if np.isin(split.val, split.train).all():  # whoever splits nothing leaves everything as it is
        blame(IMAGES_IN_BOTH)
    images, labels = split.test
    if not (
        np.array_equal(images, split.test_before.images) and np.array_equal(labels.ravel(), split.test_before.labels)
    ):
        blame(TEST_DATA_CHANGED)
