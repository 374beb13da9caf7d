"""mlp, block, encoder and model in NumPy, in several styles: no verdict hangs on the draw."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle
from typing import Any

import numpy as np
import pytest

from autograder.checking.mistakes import Mistake
from autograder.checking.variables import Variables, without
from autograder.checks.vit.mistakes.blocks import OF_BLOCKS
from autograder.checks.vit.oracles.vision_transformer import relu
from autograder.checks.vit.readings import block_parts, blocks
from autograder.errors import CheckFailed
from tests.hidden_checks import DRAWS, load_checks
from tests.numpy_submission import STYLES, NumpySubmission, Style

FEW_DRAWS = 2
"""Of wrong blocks, each of which takes half a second to read."""
SOME_DRAWS = 10
MLP, BLOCK = load_checks("mlp"), load_checks("transformer_block")
ENCODER, MODEL = load_checks("patch_encoder"), load_checks("vit_model")


def failures(check: Callable[..., None], *given: Any) -> list[tuple[str, str | None]]:
    """Return how a check fails, if it does: its name, and the mistake that it names."""
    try:
        check(*given)
    except CheckFailed as failed:
        return [(check.__name__, failed.misconception)]
    return []


def of_mlp(student: NumpySubmission, rng: np.random.Generator) -> list[tuple[str, str | None]]:
    network = MLP.read(student, rng)
    if isinstance(network, CheckFailed):
        return [("read", network.misconception)]
    return [
        *failures(MLP.test_output, network, rng),
        *failures(MLP.test_widths, student, network),
        *failures(MLP.test_vectors, student, network, rng),
        *failures(MLP.test_dropout, student, network, rng),
    ]


def of_block(student: NumpySubmission, rng: np.random.Generator) -> list[tuple[str, str | None]]:
    block = BLOCK.read(student, rng)
    if isinstance(block, CheckFailed):
        return [("read", block.misconception)]
    return [
        *failures(BLOCK.test_output, block, rng),
        *failures(BLOCK.test_without_attention, block, rng),
        *failures(BLOCK.test_in_turn, student, block, rng),
        *failures(BLOCK.test_parameters, student, block),
        *failures(BLOCK.test_attention_dropout, block, rng),
        *failures(BLOCK.test_network_dropout, student, block, rng),
        *failures(BLOCK.test_default_rate, student, block, rng),
    ]


def of_encoder(student: NumpySubmission, rng: np.random.Generator) -> list[tuple[str, str | None]]:
    encoder = ENCODER.read(student, rng)
    if isinstance(encoder, CheckFailed):
        return [("read", encoder.misconception)]
    return [
        *failures(ENCODER.test_tokens, encoder, rng),
        *failures(ENCODER.test_parameters, encoder),
        *failures(ENCODER.test_inside_a_model, student, encoder, rng),
        *failures(ENCODER.test_defaults, student, encoder, rng),
    ]


def of_model(student: NumpySubmission, rng: np.random.Generator) -> list[tuple[str, str | None]]:
    model, other = (student.once(MODEL.read, sizes, rng) for sizes in (MODEL.SIZES, MODEL.OTHER))
    if isinstance(model, CheckFailed) or isinstance(other, CheckFailed):
        return [("read", None)]
    return [
        *failures(MODEL.test_output, model, rng),
        *failures(MODEL.test_other_sizes, student, other, rng, rng),
        *failures(MODEL.test_dropout, student, model, rng, rng),
    ]


@pytest.mark.parametrize("part", [of_mlp, of_block, of_encoder, of_model])
def test_right_parts_pass_in_every_draw(part: Callable[..., list[tuple[str, str | None]]]) -> None:
    styles = cycle(STYLES.values())
    found = [part(NumpySubmission(next(styles), seed), np.random.default_rng(seed)) for seed in range(DRAWS)]
    assert {seed: failed for seed, failed in enumerate(found) if failed} == {}


def test_no_draw_hides_what_an_mlp_drops_on_vectors() -> None:
    dying = Style(last=relu)  # three units in the end, which may all be 0 for all samples
    for seed in range(DRAWS):
        assert failures(MLP.expect_dropout_on_vectors, NumpySubmission(dying, seed), np.random.default_rng(seed)) == []


@pytest.mark.parametrize("mistake", OF_BLOCKS, ids=lambda mistake: mistake.slug)
def test_a_wrong_block_is_named_in_every_draw_and_never_for_its_dropout(mistake: Mistake) -> None:
    for seed in range(FEW_DRAWS):
        student = NumpySubmission(Style(attends=mistake, again=seed % 2 == 1), seed)
        found = of_block(student, np.random.default_rng(seed))
        assert {name for _, name in found} == {mistake.slug}, seed
        assert {"test_output", "test_without_attention"} <= {check for check, _ in found}


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_a_blocks_last_normalisation_is_told_by_the_mean_of_its_output(style: Style) -> None:
    rng = np.random.default_rng(0)
    for _ in range(SOME_DRAWS):
        variables = Variables(BLOCK.SIZES.model(NumpySubmission(style, seed=0), 0.0))
        parts = block_parts.sorted_by_shape(variables.positions, BLOCK.SIZES)
        assert parts is not None
        values = without(variables.draw(rng), parts.attention)
        asked = blocks._Asked.of(variables, values, blocks.draw_tokens(rng, BLOCK.SIZES))
        last = {order[3:] for order in blocks._orders(parts, asked)}
        assert len(last) == 1


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.15])
def test_a_rate_that_is_not_passed_to_the_blocks_is_noticed_in_every_draw(rate: float) -> None:
    student = NumpySubmission(Style(last=relu, epsilon=1e-3, again=True, rate=rate), seed=0)
    rng = np.random.default_rng(0)
    model = MODEL.read(student, MODEL.SIZES, rng)
    for seed in range(SOME_DRAWS):
        found = failures(MODEL.test_dropout, student, model, np.random.default_rng(seed), rng)
        assert found == [("test_dropout", "dropout_rate_ignored")], seed
