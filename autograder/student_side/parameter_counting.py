"""Models that are only counted: built without memory for their weights, and with little of TensorFlow's graph."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras
from tensorflow.python.ops import gen_random_ops, gen_stateless_random_ops_v2
from tensorflow.python.ops.resource_variable_ops import UninitializedVariable

MANY = 1 << 16
"""So many random numbers are not drawn: zeros take their place."""
_DRAWS = (
    (gen_random_ops, ("random_standard_normal", "random_uniform", "truncated_normal")),
    (
        gen_stateless_random_ops_v2,
        ("stateless_random_normal_v2", "stateless_random_uniform_v2", "stateless_truncated_normal_v2"),
    ),
)


@contextmanager
def weightless() -> Iterator[None]:
    """Within the block, models are only built to count their parameters; they can do nothing else.

    Building never reads a weight, so variables get a shape and no memory, and many random numbers, which a variable may
    begin with, are one number many times. Keras calls each layer once to learn the shape of what comes out; Dense and
    LayerNormalization, of which a Transformer has many, do that here with one operation or none in place of ten or
    twenty. Layers that were made before work as ever.
    """
    with ExitStack() as restored:
        _shorten(keras.layers.Dense, _shaped, restored)
        _shorten(keras.layers.LayerNormalization, _as_it_came, restored)
        for module, names in _DRAWS:
            for name in names:
                _spare_draws(module, name, restored)
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


def _was_made_here(layer: Any) -> bool:  # noqa: ANN401
    weights = (getattr(one, "_variable", one) for one in layer.weights)  # Keras wraps those of mixed precision
    return all(isinstance(one, UninitializedVariable) for one in weights)


def _shaped(layer: Any, inputs: tf.Tensor) -> tf.Tensor:  # noqa: ANN401
    outputs = tf.raw_ops.Placeholder(dtype=layer.compute_dtype, shape=[*inputs.shape[:-1], layer.units])
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
