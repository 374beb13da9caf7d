"""Models that are only counted: built without memory for their weights, and with little of TensorFlow's graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable


@contextmanager
def weightless() -> Iterator[None]:
    """Within the block, models are only built to count their parameters; they can do nothing else.

    Building never reads a weight, so variables get a shape and no memory. Keras calls each layer once to learn the
    shape of what comes out; Dense and LayerNormalization, of which a Transformer has many, do that here with a product
    or nothing in place of ten or twenty operations. Layers that were made before work as ever.
    """
    with ExitStack() as restored:
        _shorten(keras.layers.Dense, _multiplied, restored)
        _shorten(keras.layers.LayerNormalization, _as_it_came, restored)
        restored.enter_context(tf.variable_creator_scope(_variable_without_memory))
        yield


def _shorten(kind: Any, short: Callable[..., Any], restored: ExitStack) -> None:  # noqa: ANN401 - a layer's class
    original = kind.call

    @functools.wraps(original)
    def call(self: Any, inputs: Any) -> Any:  # noqa: ANN401 - a layer, a tensor
        symbolic = isinstance(inputs, tf.Tensor) and tf.is_symbolic_tensor(inputs) and inputs.shape.rank is not None
        return short(self, inputs) if symbolic and _was_made_here(self) else original(self, inputs)

    kind.call = call
    restored.callback(setattr, kind, "call", original)


def _was_made_here(layer: Any) -> bool:  # noqa: ANN401
    weights = (getattr(one, "_variable", one) for one in layer.weights)  # Keras wraps those of mixed precision
    return all(isinstance(one, UninitializedVariable) for one in weights)


def _multiplied(layer: Any, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    outputs = tf.matmul(tf.cast(inputs, layer.kernel.dtype), layer.kernel)
    return outputs if layer.activation is None else layer.activation(outputs)


def _as_it_came(layer: Any, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    return tf.cast(inputs, layer.compute_dtype)


def _variable_without_memory(make: Callable[..., Any], **wanted: Any) -> Any:  # noqa: ANN401 - a tf.Variable
    """Make an uninitialised variable where the initial value is not computed yet, else the one wanted."""
    shape = tf.TensorShape(wanted.get("shape"))
    if not callable(wanted.get("initial_value")) or not shape.is_fully_defined():
        return make(**wanted)
    dtype = tf.as_dtype(wanted.get("dtype") or tf.float32)
    trainable = wanted.get("trainable") is not False
    return UninitializedVariable(trainable=trainable, shape=shape, dtype=dtype, name=wanted.get("name"))
