"""Mistakes of multi-head attention that keep its weights; those of attention itself are among them.

Each one's oracle returns, as the right one does, the output and the weights of each head.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from autograder.checking.mistakes import Mistake
from autograder.checks.vit.mistakes.attention import SCALING, SOFTMAX_OVER_QUERIES
from autograder.checks.vit.oracles.vision_transformer import (
    Floats,
    Projections,
    attention,
    merge,
    multi_head_attention,
    project,
)

HeadsOracle = Callable[[Floats, Floats, Floats, Projections], tuple[Floats, Floats]]
"""Takes Q, K, V and the projections, as `vision_transformer.multi_head_attention` does."""


def _with(attend: Callable[..., tuple[Floats, Floats]]) -> HeadsOracle:
    return lambda q, k, v, w: multi_head_attention(q, k, v, w, attend)


def _scaled_by(size: Callable[[Floats, Projections], float]) -> HeadsOracle:
    """Return multi-head attention that divides its scores by the root of a size of Q and the projections."""

    def wrong(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
        factor = np.sqrt(w.query.shape[-1] / size(q, w))
        return multi_head_attention(q, k, v, replace(w, query=w.query * factor))

    return wrong


def _joined_by_reshape(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
    heads, weights = attention(project(q, w.query), project(k, w.key), project(v, w.value))
    batch, count, queries, width = heads.shape
    return heads.reshape(batch, queries, count * width) @ w.output.reshape(count * width, -1), weights


def _projected(keys: str, values: str, of_values: str = "v") -> HeadsOracle:
    """Return multi-head attention that takes other projections, or K, for its keys and values."""

    def wrong(q: Floats, k: Floats, v: Floats, w: Projections) -> tuple[Floats, Floats]:
        source = k if of_values == "k" else v
        heads, weights = attention(
            project(q, w.query), project(k, getattr(w, keys)), project(source, getattr(w, values))
        )
        return merge(heads, w.output), weights

    return wrong


OF_HEADS = (
    Mistake(
        "heads_not_merged",
        "Your heads are joined by a reshape while the head axis still stands before the tokens, so values of different "
        "tokens are mixed. Move the head axis next to the features first.",
        _joined_by_reshape,
    ),
    *(replace(mistake, wrong=_with(mistake)) for mistake in (*SCALING, SOFTMAX_OVER_QUERIES)),
    Mistake(
        "scaled_by_model_size",
        "You scale by the size of the inputs Q and K. Inside a head, the queries have another size: that of their last "
        "axis after the projection.",
        _scaled_by(lambda q, w: q.shape[-1]),
    ),
    Mistake(
        "scaled_by_shared_size",
        "You scale as if the heads shared proj_size among them. Here each head is proj_size wide.",
        _scaled_by(lambda q, w: w.query.shape[-1] / len(w.query)),
    ),
    Mistake(
        "query_projection_reused",
        "You project K with the weights of the queries. It has a projection of its own.",
        _projected(keys="query", values="value"),
    ),
)
OF_EQUAL_HEADS = (
    Mistake(
        "values_from_keys",
        "Your values come from K. They must come from V.",
        _projected(keys="key", values="value", of_values="k"),
    ),
    Mistake(
        "key_projection_for_values",
        "You project V with the weights of the keys. It has a projection of its own.",
        _projected(keys="key", values="key"),
    ),
)
"""Possible only where keys and values have the same number of features."""
