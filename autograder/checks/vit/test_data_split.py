"""Hidden checks of the notebook's split into training and validation data."""

import numpy as np
import pytest

from autograder.checking.comparisons import describe, fail, require
from autograder.checking.remote import Student
from autograder.checks.vit.misconceptions import SENTENCES, blame


def arrays(student: Student):
    """Return the split's four arrays and the two it was made from."""
    names = ("Xtrain", "Xval", "Ytrain", "Yval", "X_train", "Y_train")
    found = {name: student.variable(name) for name in names}
    for name, value in found.items():
        if not isinstance(value, np.ndarray):
            fail(f"`{name}` must be an array; got {describe(value)}.")
    if found["Xval"].ndim != found["X_train"].ndim or found["Ytrain"].ndim != found["Y_train"].ndim:
        blame("split_order_mixed")
    return found


@pytest.mark.check("A quarter of the training images is kept for validation.")
def test_sizes(student):
    found = arrays(student)
    whole, kept = len(found["X_train"]), len(found["Xval"])
    require(
        kept == round(whole / 4) and len(found["Xtrain"]) == whole - kept,
        f"{SENTENCES['wrong_split_size']} Of {whole} images, yours are {len(found['Xtrain'])} for training and {kept} "
        "for validation.",
        "wrong_split_size",
    )


@pytest.mark.check("Every image is in exactly one of the two sets, with its own label.")
def test_images_and_labels(student):
    found = arrays(student)
    for part in ("train", "val"):
        require(
            len(found[f"X{part}"]) == len(found[f"Y{part}"]),
            f"`X{part}` and `Y{part}` must have the same length; got {len(found[f'X{part}'])} and {len(found[f'Y{part}'])}.",
        )
    before = pairs(found["X_train"], found["Y_train"])
    train, val = pairs(found["Xtrain"], found["Ytrain"]), pairs(found["Xval"], found["Yval"])
    if {image for image, _ in train + val} - {image for image, _ in before}:
        blame("not_from_training_images")
    if len(train + val) < len(before):
        blame("images_dropped")
    if sorted(image for image, _ in train + val) != sorted(image for image, _ in before):
        blame("images_in_both")
    if sorted(train + val) != sorted(before):
        blame("labels_separated")


def pairs(images, labels):
    """Return image and label as comparable values."""
    return [(image.tobytes(), int(np.ravel(label)[0])) for image, label in zip(images, labels, strict=True)]
