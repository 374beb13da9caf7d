"""Hidden checks of the notebook's `classify_image`, on a tiny model whose weights and labels are drawn here."""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder.checking.comparisons import describe, fail, require
from autograder.checking.remote import Layer, Student
from autograder.checks.vit.hugging_face import logits, short_name
from autograder.checks.vit.misconceptions import SENTENCES, blame
from autograder.checks.vit.oracle import softmax

CLASSES, SIDE, PATCH, HEADS, ASKED = 12, 32, 8, 2, 5
CANDIDATES = 40
TOLERANCE = 1e-3  # of a probability: processor and model compute in float32
UNPREPARED = {"pixels_not_prepared": (1.0, 0.0), "pixels_only_divided": (255.0, 0.0)}


@dataclass(frozen=True)
class Tiny:
    """The tiny model on the other side, and what is known of it here."""

    processor: object
    model: Layer
    weights: dict
    labels: list

    def probabilities(self, image, scale=127.5, shift=1.0):
        """Return the right probability of each class; other scales and shifts give those of wrong preprocessing."""
        return softmax(logits(self.weights, image / scale - shift, HEADS))


@pytest.fixture(scope="module")
def tiny(student: Student, task_rng):
    """Let the given code make, save and load a tiny model, and draw its weights anew."""
    labels = [f"label {number}" for number in task_rng.choice(9000, size=CLASSES, replace=False) + 1000]
    folder = student.call("save_tiny_vit", "tiny_model", labels)
    processor, loaded = student.call("load_pretrained_vit", folder)
    model = student.adopt(loaded, "model")
    described = model.weights()
    arrays = [draw_weight(task_rng, short_name(one.name), one.shape) for one in described]
    model.set_weights(arrays)
    named = {short_name(one.name): array.astype(np.float64) for one, array in zip(described, arrays, strict=True)}
    return Tiny(processor, model, named, labels)


def draw_weight(rng, name, shape):
    """Return random weights of such sizes that the answer depends on the image more than on the biases."""
    if name.endswith("gamma"):
        return rng.normal(1.0, 0.2, size=shape).astype(np.float32)
    size = 1.5 / np.sqrt(np.prod(shape[:-1])) if name.endswith("kernel") else 0.1
    return rng.normal(scale=size, size=shape).astype(np.float32)


def draw(rng, tiny: Tiny):
    """Return an image of the model's own size whose best labels are as far apart as in any of many candidates.

    If possible, an image that has another first label when it is not prepared as it must be.
    """

    def clearness(image):
        best = np.sort(tiny.probabilities(image))[::-1][: ASKED + 1]
        return np.min(best[:-1] - best[1:])

    def tells(image):
        right = tiny.probabilities(image).argmax()
        return all(tiny.probabilities(image, *how).argmax() != right for how in UNPREPARED.values())

    colours = rng.integers(0, 256, size=(CANDIDATES, SIDE // PATCH, SIDE // PATCH, 3))  # one for each patch
    images = np.kron(colours, np.ones((1, PATCH, PATCH, 1))).astype(np.uint8)
    clearest = sorted(images, key=clearness, reverse=True)
    return next(filter(tells, clearest), clearest[0])


def classify(student: Student, tiny: Tiny, image):
    """Return the submission's answer as pairs of a label and a number, after checking that it is a list of five."""
    answer = student.call_notebook("classify_image", image, tiny.processor, tiny.model)
    if not isinstance(answer, tuple) or len(answer) != ASKED:
        fail(f"`classify_image` must return a list of {ASKED} pairs (label, probability); got {describe(answer)}.")
    for pair in answer:
        require(
            isinstance(pair, tuple) and len(pair) == 2,
            f"Each item must be a pair (label, probability); got {describe(pair)}.",
        )
        if not isinstance(pair[0], str):
            blame("label_number")
        if pair[0] not in tiny.labels:
            fail("A label that came is not one of the model's. Look it up in `model.config.id2label`.")
    return [(label, float(chance)) for label, chance in answer]


def explain(tiny: Tiny, image, found):
    """End the check with the mistake that gives this label, or with what is observably wrong."""
    right = tiny.probabilities(image)
    if found == tiny.labels[right.argmin()]:
        blame("worst_label_first")
    slugs = [slug for slug, how in UNPREPARED.items() if found == tiny.labels[tiny.probabilities(image, *how).argmax()]]
    if slugs:
        fail(" Or: ".join(SENTENCES[slug] for slug in slugs), "+".join(slugs))
    fail("The first label is not that of the largest logit for this image, prepared by the processor.")


@pytest.mark.check("The labels are those of the five largest logits, the largest first.", weight=2)
def test_labels(student, tiny, rng):
    image = draw(rng, tiny)
    right = tiny.probabilities(image)
    found = [label for label, _ in classify(student, tiny, image)]
    if found[0] != tiny.labels[right.argmax()]:
        explain(tiny, image, found[0])
    order = [tiny.labels[number] for number in np.argsort(-right)[:ASKED]]
    require(found == order, "The labels are not the five most probable ones in their order.")


@pytest.mark.check("An image of another size is resized by the processor.")
def test_image_of_another_size(student, tiny, rng):
    colour = rng.integers(0, 256, size=3, dtype=np.uint8)
    image = np.broadcast_to(colour, (SIDE + 13, 2 * SIDE, 3)).copy()  # one colour stays what it is when resized
    small = np.broadcast_to(colour, (SIDE, SIDE, 3))
    found, _ = classify(student, tiny, image)[0]
    accepted = [tiny.probabilities(small), *(tiny.probabilities(small, *how) for how in UNPREPARED.values())]
    require(
        any(one[tiny.labels.index(found)] >= one.max() - TOLERANCE for one in accepted),
        "For an image that is larger than the model's, another label comes first. Does it go through the processor?",
    )


@pytest.mark.check("Each label comes with its probability.")
def test_probabilities(student, tiny, rng):
    image = draw(rng, tiny)
    answer = classify(student, tiny, image)
    chances = [chance for _, chance in answer]
    if min(chances) < -TOLERANCE or sum(chances) > 1 + TOLERANCE:
        blame("logits_for_probabilities")
    accepted = [tiny.probabilities(image), *(tiny.probabilities(image, *how) for how in UNPREPARED.values())]
    off = min(max(abs(chance - one[tiny.labels.index(label)]) for label, chance in answer) for one in accepted)
    require(off < TOLERANCE, f"The probabilities of these labels are off by up to {off:.2g}.")
