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
    """Passes logits on, and keeps those that it sees in inference: a row for each sample, a 1 and its logits.

    Args:
        rows: How many are kept, the latest ones at the end. Those that nothing was seen for are zeros.
    """

    def __init__(self, rows: int, **kwargs: Any) -> None:  # noqa: ANN401 - Keras' own
        super().__init__(**kwargs)
        self.rows = rows

    def get_config(self) -> dict[str, Any]:
        """Return what a copy is made with."""
        return {**super().get_config(), "rows": self.rows}

    def build(self, input_shape: Any) -> None:  # noqa: ANN401 - Keras' own
        """Make the rows, which are no weights to train but are saved and loaded with them."""
        shape = (self.rows, input_shape[-1] + 1)
        self.seen = self.add_weight(name="seen", shape=shape, initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, logits: Any, training: Any = None) -> Any:  # noqa: ANN401 - tensors, (batch, classes)
        """Return the logits as they are."""
        rows = tf.concat([tf.ones_like(logits[:, :1]), logits], axis=1)  # (batch, 1 + classes)
        longer = tf.concat([self.seen, rows], axis=0)[-self.rows :]
        self.seen.assign(tf.where(_flag(training), self.seen, longer))
        return tf.identity(logits)


def _flag(training: Any) -> Any:  # noqa: ANN401 - None, a truth value, or a tensor of one
    return tf.cast(keras.backend.learning_phase() if training is None else training, tf.bool)
