"""Between values as they cross the wall and the values that student code takes and gives."""

from __future__ import annotations

import inspect
from typing import Any, Literal

import tensorflow as tf
import tf_keras as keras

from autograder import wire
from autograder.student_side.running import Placeholder


class Converter:
    """Converts values in both directions, and keeps the objects that stay in this process."""

    def __init__(self) -> None:
        self._objects: dict[int, object] = {}

    def keep(self, value: object) -> wire.Ref:
        """Keep an object, and return what the grader calls it by from now on."""
        self._objects[id(value)] = value
        return wire.Ref(id(value), _kind(value), type(value).__name__)

    def object_of(self, ref: wire.Ref) -> Any:  # noqa: ANN401 - whatever was kept
        """Return the object that the grader refers to."""
        return self._objects[ref.id]

    def to_tensor(self, value: wire.Value) -> Any:  # noqa: ANN401 - tensors, objects or plain values
        """Return arrays as tensors and all else as `to_plain` does: what functions of the module take."""
        if isinstance(value, wire.Array):
            return tf.constant(wire.unpack_array(value))
        return self.to_plain(value)

    def to_plain(self, value: wire.Value) -> Any:  # noqa: ANN401 - as above, arrays as NumPy
        """Return arrays as NumPy's and references as the objects themselves: what functions of the notebook take."""
        if isinstance(value, wire.Ref):
            return self.object_of(value)
        if isinstance(value, wire.Items):
            return (list if value.is_list else tuple)(map(self.to_plain, value.items))
        if isinstance(value, wire.Array):
            return wire.unpack_array(value).copy()
        return as_written(value)

    def to_wire(self, value: object) -> wire.Value:
        """Return what student code gave as it crosses the wall: numbers and arrays as they are, objects as references.

        Raises:
            ImportError: If it is the placeholder of what could not be imported.
        """
        if isinstance(value, Placeholder):
            value()  # it raises what an answer that comes from it must tell
        if isinstance(value, (tf.Tensor, tf.Variable)) and hasattr(value, "numpy"):
            value = value.numpy()
        elif callable(to_numpy := getattr(value, "to_numpy", None)):  # a column or a table of pandas
            value = to_numpy()
        if isinstance(value, (list, tuple)):
            return wire.Items([self.to_wire(item) for item in value])
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return wire.Table({str.__str__(key): self.to_wire(item) for key, item in value.items()})
        try:
            return wire.to_value(value)
        except TypeError:
            return self.keep(value)


def as_written(value: wire.Value) -> Any:  # noqa: ANN401 - plain Python
    """Return a value as a student would write it in a call of their own, which has lists rather than tuples."""
    plain = wire.from_value(value)
    return list(plain) if isinstance(plain, tuple) else plain


class Written:
    """Values as a student would write them in one program, in which equal lists are one list with a name."""

    def __init__(self) -> None:
        self._lists: list[tuple[wire.Items, Any]] = []

    def of(self, value: wire.Value) -> Any:  # noqa: ANN401 - plain Python
        """Return a value; what was done to a list that came before is still done to it."""
        if not isinstance(value, wire.Items):
            return as_written(value)
        for came, made in self._lists:
            if came == value:
                return made
        self._lists.append((value, as_written(value)))
        return self._lists[-1][1]


def _kind(value: object) -> Literal["layer", "model", "function", "object"]:
    if isinstance(value, keras.Model):
        return "model"
    if isinstance(value, keras.layers.Layer):
        return "layer"
    return "function" if inspect.isroutine(value) else "object"
