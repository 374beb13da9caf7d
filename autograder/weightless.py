"""Models that are only counted: built without memory for their weights, and with little of TensorFlow's graph."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable


@contextmanager
def weightless() -> Iterator[None]:
    """Let models be built in the block whose parameters can be counted, and that can do nothing else.

    Building never reads a weight, so variables get a shape and no memory. It calls each layer once for the shape of
    what comes out, so Dense does that with one operation in place of the ten with which it prepares a product.
    """
    original = keras.layers.Dense.call

    @functools.wraps(original)
    def call(self: Any, inputs: Any) -> Any:  # noqa: ANN401 - a layer, a tensor
        if not isinstance(inputs, tf.Tensor) or inputs.shape.rank in (None, 2):
            return original(self, inputs)
        outputs = tf.matmul(tf.cast(inputs, self.kernel.dtype), self.kernel)
        return outputs if self.activation is None else self.activation(outputs)

    keras.layers.Dense.call = call
    try:
        with tf.variable_creator_scope(_variable_without_memory):
            yield
    finally:
        keras.layers.Dense.call = original


def _variable_without_memory(make: Callable[..., Any], **wanted: Any) -> Any:  # noqa: ANN401 - a tf.Variable
    """Make an uninitialised variable where the initial value is not computed yet, else the one wanted."""
    shape = tf.TensorShape(wanted.get("shape"))
    if not callable(wanted.get("initial_value")) or not shape.is_fully_defined():
        return make(**wanted)
    dtype = tf.as_dtype(wanted.get("dtype") or tf.float32)
    trainable = wanted.get("trainable") is not False
    return UninitializedVariable(trainable=trainable, shape=shape, dtype=dtype, name=wanted.get("name"))
