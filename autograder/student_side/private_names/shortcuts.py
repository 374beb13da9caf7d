"""Shortcuts into private names of TensorFlow and Keras.

Each saves at least 5 % of a submission's cpu time, but for one: counting without random numbers only saves where a
module draws its own, and then half the time. `benchmarks.shortcuts` measures them; docs/performance.md has the figures.
TensorFlow and Keras do much for programs that run for hours; a student process lives for seconds. Nothing here changes
what a model computes, beyond the rounding of an optimiser's step. When the libraries move on,
tests/student_side/test_private_names.py says which name is gone; each shortcut can be taken out without the others.
What Keras tells by a private name alone is asked here, too.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops import gen_random_ops, gen_stateless_random_ops_v2
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable
from tf_keras.src.engine import data_adapter
from tf_keras.src.engine.keras_tensor import KerasTensor

MANY = 1 << 16
"""So many random numbers are not drawn: zeros take their place."""
_DRAWS = (
    (gen_random_ops, ("random_standard_normal", "random_uniform", "truncated_normal")),
    (
        gen_stateless_random_ops_v2,
        ("stateless_random_normal_v2", "stateless_random_uniform_v2", "stateless_truncated_normal_v2"),
    ),
)
_PLAIN = (keras.layers.Add, keras.layers.Dense, keras.layers.Dropout, keras.layers.LayerNormalization)


@functools.cache
def take_shortcuts() -> None:
    """Change this process for good; a second call does nothing."""
    # Graphs run only a few times here, so making them better takes longer than running them as they are.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    _step_at_once()
    _infer_shapes()
    adapters = data_adapter.ALL_ADAPTER_CLS
    adapters[adapters.index(data_adapter.TensorLikeDataAdapter)] = _Arrays


def _step_at_once() -> None:
    """Let Adam update a weight by TensorFlow's one operation for that, in place of two dozen that have to be traced.

    Breaks when Keras' Adam keeps its moments elsewhere than in `_momentums`, `_velocities` and `_index_dict`.
    """
    original = keras.optimizers.Adam.update_step

    @functools.wraps(original)
    def update_step(self: Any, gradient: Any, variable: Any) -> None:  # noqa: ANN401 - Keras' own
        if self.amsgrad or self.adaptive_epsilon or isinstance(gradient, tf.IndexedSlices):
            original(self, gradient, variable)
            return
        place = self._index_dict[self._var_key(variable)]
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].handle,
            v=self._velocities[place].handle,
            grad=gradient,
            **_factors(self, variable.dtype),
        )

    keras.optimizers.Adam.update_step = update_step


def _factors(adam: Any, kind: tf.DType) -> dict[str, tf.Tensor]:  # noqa: ANN401 - Keras' own
    """Return what the updates of all weights in this step share; in a graph, they share the operations, too."""
    made: dict[tuple[int, tf.DType], dict[str, tf.Tensor]] = {}
    if not tf.executing_eagerly():
        graph = tf.compat.v1.get_default_graph()
        made = graph._factors_of_adam = getattr(graph, "_factors_of_adam", made)
    if (id(adam), kind) not in made:
        beta_1, beta_2, epsilon = (tf.cast(setting, kind) for setting in (adam.beta_1, adam.beta_2, adam.epsilon))
        step = tf.cast(adam.iterations + 1, kind)
        powers = {"beta1_power": tf.pow(beta_1, step), "beta2_power": tf.pow(beta_2, step)}
        rate = tf.cast(adam.learning_rate, kind)
        made[id(adam), kind] = {"lr": rate, "beta1": beta_1, "beta2": beta_2, "epsilon": epsilon} | powers
    return made[id(adam), kind]


def _infer_shapes() -> None:
    """Let Keras' plain layers say what shape comes out, where it would call each in a graph of its own to find out.

    That holds while a model is put together. How often a layer is called later, and what it computes, is not touched.
    Breaks when Keras renames `_keras_tensor_symbolic_call`, or has it do more than build, call and save the spec.
    """
    original = keras.layers.Layer._keras_tensor_symbolic_call

    @functools.wraps(original)
    def symbolic_call(self: Any, inputs: Any, input_masks: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        if not _is_plain(self, inputs, input_masks):
            return original(self, inputs, input_masks, args, kwargs)
        with keras.backend.name_scope(self._name_scope()):
            self._maybe_build(inputs)
        shape = self.compute_output_shape(tf.nest.map_structure(lambda tensor: tensor.shape, inputs))
        self._set_save_spec(inputs, args, kwargs)
        return KerasTensor(tf.TensorSpec(shape, self.compute_dtype))

    keras.layers.Layer._keras_tensor_symbolic_call = symbolic_call


def _is_plain(layer: Any, inputs: Any, masks: Any) -> bool:  # noqa: ANN401 - Keras' own
    """Whether a new layer's settings say what shape it gives: no mask, and no function of a student's."""
    if type(layer) not in _PLAIN or layer.built or layer.activity_regularizer is not None:
        return False
    given = tf.nest.flatten(inputs)
    if any(mask is not None for mask in tf.nest.flatten(masks)):
        return False
    if not all(type(tensor) is KerasTensor for tensor in given):
        return False
    activation = getattr(layer, "activation", keras.activations.linear)
    known = getattr(activation, "__module__", "") == keras.activations.linear.__module__
    return known and all(tensor.dtype == layer.compute_dtype and tensor.shape.rank is not None for tensor in given)


class _Arrays(data_adapter.TensorLikeDataAdapter):  # type: ignore[misc]
    """Hands NumPy arrays to Keras batch by batch, as its own adapter does, with no functions to trace and few threads.

    Those pay off where data are large; here they take longer than a small training. Breaks when Keras' adapters are
    chosen or made otherwise, or read other attributes than those that are set here.
    """

    def __init__(  # Keras' own signature: it makes adapters by it
        self,
        x: Any,  # noqa: ANN401 - whatever a student passes
        y: Any = None,  # noqa: ANN401
        sample_weights: Any = None,  # noqa: ANN401
        sample_weight_modes: Any = None,  # noqa: ANN401
        batch_size: int | None = None,
        epochs: int = 1,
        steps: int | None = None,
        shuffle: Any = False,  # noqa: ANN401 - a bool or a word
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        arrays = isinstance(x, np.ndarray) and isinstance(y, np.ndarray) and len(x) == len(y) > 0
        if not arrays or sample_weights is not None or not isinstance(shuffle, bool):
            super().__init__(x, y, sample_weights, sample_weight_modes, batch_size, epochs, steps, shuffle, **kwargs)
            return
        data_adapter.DataAdapter.__init__(self, x, y, **kwargs)
        size = batch_size or (math.ceil(len(x) / steps) if steps else 32)  # Keras' own defaults
        self._size, self._batch_size, self._partial_batch_size = math.ceil(len(x) / size), size, len(x) % size
        self._shuffle = shuffle
        samples = tf.data.Dataset.from_tensor_slices(data_adapter._process_tensorlike((x, y)))
        if shuffle:
            samples = samples.shuffle(len(x))
        batches = samples.batch(size, drop_remainder=not self._partial_batch_size)
        self._dataset = batches.repeat(epochs).with_options(_options())


def _options() -> tf.data.Options:
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    options.threading.private_threadpool_size = 1
    return options


@contextmanager
def traced_once() -> Iterator[None]:
    """Make the variables of optimizer and metrics before `fit` in the block.

    Made by the first training step, as usual, they have TensorFlow trace that step twice, which takes longer than a
    small training itself. If `compiled_loss` or `compiled_metrics` change, training only becomes slower.
    """
    original = keras.Model.fit

    @functools.wraps(original)
    def fit(self: Any, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        with suppress(Exception):  # what does not fit here, fit makes itself, or says what is wrong
            _make_variables(self, y)
        return original(self, x, y, *args, **kwargs)

    keras.Model.fit = fit
    try:
        yield
    finally:
        keras.Model.fit = original


def _make_variables(model: Any, labels: Any) -> None:  # noqa: ANN401 - a compiled model, arrays
    if model.run_eagerly or len(model.outputs) != 1 or labels is None:
        return
    (output,) = model.outputs
    answer = tf.zeros((1, *output.shape[1:]), output.dtype)
    model.optimizer.build(model.trainable_variables)
    model.compiled_loss.build(answer)
    model.compiled_metrics.build(answer, tf.convert_to_tensor(labels[:1]))


def layers_inside(layer: Any) -> list[Any]:  # noqa: ANN401 - any Keras layer
    """Return the layers inside a layer, at any depth, in the order in which they were given to it.

    `submodules`, the public way, goes by the names of attributes. Breaks when Keras renames `_flatten_layers`.
    """
    return list(layer._flatten_layers(include_self=False))


def refuses_training(layer: Any) -> bool:  # noqa: ANN401 - any Keras layer
    """Whether a layer takes no argument `training`, as Keras itself decides it: no public name tells.

    When Keras renames `_call_spec`, no layer refuses it any more, and calls of those that do raise.
    """
    spec = getattr(layer, "_call_spec", None)
    return spec is not None and not spec.expects_training_arg


@contextmanager
def weightless() -> Iterator[None]:
    """Within the block, models are only built to count their parameters; they can do nothing else.

    Building never reads a weight, so variables get a shape and no memory, and many random numbers, which a variable may
    begin with, are one number many times: without that, a module that draws its own initial values takes twice as long
    to count. Layers that were made before work as ever. Breaks when TensorFlow has no `UninitializedVariable`, or when
    its random numbers come from other operations.
    """
    with ExitStack() as restored:
        for module, names in _DRAWS:
            for name in names:
                _spare_draws(module, name, restored)
        restored.enter_context(tf.variable_creator_scope(_variable_without_memory))
        yield


def _spare_draws(module: Any, name: str, restored: ExitStack) -> None:  # noqa: ANN401 - TensorFlow's own
    original = getattr(module, name)
    signature = inspect.signature(original)

    @functools.wraps(original)
    def draw(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        given = signature.bind(*args, **kwargs).arguments
        if tf.executing_eagerly() and np.prod(given["shape"], dtype=float) >= MANY:
            return tf.zeros(given["shape"], given.get("dtype", tf.float32))
        return original(*args, **kwargs)

    setattr(module, name, draw)
    restored.callback(setattr, module, name, original)


def _variable_without_memory(make: Callable[..., Any], **wanted: Any) -> Any:  # noqa: ANN401 - a tf.Variable
    """Make an uninitialised variable where the initial value is not computed yet, else the one wanted."""
    shape = tf.TensorShape(wanted.get("shape"))
    if not callable(wanted.get("initial_value")) or not shape.is_fully_defined():
        return make(**wanted)
    dtype = tf.as_dtype(wanted.get("dtype") or tf.float32)
    trainable = wanted.get("trainable") is not False
    return UninitializedVariable(trainable=trainable, shape=shape, dtype=dtype, name=wanted.get("name"))
