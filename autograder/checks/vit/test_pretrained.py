"""Hidden checks of the notebook's `classify_image`, on a tiny model whose weights and labels are drawn here.

The model is saved and loaded by the lab's own code. What it answers is computed here, in NumPy (`hugging_face`).
"""

from dataclasses import dataclass

import numpy as np
import pytest

from autograder.checking.comparisons import describe, fail, fail_for_kind, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checks.vit.oracles.hugging_face import PretrainedSizes, logits, resized, shapes, short_name
from autograder.checks.vit.oracles.vision_transformer import softmax

CLASSES, SIDE, PATCH, HEADS = 12, 32, 8, 2
FIVE, MORE = 5, 7  # labels that are asked for
RARE, HARDLY = 2, 12.0  # classes that are hardly ever the answer; what their logits lack
SHAPES = shapes(PretrainedSizes(side=SIDE, patch=PATCH, width=32, hidden=64, layers=2, classes=CLASSES))
ATTEMPTS, CANDIDATES = 20, 30
TOLERANCE = 1e-4
"""Of a probability: processor and model compute in float32, right to 1e-6."""
APART, DISTINCT, ALIKE = 2e-3, 5e-3, 0.03
"""Least distance of the probabilities of two labels that are asked for, and of those that a mistake gives; how near to
the latter an answer is that is explained by the mistake."""

NOT_PREPARED = Mistake(
    "pixels_not_prepared",
    "The model gets raw pixels. The processor that belongs to it prepares them.",
    lambda image: image.astype(float),
)
ONLY_DIVIDED = Mistake(
    "pixels_only_divided",
    "The model gets pixels in [0, 1], which is not what it was trained on. The processor that belongs to it prepares them.",
    lambda image: image / 255,
)
WORST_FIRST = Mistake("worst_label_first", "You start with the least probable label: the sorting goes the wrong way.")
LABEL_NUMBER = Mistake(
    "label_number", "A label is a text. `model.config.id2label` turns the number of a class into it."
)
LABEL_CUT = Mistake(
    "label_cut", "A label is cut off. Return the whole text: what follows a comma or stands in brackets belongs to it."
)
LABEL_CHANGED = Mistake(
    "label_changed",
    "A label is not written as in `model.config.id2label`. Return the text as it is, with its capitals, underscores and "
    "punctuation.",
)
NOT_AS_MANY = Mistake("n_labels_ignored", "The number of labels is not `n_labels`.")
CROPPED = Mistake(
    "picture_cropped",
    "Only a part of the picture reaches the model. The processor resizes the whole of it.",
    lambda image: image[: min(image.shape[:2]), : min(image.shape[:2])],
)
RESIZED_TWICE = Mistake(
    "resized_twice",
    "The picture is resized before the processor resizes it. The processor knows the model's own size.",
    lambda image: resized(image, 224, 224),
)
TURNED = Mistake(
    "picture_turned",
    "A picture that is higher than wide does not reach the model upright. Pass it to the processor as it is.",
    lambda image: np.rot90(image),
)
UNPREPARED, MISSIZED = (NOT_PREPARED, ONLY_DIVIDED), (CROPPED, RESIZED_TWICE)
LOGITS = Mistake(
    "logits_for_probabilities",
    "These numbers are no probabilities: they do not lie between 0 and 1 with a sum of at most 1.",
)


@dataclass(frozen=True)
class Drawn:
    """What was drawn for this submission.

    Attributes:
        weights: Of the tiny model, by `short_name`.
        labels: Of its classes; each begins with a number of its own.
        image: Of the model's own size; its most probable classes are well apart, class 0 is among them, and the first
            one is another if it is not prepared.
        larger: An image of another size, with other probabilities if it is cropped or resized twice.
        upright: An image that is higher than wide, with other probabilities if it is turned.
    """

    weights: dict
    labels: list
    image: np.ndarray
    larger: np.ndarray
    upright: np.ndarray

    def probabilities(self, image, prepare=lambda image: image / 127.5 - 1):
        """Return the probability of each class for an image of any size."""
        return softmax(logits(self.weights, prepare(resized(image, SIDE, SIDE)), HEADS))

    def accepted(self, image):
        """Return the probabilities for an image that is prepared rightly, or wrongly, which another check judges."""
        return [self.probabilities(image), *(self.probabilities(image, wrong) for wrong in UNPREPARED)]

    def class_of(self, label):
        """Return the class that a label names; a cut or changed label and a number, which another check judges, name one, too."""
        if isinstance(label, int) and 0 <= label < CLASSES:
            return label
        for number, whole in enumerate(self.labels):
            if isinstance(label, str) and label.strip().startswith(whole.split()[0]):
                return number
        fail("One of your labels is not one of the model's. Look it up in `model.config.id2label`.")


