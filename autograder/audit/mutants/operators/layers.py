"""Mistakes with layers: dropout, residuals, normalisation, non-linearities, weights, and what is shared."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from autograder.audit.mutants.operators.places import (
    CodeChange,
    Operators,
    SourceText,
    argument,
    called,
    is_documentation,
    keyword_of,
    with_argument,
)

LAYERS = Operators()
ACTIVATIONS = ("relu", "gelu", "tanh", "sigmoid", "softmax", "relu6")
WITH_WEIGHTS = ("Dense", "EinsumDense", "Embedding", "add_weight")


def _layer_call(node: cst.CSTNode, *kinds: str) -> cst.Call | None:
    """Return a call such as `Dropout(rate)(x)` if its layer is of one of these kinds."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Call) and called(node.func) in kinds and node.args:
        return node
    return None


def _library(name: str, source: SourceText) -> str:
    """Return how the module reaches layers of Keras, for one of this name, such as `keras.layers.Dropout`."""
    text = source.text
    known = (("import tf_keras as keras", "keras.layers"), ("import tf_keras as tfk", "tfk.layers"))
    for line, prefix in (*known, ("from tf_keras import layers as kl", "kl"), ("from tf_keras import", "layers")):
        if line in text and (prefix != "layers" or " layers" in text):
            return f"{prefix}.{name}"
    return f"tf_keras.layers.{name}" if "import tf_keras\n" in text else f"keras.layers.{name}"


