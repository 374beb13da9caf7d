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
    """Let models be built in the block whose parameters can be counted, and that can do nothing else.

    Building never reads a weight, so variables get a shape and no memory. It calls each layer once for the shape of
    what comes out, so layers that a Transformer has many of do that with one operation in place of ten or twenty.
    """
    with ExitStack() as restored:
        _replace_call(keras.layers.Dense, _multiplied, restored)
        _replace_call(keras.layers.LayerNormalization, _as_it_came, restored)
        restored.enter_context(tf.variable_creator_scope(_variable_without_memory))
        yield


def _replace_call(layer: Any, short: Callable[..., Any], restored: ExitStack) -> None:  # noqa: ANN401 - a class
    original = layer.call

    @functools.wraps(original)
    def call(self: Any, inputs: Any) -> Any:  # noqa: ANN401 - a layer, a tensor
        plain = isinstance(inputs, tf.Tensor) and inputs.shape.rank is not None
        return short(self, inputs) if plain else original(self, inputs)

    layer.call = call
    restored.callback(setattr, layer, "call", original)


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
