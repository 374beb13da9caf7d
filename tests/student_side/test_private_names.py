"""What a student process leaves out of TensorFlow and Keras, against what these would have computed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import StudentDied, StudentRaised
from autograder.grading.student_process import StudentProcess
from autograder.grading.zygote_client import Zygote

pytestmark = pytest.mark.slow

MODULE = b"""
import sys
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.util import _pywrap_util_port

def imported_keras_3():
    return "keras" in sys.modules

def layer_of_keras_3():
    from tensorflow.keras.layers import Dense
    assert Dense is tf.keras.layers.Dense
    return Dense.__module__.partition(".")[0], tf.keras.layers.Dense(3)(tf.ones((2, 4))).numpy()

def compiles_for_each_shape():
    return _pywrap_util_port.IsMklEnabled()

class Watched(keras.Model):
    def __init__(self):
        super().__init__()
        self.seen, self.bias = [], self.add_weight("bias", ())
    def train_step(self, data):
        x, y = data
        self.seen.append(("train", x.numpy(), y.numpy()))
        return {"loss": 0.0}
    def test_step(self, data):
        x, y = data
        self.seen.append(("test", x.numpy(), y.numpy()))
        return {"loss": 0.0}

def batches(samples, checked, **options):
    model = Watched()
    model.compile(run_eagerly=True)
    options["validation_data"] = tuple(checked) if checked else None
    model.fit(*samples, verbose=0, **options)
    return model.seen

def shape_in_graph(samples, batch_size):
    found = []
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1)(inputs))
    def loss(right, given):
        found.append(list(right.shape))
        return given
    model.compile("sgd", loss)
    model.fit(*samples, batch_size=batch_size, verbose=0)
    return found[-1]

def steps_of_adam(start, gradients, **settings):
    variable = tf.Variable(start)
    optimizer = keras.optimizers.Adam(**settings)
    step = tf.function(lambda gradient: optimizer.apply_gradients([(gradient, variable)]))
    optimizer.build([variable])
    for gradient in gradients:
        step(tf.constant(gradient))
    return variable.numpy()

def rows_of_adam(start, rows):
    variable = tf.Variable(start)
    gradient = tf.IndexedSlices(tf.ones((len(rows), start.shape[1])), rows, start.shape)
    keras.optimizers.Adam(0.1).apply_gradients([(gradient, variable)])
    return variable.numpy()

def plain_model(inferred):
    keras.backend.clear_session()
    keras.utils.set_random_seed(1)
    call = keras.layers.Layer._keras_tensor_symbolic_call
    keras.layers.Layer._keras_tensor_symbolic_call = call if inferred else call.__wrapped__
    try:
        inputs = keras.Input((5, 8))
        wide = keras.layers.Dense(6, activation="gelu")(inputs)
        calm = keras.layers.Dropout(0.5)(keras.layers.LayerNormalization()(wide))
        cut = keras.layers.Dense(6, activation=lambda x: x[..., :1])(calm)
        logits = keras.layers.Dense(3)(keras.layers.Add()([wide, calm, cut])[:, 0])
        model = keras.Model(inputs, [logits, wide, calm, cut])
    finally:
        keras.layers.Layer._keras_tensor_symbolic_call = call
    outputs = [(list(one.shape), one.dtype.name) for one in model.outputs]
    weights = [(one.name, list(one.shape)) for one in model.weights]
    return outputs, weights, [layer.name for layer in model.layers], model(tf.ones((2, 5, 8)))

def sum_of_unlike_shapes():
    return keras.layers.Add()([keras.Input((5, 8)), keras.Input((5, 7))])

def dense_of_another_width():
    dense = keras.layers.Dense(2)
    dense(keras.Input((3,)))
    return dense(keras.Input((4,)))

def private_names():
    from tensorflow.python.ops import gen_random_ops, gen_stateless_random_ops_v2
    from tensorflow.python.ops.resource_variable_ops import UninitializedVariable
    from tf_keras.src.engine import data_adapter
    from tf_keras.src.engine.keras_tensor import KerasTensor
    adam = keras.optimizers.Adam()
    adam.build([tf.Variable(1.0)])
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(1,))])
    model.compile("adam", "mse")
    wanted = (
        (adam, ("update_step", "_index_dict", "_var_key", "_momentums", "_velocities", "amsgrad", "adaptive_epsilon")),
        (keras.layers.Layer, ("_keras_tensor_symbolic_call", "_maybe_build", "_name_scope", "_set_save_spec")),
        (data_adapter, ("ALL_ADAPTER_CLS", "TensorLikeDataAdapter", "DataAdapter", "_process_tensorlike")),
        (model, ("compiled_loss", "compiled_metrics")),
        (model, ("_flatten_layers", "_call_spec")),
        (model._call_spec, ("expects_training_arg",)),
        (gen_random_ops, ("random_standard_normal", "random_uniform", "truncated_normal")),
        (gen_stateless_random_ops_v2, ("stateless_random_normal_v2", "stateless_truncated_normal_v2")),
    )
    return [name for owner, names in wanted for name in names if not hasattr(owner, name)]

