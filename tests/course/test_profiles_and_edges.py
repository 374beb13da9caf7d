"""The lab off its usual path: CIFAR-10 without a GPU, mixed precision, images of unknown size, an edited module."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.course.cells import load_cells, text_of
from tests.course.test_lab import ROOT, SOURCE, run_script

MADE_CIFAR10 = """
import os, pickle, sys
from pathlib import Path
import numpy as np

solutions, parameters = sys.argv[1:]
sys.path.insert(0, solutions)
os.environ["KERAS_HOME"] = os.getcwd()
folder = Path("datasets", "cifar-10-batches-py")
folder.mkdir(parents=True)
for number, name in enumerate([*(f"data_batch_{part}" for part in range(1, 6)), "test_batch"]):
    pixels = np.full((10_000, 3 * 32 * 32), number, "uint8")
    pixels[:, 1024:2048] += 100  # green: the file holds all red pixels of an image, then all green ones
    labels = [row % 10 for row in range(10_000)]
    folder.joinpath(name).write_bytes(pickle.dumps({b"data": pixels, b"labels": labels}))
import lab_tools
import utilities
from tf_keras.src.utils import data_utils

assert lab_tools.choose_profile() == "quick"
folder.with_name(lab_tools.CIFAR10_ARCHIVE).touch()
assert lab_tools.choose_profile() == "cpu"
data_utils.validate_file = lambda *words, **named: True  # the made archive has not the real one's digest
cell = {"profile": "cpu"}
exec(Path(parameters).read_text(), cell)
assert cell["dataset"] == "cifar10"
(train, labels), (test, _), classes = lab_tools.load_images("cifar10", cell["n_train"], cell["n_test"])
assert train.shape == (10_000, 32, 32, 3) and test.shape == (2_000, 32, 32, 3) and train.dtype == "uint8"
assert labels.dtype == "int64" and labels[:11].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
assert train[0, 0, 0].tolist() == [0, 100, 0] and test[0, 31, 31].tolist() == [5, 105, 5]
assert classes[0] == "airplane"
model = utilities.create_vit_classifier(**cell["small_model_params"])
assert model(train[:2] / 127.5 - 1).shape == (2, 10)
assert model.count_params() < 100_000
"""
EDGES = """
import sys
from pathlib import Path
import matplotlib
matplotlib.use("Agg")
import numpy as np
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
import tf_keras as keras
import utilities

# Images whose size is not known while the model is built.
images = keras.Input((None, None, 3))
cut = keras.Model(images, utilities.PatchExtractor(4)(images))
assert cut.output_shape == (None, None, 48)
known = np.random.default_rng(0).normal(size=(2, 8, 12, 3)).astype("float32")
assert np.array_equal(cut(known), utilities.PatchExtractor(4)(known)) and cut(known).shape == (2, 6, 48)
try:
    utilities.create_vit_classifier(input_shape=(None, None, 3))
except ValueError as error:
    assert "every size of an image must be known" in str(error)
else:
    raise AssertionError("a table of positions without a number of rows")

# The variance that section 3 promises: queries, keys and scaled scores of variance 1.
tokens = np.random.default_rng(0).normal(size=(40, 20, 64)).astype("float32")
layer = utilities.MultiHeadAttention(12, 64, 64, 64)
queries, keys = (tokens @ np.asarray(weight)[:, :64] for weight in (layer.WQ, layer.WK))
assert abs(queries.var() - 1) < 0.1, queries.var()
scores = queries @ keys.swapaxes(1, 2) / 8
assert abs(scores.var() - 1) < 0.2, scores.var()

# The plot of scaled attention, with an attention that casts what it gets to float32.
right = utilities.scaled_dot_product_attention
casting = lambda q, k, v: right(tf.cast(q, tf.float32), tf.cast(k, tf.float32), v)
exec(Path(sys.argv[2]).read_text(), {"np": np, "tf": tf, "plt": __import__("matplotlib.pyplot").pyplot,
                                     "scaled_dot_product_attention": casting})

# Mixed precision.
for policy in ("mixed_float16", "mixed_bfloat16"):
    keras.mixed_precision.set_global_policy(policy)
    model = utilities.create_vit_classifier(
        patch_size=8, embedding_proj_dim=16, msa_proj_dim=16, num_heads=2, transformer_layers=2
    )
    logits = model(np.zeros((2, 32, 32, 3), "float32"))
    assert logits.dtype == tf.float32, logits.dtype
    assert np.isfinite(logits).all()
"""
RELOADED = """
import os, sys
from pathlib import Path
from IPython.core.interactiveshell import InteractiveShell

sys.path.insert(0, os.getcwd())
shell = InteractiveShell.instance()
run = lambda text: shell.run_cell(text).raise_error()
run("%load_ext autoreload")
run("%autoreload 2")
run("import numpy as np\\nimport tensorflow as tf\\nfrom utilities import MultiHeadAttention, test_MultiHeadAttention")
module = Path("utilities.py")
text = module.read_text()
before, after = text.split("        ### BEGIN SOLUTION: create the weights WQ", 1)
weights, rest = after.split("        ### END SOLUTION", 1)
build = "    def build(self, shapes):\\n        super().build(shapes)\\n"
build += "        n_heads, dk, dv, proj_size = self.n_heads, self.dk, self.dv, self.proj_size\\n"
module.write_text(before + "\\n" + build + "        # create" + weights + rest)
os.utime(module, (2_000_000_000, 2_000_000_000))
run("test_MultiHeadAttention(seed=1)")
run(Path(sys.argv[1]).read_text())
"""


def cell_with(words: str) -> str:
    """The one code cell of the solved notebook that has these words."""
    cells = [cell for cell in load_cells(SOURCE.read_bytes()) if cell["cell_type"] == "code"]
    (found,) = [cell for cell in cells if words in text_of(cell)]
    return text_of(found)


@pytest.mark.slow
def test_cifar10_is_loaded_from_its_files_without_a_gpu(tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(cell_with("# Sizes of this run."))
    run_script(tmp_path, MADE_CIFAR10, ROOT / "solutions/vit", tmp_path / "cell.py")


@pytest.mark.slow
def test_the_solved_module_at_its_edges(tmp_path: Path) -> None:
    (tmp_path / "cell.py").write_text(cell_with('"not scaled"'))
    run_script(tmp_path, EDGES, ROOT / "solutions/vit", tmp_path / "cell.py")


@pytest.mark.slow
def test_a_class_that_got_a_build_method_works_where_it_is_imported_anew(tmp_path: Path) -> None:
    for name in ("utilities", "lab_tools", "public_tests"):
        (tmp_path / f"{name}.py").write_text((ROOT / f"solutions/vit/{name}.py").read_text("utf-8"))
    plot = cell_with("stateless_normal")
    (tmp_path / "cell.txt").write_text(plot.partition("figure, axes")[0])
    run_script(tmp_path, RELOADED, tmp_path / "cell.txt")
