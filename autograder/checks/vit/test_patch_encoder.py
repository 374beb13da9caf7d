"""Hidden checks of `PatchEncoder(num_patches=4, projection_dim=768)`."""

import itertools

import numpy as np
import pytest

from autograder import wire
from autograder.checking.comparisons import close, expect, expect_array, fail, require
from autograder.checking.remote import Student
from autograder.checks.vit.former_oracle import dense
from autograder.checks.vit.misconceptions import answers, blame

BATCH, PATCHES, PATCH_DIM, WIDTH = 3, 6, 10, 7


def draw(rng):
    """Return flat patches as float32."""
    return rng.normal(size=(BATCH, PATCHES, PATCH_DIM)).astype(np.float32)


def make(student: Student, patches):
    """Return the submission's layer, built by one call."""
    layer = student.layer("PatchEncoder", PATCHES, WIDTH)
    layer(patches)
    return layer


def randomise(layer, rng):
    """Set all weights to random values and return them."""
    arrays = [rng.normal(size=one.shape).astype(np.float32) for one in layer.weights()]
    layer.set_weights(arrays)
    return arrays


def sort_weights(arrays):
    """Yield (kernel, bias, class token, positions), in both orders where bias and token have one shape."""
    kernels = [one for one in arrays if one.size == PATCH_DIM * WIDTH]
    positions = [one for one in arrays if one.size == (PATCHES + 1) * WIDTH]
    vectors = [one.reshape(-1) for one in arrays if one.size == WIDTH]
    if len(vectors) == 1:  # the bias or the class token is missing: another check says so
        vectors.append(np.zeros(WIDTH))
    if len(kernels) != 1 or len(positions) != 1 or len(vectors) != 2:
        fail(
            f"Expected a kernel ({PATCH_DIM}, {WIDTH}), a bias ({WIDTH},), a class token of {WIDTH} values and position "
            f"embeddings ({PATCHES + 1}, {WIDTH}); got weights of shapes {sorted(one.shape for one in arrays)}."
        )
    for bias, token in itertools.permutations(vectors):
        yield kernels[0].reshape(PATCH_DIM, WIDTH), bias, token, positions[0].reshape(PATCHES + 1, WIDTH)


def encode(patches, kernel, bias, token, positions, *, last=False):
    """Return the tokens: class token and projected patches, plus positions (Dosovitskiy et al., eq. 1)."""
    projected = patches @ kernel + bias
    tokens = np.broadcast_to(token, (BATCH, 1, WIDTH))
    order = [projected, tokens] if last else [tokens, projected]
    return np.concatenate(order, axis=1) + positions


def wrong_encodings(patches, kernel, bias, token, positions):
    """Return misconception to tokens, for the mistakes that keep the shape."""
    wrong, nowhere = {}, np.zeros_like(positions)
    for last in (False, True):
        side = "last" if last else "first"
        bare = encode(patches, kernel, bias, token, nowhere, last=last)
        spot = slice(PATCHES, None) if last else slice(0, 1)
        without = encode(patches, kernel, bias, token, positions, last=last)
        without[:, spot] = bare[:, spot]
        wrong |= {f"no_position {side}": bare, f"no_position_on_class_token {side}": without}
        for start in (0, 1):  # the patches take the first or the last positions, the class token none
            shifted = bare.copy()
            body = slice(0, PATCHES) if last else slice(1, None)
            shifted[:, body] += positions[start : start + PATCHES]
            wrong[f"no_position_on_class_token {side} {start}"] = shifted
        wrong[f"one_position_for_all {side}"] = bare + positions[0]
    return wrong


@pytest.mark.check("Patches (1, 16, 192) become tokens (1, 17, 192), inside a model too: a class token is added.")
def test_shape(student, rng):
    patches = rng.normal(size=(1, 16, 192)).astype(np.float32)
    tokens = student.model([(16, 192)], wire.Node("PatchEncoder", [0], [], {}, init=[16, 192]))(patches)
    if getattr(tokens, "shape", None) == (1, 16, 192):
        blame("no_class_token")
    expect_array(tokens, (1, 17, 192), "The tokens")


@pytest.mark.check("It has a projection with bias, a class token and a position embedding for every token.", weight=2)
def test_parameters(student, rng):
    layer = make(student, draw(rng))
    weights = layer.weights()
    right = dense(PATCH_DIM, WIDTH) + WIDTH + (PATCHES + 1) * WIDTH
    found = sum(int(np.prod(one.shape)) for one in weights)
    if found == right - WIDTH and sum(int(np.prod(one.shape)) == WIDTH for one in weights) == 1:
        blame("class_token_not_trainable" if is_bias(layer, weights) else "projection_without_bias")
    require(
        found == right,
        f"Expected {right} weights for {PATCHES} patches of {PATCH_DIM} values and projection_dim {WIDTH}; got {found}.",
    )
    frozen = [one for one in weights if not one.trainable]
    if any(int(np.prod(one.shape)) == WIDTH for one in frozen):
        blame("class_token_not_trainable")
    require(not frozen, "Some weights of the encoder are not trainable. All must be learned.")


def is_bias(layer, weights):
    """Whether the only vector among the weights is added to the patches, and not the class token."""
    layer.set_weights([np.full(one.shape, float(np.prod(one.shape) == WIDTH)) for one in weights])
    tokens = expect_array(layer(np.zeros((1, PATCHES, PATCH_DIM), np.float32)), (1, PATCHES + 1, WIDTH), "The tokens")
    return int(tokens.any(axis=-1).sum()) > 1


@pytest.mark.check("Tokens are the class token and the projected patches, each plus its position embedding.", weight=4)
def test_tokens(student, rng):
    patches = draw(rng)
    layer = make(student, patches)
    arrays = randomise(layer, rng)
    tokens = expect_array(layer(patches), (BATCH, PATCHES + 1, WIDTH), "The tokens")
    sorted_weights = list(sort_weights(arrays))
    right = [encode(patches, *one, last=last) for one in sorted_weights for last in (False, True)]
    if not any(close(tokens, one) for one in right):
        for one in sorted_weights:
            for slug, value in wrong_encodings(patches, *one).items():
                if close(tokens, value, 1e-4):
                    blame(slug.split()[0])
        if not any(same_for_all(tokens[:, end]) for end in (0, -1)):
            blame("class_token_per_image")
    expect(tokens, answers(right), "The tokens")


def same_for_all(tokens):
    """Whether one token, (batch, width), is the same for every image."""
    return close(tokens, np.broadcast_to(tokens[:1], tokens.shape))


@pytest.mark.check("Training reaches projection, class token and positions: each has a gradient.")
def test_gradients(student, rng):
    patches = draw(rng)
    layer = make(student, patches)
    randomise(layer, rng)
    cotangent = rng.normal(size=(BATCH, PATCHES + 1, WIDTH)).astype(np.float32)
    _, gradients = layer.gradients(patches, cotangent=cotangent)
    dead = sum(1 for one in gradients if one is None or not np.any(one))
    require(bool(gradients), "The layer has no trainable weights.")
    require(dead == 0, f"{dead} of {len(gradients)} weights get no gradient: they have no effect on the tokens.")