@LAYERS.add("dropout removed")
def remove_dropout(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take a dropout away."""
    if (call := _layer_call(node, "Dropout")) is not None:
        yield CodeChange(node, f"({source.code(call.args[0].value)})")


@LAYERS.add("dropout added")
def add_dropout(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Drop units, or add noise, where nothing is to be dropped."""
    function = source.function_around(node)
    if function is None or function.name.value in ("__init__", "build", "get_config"):
        return
    rate = next((part.name.value for part in function.params.params if "rate" in part.name.value), "0.3")
    if isinstance(node, cst.Assign | cst.Return) and isinstance(node.value, cst.Call | cst.BinaryOperation | cst.Name):
        for name in ("Dropout", "GaussianNoise"):
            yield CodeChange(node.value, f"{_library(name, source)}({rate})({source.code(node.value)})")
    if isinstance(node, cst.Name | cst.Call) and source.is_read(node) and _is_layer_input(node, source):
        yield CodeChange(node, f"{_library('Dropout', source)}({rate})({source.code(node)})")
    if isinstance(node, cst.SimpleStatementLine) and node is _first_statement(function):
        given, indent = function.params.params[0].name.value, " " * source.place_of(node)[1]
        dropped = f"{given} = {_library('Dropout', source)}({rate})({given})"
        yield CodeChange(node.body[0], f"{dropped}\n{indent}{source.code(node.body[0])}")


def _first_statement(function: cst.FunctionDef) -> cst.CSTNode | None:
    """Return the first statement of a function that is given tensors alone, below its documentation."""
    names = [parameter.name.value for parameter in function.params.params]
    statements = [statement for statement in function.body.body if not is_documentation(statement)]
    return statements[0] if statements and names[:1] == ["x"] else None


def _is_layer_input(node: cst.CSTNode, source: SourceText) -> bool:
    """Whether a value stands as what a layer is called on, or in a list that is."""
    given = source.parent(node)
    if isinstance(given, cst.Element):
        listed = source.parent(given)
        given = source.parent(listed) if listed is not None else None
    call = source.parent(given) if isinstance(given, cst.Arg) else None
    return isinstance(call, cst.Call) and (isinstance(call.func, cst.Call) or "attention" in source.code(call.func))


@LAYERS.add("dropout rate")
def change_rate(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Drop more or fewer units than asked for."""
    if called(node) == "Dropout" and isinstance(node, cst.Call) and node.args:
        rate = source.code(node.args[0].value)
        yield from (CodeChange(node.args[0].value, text) for text in (f"{rate} / 2", f"1 - {rate}", "0.1", "0.0"))


@LAYERS.add("dropout kind")
def change_kind_of_dropout(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Drop or disturb units in another way."""
    if called(node) == "Dropout" and isinstance(node, cst.Call):
        for kind in ("SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout"):
            yield CodeChange(node, source.code(node).replace("Dropout", kind, 1))
        yield CodeChange(node, with_argument(source, node, "noise_shape=(1, None, None)"))


@LAYERS.add("phase")
def change_phase(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Drop always, never, or in the wrong phase."""
    if (call := _layer_call(node, "Dropout")) is not None:
        yield CodeChange(node, with_argument(source, call, "training=True"))
        yield CodeChange(node, with_argument(source, call, "training=False"))
    if isinstance(node, cst.Arg) and keyword_of(node) == "training":
        code = source.code(node.value)
        yield from (CodeChange(node.value, text) for text in (f"not {code}", "True", "False", "None") if text != code)


@LAYERS.add("dropout moved")
def move_dropout(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Drop what goes into a layer in place of what comes out of it, or what it is added to."""
    if (call := _layer_call(node, "Dropout")) is not None and isinstance(call.args[0].value, cst.Call):
        inner = call.args[0].value
        if inner.args:
            dropped = f"{source.code(call.func)}({source.code(inner.args[0].value)})"
            rest = [source.code(given) for given in inner.args[1:]]
            yield CodeChange(node, f"{source.code(inner.func)}({', '.join([dropped, *rest])})")


@LAYERS.add("residual")
def change_residual(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Leave a residual addition out, or join the two in another way."""
    if called(node) == "Add" and isinstance(node, cst.Call):
        for kind in ("Average", "Multiply", "Maximum", "Subtract"):
            yield CodeChange(node, source.code(node).replace("Add", kind, 1))
    if (call := _layer_call(node, "Add")) is not None and isinstance(call.args[0].value, cst.List | cst.Tuple):
        yield from (CodeChange(node, source.code(part.value)) for part in call.args[0].value.elements)


@LAYERS.add("normalisation")
def change_normalisation(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Leave a normalisation out, or normalise over other values."""
    if (call := _layer_call(node, "LayerNormalization")) is not None:
        yield CodeChange(node, source.code(call.args[0].value))
    if called(node) == "LayerNormalization" and isinstance(node, cst.Call):
        for text in ("axis=1", "axis=[1, 2]", "center=False", "scale=False", "epsilon=0.1"):
            yield CodeChange(node, with_argument(source, node, text))
        yield CodeChange(node, source.code(node).replace("LayerNormalization", "BatchNormalization", 1))


@LAYERS.add("normalisation moved")
def move_normalisation(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Normalise one of the two that are added, or what is dropped, in place of the sum."""
    call = _layer_call(node, "LayerNormalization")
    if call is None:
        return
    norm, inside = source.code(call.func), call.args[0].value
    if isinstance(inside, cst.BinaryOperation):
        left, right = source.code(inside.left), source.code(inside.right)
        yield CodeChange(node, f"{norm}({left}) + {right}")
        yield CodeChange(node, f"{left} + {norm}({right})")
    if (added := _layer_call(inside, "Add")) is not None and isinstance(added.args[0].value, cst.List):
        parts = [source.code(part.value) for part in added.args[0].value.elements]
        for place, part in enumerate(parts):
            others = ", ".join([*parts[:place], f"{norm}({part})", *parts[place + 1 :]])
            yield CodeChange(node, f"{source.code(added.func)}([{others}])")


@LAYERS.add("non-linearity")
def change_activation(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use another non-linearity, none, or one where there is none."""
    if isinstance(node, cst.Arg) and keyword_of(node) == "activation":
        code = source.code(node.value)
        yield from (CodeChange(node.value, repr(name)) for name in (*ACTIVATIONS[:5],) if name not in code)
        yield CodeChange(node.value, "None")
    if called(node) == "Dense" and isinstance(node, cst.Call) and argument(node, 1, "activation") is None:
        yield from (CodeChange(node, with_argument(source, node, f"activation={name!r}")) for name in ACTIVATIONS[:5])
    if called(node) in ACTIVATIONS and isinstance(node, cst.Call) and source.code(node.func).startswith("tf.nn"):
        yield from (
            CodeChange(node, f"tf.nn.{name}({source.code(node.args[0].value)})")
            for name in ACTIVATIONS
            if name != called(node)
        )
    if called(node) == "Activation" and isinstance(node, cst.Call):
        yield from (CodeChange(node.args[0].value, repr(name)) for name in ACTIVATIONS[:5])


@LAYERS.add("weights")
def change_weights(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Make weights that are not trained, punished, or without what belongs to them."""
    if called(node) in WITH_WEIGHTS and isinstance(node, cst.Call):
        yield CodeChange(node, with_argument(source, node, "trainable=False"))
        if called(node) == "Dense":
            bias = "False" if argument(node, 9, "use_bias") is None else "True"
            yield CodeChange(node, with_argument(source, node, f"use_bias={bias}"))
            yield CodeChange(node, with_argument(source, node, "kernel_regularizer='l2'"))
        if called(node) == "add_weight":
            yield CodeChange(node, with_argument(source, node, "regularizer='l2'"))
            yield CodeChange(node, with_argument(source, node, "constraint='non_neg'"))
    if isinstance(node, cst.Call) and source.code(node.func) == "tf.Variable":
        yield CodeChange(node, with_argument(source, node, "trainable=False"))


@LAYERS.add("initial values")
def change_initial_values(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give weights other initial values."""
    if isinstance(node, cst.Arg) and "initializer" in keyword_of(node):
        yield from (CodeChange(node.value, repr(name)) for name in ("zeros", "ones", "he_uniform"))


@LAYERS.add("shared")
def share_layers(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Use the same layer or weights several times in place of one each time."""
    if isinstance(node, cst.ListComp) and isinstance(node.elt, cst.Call):
        length = f"len(list({source.code(node.for_in.iter)}))"
        yield CodeChange(node, f"[{source.code(node.elt)}] * {length}")
    function = source.function_around(node)
    if isinstance(node, cst.Assign) and function is not None and function.name.value in ("__init__", "build"):
        earlier = [
            source.code(part.target)
            for part in source.nodes(function)
            if isinstance(part, cst.AssignTarget) and source.place_of(part) < source.place_of(node)
        ]
        if isinstance(node.value, cst.Call) and called(node.value) in WITH_WEIGHTS and earlier:
            yield CodeChange(node.value, earlier[-1])


@LAYERS.add("weight added")
def add_weight(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Scale what a layer returns by a weight that nobody asked for."""
    if isinstance(node, cst.Return) and node.value is not None and not isinstance(node.value, cst.Tuple):
        function = source.function_around(node)
        if function is not None and function.name.value == "call":
            indent = " " * source.place_of(node)[1]
            made = "self.factor = self.add_weight(name='factor', shape=(), initializer='ones')"
            made = f"if not hasattr(self, 'factor'):\n{indent}    {made}"
            yield CodeChange(node, f"{made}\n{indent}return self.factor * ({source.code(node.value)})")
