"""Answers about Keras layers and models: make, call, describe, differentiate and count them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from autograder import wire
from autograder.student_side import grader_layers
from autograder.student_side.conversion import Converter, Written, as_written
from autograder.student_side.private_names.shortcuts import layers_inside, refuses_training, weightless
from autograder.student_side.submitted_code import SubmittedModule

SETTINGS = ("rate", "epsilon", "axis", "units")
"""Plain numbers of a layer that a description lists."""


LAYER_LIBRARIES: dict[str, Any] = {"keras": keras.layers, "grader": grader_layers}
"""Where layers are that a graph may name besides the student's own."""


class LayerAnswers:
    """Answers questions about the layers and models of one submission.

    Args:
        module: Where names of parts are looked up.
        converter: Holds the layers and models that were made.
    """

    def __init__(self, module: SubmittedModule, converter: Converter) -> None:
        self._module = module
        self._converter = converter

    def wrap(self, question: wire.Wrap) -> wire.Value:
        """Hold a function as a layer that calls it."""
        return self._converter.keep(_FunctionLayer(self._module.find(question.name)))

    def apply(self, question: wire.Apply) -> wire.Value:
        """Return the layer's output."""
        layer = self._converter.object_of(question.target)
        inputs = [self._converter.to_tensor(value) for value in question.args]
        return self._converter.to_wire(_call(layer, inputs, question.training))

    def gradients(self, question: wire.Gradients) -> wire.Value:
        """Return gradients by the inputs and by the trainable weights."""
        layer = self._converter.object_of(question.target)
        inputs = [self._converter.to_tensor(value) for value in question.args]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = _call(layer, inputs, question.training)
            first = tf.convert_to_tensor(output[0] if isinstance(output, (tuple, list)) else output)
            # the layer may compute in another precision
            total = tf.reduce_sum(first * tf.cast(self._converter.to_tensor(question.cotangent), first.dtype))
        gradients = tape.gradient(total, inputs + list(layer.trainable_weights))
        dense = [
            None if gradient is None else self._converter.to_wire(tf.convert_to_tensor(gradient))
            for gradient in gradients
        ]
        return wire.Table({"inputs": wire.Items(dense[: len(inputs)]), "weights": wire.Items(dense[len(inputs) :])})

    def describe(self, question: wire.Describe) -> wire.Value:
        """Return the weights and, of a model, the layers; of a layer, the layers inside it."""
        layer = self._converter.object_of(question.target)
        weights = _distinct(layer.weights)
        positions = {id(weight): index for index, weight in enumerate(weights)}
        trainable = {id(weight) for weight in layer.trainable_weights}
        inside = layer.layers if isinstance(layer, keras.Model) else layers_inside(layer)
        weight_rows = [_weight_row(weight, id(weight) in trainable) for weight in weights]
        layer_rows = [self._layer_row(part, positions) for part in inside]
        penalty = sum(float(tf.reduce_sum(loss)) for loss in layer.losses) if layer.built else 0.0
        return wire.Table(
            {
                "weights": wire.Items(weight_rows),
                "layers": wire.Items(layer_rows),
                "penalty": float(penalty),
                "constrained": any(getattr(weight, "constraint", None) is not None for weight in weights),
            }
        )

    def _layer_row(self, layer: Any, positions: dict[int, int]) -> wire.Value:  # noqa: ANN401 - any Keras layer
        row: dict[str, wire.Value] = {
            "name": wire.to_value(layer.name),
            "class": type(layer).__name__,
            "ref": self._converter.keep(layer),
        }
        for name in SETTINGS:
            value = getattr(layer, name, None)
            if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value):
                row[name] = wire.to_value(value)
        indices = (positions.get(id(weight)) for weight in _distinct(layer.weights))
        row["weights"] = wire.Items([index for index in indices if index is not None])
        return wire.Table(row)

    def set_weights(self, question: wire.SetWeights) -> None:
        """Assign all weights, in the order that `describe` lists them."""
        layer = self._converter.object_of(question.target)
        for variable, array in zip(_distinct(layer.weights), question.weights, strict=True):
            variable.assign(wire.unpack_array(array))

    def get_weights(self, question: wire.GetWeights) -> wire.Value:
        """Return the values of all weights, in the order that `describe` lists them."""
        return self._converter.to_wire(_distinct(self._converter.object_of(question.target).weights))

    def build_model(self, question: wire.BuildModel) -> wire.Value:
        """Build a model from a small graph: its inputs, then one node after another."""
        inputs = [keras.Input(shape=tuple(shape)) for shape in question.inputs]
        tensors: list[Any] = list(inputs)
        written = Written()
        for node in question.nodes:
            tensors.append(self._apply_node(node, tensors, written))
        return self._converter.keep(keras.Model(inputs, tensors[-1]))

    def _apply_node(self, node: wire.Node, tensors: Sequence[Any], written: Written) -> Any:  # noqa: ANN401 - symbolic
        part = self._part(node.name)
        fed = [tensors[index] for index in node.inputs]
        kwargs = {key: written.of(value) for key, value in node.kwargs.items()}
        if node.init is None:
            return part(*fed, *map(written.of, node.args), **kwargs)
        layer = part(*map(written.of, node.init), **kwargs)
        return layer(*fed, *(wire.from_value(value) for value in node.args))

    def _part(self, name: str) -> Any:  # noqa: ANN401 - a function or a class
        """Return a layer class for `keras.<Name>` or `grader.<Name>`, else what the student's module has so named."""
        library, _, layer = name.rpartition(".")
        return getattr(LAYER_LIBRARIES[library], layer) if library else self._module.find(name)

    def count(self, question: wire.Count) -> wire.Value:
        """Return how many parameters a model has, all and trainable ones, without memory for its weights."""
        make = self._module.find(question.name)
        kwargs = {key: as_written(value) for key, value in question.kwargs.items()}
        with weightless():
            model = make(**kwargs)
        counts: dict[str, wire.Value] = {
            "total": _parameters_in(model.weights),
            "trainable": _parameters_in(model.trainable_weights),
        }
        keras.backend.clear_session()
        return wire.Table(counts)


class _FunctionLayer(keras.layers.Layer):  # type: ignore[misc]
    """Calls a function, which so learns from Keras whether it runs in training."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self._function = function

    def call(self, *inputs: Any, **_phase: Any) -> Any:  # noqa: ANN401 - tensors
        return self._function(*inputs)


def _call(layer: Any, inputs: Sequence[Any], training: bool | None) -> Any:  # noqa: ANN401 - any layer
    """Call a layer, with the flag `training` only if one is asked for and the layer takes it."""
    if isinstance(layer, keras.Model) and len(layer.inputs or ()) > 1:
        inputs = [list(inputs)]  # a model made from its inputs and outputs takes all of them as one argument
    if training is None or refuses_training(layer):
        return layer(*inputs)
    return layer(*inputs, training=training)


def _distinct(weights: Iterable[Any]) -> list[Any]:
    """Return each weight once, although layers may share it."""
    return list({id(weight): weight for weight in weights}.values())


def _weight_row(weight: Any, trainable: bool) -> wire.Value:  # noqa: ANN401 - a tf.Variable
    shape: list[wire.Value] = [int(size) for size in weight.shape]
    return wire.Table(
        {
            "name": str(weight.name),
            "shape": wire.Items(shape),
            "dtype": str(weight.dtype.name),
            "trainable": trainable,
        }
    )


def _parameters_in(weights: Iterable[Any]) -> int:
    return sum(math.prod(int(size) for size in weight.shape) for weight in _distinct(weights))
