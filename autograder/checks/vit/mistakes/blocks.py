"""Mistakes of a transformer block that keep its parts; an oracle takes what `vision_transformer.block` takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from autograder.checking.mistakes import Mistake
from autograder.checks.vit.oracles.vision_transformer import Block, Floats, Keep, mlp, multi_head_attention, normalise
from autograder.checks.vit.readings.counting import UNSEEN

Layer = Callable[[Floats], Floats]
BlockOracle = Callable[..., Floats]
"""Takes tokens, parameters and dropout's factors, as `vision_transformer.block` does."""


def _wired(formula: Callable[[Floats, Layer, Layer, Layer, Layer], Floats]) -> BlockOracle:
    """Return the block that puts attention, mlp and the two normalisations together by this formula."""

    def wrong(x: Floats, w: Block, attended_keep: Keep = 1.0, network_keep: Sequence[Keep] | None = None) -> Floats:
        def attend(tokens: Floats) -> Floats:
            return multi_head_attention(tokens, tokens, tokens, w.attention)[0] * attended_keep

        def network(tokens: Floats) -> Floats:
            return mlp(tokens, w.network, network_keep)

        return formula(x, attend, network, partial(normalise, w=w.first), partial(normalise, w=w.second))

    return wrong


def _pre_norm(x: Floats, attend: Layer, network: Layer, first: Layer, second: Layer) -> Floats:
    middle = x + attend(first(x))
    return middle + network(second(middle))


def _norm_before_residual(x: Floats, attend: Layer, network: Layer, first: Layer, second: Layer) -> Floats:
    middle = x + first(attend(x))
    return middle + second(network(middle))


def _then(formula: Callable[[Floats, Floats, Layer], Floats]) -> BlockOracle:
    """Return the block whose attention part is right and whose second part is this formula of x, middle and the mlp."""
    return _wired(
        lambda x, attend, network, first, second: second(formula(x, first(x + attend(x)), network)),
    )


OF_BLOCKS = (
    Mistake(
        "pre_norm",
        "You normalise before attention and mlp (pre-norm). The encoder layer of the paper normalises after each "
        "residual addition (post-norm).",
        _wired(_pre_norm),
    ),
    Mistake(
        "no_attention_residual",
        "The residual connection around the attention is missing.",
        _wired(lambda x, attend, network, first, second: second(first(attend(x)) + network(first(attend(x))))),
    ),
    Mistake(
        "no_mlp_residual",
        "The residual connection around the mlp is missing.",
        _then(lambda x, middle, network: network(middle)),
    ),
    Mistake(
        "residual_from_input",
        "The second residual adds the block's input. It must add what went into the mlp.",
        _then(lambda x, middle, network: x + network(middle)),
    ),
    Mistake(
        "mlp_of_input",
        "Your mlp works on the block's input. It must work on the normalised output of the attention part.",
        _then(lambda x, middle, network: middle + network(x)),
    ),
    Mistake(
        "residual_before_norm_of_sublayer",
        "You normalise the mlp's output by itself and add the residual after that. The sum is what is normalised.",
        _wired(lambda x, attend, network, first, second: first(x + attend(x)) + second(network(first(x + attend(x))))),
    ),
    Mistake(
        "norm_before_residual",
        "You normalise the outputs of attention and mlp by themselves and add the residuals after that. The sums are "
        "what is normalised.",
        _wired(_norm_before_residual),
    ),
)

NO_MLP = Mistake("no_mlp", "The mlp has no effect on your block's output.")
NO_ATTENTION = Mistake("no_attention", "The attention has no effect on your block's output.")
NORM_OVER_OTHER_AXIS = Mistake(
    "norm_over_wrong_axis",
    "A layer normalisation must scale and shift the features of a token (the last axis), and nothing else.",
)
NORM_MISSING = Mistake(
    "fewer_than_two_normalisations",
    "Your block holds the scales and offsets of fewer than two layer normalisations: one after each residual addition. "
    + UNSEEN,
)
NO_ATTENTION_DROPOUT = Mistake(
    "no_attention_dropout",
    "There is no dropout between the attention and its residual addition, or none that acts (inside a model of "
    "tf_keras, a dropout of tf.keras never does).",
)
