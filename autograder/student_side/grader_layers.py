"""Layers of the grader's, which stand behind what student code makes.

They run in the student process, where student code can change them. So no mark rests on what they say alone: checks
compare that with what it must say.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable("autograder")
class Tape(keras.layers.Layer):  # type: ignore[misc]
    """Passes logits on, and keeps those that it sees in inference: a row for each sample, a 1 and its logits.

    How often it was called in training it counts.

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
        self.steps = self.add_weight(name="steps", shape=(), initializer="zeros", trainable=False)
        super().build(input_shape)

    def call(self, logits: Any, training: Any = None) -> Any:  # noqa: ANN401 - tensors, (batch, classes)
        """Return the logits as they are."""
        rows = tf.concat([tf.ones_like(logits[:, :1]), logits], axis=1)  # (batch, 1 + classes)
        longer = tf.concat([self.seen, rows], axis=0)[-self.rows :]
        trains = _flag(training)
        self.seen.assign(tf.where(trains, self.seen, longer))
        self.steps.assign_add(tf.cast(trains, self.steps.dtype))
        return tf.identity(logits)


class Unmasked(keras.layers.Layer):  # type: ignore[misc]
    """Passes tokens on, and zeros in place of those that a mask hides from the layers behind it."""

    def call(self, tokens: Any, mask: Any = None) -> Any:  # noqa: ANN401 - tensors, (batch, tokens, width)
        """Return the tokens."""
        return tf.identity(tokens) if mask is None else tokens * tf.cast(mask, tokens.dtype)[..., None]


def _flag(training: Any) -> Any:  # noqa: ANN401 - None, a truth value, or a tensor of one
    return tf.cast(keras.backend.learning_phase() if training is None else training, tf.bool)
