"""Mistakes that students made, or that people wrote to find holes in the checks: the operators make nearly all of them.

Each row is a mistake that was found elsewhere first. docs/mutants.md lists those that no operator makes.
"""

from __future__ import annotations

import functools
import re

import pytest

from autograder.audit.mutants.making import mutants_of
from autograder.audit.mutants.originals import RightWork
from autograder.course.assignment import load_assignment
from tests.submissions.corpus import ROOT, read_corpus

OTHER_STYLES = {"multi_head_attention": "by_definition"}
"""Where a right way beside the solved one is needed."""
DROP = r"keras\.layers\.Dropout"


@functools.cache
def changed_parts(task_id: str) -> list[tuple[str, str]]:
    """For each mutant of a task its operator, and the lines from the first that it changes to the last."""
    assignment = load_assignment(ROOT, "vit")
    originals = RightWork(read_corpus(), assignment).originals([assignment.task(task_id)])
    return [
        (mutant.operator, between(original.text.split("\n"), mutant.text.split("\n")))
        for original in originals
        if original.style in ("solution", OTHER_STYLES.get(task_id))
        for mutant in mutants_of(original)
    ]


def between(before: list[str], after: list[str]) -> str:
    """The lines of one text without those with which both begin, and both end."""
    first = alike(before, after)
    last = alike(before[first:][::-1], after[first:][::-1])
    return "\n".join(line.strip() for line in after[first : len(after) - last])


def alike(some: list[str], others: list[str]) -> int:
    """How many of the first lines are the same."""
    pairs = enumerate(zip(some, others, strict=False))
    return next((number for number, (one, other) in pairs if one != other), min(len(some), len(others)))


@pytest.mark.parametrize(
    ("mistake", "task", "operator", "pattern"),
    [
        ("no gradient of the weights", "attention", "gradient stopped", r"tf\.stop_gradient\(attention_weights"),
        ("dropout of weights", "attention", "dropout added", rf"weights = {DROP}"),
        ("ranks 3 and 4 only", "attention", "transposed factor", r"\[0, 2, 1\] if len"),
        ("dropout of the sum", "transformer_block", "dropout added", rf"{DROP}\(dropout_rate\)\(keras\.layers\.Add"),
        ("dropout after the norm", "transformer_block", "dropout added", rf"x = {DROP}\(\w+\)\(keras\.layers\.LayerN"),
        ("dropout before attention", "transformer_block", "dropout moved", rf"attention\({DROP}\(dropout_rate\)\(x\)"),
        ("dropout of the residual", "transformer_block", "dropout added", rf"\[{DROP}\(dropout_rate\)\(x\), attended"),
        ("another default rate", "transformer_block", "default changed", r"dropout_rate=2 \* 0\.1"),
        ("dropout of the result", "transformer_block", "dropout added", rf"^return {DROP}"),
        ("dropout of the input", "transformer_block", "dropout added", rf"^x = {DROP}\(dropout_rate\)\(x\)$"),
        ("dropout of tokens", "patch_encoder", "dropout added", rf"^return {DROP}"),
        ("other defaults", "patch_encoder", "default changed", r"num_patches=2 \*"),
        ("a punished projection", "patch_encoder", "weights", r"kernel_regularizer"),
        ("another folder", "carbon", "argument removed", r"test_data, \*\*settings\)"),
        ("settings not passed on", "carbon", "argument removed", r"ckpt_path=log_dir\)"),
        ("batch size of the shape", "multi_head_attention", "size of another", r"\(Q\.shape\[0\], "),
        ("dropout of the output", "multi_head_attention", "dropout added", rf"^output = {DROP}"),
        ("unprojected with the flag", "multi_head_attention", "other name", r"^return attended, attention_weights"),
        ("always five labels", "pretrained", "argument ignored", r"\[:5\]"),
        ("labels cut at the comma", "pretrained", "text of labels", r"split\(','\)"),
        ("resized twice", "pretrained", "data changed", r"224, 224"),
        ("cropped", "pretrained", "data changed", r"min\(image"),
        ("dropout before the layer", "mlp", "statements exchanged", rf"^x = {DROP}.*\nx = keras\.layers\.Dense"),
        ("dropout at the end only", "mlp", "out of the loop", rf"^x = .*\nx = {DROP}\(dropout_rate\)\(x\)$"),
        ("dropout of whole features", "mlp", "dropout kind", r"SpatialDropout1D"),
        ("noise for dropout", "mlp", "dropout kind", r"GaussianNoise"),
        ("dropout of another rate", "mlp", "dropout rate", r"Dropout\(0\.1\)"),
        ("dropout of logits", "vit_model", "dropout added", rf"^logits = {DROP}"),
        ("rescaled again", "vit_model", "function on the result", r"\(images\)\) / 127\.5 - 1"),
        ("dropout of pixels", "vit_model", "dropout added", rf"\({DROP}\(\w+\)\(images\)\)"),
        ("absolute logits", "vit_model", "function on the result", r"^logits = tf\.abs"),
        ("noise in training", "patch_extractor", "dropout added", r"^return keras\.layers\.GaussianNoise"),
        ("a factor that is trained", "patch_extractor", "weight added", r"self\.factor"),
        ("divided by 128", "preprocessing", "constant", r"/ 128\.0"),
        ("training images inverted", "preprocessing", "data changed", r"-1 \* Xtrain"),
        ("labels shuffled apart", "preprocessing", "data changed", r"permutation\(Y"),
        ("images shuffled apart", "data_split", "data changed in place", r"shuffle\(X_train"),
        ("in the order given", "data_split", "training setting", r"shuffle=False"),
        ("another value watched", "training", "watched value", r"monitor='val_loss'"),
        ("never tested", "training", "condition", r"^if False"),
        ("tested before reloading", "training", "steps left out", r"^if run_testing:\n[^~]*evaluate[^~]*load_weights"),
        ("reloaded for the test only", "training", "steps left out", r"^if run_testing:\nmodel\.load_weights"),
        ("always tested", "training", "condition", r"^if True"),
        ("a rate that decays", "training", "callback added", r"LearningRateScheduler"),
    ],
)
def test_an_operator_makes_what_people_made(mistake: str, task: str, operator: str, pattern: str) -> None:
    assert any(name == operator and re.search(pattern, part) for name, part in changed_parts(task)), mistake
