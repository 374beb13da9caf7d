"""What TensorFlow and Keras do for programs that run for hours, left out in a student process, which lives for seconds.

Nothing here changes what a model computes, beyond the rounding of an optimiser's step.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops import gen_resource_variable_ops as variable_ops
from tf_keras.src.engine import data_adapter
from tf_keras.src.engine.keras_tensor import KerasTensor

_PLAIN = (keras.layers.Add, keras.layers.Dense, keras.layers.Dropout, keras.layers.LayerNormalization)


@functools.cache
def make_lean() -> None:
    """Change this process for good; a second call does nothing."""
    # Graphs run only a few times here, so making them better takes longer than running them as they are.
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    _share_handles()
    _step_at_once()
    _infer_shapes()
    adapters = data_adapter.ALL_ADAPTER_CLS
    adapters[adapters.index(data_adapter.TensorLikeDataAdapter)] = _Arrays


def _share_handles() -> None:
    """Leave a variable's name out of the operation that makes its handle.

    TensorFlow prepares that operation anew for each name that it has not seen, which takes ten times as long as to run
    it. Handles themselves differ nevertheless, and variables keep their names.
    """
    original = variable_ops.var_handle_op

    @functools.wraps(original)
    def var_handle_op(*args: Any, debug_name: str = "", **kwargs: Any) -> Any:  # noqa: ANN401 - TensorFlow's own
        return original(*args, **kwargs)

    variable_ops.var_handle_op = var_handle_op


def _step_at_once() -> None:
    """Let Adam update a weight by TensorFlow's one operation for that, in place of two dozen that have to be traced."""
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
        beta_1, beta_2, epsilon = (tf.cast(one, kind) for one in (adam.beta_1, adam.beta_2, adam.epsilon))
        step = tf.cast(adam.iterations + 1, kind)
        powers = {"beta1_power": tf.pow(beta_1, step), "beta2_power": tf.pow(beta_2, step)}
        rate = tf.cast(adam.learning_rate, kind)
        made[id(adam), kind] = {"lr": rate, "beta1": beta_1, "beta2": beta_2, "epsilon": epsilon} | powers
    return made[id(adam), kind]


def _infer_shapes() -> None:
    """Let Keras' plain layers say what shape comes out, where it would call each in a graph of its own to find out.

    That holds while a model is put together. How often a layer is called later, and what it computes, is not touched.
    """
    original = keras.layers.Layer._keras_tensor_symbolic_call

    @functools.wraps(original)
    def symbolic_call(self: Any, inputs: Any, input_masks: Any, args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        if not _is_plain(self, inputs, input_masks):
            return original(self, inputs, input_masks, args, kwargs)
        with keras.backend.name_scope(self._name_scope()):
            self._maybe_build(inputs)
        shape = self.compute_output_shape(tf.nest.map_structure(lambda one: one.shape, inputs))
        self._set_save_spec(inputs, args, kwargs)
        return KerasTensor(tf.TensorSpec(shape, self.compute_dtype))

    keras.layers.Layer._keras_tensor_symbolic_call = symbolic_call


def _is_plain(layer: Any, inputs: Any, masks: Any) -> bool:  # noqa: ANN401 - Keras' own
    """Whether a new layer's settings say what shape it gives: no mask, and no function of a student's."""
    if type(layer) not in _PLAIN or layer.built or layer.activity_regularizer is not None:
        return False
    given = tf.nest.flatten(inputs)
    if any(mask is not None for mask in tf.nest.flatten(masks)) or not all(type(one) is KerasTensor for one in given):
        return False
    activation = getattr(layer, "activation", keras.activations.linear)
    known = getattr(activation, "__module__", "") == keras.activations.linear.__module__
    return known and all(one.dtype == layer.compute_dtype and one.shape.rank is not None for one in given)


class _Arrays(data_adapter.TensorLikeDataAdapter):  # type: ignore[misc]
    """Hands NumPy arrays to Keras batch by batch, as its own adapter does, with no functions to trace and few threads.

    Those pay off where data are large; here they take longer than a small training.
    """

    def __init__(
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
