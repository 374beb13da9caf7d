"""What a plain in-kernel autograder would run for the lab's automatic tasks: a few asserts in the student's kernel.

They are less than the hidden checks ask (one size each, no named mistakes, nothing carried forward), but hold the
parts that cost time: the large model is counted, a small ViT is trained as long as the hidden checks train theirs, a
training runs under the carbon tracker, and the tiny pretrained model is made and loaded. The notebook's sizes are
those that grading injects (`parameters.py`).
"""

from __future__ import annotations

import json

from autograder.course.assignment import MODULE, Assignment
from autograder.course.cells import Cell, flag, grade_id_of, load_cells, text_of
from autograder.course.grading_notebook import GRADING_TAG, PARAMETERS_TAG
from autograder.course.submission import Snapshot

SMALL_VIT = {
    "input_shape": (8, 8, 1),
    "num_classes": 10,
    "patch_size": 4,
    "embedding_proj_dim": 32,
    "num_heads": 2,
    "msa_proj_dim": 32,
    "transformer_layers": 1,
    "msa_dropout_rate": 0.0,
    "mlp_classification_head_units": [64],
    "mlp_classification_head_dropout_rate": 0.0,
}
EPOCHS = 2
BATCH_SIZE = 48
PARTS = [768, 912, 960]  # where the images for training, validation and testing end

TESTS = {
    "attention": """
q, k, v = (np.random.normal(size=(2, 3, *size)).astype("float32") for size in ((5, 8), (7, 8), (7, 6)))
output, weights = scaled_dot_product_attention(tf.constant(q), tf.constant(k), tf.constant(v))
scores = np.exp(q @ np.swapaxes(k, -1, -2) / np.sqrt(8))
right = scores / scores.sum(axis=-1, keepdims=True)
assert output.shape == (2, 3, 5, 6)
np.testing.assert_allclose(weights, right, atol=1e-5)
np.testing.assert_allclose(output, right @ v, atol=1e-5)
""",
    "multi_head_attention": """
layer = MultiHeadAttention(3, 8, 8, 8)
x = tf.random.normal((2, 5, 8))
output = layer(x, x, x)
assert output.shape == (2, 5, 8)
assert sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights) == 4 * 3 * 8 * 8
turned = tf.reverse(x, axis=[1])
np.testing.assert_allclose(layer(x, turned, turned), output, atol=1e-4)
""",
    "mlp": """
from utilities import mlp

inputs = keras.Input((5, 8))
model = keras.Model(inputs, mlp(inputs, [16, 6], 0.1))
assert model.count_params() == 8 * 16 + 16 + 16 * 6 + 6
x = np.random.normal(size=(2, 5, 8)).astype("float32")
assert model(x).shape == (2, 5, 6)
np.testing.assert_allclose(model(x[:, ::-1])[:, ::-1], model(x), atol=1e-5)
""",
    "transformer_block": """
from utilities import transformerBlock

inputs = keras.Input((5, 8))
model = keras.Model(inputs, transformerBlock(inputs, 3, 8, [16, 8], 0.1))
assert model.count_params() == 4 * 3 * 8 * 8 + (8 * 16 + 16) + (16 * 8 + 8) + 2 * 2 * 8
output = model(np.random.normal(size=(2, 5, 8)).astype("float32")).numpy()
assert output.shape == (2, 5, 8)
np.testing.assert_allclose(output.mean(axis=-1), 0, atol=1e-3)
np.testing.assert_allclose(output.std(axis=-1), 1, atol=1e-2)
""",
    "data_split": """
assert len(Xtrain) == len(Ytrain) == 3 * len(X_train) // 4
assert len(Xval) == len(Yval) == len(X_train) // 4
""",
    "preprocessing": """
for images in (Xtrain, Xval, Xtest):
    values = np.asarray(images)
    assert values.dtype == np.float32
    assert -1.01 <= values.min() < -0.9 and 0.9 < values.max() <= 1.01
""",
    "patch_extractor": """
images = np.arange(2 * 4 * 4 * 3).reshape(2, 4, 4, 3).astype("float32")
patches = PatchExtractor(2)(tf.constant(images))
assert patches.shape == (2, 4, 12)
np.testing.assert_array_equal(patches[1, 2], images[1, 2:, :2].reshape(12))
""",
    "patch_encoder": """
layer = PatchEncoder(4, 6)
tokens = layer(tf.ones((2, 4, 12)))
assert tokens.shape == (2, 5, 6)
assert sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights) == 12 * 6 + 6 + 6 + 5 * 6
np.testing.assert_allclose(tokens[0], tokens[1], atol=1e-6)
""",
    "vit_model": """
assert vit.count_params() == 371_104_544
model = create_vit_classifier(**small)
logits = model(np.random.normal(size=(4, *small["input_shape"])).astype("float32")).numpy()
assert logits.shape == (4, 10)
assert logits.std(axis=0).min() > 0
""",
    "training": """
from sklearn.datasets import load_digits

digits, labels = load_digits(return_X_y=True)
digits = (digits.reshape(-1, 8, 8, 1) / 8 - 1).astype("float32")
parts = np.split(np.random.permutation(len(digits)), {parts})[:3]
data = [(digits[part], labels[part]) for part in parts]
model = create_vit_classifier(**small)
history = run_experiment(model, *data, epochs={epochs}, batch_size={batch_size}, learning_rate=5e-3)
assert len(history.history["val_accuracy"]) == {epochs}
found = model(data[1][0], training=False).numpy().argmax(axis=-1)
assert (found == data[1][1]).mean() >= 0.4
""",
    "carbon": """
points, classes = np.random.normal(size=(96, 6)).astype("float32"), np.random.randint(0, 3, size=96)
model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
measured = measure_footprint(
    model, "footprint", *[(points, classes)] * 3, epochs=2, batch_size=32, learning_rate=0.01, run_testing=False
)
assert len(measured.history["loss"]) == 2
assert read_footprint("footprint")["energy_kwh"] > 0
""",
    "pretrained": """
from utilities import save_tiny_vit

processor, pretrained = load_pretrained_vit(save_tiny_vit("tiny_model"))
image = np.random.randint(0, 256, size=(45, 64, 3), dtype=np.uint8)
answer = classify_image(image, processor, pretrained)
assert len(answer) == 5
chances = [chance for _, chance in answer]
assert chances == sorted(chances, reverse=True) and 0 < sum(chances) <= 1.0001
""",
}
"""Text of each task's tests, by grade_id; `small` holds the sizes of a small ViT."""


