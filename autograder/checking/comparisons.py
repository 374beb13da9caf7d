"""Comparisons of a submission's answers with right and wrong values, which explain what differs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from autograder import wire
from autograder.errors import CheckFailed

Floats = np.ndarray[Any, np.dtype[np.floating[Any]]]


FLOAT32_TOLERANCE = 1e-5
"""Relative to the largest right value. One float32 rounding is 6e-8; sums of a few hundred products, an
exponential and a division, in any order, stay below 1e-5, while every mistake we look for is above 1e-3."""


LARGEST = 1e15
"""Answers beyond are refused like infinite ones: their squares still fit into float32."""

OTHER_KERAS = (
    "There are layers of Keras 3 here (`tf.keras` and `keras` are Keras 3). A model of `tf_keras` neither trains their "
    "weights nor tells them whether it is in training. Write `import tf_keras as keras`, and take all layers and base "
    "classes from it."
)
"""What a student reads in place of a part that seems to be missing, where layers of two Keras are mixed."""
OBSERVATIONS = ("nothing_returned", "wrong_shape", "not_finite", "wrong_number_of_weights", "wrong_parameter_count")
"""Slugs that say what is observably wrong, not which mistake made it so."""
NO_ANSWERS = {
    "ellipsis": "`...`, which the template has in place of your own",
    "generator": "a generator, as a function with `yield` gives in place of `return`",
    "coroutine": "a coroutine, as `async def` gives in place of `def`",
}
"""What comes instead of an answer, by the name of its class."""


def fail(reason: str | tuple[str, ...], misconception: str | None = None) -> NoReturn:
    """End the check: the answer is wrong for this reason, or for one of these."""
    raise CheckFailed(reason, misconception)


def require(condition: bool, message: str, misconception: str | None = None) -> None:
    """End the check with `message` unless `condition` holds."""
    if not condition:
        fail(message, misconception)


def expect_array(got: object, shape: Sequence[int], what: str) -> Floats:
    """Return `got` as a float array after checking that it is one, of this shape, finite and below `LARGEST`.

    Args:
        got: What the submission answered.
        shape: The right shape.
        what: Names it in messages, such as `The output`.

    Raises:
        CheckFailed: With the first of these that does not hold.
    """
    if not isinstance(got, np.ndarray):
        fail_for_kind(f"{what} must be a tensor of shape {tuple(shape)}", got)
    if got.shape != tuple(shape):
        fail(f"{what} must have shape {tuple(shape)}; got {got.shape}.", "wrong_shape")
    if not np.issubdtype(got.dtype, np.floating):
        fail(f"{what} must hold floating-point numbers; got {got.dtype}.")
    if not np.isfinite(got).all():
        fail(f"{what} holds values that are not finite (inf or nan).", "not_finite")
    if got.dtype == np.float16:
        got = got.astype(np.float32)
    if np.max(np.abs(got), initial=0) > LARGEST:
        fail(f"{what} holds values beyond {LARGEST:.0e}.", "not_finite")
    return got


def close(got: object, right: Floats, tolerance: float = FLOAT32_TOLERANCE) -> bool:
    """Whether an answer agrees with a right value within `tolerance` times its largest number (at least 1).

    Whatever is no array of real numbers of this shape, or is not finite, does not.

    Raises:
        ValueError: If the right value is not finite: an error of the check, not of the submission.
    """
    if not np.isfinite(right).all():
        raise ValueError("the right value of a comparison is not finite")
    return agrees(got, right, tolerance)


def agrees(got: object, value: Floats, tolerance: float = FLOAT32_TOLERANCE) -> bool:
    """As `close`, for a value that may be wrong: one that is not finite agrees with nothing."""
    if not isinstance(got, np.ndarray) or got.dtype.kind not in "iuf" or got.shape != np.shape(value):
        return False
    with np.errstate(all="ignore"):
        bound = tolerance * max(1.0, float(np.max(np.abs(value), initial=0)))
        return math.isfinite(bound) and bool((np.abs(np.subtract(got, value, dtype=np.float64)) <= bound).all())


ROUNDING = 6e-8
"""Of float32, relative."""


def rounded(numbers: Floats, rng: np.random.Generator) -> Floats:
    """Return numbers, each moved by about as much as float32 rounds: what becomes of them tells what rounding does.

    To compute in float32 does not tell it: one float64 among the numbers, such as NumPy's root of one, makes all that
    follows float64.
    """
    return np.asarray(numbers * (1 + ROUNDING * rng.normal(size=numbers.shape)), np.float64)


@dataclass(frozen=True)
class Answers:
    """The right answer beside the wrong ones that we know.

    Attributes:
        right: Every accepted value.
        wrong: Slug of a misconception to the value that it gives.
        sentences: Slug to the sentence a student reads.
    """

    right: Sequence[Floats]
    wrong: Mapping[str, Floats]
    sentences: Mapping[str, str]


def expect(got: object, answers: Answers, what: str, tolerance: float = FLOAT32_TOLERANCE) -> None:
    """Compare with the right answers; when wrong, name the misconception whose value it equals.

    Args:
        got: What the submission answered.
        answers: Right and wrong values.
        what: Names it in messages.
        tolerance: See `FLOAT32_TOLERANCE`.

    Raises:
        CheckFailed: If no right answer agrees; with every misconception that does.
    """
    array = got if isinstance(got, np.ndarray) else expect_array(got, answers.right[0].shape, what)
    if any([close(array, right, tolerance) for right in answers.right]):  # each is looked at, for its own faults
        return
    distinct = {slug: value for slug, value in answers.wrong.items() if not agrees(value, answers.right[0], 1e-3)}
    found = [slug for slug, value in distinct.items() if agrees(array, value, 10 * tolerance)]
    if found:
        fail(tuple(answers.sentences[slug] for slug in found), "+".join(found))
    array = expect_array(array, answers.right[0].shape, what)
    if not array.any():
        fail(f"{what}: all values are zero.", "only_zeros")
    largest = min(float(np.max(np.abs(array - right))) for right in answers.right if right.shape == array.shape)
    size = float(np.max(np.abs(answers.right[0])))
    fail(f"{what}: the shape is right, the values are wrong, by up to {largest:.2g} where values reach {size:.2g}.")


def fail_for_kind(expected: str, value: object) -> NoReturn:
    """End the check: what came is not of the kind that was expected.

    Args:
        expected: Says what must be, without a full stop.
        value: What came.
    """
    fail(f"{expected}; got {describe(value)}.", "nothing_returned" if value is None else None)


def describe(value: object) -> str:
    """Return a few words on what came, without repeating any of the submission's own text."""
    if value is None:
        return "nothing (None), as where a `return` is missing"
    if isinstance(value, np.ndarray):
        return f"a tensor of shape {value.shape}"
    if isinstance(value, tuple):
        return f"a tuple or list of {len(value)}"
    if isinstance(value, wire.Ref):
        if value.type_name in NO_ANSWERS:
            return NO_ANSWERS[value.type_name]
        return f"{'an' if value.kind == 'object' else 'a'} {value.kind} that is no tensor"
    return f"a {type(value).__name__}"