def drawn(size):
    glorot = keras.initializers.GlorotUniform()
    draws = (
        tf.random.normal((size, size)), tf.random.uniform((size, size)), tf.random.truncated_normal((size, size)),
        glorot((size, size)), tf.random.stateless_normal((size, size), (1, 2)),
    )
    return [float(tf.math.reduce_std(draw)) for draw in draws]
"""


@pytest.fixture(scope="module")
def process() -> Iterator[StudentProcess]:
    settings = Settings(request_seconds=60.0)
    with Zygote(threads=1) as zygote:
        one = StudentProcess(zygote, Snapshot({"utilities.py": MODULE}, "vit.ipynb"), settings)
        one.ask(wire.Load("utilities", ""))
        yield one
        one.stop()


@pytest.fixture
def student(process: StudentProcess) -> Student:
    return Student(process.ask, lambda variables: None, training_seconds=60.0)


def pairs(count: int, first: float = 0.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Return samples that are numbered, and labels that tell which sample they belong to."""
    numbers = np.arange(count) + first
    return numbers[:, None].astype(np.float32), (10 * numbers).astype(np.int64)


def seen_by(step: str, batches: Any) -> list[np.ndarray[Any, Any]]:
    """Return the samples of each batch of one kind of step, after a look at their labels."""
    chosen = [(x, y) for kind, x, y in batches if kind == step]
    for x, y in chosen:
        np.testing.assert_array_equal(y, 10 * x[:, 0])
    return [x[:, 0] for x, _ in chosen]


def test_each_epoch_has_each_sample_once_with_its_label_in_a_new_order(student: Student) -> None:
    batches = seen_by("train", student.call("batches", pairs(23), None, epochs=3, batch_size=5))
    assert [len(batch) for batch in batches] == 3 * [5, 5, 5, 5, 3]
    epochs = [np.concatenate(batches[place : place + 5]) for place in (0, 5, 10)]
    for order in epochs:
        np.testing.assert_array_equal(np.sort(order), np.arange(23))
    assert len({tuple(order) for order in epochs}) == 3


def test_the_order_is_kept_where_that_is_asked_for_and_where_is_no_training(student: Student) -> None:
    found = student.call("batches", pairs(7), pairs(5, first=100), epochs=2, batch_size=4, shuffle=False)
    assert np.concatenate(seen_by("train", found)).tolist() == 2 * list(range(7))
    assert np.concatenate(seen_by("test", found)).tolist() == 2 * list(range(100, 105))


def test_batches_have_the_size_that_keras_would_choose(student: Student) -> None:
    sizes = [len(batch) for batch in seen_by("train", student.call("batches", pairs(70), None))]
    assert sizes == [32, 32, 6]
    sizes = [len(batch) for batch in seen_by("train", student.call("batches", pairs(70), None, steps_per_epoch=7))]
    assert sizes == 7 * [10]


def test_weights_of_samples_and_other_data_go_the_usual_way(student: Student) -> None:
    samples, labels = pairs(6)
    with pytest.raises(StudentRaised, match="too many values to unpack"):  # a batch holds the weights as well
        student.call("batches", (samples, labels), None, sample_weight=np.ones(6, np.float32))
    batches = student.call("batches", (samples, labels), None, shuffle="batch", batch_size=3)
    assert sorted(np.concatenate([x[:, 0] for _, x, _ in batches])) == list(range(6))  # labels lose their samples


def test_a_graph_knows_the_size_of_its_batches_if_all_are_full(student: Student) -> None:
    assert student.call("shape_in_graph", pairs(8), 4) == (4, 1)
    assert student.call("shape_in_graph", pairs(9), 4) == (None, 1)


def adam(start: np.ndarray[Any, Any], gradients: np.ndarray[Any, Any], rate: float, **betas: float) -> Any:
    """Return the weights after Adam's steps: Kingma and Ba (2015), algorithm 1, with epsilon as Keras puts it."""
    weights, m, v = start.astype(np.float64), 0.0, 0.0
    first, second, epsilon = betas.get("beta_1", 0.9), betas.get("beta_2", 0.999), betas.get("epsilon", 1e-7)
    for step, gradient in enumerate(gradients.astype(np.float64), 1):
        m, v = first * m + (1 - first) * gradient, second * v + (1 - second) * gradient**2
        weights -= rate * np.sqrt(1 - second**step) / (1 - first**step) * m / (np.sqrt(v) + epsilon)
    return weights


