"""The lab as a student meets it: the solved notebook runs, and what is given works with students' own layers."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autograder.course.cells import load_cells, text_of
from benchmarks.quick_profile import execute, printed
from tests.submissions.corpus import RIGHT

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "source" / "vit" / "vit.ipynb"
RELEASE = ROOT / "release" / "vit" / "vit.ipynb"
WRITTEN = (
    "scaled_dot_product_attention", "MultiHeadAttention", "mlp", "transformerBlock", "PatchExtractor", "PatchEncoder",
    "create_vit_classifier",
)  # fmt: skip
"""The parts that students write."""
ONE_PROCESSOR = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}
"""Settings of TensorFlow: other tests run beside these, and threads that wait for each other cost time."""
LOOK_INSIDE = """
import json, sys
import matplotlib
matplotlib.use("Agg")
import numpy as np

lab, *styles = sys.argv[1:]
sys.path.insert(0, lab)
import lab_tools

def look_inside(path):
    names = {}
    exec(compile(open(path).read(), "utilities.py", "exec"), names)
    model = names["create_vit_classifier"](
        input_shape=(16, 16, 3), patch_size=4, embedding_proj_dim=8, msa_proj_dim=8, num_heads=2, transformer_layers=3
    )
    images = np.random.default_rng(0).normal(size=(2, 16, 16, 3)).astype("float32")
    before = model(images)
    layers = lab_tools.attention_of_layers(model, images)
    assert len(layers) == 3
    for weights in layers:
        assert weights.shape[0] == 2 and weights.shape[2:] == (17, 17), weights.shape
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=1e-5)
    for class_token in (0, -1):
        lab_tools.plot_class_token_attention(model, images, class_token)
        lab_tools.plot_position_similarity(model, class_token)
    np.testing.assert_allclose(model(images), before, rtol=1e-5)  # the look changes nothing
    assert "utilities" not in sys.modules

failures = {}
for path in styles:
    try:
        look_inside(path)
    except Exception as error:
        failures[path] = repr(error)
print(json.dumps(failures))
"""
EDITED = """
import importlib, os, sys
from pathlib import Path
sys.path.insert(0, os.getcwd())
import public_tests  # first: the cycle with utilities must not matter
import utilities
from utilities import test_mlp

test_mlp(seed=1)
module = Path("utilities.py")
module.write_text(module.read_text() + "\\n\\ndef mlp(x, hidden_units, dropout_rate):\\n    return x\\n")
importlib.reload(utilities)
for test in (test_mlp, public_tests.test_mlp, utilities.test_mlp):
    try:
        test(seed=1)
    except AssertionError as error:
        assert "widths [7, 3]: expected shape" in str(error), error
    else:
        raise AssertionError("the test does not see the edited part")
"""
FAILURES = """
import os, sys, tempfile
sys.path.insert(0, sys.argv[1])
import tensorflow as tf
import utilities

def raises(kind, words, function, *args):
    try:
        function(*args)
    except kind as error:
        assert words in str(error), error
    else:
        raise AssertionError(f"{function.__name__} did not raise")

os.environ["VIT_PROFILE"] = "huge"
raises(ValueError, "must be one of ('quick', 'cpu', 'full'), got 'huge'", utilities.choose_profile)
for profile in ("quick", "cpu", "full"):
    os.environ["VIT_PROFILE"] = profile
    assert utilities.choose_profile() == profile
del os.environ["VIT_PROFILE"]
os.environ["KERAS_HOME"] = tempfile.mkdtemp()
assert utilities.choose_profile() == "quick"
raises(FileNotFoundError, "there is no file cat.jpg", utilities.load_photo, "cat.jpg")
raises(ValueError, "no complete log", utilities.read_footprint, "nowhere")
tracker = utilities.make_carbon_tracker("never_started")
tracker.stop()
raises(ValueError, "epoch_start()", utilities.read_footprint, "never_started")
plain = utilities.build_cnn_baseline()
raises(ValueError, "no MultiHeadAttention", utilities.attention_of_layers, plain, tf.zeros((1, 32, 32, 3)))
raises(ValueError, "no PatchEncoder", utilities.plot_position_similarity, plain)
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The solved notebook after a run in the quick profile, on one processor, its experiments cut short."""
    with pytest.MonkeyPatch.context() as patch:
        for name, threads in ONE_PROCESSOR.items():
            patch.setenv(name, threads)
        return execute(tmp_path_factory.mktemp("lab"), steps=110)


def run_script(folder: Path, script: str, *words: Path) -> str:
    """Run a script in a new process and return what it printed."""
    settings = os.environ | ONE_PROCESSOR | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The styles that the lab's look inside cannot show, and why: all are tried in one process."""
    folder = tmp_path_factory.mktemp("look-inside")
    printed = run_script(folder, LOOK_INSIDE, ROOT / "release" / "vit", *RIGHT.values())
    return {Path(path).stem: error for path, error in json.loads(printed.splitlines()[-1]).items()}


