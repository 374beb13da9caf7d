"""A layer of the grader's, which stands behind a model that student code trains.

It runs in the student process, where student code can change it. So no mark rests on what it says alone: checks compare
that with what it must say, given the weights that the training must reach.
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


def _flag(training: Any) -> Any:  # noqa: ANN401 - None, a truth value, or a tensor of one
    return tf.cast(keras.backend.learning_phase() if training is None else training, tf.bool)
