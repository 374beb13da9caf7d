"""Numbers of weights, and what a student reads when one is not right."""

from __future__ import annotations

from autograder.checking.comparisons import fail

UNSEEN = (
    "If a weight is missing: a layer that is used in two places has its weights once; one that is made in `call` is "
    "not kept; and a tf_keras layer sees neither layers of tf.keras (take those of tf_keras, imported as `keras`) nor "
    "what is no variable."
)


def expect_size(found: int, right: int, what: str) -> None:
    """End the check unless as many weights were found as `what` has.

    Args:
        found: In the submission.
        right: In the definition.
        what: Follows "weights for".
    """
    if found != right:
        hint = f" {UNSEEN}" if found < right else ""
        fail(f"Expected {right:,} weights for {what}; got {found:,}.{hint}", "wrong_number_of_weights")