@pytest.mark.slow
def test_quick_profile_runs_offline_to_the_end(executed: dict[str, Any]) -> None:
    text = printed(executed)
    assert "Profile 'quick'" in text
    assert len(re.findall("all public tests passed", text)) == 8
    assert "google/vit-base-patch16-224 is not in this machine's Hugging Face cache" in text
    assert float(re.findall(r"Test accuracy: ([\d.]+)%", text)[0]) > 50


@pytest.mark.slow
def test_footprints_come_from_the_tracker(executed: dict[str, Any]) -> None:
    rows = re.findall(
        r"\| (ViT|CNN) \| ([\d.e-]+) \| ([\d.e-]+) \| ([\d.]+) \| ([\d.]+) \| (\d+) \| ([\d.]+)% \| ([\d,]+) \|",
        printed(executed),
    )
    assert [row[0] for row in rows] == ["ViT", "CNN"]
    for _, energy, grams, seconds, clock, watts, accuracy, _ in rows:
        assert 0 < float(energy) < 1
        assert 0 < float(grams)
        assert 0 < float(seconds) <= float(clock)
        assert 1 < float(watts) < 1000
        assert float(accuracy) > 30


@pytest.mark.slow
def test_every_figure_is_drawn(executed: dict[str, Any]) -> None:
    outputs = [output for cell in executed["cells"] for output in cell.get("outputs", ())]
    figures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(figures) == 25


@pytest.mark.slow
@pytest.mark.parametrize("style", sorted(RIGHT))
def test_look_inside_works_with_students_layers(style: str, failures: dict[str, str]) -> None:
    assert style not in failures, failures[style]


@pytest.mark.slow
def test_public_tests_see_an_edited_module_once_it_is_reloaded(tmp_path: Path) -> None:
    for path in (ROOT / "solutions" / "vit").glob("*.py"):
        shutil.copy(path, tmp_path)
    run_script(tmp_path, EDITED)


@pytest.mark.slow
def test_given_functions_say_what_is_wrong(tmp_path: Path) -> None:
    run_script(tmp_path, FAILURES, ROOT / "release" / "vit")


@pytest.mark.parametrize("folder", ["solutions", "source", "release"])
def test_the_students_module_is_short(folder: str) -> None:
    text = (ROOT / folder / "vit" / "utilities.py").read_text()
    assert len(text.splitlines()) <= 450
    assert public_definitions(text) == set(WRITTEN)


def test_the_students_module_passes_on_all_that_is_given() -> None:
    tree = ast.parse((RELEASE.parent / "utilities.py").read_text())
    imports = {node.module: node for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert set(imports) == {"lab_tools", "public_tests"}
    for module, node in imports.items():
        text = (RELEASE.parent / f"{module}.py").read_text()
        assert {alias.name for alias in node.names} == public_definitions(text)


def public_definitions(text: str) -> set[str]:
    """The names of a module's own functions and classes that do not begin with an underscore."""
    found = (node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    return {node.name for node in found if not node.name.startswith("_")}


def test_release_has_no_answers() -> None:
    released = "\n".join(map(text_of, load_cells(RELEASE.read_bytes())))
    for cell in load_cells(SOURCE.read_bytes()):
        answer = text_of(cell)
        if "BEGIN SOLUTION" in answer:
            inside = [line for line in answer.splitlines() if len(line) > 40 and "SOLUTION" not in line]
            hidden = [line for line in inside if cell["cell_type"] == "markdown"]
            assert not [line for line in hidden if line in released]
    assert "SOLUTION" not in released


def test_pictures_are_shipped_and_shown() -> None:
    shown = set(re.findall(r"\]\((images/\w+\.svg)\)", RELEASE.read_text("utf-8")))
    shipped = {path.relative_to(RELEASE.parent).as_posix() for path in RELEASE.parent.glob("images/*")}
    assert shown == shipped
    assert len(shown) == 4
    for path in shown:
        text = (RELEASE.parent / path).read_text("utf-8")
        assert "<title>" in text
        assert "<desc>" in text
        assert not re.search(r"<script|https?://(?!www\.w3\.org)", text)


def test_every_section_of_the_lab_is_there() -> None:
    titles = [
        line
        for cell in load_cells(RELEASE.read_bytes())
        for line in text_of(cell).splitlines()
        if line.startswith("## ")
    ]
    assert [title.split(".")[0] for title in titles] == [f"## {number}" for number in range(1, 15)]
    points = json.loads(RELEASE.read_text())["cells"]
    grades = [cell["metadata"].get("nbgrader", {}) for cell in points]
    assert sum(cell.get("points", 0) for cell in grades if cell.get("grade")) == 100