@pytest.mark.parametrize("betas", [{}, {"beta_1": 0.7, "beta_2": 0.95, "epsilon": 0.01}])
def test_adam_steps_as_published(student: Student, betas: dict[str, float]) -> None:
    rng = np.random.default_rng(1)
    start, gradients = rng.normal(size=(3, 2)).astype(np.float32), rng.normal(size=(6, 3, 2)).astype(np.float32)
    found = student.call("steps_of_adam", start, gradients, learning_rate=0.1, **betas)
    np.testing.assert_allclose(found, adam(start, gradients, 0.1, **betas), atol=2e-6)


def test_adam_keeps_its_variants_and_sparse_gradients(student: Student) -> None:
    start, gradients = np.ones((2, 2), np.float32), np.ones((3, 2, 2), np.float32)
    gradients[1:] *= 1e-3  # AMSGrad remembers how large the first one was
    plain, variant = (
        student.call("steps_of_adam", start, gradients, learning_rate=0.1, beta_2=0.1, amsgrad=amsgrad)
        for amsgrad in (False, True)
    )
    assert np.max(variant - plain) > 0.05
    moved = student.call("rows_of_adam", start, [1])
    np.testing.assert_allclose(moved, np.array([[1, 1], [0.9, 0.9]]), atol=1e-4)


def test_a_model_is_the_same_whose_plain_layers_say_their_shapes(student: Student) -> None:
    (*parts, values), (*usual, right) = (student.call("plain_model", inferred) for inferred in (True, False))
    assert parts == usual
    assert [shape for shape, _ in parts[0]] == [(None, 3), (None, 5, 6), (None, 5, 6), (None, 5, 1)]
    for found, expected in zip(values, right, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("mistake", ["sum_of_unlike_shapes", "dense_of_another_width"])
def test_layers_that_do_not_fit_are_still_told(student: Student, mistake: str) -> None:
    with pytest.raises(StudentRaised, match="ValueError"):
        student.call(mistake)


def test_the_private_names_are_still_there(student: Student) -> None:
    """If this fails, a library has moved on: see the docstring of the shortcut that uses the name."""
    assert student.call("private_names") == ()


def test_the_private_modules_of_keras_3_are_still_there() -> None:
    """If this fails, Keras 3 has moved on: see `private_names/other_keras.py`."""
    keras_3 = find_spec("keras")
    assert keras_3 is not None
    (folder,) = map(Path, keras_3.submodule_search_locations or ())
    assert "\nclass Layer(" in (folder / "src/layers/layer.py").read_text("utf-8")
    assert (folder / "src/optimizers/__init__.py").is_file()


def test_a_counted_model_begins_with_numbers_that_are_all_alike(student: Student, process: StudentProcess) -> None:
    cell = "import utilities\nlarge, small = utilities.drawn(256), utilities.drawn(8)"
    process.ask(wire.RunCell("a", cell, weightless=True))
    assert max(process.ask(wire.Read("large"))) < 1e-6
    assert min(process.ask(wire.Read("small"))) > 0.1
    assert min(student.call("drawn", 256)) > 0.03


def test_keras_3_is_imported_where_it_is_asked_for(student: Student) -> None:
    assert student.call("imported_keras_3") is False
    package, answer = student.call("layer_of_keras_3")
    assert package == "keras"
    assert answer.shape == (2, 3)
    assert student.call("imported_keras_3") is True


def test_nothing_is_compiled_for_each_shape(student: Student) -> None:
    assert student.call("compiles_for_each_shape") is False


class Described:
    """Answers for a student process and counts how often it has to describe a layer."""

    def __init__(self) -> None:
        self.times = 0

    def ask(self, question: wire.Question, seconds: float | None = None) -> object:
        """Return a layer, or its description."""
        del seconds
        if isinstance(question, wire.Describe):
            self.times += 1
            return {"weights": (), "layers": ()}
        return wire.Ref(7, "layer", "Dense")


def test_a_layer_is_described_again_once_it_may_have_changed() -> None:
    behind, process = Described(), ["first"]
    student = Student(behind.ask, lambda variables: None, training_seconds=1.0, process=lambda: process[0])
    layer = student.layer("Dense", 3)
    layer.weights()
    layer.parts()
    layer.set_weights([])
    student.variable("vit")
    layer.parts()
    assert behind.times == 1
    layer(np.ones(1))
    layer.parts()
    assert behind.times == 2
    process[0] = "second"
    with pytest.raises(StudentDied):  # the layer ended with the process that it was made in
        layer.parts()
    assert behind.times == 2