def draw(rng):
    """Draw a model and images until its answers tell the mistakes apart."""
    numbers = rng.choice(9000, size=2 * CLASSES, replace=False) + 1000
    labels = [f"{first} Man_o'-War (left-handed), also {second}_B" for first, second in numbers.reshape(-1, 2)]
    for _ in range(ATTEMPTS):
        weights = {name: draw_weight(rng, name, shape).astype(float) for name, shape in SHAPES.items()}
        rare = rng.choice(np.arange(1, CLASSES), size=RARE, replace=False)
        weights["classifier/bias"][rare] -= HARDLY
        for _ in range(CANDIDATES):
            larger = patchwork(rng, int(rng.integers(45, 60)), int(rng.integers(70, 100)))
            # Not higher: Pillow may then resize the columns first, and round otherwise.
            upright = patchwork(rng, int(rng.integers(75, 85)), int(rng.integers(60, 66)))
            drawn = Drawn(weights, labels, patchwork(rng, SIDE, SIDE), larger, upright)
            if tells_preparation(drawn) and tells_size(drawn):
                return drawn
    raise RuntimeError(f"no picture that tells all mistakes apart came in {ATTEMPTS * CANDIDATES} draws")


def draw_weight(rng, name, shape):
    """Return random weights of such sizes that the answer depends on the image more than on the biases."""
    if name.endswith("gamma"):
        return rng.normal(1.0, 0.2, size=shape).astype(np.float32)
    size = 1.5 / np.sqrt(np.prod(shape[:-1])) if name.endswith("kernel") else 0.1
    return rng.normal(scale=size, size=shape).astype(np.float32)