def tests_of(task: str) -> str:
    """Return the text of one task's tests, with its sizes and epochs."""
    text = TESTS[task].strip("\n")
    for word, value in (("{epochs}", EPOCHS), ("{batch_size}", BATCH_SIZE), ("{parts}", PARTS)):
        text = text.replace(word, str(value))
    return f"small = {SMALL_VIT!r}\n{text}" if "**small" in text else text


def minimal_notebook(assignment: Assignment, student_notebook: bytes | None = None) -> bytes:
    """Return a notebook with only what the automatic tasks need.

    Args:
        assignment: Whose built source notebook is cut down.
        student_notebook: Where answers come from; by default the solved notebook's own.
    """
    notebook = json.loads(assignment.notebook_path.read_bytes())
    theirs = load_cells(student_notebook) if student_notebook else []
    answers = {grade_id_of(cell): text_of(cell) for cell in theirs if flag(cell, "solution")}
    parameters = (assignment.checks_dir / "parameters.py").read_text("utf-8")
    notebook["cells"] = [_filled(cell, answers, parameters) for cell in notebook["cells"] if _is_needed(cell)]
    return json.dumps(notebook, indent=1).encode()


def _is_needed(cell: Cell) -> bool:
    tagged = GRADING_TAG in cell["metadata"].get("tags", [])
    return cell["cell_type"] == "code" and (tagged or flag(cell, "solution") or grade_id_of(cell) in TESTS)


def _filled(cell: Cell, answers: dict[str, str], parameters: str) -> Cell:
    name, tags = grade_id_of(cell), cell["metadata"].pop("tags", [])
    if name in TESTS:
        return cell | {"source": tests_of(name)}
    if PARAMETERS_TAG in tags:
        return cell | {"source": f"{text_of(cell)}\n{parameters}"}
    return cell | {"source": answers.get(name, text_of(cell))}


def whole_module(assignment: Assignment, text: str) -> bytes:
    """Return a student's module as one is handed in: what the lab gives, with the student's parts after it."""
    given = (assignment.source_dir / f"{MODULE}.py").read_text("utf-8")
    return f"{given}\n\n{text}".encode()


def in_kernel_files(assignment: Assignment, snapshot: Snapshot) -> dict[str, bytes]:
    """Return a submission's files with the notebook cut down to what an in-kernel grader runs."""
    given = {path.name: path.read_bytes() for path in assignment.given_modules}
    notebook = {snapshot.notebook: minimal_notebook(assignment, snapshot.notebook_bytes)}
    return snapshot.files | given | notebook
