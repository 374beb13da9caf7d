"""The student process: holds the student's module and notebook and answers the grader's questions.

Runs behind the wall, in a fork of the zygote that has already confined itself. Nothing here is
trusted by the grader, since student code shares this process: every answer is only data to compare.
"""

from __future__ import annotations

import functools
import inspect
import math
import os
import re
import sys
import traceback
import types
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NoReturn

import tensorflow as tf
import tf_keras as keras
from IPython.core.inputtransformer2 import TransformerManager

from autograder import wire
from autograder.course.assignment import MODULE
from autograder.sandbox.policy import Places
from autograder.student_side.given_modules import Given
from autograder.student_side.keras_shortcuts import make_lean
from autograder.student_side.parameter_counting import weightless
from autograder.student_side.training_observer import observed_evaluations, observed_events, traced_once

LONGEST_MESSAGE = 600
_MOST_FRAMES = 40
_NODES = re.compile(r"\{\{function_node [^}]*\}\} ?")  # TensorFlow's own names, which tell a student nothing


class Host:
    """Answers one question after another about one submission.

    Args:
        places: Where the submission lies and where files may be written.
    """

    def __init__(self, places: Places) -> None:
        make_lean()
        self._places = places
        self._objects: dict[int, object] = {}
        self._module: types.ModuleType | None = None
        self._notebook: dict[str, Any] = {"__name__": "__main__", "get_ipython": _NoShell}
        self._asked: dict[type, Callable[[Any], wire.Value]] = {
            wire.Load: self._load,
            wire.StandIn: self._stand_in,
            wire.Call: self._call,
            wire.Apply: self._apply,
            wire.Gradients: self._gradients,
            wire.Describe: self._describe,
            wire.SetWeights: self._set_weights,
            wire.BuildModel: self._build_model,
            wire.Count: self._count,
            wire.RunCells: self._run_cells,
            wire.Read: self._read,
            wire.Train: self._train,
        }

    def serve(self, requests: int, replies: int) -> NoReturn:
        """Answer until the grader closes the pipe, then end the process without clean-up.

        Args:
            requests: Descriptor to read questions from.
            replies: Descriptor to write answers to.
        """
        while True:
            try:
                request = wire.decode_request(wire.read_frame(requests, wire.MAX_REQUEST_BYTES))
            except Exception:  # the grader is gone: nobody is left to tell
                os._exit(0)
            wire.write_frame(replies, wire.encode_frame(self.answer(request)))

    def answer(self, request: wire.Request) -> wire.Reply:
        """Return the answer to one question; whatever student code raises becomes a `Raised`."""
        try:
            value = self._asked[type(request.question)](request.question)
            return wire.Answer(request.id, value)
        except BaseException as error:  # SystemExit and KeyboardInterrupt are student code's too
            return self._raised(request.id, error)

    def _load(self, question: wire.Load) -> wire.Value:
        path = Path(self._places.submission) / f"{MODULE}.py"
        sys.path.append(self._places.submission)
        module = types.ModuleType(MODULE)
        module.__file__ = str(path)
        sys.modules[MODULE] = self._module = module
        given = Given(MODULE, question.given, question.modules)
        try:
            if question.own:
                exec(compile(path.read_bytes(), str(path), "exec"), module.__dict__)  # noqa: S102 - the purpose
        finally:
            given.put_over(vars(module))
        return None

    def _stand_in(self, question: wire.StandIn) -> wire.Value:
        reference = types.ModuleType(f"reference_{MODULE}")
        exec(compile(question.source, "reference", "exec"), reference.__dict__)  # noqa: S102 - trusted text
        names = vars(sys.modules[MODULE])
        for name in question.names:
            names[name] = _lenient(vars(reference)[name], names.get(name))
        return None

    def _call(self, question: wire.Call) -> wire.Value:
        function = self._find(question.space, question.name)
        convert = self._to_tensor if question.space == "module" else self._to_plain
        args = [convert(value) for value in question.args]
        kwargs = {key: convert(value) for key, value in question.kwargs.items()}
        return self._to_wire(function(*args, **kwargs))

    def _apply(self, question: wire.Apply) -> wire.Value:
        layer = self._objects[question.target.id]
        inputs = [self._to_tensor(value) for value in question.args]
        return self._to_wire(_call_layer(layer, inputs, question.training))

    def _gradients(self, question: wire.Gradients) -> wire.Value:
        layer: Any = self._objects[question.target.id]
        inputs = [self._to_tensor(value) for value in question.args]
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            output = _call_layer(layer, inputs, question.training)
            first = output[0] if isinstance(output, (tuple, list)) else output
            total = tf.reduce_sum(first * self._to_tensor(question.cotangent))
        weights = list(layer.trainable_weights)
        found = tape.gradient(total, inputs + weights)
        dense = [None if one is None else self._to_wire(tf.convert_to_tensor(one)) for one in found]
        return wire.Table({"inputs": wire.Items(dense[: len(inputs)]), "weights": wire.Items(dense[len(inputs) :])})

    def _describe(self, question: wire.Describe) -> wire.Value:
        layer: Any = self._objects[question.target.id]
        weights = _unique(layer.weights)
        position = {id(weight): index for index, weight in enumerate(weights)}
        trainable = {id(weight) for weight in layer.trainable_weights}
        parts = layer.layers if isinstance(layer, keras.Model) else layer._flatten_layers(include_self=False)
        rows = [_weight_row(weight, id(weight) in trainable) for weight in weights]
        layers = [self._layer_row(part, position) for part in parts]
        return wire.Table({"weights": wire.Items(rows), "layers": wire.Items(layers)})

    def _layer_row(self, layer: Any, position: dict[int, int]) -> wire.Value:  # noqa: ANN401 - any Keras layer
        settings = ("rate", "epsilon", "axis", "units")
        row: dict[str, wire.Value] = {"name": layer.name, "class": type(layer).__name__, "ref": self._keep(layer)}
        for key in settings:
            value = getattr(layer, key, None)
            if isinstance(value, (int, float)):
                row[key] = value
        indices = (position.get(id(weight)) for weight in _unique(layer.weights))
        row["weights"] = wire.Items([index for index in indices if index is not None])
        return wire.Table(row)

    def _set_weights(self, question: wire.SetWeights) -> wire.Value:
        layer: Any = self._objects[question.target.id]
        for variable, array in zip(_unique(layer.weights), question.weights, strict=True):
            variable.assign(wire.unpack_array(array))
        return None

    def _build_model(self, question: wire.BuildModel) -> wire.Value:
        inputs = [keras.Input(shape=tuple(shape)) for shape in question.inputs]
        tensors: list[Any] = list(inputs)
        for node in question.nodes:
            part = self._part(node.name)
            args = [wire.from_value(value) for value in node.args]
            kwargs = {key: _plain(value) for key, value in node.kwargs.items()}
            fed = [tensors[index] for index in node.inputs]
            if node.init is None:
                tensors.append(part(*fed, *(_plain(value) for value in args), **kwargs))
            else:
                tensors.append(part(*(_plain(value) for value in node.init), **kwargs)(*fed, *args))
        return self._keep(keras.Model(inputs, tensors[-1]))

    def _part(self, name: str) -> Any:  # noqa: ANN401 - a function or a class
        """Return a Keras layer class for `keras.<Name>`, else what the student's module has under the name."""
        if name.startswith("keras."):
            return getattr(keras.layers, name.removeprefix("keras."))
        return self._find("module", name)

    def _count(self, question: wire.Count) -> wire.Value:
        make = self._find("module", question.name)
        kwargs = {key: _plain(value) for key, value in question.kwargs.items()}
        with weightless():
            model = make(**kwargs)
        weights, trainable = _unique(model.weights), _unique(model.trainable_weights)
        keras.backend.clear_session()
        return wire.Table({"total": _values_in(weights), "trainable": _values_in(trainable)})

    def _run_cells(self, question: wire.RunCells) -> wire.Value:
        errors: dict[str, wire.Value] = {}
        for cell in question.cells:
            try:
                self._run_cell(cell)
            except BaseException as error:  # a cell's error ends that cell alone
                raised = self._raised(0, error)
                errors[cell.id] = wire.Table(
                    {"exception": raised.exception, "message": raised.message, "line": raised.line}
                )
        return wire.Table(errors)

    def _run_cell(self, cell: wire.Cell) -> None:
        source = TransformerManager().transform_cell(cell.source)
        code = compile(source, f"cell {cell.id}", "exec")
        with weightless() if cell.weightless else nullcontext():
            exec(code, self._notebook)  # noqa: S102 - the purpose

    def _read(self, question: wire.Read) -> wire.Value:
        return self._to_wire(self._find("notebook", question.name))

    def _train(self, question: wire.Train) -> wire.Value:
        function = self._find("notebook", question.name)
        args = [self._to_plain(value) for value in question.args]
        kwargs = {key: self._to_plain(value) for key, value in question.kwargs.items()}
        with traced_once(), observed_evaluations() as evaluations, observed_events() as events:
            result = function(*args, **kwargs)
        history = getattr(result, "history", None)
        return wire.Table(
            {
                "type": type(result).__name__,
                "history": self._to_wire(history) if isinstance(history, dict) else None,
                "evaluations": self._to_wire(evaluations),
                "events": self._to_wire(events),
            }
        )

    def _find(self, space: str, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        names = self._notebook if space == "notebook" else vars(self._module) if self._module else {}
        if name not in names:
            where = "your notebook" if space == "notebook" else f"{MODULE}.py"
            raise NameError(f"there is no `{name}` in {where}")
        return names[name]

    def _to_tensor(self, value: wire.Value) -> Any:  # noqa: ANN401 - tensors, objects or plain values
        if isinstance(value, wire.Array):
            return tf.constant(wire.unpack_array(value))
        return self._to_plain(value)

    def _to_plain(self, value: wire.Value) -> Any:  # noqa: ANN401 - as above, arrays as NumPy
        if isinstance(value, wire.Ref):
            return self._objects[value.id]
        if isinstance(value, wire.Items):
            return tuple(self._to_plain(item) for item in value.items)
        if isinstance(value, wire.Array):
            return wire.unpack_array(value).copy()
        return _plain(value)

    def _to_wire(self, value: object) -> wire.Value:
        if isinstance(value, (tf.Tensor, tf.Variable)) and hasattr(value, "numpy"):
            value = value.numpy()
        if isinstance(value, (list, tuple)):
            return wire.Items([self._to_wire(item) for item in value])
        if isinstance(value, dict) and all(isinstance(key, str) for key in value):
            return wire.Table({key: self._to_wire(item) for key, item in value.items()})
        try:
            return wire.to_value(value)
        except TypeError:
            return self._keep(value)

    def _keep(self, value: object) -> wire.Ref:
        self._objects[id(value)] = value
        kind = (
            "model" if isinstance(value, keras.Model)
            else "layer" if isinstance(value, keras.layers.Layer)
            else "function" if inspect.isroutine(value)
            else "object"
        )  # fmt: skip
        return wire.Ref(id(value), kind, type(value).__name__)  # type: ignore[arg-type]

    def _raised(self, request: int, error: BaseException) -> wire.Raised:
        place, line = self._place(error)
        try:
            message = str(error)
        except Exception:  # a student's exception may fail even at that
            message = ""
        return wire.Raised(request, type(error).__name__, _NODES.sub("", message)[:LONGEST_MESSAGE], place, line)

    def _place(self, error: BaseException) -> tuple[str, int]:
        """Return the innermost line of the student's own text that the error passed through."""
        if isinstance(error, SyntaxError) and error.filename and self._is_students(error.filename):
            return Path(error.filename).name, error.lineno or 0
        frames = traceback.extract_tb(error.__traceback__)[-_MOST_FRAMES:]
        for frame in reversed(frames):
            if self._is_students(frame.filename):
                return f"{Path(frame.filename).name}, in {frame.name}", frame.lineno or 0
        return "", 0

    def _is_students(self, filename: str) -> bool:
        return filename.startswith((self._places.submission, "cell "))


class _NoShell:
    """Stands in for IPython's shell: magics and shell commands in a cell do nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None


def _call_layer(layer: Any, inputs: Sequence[Any], training: bool | None) -> Any:  # noqa: ANN401 - any layer
    spec = getattr(layer, "_call_spec", None)
    if training is None or (spec is not None and not spec.expects_training_arg):
        return layer(*inputs)
    return layer(*inputs, training=training)


def _plain(value: Any) -> Any:  # noqa: ANN401 - plain Python in and out
    """Return tuples as lists, as a student's own call would write them."""
    value = wire.from_value(value)
    return list(value) if isinstance(value, tuple) else value


def _unique(weights: Sequence[Any]) -> list[Any]:
    return list({id(weight): weight for weight in weights}.values())


def _weight_row(weight: Any, trainable: bool) -> wire.Value:  # noqa: ANN401 - a tf.Variable
    shape: list[wire.Value] = [int(size) for size in weight.shape]
    row: dict[str, wire.Value] = {"name": str(weight.name), "shape": wire.Items(shape)}
    return wire.Table(row | {"dtype": str(weight.dtype.name), "trainable": trainable})


def _values_in(weights: Sequence[Any]) -> int:
    return sum(math.prod(int(size) for size in weight.shape) for weight in weights)


def _lenient(part: Any, own: Any) -> Any:  # noqa: ANN401 - functions or layer classes
    """Return a reference part that is called as the student calls their own.

    Arguments that the student renamed go by their place; further ones are ignored.
    """
    if not isinstance(part, type):
        make = _adapter(part, own)

        @functools.wraps(part)
        def stand_in(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            places, names = make(args, kwargs)
            return part(*places, **names)

        return stand_in
    layer: Any = part
    make, call = _adapter(layer, own), _adapter(layer.call, getattr(own, "call", None))

    class StandIn(part):  # type: ignore[misc]
        def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
            places, names = make(args, kwargs)
            super().__init__(*places, **names)

        def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
            places, names = call((self, *args), kwargs)
            return super().__call__(*places[1:], **names)

    StandIn.__name__ = StandIn.__qualname__ = part.__name__
    return StandIn


_ALWAYS = ("name", "dtype", "training")


def _adapter(part: Any, own: Any) -> Callable[[Any, Any], tuple[Any, dict[str, Any]]]:  # noqa: ANN401 - callables
    """Return what turns arguments meant for the student's own part into those of the reference part."""
    ours, theirs = _parameters(part), _parameters(own)
    renamed = {old: new for old, new in zip(theirs, ours, strict=False) if old not in ours}
    called = [name for name, one in ours.items() if one.kind is not inspect.Parameter.VAR_KEYWORD]

    def adapt(args: Any, kwargs: Any) -> tuple[Any, dict[str, Any]]:  # noqa: ANN401
        given = {renamed.get(name, name): value for name, value in kwargs.items()}
        return args[: len(called)], {name: value for name, value in given.items() if name in (*called, *_ALWAYS)}

    return adapt


def _parameters(function: Any) -> dict[str, inspect.Parameter]:  # noqa: ANN401 - anything callable, or not
    try:
        return dict(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return {}