def patchwork(rng, height, width):
    """Return an image with another colour in each patch, and noise."""
    colours = rng.integers(0, 256, size=(SIDE // PATCH, SIDE // PATCH, 3))
    rows, columns = (np.arange(size) * (SIDE // PATCH) // size for size in (height, width))
    noise = rng.integers(-100, 101, size=(height, width, 3))
    return np.clip(colours[rows][:, columns] + noise, 0, 255).astype(np.uint8)


def tells_preparation(drawn):
    """Whether the most probable classes are apart, and the first one is another if the image is not prepared.

    Class 0 is one of the first five, so that whoever never names it is found out.
    """
    right, *others = drawn.accepted(drawn.image)
    order = np.argsort(-right)
    best = right[order[: MORE + 1]]
    is_apart = np.min(best[:-1] - best[1:]) > APART
    return is_apart and 0 in order[:FIVE] and all(other.argmax() != right.argmax() for other in others)


def tells_size(drawn):
    """Whether a crop of the larger image, one resized twice, or the upright image turned has other probabilities."""
    right, right_upright = drawn.probabilities(drawn.larger), drawn.probabilities(drawn.upright)
    others = (drawn.probabilities(wrong(drawn.larger)) for wrong in MISSIZED)
    if not all(np.abs(other - right).max() > DISTINCT for other in others):
        return False
    return np.abs(drawn.probabilities(TURNED(drawn.upright)) - right_upright).max() > DISTINCT


@pytest.fixture(scope="module")
def drawn(task_rng):
    """Draw model and images."""
    return draw(task_rng)


@pytest.fixture(scope="module")
def classify(student, drawn):
    """Let the given code save and load the tiny model; return what asks the submission to classify an image."""
    folder = student.call("save_tiny_vit", "tiny_model", drawn.labels)
    loaded = student.call("load_pretrained_vit", folder)
    if not isinstance(loaded, tuple) or len(loaded) != 2:
        fail("The lab's own `load_pretrained_vit` does not return a processor and a model.")
    model = student.adopt(loaded[1], "model")
    names = [short_name(weight.name) for weight in model.weights()]
    require(
        sorted(names) == sorted(SHAPES), "The lab's own `load_pretrained_vit` does not return the model that was saved."
    )
    model.set_weights([drawn.weights[name] for name in names])

    def ask(image, **settings):
        answer = student.call_notebook("classify_image", image, loaded[0], model, **settings)
        if not isinstance(answer, tuple) or not answer:
            fail_for_kind("`classify_image` must return a list of pairs (label, probability)", answer)
        for pair in answer:
            if not isinstance(pair, tuple) or len(pair) != 2:
                fail(f"Each item must be a pair (label, probability); got {describe(pair)}.")
        return [NamedLabel(label, drawn.class_of(label), number(chance)) for label, chance in answer]

    return ask


@pytest.fixture(scope="module")
def answers(classify, drawn):
    """Return the answers to the image of the model's own size."""
    return classify(drawn.image)


@dataclass(frozen=True)
class NamedLabel:
    """One label as it came, the class that it names, and the number that came with it."""

    label: object
    place: int
    chance: float


def number(value):
    """Return a number that came, in whatever form."""
    if isinstance(value, (int, float, np.ndarray)) and np.size(value) == 1 and np.isfinite(value).all():
        return float(np.ravel(value)[0])
    fail(f"Each label must come with a probability, a number; got {describe(value)}.")


@pytest.mark.check("The labels are those of the five largest logits, the largest first.", weight=2)
def test_labels(answers, drawn):
    right = drawn.probabilities(drawn.image)
    if not in_order(answers, right):
        explain(drawn, answers)
    if not all(isinstance(answer.label, str) for answer in answers):
        blame(LABEL_NUMBER)
    for answer in answers:
        whole = drawn.labels[answer.place]
        if answer.label != whole:
            blame(LABEL_CUT if whole.startswith(answer.label) else LABEL_CHANGED)


def in_order(answers, probabilities):
    """Whether these are the most probable classes, the most probable one first."""
    return [answer.place for answer in answers] == list(np.argsort(-probabilities)[: len(answers)])


def explain(drawn, answers):
    """End the check with the mistake that gives these labels, or with what is observably wrong."""
    right = drawn.probabilities(drawn.image)
    if in_order(answers, -right):
        blame(WORST_FIRST)
    for wrong in UNPREPARED:
        if in_order(answers, drawn.probabilities(drawn.image, wrong)):
            blame(wrong)
    if in_order(answers[::-1], right):
        fail("The labels are the right ones, the other way round: the most probable one comes first.")
    if answers[0].place == right.argmax():
        fail("The first label is right; the others are not the most probable ones in their order.")
    fail("The first label is not that of the largest logit for this image, prepared by the processor.")


@pytest.mark.check("There are as many labels as are asked for, five by default, the most probable ones.")
def test_number_of_labels(classify, answers, drawn):
    orders = [np.argsort(-probabilities) for probabilities in drawn.accepted(drawn.image)]
    asked = ((count, classify(drawn.image, n_labels=count)) for count in (MORE, 1, CLASSES))
    for count, came in ((FIVE, answers), *asked):
        places = {answer.place for answer in came}
        if len(places) != count:
            fail(f"{NOT_AS_MANY.sentence} {count} were asked for, {len(places)} different ones came.", NOT_AS_MANY.slug)
        require(
            any(places in (set(order[:count]), set(order[-count:])) for order in orders),
            f"Asked for {count} labels, the answer does not hold the most probable ones.",
        )


@pytest.mark.check("An image of another size, wide or high, is resized by the processor, the whole of it.")
def test_image_of_another_size(classify, drawn):
    for image, mistakes in ((drawn.larger, MISSIZED), (drawn.upright, (TURNED,))):
        answers = classify(image)
        off = distance(answers, drawn.probabilities(image))
        if off < TOLERANCE:
            continue
        for wrong in mistakes:
            if distance(answers, drawn.probabilities(wrong(image))) < min(off / 2, ALIKE):
                blame(wrong)
        fail(
            "For an image that is larger than the model's, the answer is wrong. Does all of it go through the processor?"
        )


def may_be_probabilities(chances):
    """Whether these could be probabilities of some of the classes."""
    return chances.min() >= -TOLERANCE and chances.sum() <= 1 + TOLERANCE


def distance(answers, probabilities):
    """Return how far the numbers are from the probabilities of their classes.

    Logits are taken for the probabilities that they give, and numbers in the right proportion for right: what they must
    be, another check judges.
    """
    chances = np.array([answer.chance for answer in answers])
    right = probabilities[[answer.place for answer in answers]]
    if len(answers) > 1 and not may_be_probabilities(chances):
        chances = np.exp(chances - np.max(chances))
    if len(answers) > 1 and chances.sum() > 0:
        chances = chances * (right.sum() / chances.sum())
    return np.abs(chances - right).max()


@pytest.mark.check("Each label comes with its probability.")
def test_probabilities(answers, drawn):
    chances = np.array([answer.chance for answer in answers])
    if not may_be_probabilities(chances):
        blame(LOGITS)
    places = [answer.place for answer in answers]
    off = min(np.abs(chances - probabilities[places]).max() for probabilities in drawn.accepted(drawn.image))
    require(off < TOLERANCE, f"The probabilities of these labels are off by up to {off:.2g}.")
