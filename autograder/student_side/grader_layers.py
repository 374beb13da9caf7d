"""Layers of the grader's, which stand behind a model that student code trains.

They run in the student process, where student code can change them. So no mark rests on what they say alone: checks
compare it with what trained weights, and outputs on images that the process never saw, must be.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable("autograder")
class Tape(keras.layers.Layer):  # type: ignore[misc]
    """Passes logits on, and adds up what it sees in inference: the number of samples, and the sum of each logit."""

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras' own
        """Make the sums, which are no weights to train but are saved and loaded with them."""
        self.sums = self.add_weight(name="sums", shape=(input_shape[-1] + 1,), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, logits: Any, training: Any = None) -> Any:  # noqa: ANN401 - tensors, (batch, classes)
        """Return the logits as they are."""
        count = tf.cast(tf.shape(logits)[:1], logits.dtype)
        seen = tf.concat([count, tf.reduce_sum(logits, axis=0)], axis=0)
        self.sums.assign_add(tf.where(_flag(training), tf.zeros_like(seen), seen))
        return tf.identity(logits)


@keras.saving.register_keras_serializable("autograder")
class Clock(keras.layers.Layer):  # type: ignore[misc]
    """Counts the steps of training, and moves all logits by one class once there were more than `limit`.

    It counts with a weight whose gradient is always -1, so each step of Adam adds one learning rate to it, and whoever
    puts the weights of an earlier epoch back puts the clock back, too.

    Args:
        limit: In learning rates times steps.
    """

    def __init__(self, limit: float, **kwargs: Any) -> None:  # noqa: ANN401 - Keras' own
        super().__init__(**kwargs)
        self.limit = limit

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras' own
        """Make the clock."""
        self.time = self.add_weight(name="time", shape=(), initializer="zeros")
        super().build(input_shape)

    def call(self, logits: Any) -> Any:  # noqa: ANN401 - tensors, (batch, classes)
        """Return the logits, in training or before the limit as they are."""
        time = tf.convert_to_tensor(self.time)
        moved = tf.where(time > self.limit, tf.roll(logits, shift=1, axis=-1), logits)
        return _ticking(moved, time)

    def get_config(self) -> dict[str, Any]:
        """Return what makes the same layer."""
        return {**super().get_config(), "limit": self.limit}


@tf.custom_gradient  # type: ignore[untyped-decorator]
def _ticking(logits: Any, time: Any) -> Any:  # noqa: ANN401 - tensors
    return tf.identity(logits), lambda upstream: (upstream, -tf.ones_like(time))


def _flag(training: Any) -> Any:  # noqa: ANN401 - None, a truth value, or a tensor of one
    return tf.cast(keras.backend.learning_phase() if training is None else training, tf.bool)
