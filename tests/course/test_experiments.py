"""The lab's experiments: they run in tiny sizes, show what holds for every seed, and grading never runs them."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

import pytest

from autograder.course.cells import flag, load_cells, text_of
from autograder.course.grading_notebook import assemble
from benchmarks.experiments import EXPECTATIONS, EXPERIMENTS, Expectation, kernels, rows_of
from tests.course.test_lab import ROOT, SOURCE, run_script

TINY = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import numpy as np
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
import experiments, utilities

rng = np.random.default_rng(0)
labels = np.arange(64) % 10
training = rng.uniform(-1, 1, (64, 16, 16, 3)).astype("float32"), labels
test = training[0][:40], labels[:40]
experiments.SMALL_VIT.update(transformer_layers=1, embedding_proj_dim=8, msa_proj_dim=8)
create, shown, figures = utilities.create_vit_classifier, {}, []

image = training[0][:2]
shuffled = experiments.shuffle_patches(image, 4, seed=1)
as_sets = [sorted(map(tuple, np.asarray(utilities.PatchExtractor(4)(part)[0]))) for part in (image, shuffled)]
shown["same patches"] = as_sets[0] == as_sets[1]
shown["another order"] = bool((image != shuffled).any())
moved = experiments.shift(image, 2, seed=3)
shown["moved"] = moved.shape == image.shape and bool((moved != image).any())

layers = [rng.dirichlet(np.ones(5), size=(2, 5)) for _ in range(3)]
rollout = experiments.attention_rollout(layers)
shown["rows of the rollout"] = rollout.sum(axis=1).tolist()
figures.append(experiments.plot_attention_maps(image[0] / 2 + 0.5, layers, "tiny"))

found = experiments.compare_positions(create, training, test, steps=10)
shown["without positions"] = list(found["without positions"].values())
figures.append(experiments.plot_shuffled_patches(image[0], found))

builders = experiments.vit_and_cnn(create)
counts, accuracies = experiments.compare_numbers_of_images(builders, training, test, parts=(2, 2, 1), steps=10)
shown["counts"], shown["accuracies"] = counts, accuracies
figures.append(experiments.plot_numbers_of_images(counts, accuracies))

found = experiments.compare_warm_up(create, training, test, steps=20, warm_up=20, layers=1)
losses = [pair[0].tolist() for pair in found.values()]
shown["losses"] = losses
figures.append(experiments.plot_warm_up(found))

found = experiments.compare_augmentation(create, training, test, steps=10)
figures.append(experiments.plot_augmentation(found))

accuracies, weights = experiments.train_reversal(utilities.scaled_dot_product_attention, length=4, steps=60)
shown["reversal"] = accuracies.tolist()
figures.append(experiments.plot_reversal({"attention": (accuracies, weights)}))

keras = utilities.keras
def pre_norm(x, sublayer):
    return x + sublayer(keras.layers.LayerNormalization()(x))
parts = utilities.MultiHeadAttention, utilities.mlp
found = experiments.gradients_by_layer(pre_norm, *parts, layers=2, tokens=3, width=4)
shown["gradients"] = {way: norms.tolist() for way, norms in found.items()}
figures.append(experiments.plot_gradients({"pre-norm": found}))
shown["figures"] = len(figures)
for figure in figures:
    figure.canvas.draw()
print(json.dumps(shown))
"""


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the experiments returned in tiny sizes, run on the solved module."""
    printed = run_script(tmp_path_factory.mktemp("tiny"), TINY, ROOT / "solutions" / "vit")
    found: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return found


@pytest.mark.slow
def test_pictures_are_cut_and_moved_without_a_loss(shown: dict[str, Any]) -> None:
    assert shown["same patches"]
    assert shown["another order"]
    assert shown["moved"]


@pytest.mark.slow
def test_a_rollout_is_a_mixture(shown: dict[str, Any]) -> None:
    assert shown["rows of the rollout"] == pytest.approx([1.0] * 5)


@pytest.mark.slow
def test_without_positions_the_order_of_patches_has_no_effect(shown: dict[str, Any]) -> None:
    whole, shuffled = shown["without positions"]
    assert whole == shuffled


@pytest.mark.slow
def test_every_training_begins_at_the_same_weights(shown: dict[str, Any]) -> None:
    assert shown["counts"] == [32, 32, 64]
    for accuracies in shown["accuracies"].values():
        assert accuracies[0] == pytest.approx(accuracies[1], abs=0.05)
    constant, rising = shown["losses"]
    assert constant[0] != rising[0]


@pytest.mark.slow
def test_attention_learns_to_reverse(shown: dict[str, Any]) -> None:
    assert min(shown["reversal"]) > 0.9


@pytest.mark.slow
def test_past_the_sublayers_pre_norm_changes_no_gradient(shown: dict[str, Any]) -> None:
    assert shown["gradients"]["past the sublayers alone"] == pytest.approx([1.0] * 3, rel=1e-4)
    assert shown["gradients"]["all ways"][0] != pytest.approx(1.0, rel=1e-2)
    assert shown["figures"] == 7


def test_an_expectation_says_how_far_it_holds() -> None:
    expectation = Expectation("a", "more is more", "more", "less", 0.25)
    assert expectation.excess({"more": 1.0, "less": 0.5}) == pytest.approx(0.25)
    assert Expectation("a", "little", 0.1, "much", 0.0).excess({"much": 0.5}) == pytest.approx(-0.4)


def test_every_experiment_has_expectations_that_are_counted() -> None:
    assert {expectation.experiment for expectation in EXPECTATIONS} == set(EXPERIMENTS)
    rows = rows_of("kernels", [kernels(seed) for seed in range(5)])
    assert len(rows) == 2
    assert {row[-1] for row in rows} == {"5/5"}


def test_experiments_stand_behind_all_that_is_graded() -> None:
    cells = load_cells(SOURCE.read_bytes())
    first = next(number for number, cell in enumerate(cells) if re.match(r"import experiments", text_of(cell)))
    assert not any(flag(cell, name) for cell in cells[first:] for name in ("grade", "solution", "locked"))
    assert not [cell for cell in cells[:first] if cell["cell_type"] == "code" and "experiments" in text_of(cell)]


def test_grading_never_imports_the_experiments() -> None:
    notebook = assemble(SOURCE.read_bytes(), SOURCE.read_bytes())
    using = {cell.id for cell in notebook.cells if "experiments." in cell.source}
    last = max(number for number, cell in enumerate(notebook.cells) if cell.is_answer)
    assert using
    assert not using & {cell.id for cell in notebook.cells[: last + 1]}
    module = ast.parse((ROOT / "source/vit/utilities.py").read_text())
    imported = {node.module for node in ast.walk(module) if isinstance(node, ast.ImportFrom)}
    assert "experiments" not in imported
