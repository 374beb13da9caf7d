"""Mistakes of attention that keep its shapes; both attention and multi-head attention are looked at for them.

Each one's oracle returns, as the right one does, the output and the weights.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from autograder.checking.mistakes import Mistake, blame
from autograder.checks.vit.oracles.vision_transformer import Attend, Floats, softmax, swap


def _of_scores(weights: Callable[[Floats, Floats, Floats, Floats], Floats]) -> Attend:
    """Return the attention whose weights are this function of the scores q kᵀ, of q, k and v."""

    def attend(q: Floats, k: Floats, v: Floats) -> tuple[Floats, Floats]:
        found = weights(q @ swap(k), q, k, v)  # (..., queries, keys)
        return found @ v, found

    return attend


OVERFLOWS = Mistake(
    "softmax_overflows",
    "With large scores your output holds inf or nan: an exponential overflows. A softmax stays the same when a "
    "constant is taken from all scores of a query.",
)
CLEAR = 1 - 1e-6
"""The least weight of a key that has won by far."""


def has_clear_winners(weights: Floats) -> bool:
    """Whether each query has one key by far, so that large scores may round as they will."""
    return bool(weights.max(axis=-1).min() > CLEAR)


def blame_for_overflow(output: object, mistake: Mistake = OVERFLOWS) -> None:
    """Name what makes an output of large scores inf or nan."""
    if isinstance(output, np.ndarray) and output.dtype.kind in "fc" and not np.isfinite(output).all():
        blame(mistake)


SCALING = (
    Mistake(
        "unscaled",
        "Your scores are not scaled. Without a factor that depends on the size of the queries, large dot products "
        "saturate the softmax; look at equation 1 again.",
        _of_scores(lambda scores, q, k, v: softmax(scores)),
    ),
    Mistake(
        "scaled_by_d",
        "You divide the scores by the size d of the queries itself. Which function of d keeps the variance of the "
        "scores near 1?",
        _of_scores(lambda scores, q, k, v: softmax(scores / q.shape[-1])),
    ),
    Mistake(
        "scale_inverted",
        "Your scale has the wrong direction: the scores grow with the size of the queries instead of staying near 1.",
        _of_scores(lambda scores, q, k, v: softmax(scores * np.sqrt(q.shape[-1]))),
    ),
)

SOFTMAX_OVER_QUERIES = Mistake(
    "softmax_over_queries",
    "Your weights sum to 1 over the queries. The softmax must run over the keys, the last axis of the scores.",
    _of_scores(lambda scores, q, k, v: softmax(scores / np.sqrt(q.shape[-1]), axis=-2)),
)

OF_ONE_ATTENTION = (
    Mistake(
        "scaled_by_wrong_size",
        "You scale by the number of keys. The scale belongs to the feature size of queries and keys, their last axis.",
        _of_scores(lambda scores, q, k, v: softmax(scores / np.sqrt(k.shape[-2]))),
    ),
    Mistake(
        "scaled_by_value_size",
        "You scale by the feature size of the values. The scale belongs to the feature size of queries and keys.",
        _of_scores(lambda scores, q, k, v: softmax(scores / np.sqrt(v.shape[-1]))),
    ),
    Mistake(
        "scaled_after_softmax",
        "You scale after the softmax, so that the weights of a query no longer sum to 1. Scale the scores before it.",
        _of_scores(lambda scores, q, k, v: softmax(scores) / np.sqrt(q.shape[-1])),
    ),
    Mistake(
        "softmax_over_batch",
        "Your softmax runs over the batch axis. It must run over the keys, the last axis of the scores.",
        _of_scores(lambda scores, q, k, v: softmax(scores / np.sqrt(q.shape[-1]), axis=0)),
    ),
    Mistake(
        "softmax_missing",
        "Your weights are the scores themselves: the softmax is missing.",
        _of_scores(lambda scores, q, k, v: scores / np.sqrt(q.shape[-1])),
    ),
)

OF_ATTENTION = (*SCALING, SOFTMAX_OVER_QUERIES, *OF_ONE_ATTENTION)
