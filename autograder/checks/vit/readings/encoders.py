"""Read a submission's patch encoder: which of its variables are projection, class token and positions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from autograder.checking.comparisons import Floats, close, expect_array, fail, require
from autograder.checking.mistakes import Mistake, blame
from autograder.checking.readings import ABSENT, values_at
from autograder.checking.remote import Layer
from autograder.checking.variables import Positions, Variables, is_vector
from autograder.checks.vit.oracles.vision_transformer import (
    ACTIVATIONS,
    Activation,
    Dense,
    Encoder,
    dense,
    encode_patches,
)
from autograder.checks.vit.readings.counting import UNSEEN

EncoderOracle = Callable[[Floats, Encoder], Floats]


def bare_tokens(patches: Floats, w: Encoder) -> Floats:
    """Return class token and projected patches without positions."""
    return encode_patches(patches, replace(w, positions=np.zeros_like(w.positions[:1])))


def _on_patches_from(start: int) -> EncoderOracle:
    """Return the encoder that adds positions to the patches alone, from this row of the table on."""

    def wrong(patches: Floats, w: Encoder) -> Floats:
        tokens, count = bare_tokens(patches, w).copy(), patches.shape[1]
        body = slice(0, count) if w.token_last else slice(1, None)
        tokens[:, body] += w.positions[start : start + count]
        return tokens

    return wrong


def _projected_through(activation: Activation) -> EncoderOracle:
    """Return the encoder whose projection is followed by a non-linearity."""

    def wrong(patches: Floats, w: Encoder) -> Floats:
        tokens, body = encode_patches(patches, w), slice(0, -1) if w.token_last else slice(1, None)
        tokens[:, body] = activation(dense(patches, w.projection)) + w.positions[body]
        return tokens

    return wrong


_NO_POSITION_ON_TOKEN = "The class token gets no position embedding. All tokens do."  # noqa: S105 - a sentence
OF_ENCODERS = (
    Mistake("no_position", "No position embedding is added.", bare_tokens),
    *(Mistake("no_position_on_class_token", _NO_POSITION_ON_TOKEN, _on_patches_from(start)) for start in (0, 1)),
    Mistake(
        "one_position_for_all",
        "The same position embedding is added to every token.",
        lambda patches, w: bare_tokens(patches, w) + w.positions[0],
    ),
    *(
        Mistake(
            "projection_not_linear",
            "Your projection of the patches has a non-linearity. It is linear: a Dense layer without `activation`.",
            _projected_through(activation),
        )
        for activation in ACTIVATIONS
    ),
)
NO_ROW_FOR_TOKEN = Mistake(
    "no_position_on_class_token",
    "Your table of positions has a row for each patch and none for the class token. Every token gets a position "
    "embedding, so there are `num_patches + 1` rows.",
    _on_patches_from(0),
)
NO_CLASS_TOKEN = Mistake("no_class_token", "There is no class token in your output.")
TOKEN_PER_IMAGE = Mistake(
    "class_token_per_image",
    "Your class token differs from image to image before any attention. It is one learned vector, the same "
    "for all images.",
)
TOKEN_NOT_TRAINABLE = Mistake(
    "class_token_not_trainable",
    "Your class token is not itself a trainable weight: it is fixed, or calculated from a weight.",
)
NO_BIAS = Mistake("projection_without_bias", "Your projection of the patches has no bias.")


@dataclass(frozen=True)
class ReadEncoder:
    """A submission's patch encoder as it was read.

    Attributes:
        variables: Of the layer, or of a model of it.
        places: Where its parameters stand; the positions in the order of the tokens.
        oracle: What explains its answers: the definition, or the same with `mistake`.
        mistake: What was recognised.
    """

    variables: Variables
    places: Encoder
    oracle: EncoderOracle = encode_patches
    mistake: Mistake | None = None

    @property
    def layer(self) -> Layer:
        """The layer itself."""
        return self.variables.layer


def read_encoder(layer: Layer, patches: Floats, width: int, rng: np.random.Generator) -> ReadEncoder:
    """Find out how a submission's patch encoder is to be read.

    Args:
        layer: Built already, or a model of it.
        patches: To ask it with, `(batch, patches, patch_dim)`.
        width: Of the tokens.
        rng: Draws the weights.

    Raises:
        CheckFailed: If it is no patch encoder, right or with a mistake that we know.
    """
    variables = Variables(layer)
    values = variables.draw(rng)
    variables.set(values)
    tokens = layer(patches)
    batch, count, patch_dim = patches.shape
    if getattr(tokens, "shape", None) == (batch, count, width):
        blame(NO_CLASS_TOKEN)
    tokens = expect_array(tokens, (batch, count + 1, width), "The tokens")
    require(bool(tokens.any()), "The tokens: all values are zero.", "only_zeros")
    candidates = encoder_candidates(variables.positions, count + 1, patch_dim, width)
    if not candidates:
        return _read_a_short_table(variables, values, patches, tokens)
    for places in candidates:
        ordered = _in_order_of_tokens(places, values, patches, tokens)
        if ordered is not None:
            return ReadEncoder(variables, ordered)
    for mistake, places in product(OF_ENCODERS, candidates):
        if mistake.gives(tokens, patches, values_at(places, values)):
            return ReadEncoder(variables, places, mistake, mistake)
    _blame_for_the_token(candidates, values, patches, tokens)
    fail("The tokens are not the class token and the projected patches, each plus a position embedding of its own.")


def _read_a_short_table(variables: Variables, values: Floats, patches: Floats, tokens: Floats) -> ReadEncoder:
    """Return the reading of an encoder whose table has a row for each patch alone; end the check if it has not."""
    (_, count, patch_dim), width = patches.shape, tokens.shape[-1]
    for places in encoder_candidates(variables.positions, count, patch_dim, width):
        if NO_ROW_FOR_TOKEN.gives(tokens, patches, values_at(places, values)):
            return ReadEncoder(variables, places, NO_ROW_FOR_TOKEN, NO_ROW_FOR_TOKEN)
    found = ", ".join(str(shape) for shape in variables.shapes) or "none"
    fail(
        f"Expected a kernel ({patch_dim}, {width}), a bias ({width},), a class token of {width} values and position "
        f"embeddings ({count + 1}, {width}); got weights of shapes {found}. {UNSEEN}"
    )


def encoder_candidates(positions: Sequence[Positions], tokens: int, patch_dim: int, width: int) -> list[Encoder]:
    """Return the ways to sort the variables; none if the kernel or the table of positions is missing.

    A bias or a class token that is missing is absent: it counts as 0.
    """
    kernel, table = (_matrix(positions, rows, width) for rows in (patch_dim, tokens))
    vectors = [places.reshape(-1) for places in positions if is_vector(places) and places.size == width]
    if kernel is None or table is None or len(vectors) not in (1, 2):
        return []
    pairs = [vectors, vectors[::-1]] if len(vectors) == 2 else [[vectors[0], _none(width)], [_none(width), vectors[0]]]
    return [Encoder(Dense(kernel, bias), token, table, last) for (bias, token), last in product(pairs, (False, True))]


def _matrix(positions: Sequence[Positions], rows: int, width: int) -> Positions | None:
    """Return the variable that is a matrix of this shape, its transpose, or a convolution of patches."""
    for places in positions:
        if places.size == rows * width and places.shape[-1] == width:
            return places.reshape(rows, width)
        if tuple(size for size in places.shape if size != 1) == (width, rows):
            return places.reshape(width, rows).T
    return None


def _none(width: int) -> Positions:
    return np.full(width, ABSENT)


def _in_order_of_tokens(places: Encoder, values: Floats, patches: Floats, tokens: Floats) -> Encoder | None:
    """Return the reading with the table's rows in the order in which the tokens get them; None if it does not hold.

    Any row may belong to any token, such as the last one to the class token, as long as each has one of its own.
    """
    weights = values_at(places, values)
    added = (tokens - bare_tokens(patches, weights))[0]  # (tokens, width): a row for each token
    rows = np.abs(added[:, None] - weights.positions[None]).max(axis=-1).argmin(axis=1)
    ordered = replace(places, positions=places.positions[rows])
    right = encode_patches(patches, values_at(ordered, values))
    return ordered if len(set(rows)) == len(rows) and close(tokens, right) else None


def _blame_for_the_token(candidates: list[Encoder], values: Floats, patches: Floats, tokens: Floats) -> None:
    """Name what is wrong with the class token where all else is right."""
    for places in candidates:
        weights = values_at(places, values)
        body, own = (slice(0, -1), -1) if places.token_last else (slice(1, None), 0)
        right = dense(patches, weights.projection) + weights.positions[body]
        if close(tokens[:, body], right):
            same = close(tokens[:, own], np.broadcast_to(tokens[:1, own], tokens[:, own].shape))
            blame(TOKEN_NOT_TRAINABLE if same else TOKEN_PER_IMAGE)
