"""Mistakes of a whole model that keep its parts; an oracle takes what `vision_transformer.vit` takes."""

from __future__ import annotations

from collections.abc import Callable

from autograder.checking.comparisons import Floats
from autograder.checking.mistakes import Mistake
from autograder.checks.vit.oracles.vision_transformer import (
    Encoder,
    Vit,
    block,
    dense,
    encode_patches,
    extract_patches,
    mlp,
    softmax,
    vit,
)

VitOracle = Callable[..., Floats]


def _reading_from(choose: Callable[[Floats, Encoder], Floats], encode: Callable[..., Floats]) -> VitOracle:
    """Return the model whose head reads what `choose` makes of the tokens, which `encode` makes of the patches."""

    def wrong(images: Floats, w: Vit, patch_size: int) -> Floats:
        tokens = encode(extract_patches(images, patch_size), w.encoder)
        for layer in w.blocks:
            tokens = block(tokens, layer)
        return dense(mlp(choose(tokens, w.encoder), w.head), w.logits)

    return wrong


_NOT_READ = (
    "Your classifier reads patches (flattened, averaged, or one of them) instead of the class token, or there is none."
)
_READ_INSTEAD: tuple[VitOracle, ...] = (
    _reading_from(lambda tokens, encoder: tokens.mean(axis=1), encode_patches),
    _reading_from(lambda tokens, encoder: tokens[:, 0 if encoder.token_last else -1], encode_patches),
    _reading_from(lambda tokens, encoder: tokens[:, 1], encode_patches),
    _reading_from(lambda tokens, encoder: tokens[:, 0], lambda patches, encoder: dense(patches, encoder.projection)),
)
OF_MODELS = (
    *(Mistake("class_token_not_read", _NOT_READ, wrong) for wrong in _READ_INSTEAD),
    Mistake(
        "softmax_on_logits",
        "Your model's outputs are probabilities. It must return logits: the softmax is part of the loss.",
        lambda images, w, patch_size: softmax(vit(images, w, patch_size)),
    ),
)
FLATTENED = Mistake("flattened_tokens", "Your head reads all tokens flattened. It must read the class token alone.")
