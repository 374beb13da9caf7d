"""The checks of `classify_image` on answers that are computed here: right and wrong ones, 50 draws each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autograder.checks.vit.oracles.hugging_face import resized
from autograder.errors import CheckFailed
from tests.hidden_checks import DRAWS, load_checks

checks = load_checks("pretrained")
DRAWN = [checks.draw(np.random.default_rng(seed)) for seed in range(DRAWS)]
Array = np.ndarray[Any, Any]


def failures(
    drawn: Any, see: Callable[[Array], Array], count: Callable[[int], int] = lambda wanted: wanted
) -> list[str]:
    """Return the checks that fail for a submission that turns pictures into others first, or counts otherwise."""

    def classify(image: Array, n_labels: int = 5) -> list[Any]:
        chances = drawn.probabilities(see(image))
        best = np.argsort(-chances)[: count(n_labels)]
        return [checks.NamedLabel(drawn.labels[place], int(place), float(np.float32(chances[place]))) for place in best]

    answers, found = classify(drawn.image), []
    calls: list[tuple[Any, ...]] = [
        (checks.test_labels, answers, drawn),
        (checks.test_number_of_labels, classify, answers, drawn),
        (checks.test_image_of_another_size, classify, drawn),
        (checks.test_probabilities, answers, drawn),
    ]
    for check, *given in calls:
        try:
            check(*given)
        except CheckFailed as error:
            found.append(str(error.misconception))
    return found


def crop(image: Array) -> Array:
    return image[: min(image.shape[:2]), : min(image.shape[:2])]


def enlarge(image: Array) -> Array:
    return resized(image, 224, 224) if image.shape[0] != checks.SIDE else image


def turn_if_upright(image: Array) -> Array:
    return np.rot90(image) if image.shape[0] > image.shape[1] else image


@pytest.mark.parametrize(
    ("see", "count", "expected"),
    [
        (lambda image: image, lambda wanted: wanted, []),
        (crop, lambda wanted: wanted, ["picture_cropped"]),
        (enlarge, lambda wanted: wanted, ["resized_twice"]),
        (lambda image: image, lambda wanted: 5, ["n_labels_ignored"]),
        (lambda image: image, lambda wanted: min(wanted, 10), ["n_labels_ignored"]),
        (turn_if_upright, lambda wanted: wanted, ["picture_turned"]),
    ],
    ids=["right", "cropped", "resized twice", "always five", "ten at most", "turned"],
)
def test_no_verdict_hangs_on_the_draw(see: Any, count: Any, expected: list[str]) -> None:
    assert not [seed for seed, drawn in enumerate(DRAWN) if failures(drawn, see, count) != expected]


def test_resizing_is_that_of_pillow() -> None:
    image_module = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for height, width in ((45, 64), (61, 83), (224, 224), (59, 99), (75, 60), (84, 60), (84, 65)):
        image = rng.integers(0, 256, size=(height, width, 3), dtype=np.uint8)
        right = image_module.fromarray(image).resize((32, 32), image_module.Resampling.BILINEAR)
        assert np.array_equal(resized(image, 32, 32), np.asarray(right))
