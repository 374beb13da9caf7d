"""Mistakes with tensors: axes, orders of numbers, sizes, types, and what gradients pass through."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import libcst as cst

from autograder.audit.mutants.operators.places import (
    CodeChange,
    Operators,
    SourceText,
    argument,
    called,
    keyword_of,
    with_argument,
)

TENSORS = Operators()
ORDERS = 3
"""Other orders that are tried in place of one."""
DTYPES = ("float16", "float32", "float64", "int32")
CAUSAL = "tf.where(tf.linalg.band_part(tf.ones_like({0}), -1, 0) > 0, {0}, -1e9)"


@TENSORS.add("axis")
def change_axis(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let an operation go over another axis."""
    if isinstance(node, cst.Arg) and keyword_of(node) in ("axis", "axes"):
        code = source.code(node.value)
        yield from (CodeChange(node.value, other) for other in ("-1", "-2", "0", "1") if other != code)


@TENSORS.add("axis added")
def add_axis(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give an axis where the last one is taken without being asked for."""
    if called(node) in ("softmax", "LayerNormalization", "Softmax", "log_softmax") and isinstance(node, cst.Call):
        if argument(node, 9, "axis") is None:
            yield from (CodeChange(node, with_argument(source, node, f"axis={axis}")) for axis in ("1", "-2"))


@TENSORS.add("order of axes")
def change_order_of_axes(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Transpose into another order, or without one."""
    if isinstance(node, cst.List | cst.Tuple):
        values = [source.code(element.value) for element in node.elements]
        if len(values) > 1 and sorted(values) == [str(place) for place in range(len(values))]:
            orders = [order for order in itertools.permutations(values) if list(order) != values]
            step = max(1, len(orders) // ORDERS)
            for order in orders[::step]:
                inside = ", ".join(order)
                yield CodeChange(node, f"[{inside}]" if isinstance(node, cst.List) else inside)
    if called(node) == "transpose" and isinstance(node, cst.Call) and node.args:
        yield CodeChange(node, f"{source.code(node.func)}({source.code(node.args[0].value)})")
        yield CodeChange(node, source.code(node.args[0].value))


@TENSORS.add("transposed factor")
def transpose_factor(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Transpose the other factor, both, or none; or write the transposition for one rank alone."""
    if called(node) == "matmul" and isinstance(node, cst.Call) and len(node.args) > 1:
        first, second = (source.code(given.value) for given in node.args[:2])
        function = source.code(node.func)
        is_transposed = any(keyword_of(given) == "transpose_b" for given in node.args)
        yield CodeChange(node, f"{function}({first}, {second}, transpose_a=True)")
        yield CodeChange(node, f"{function}({first}, {second}, transpose_b={not is_transposed})")
        if is_transposed:
            for order in ("", ", (0, 2, 1)", ", (0, 1, 3, 2)"):
                yield CodeChange(node, f"{function}({first}, tf.transpose({second}{order}))")
            ranks = f"[0, 2, 1] if len({second}.shape) == 3 else [0, 1, 3, 2]"
            yield CodeChange(node, f"{function}({first}, tf.transpose({second}, {ranks}))")


@TENSORS.add("einsum")
def change_einsum(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Exchange two neighbouring letters of an equation."""
    if called(node) == "einsum" and isinstance(node, cst.Call) and isinstance(node.args[0].value, cst.SimpleString):
        equation = str(node.args[0].value.evaluated_value)
        for place, (first, second) in enumerate(itertools.pairwise(equation)):
            if first.isalpha() and second.isalpha():
                yield CodeChange(node.args[0].value, repr(equation[:place] + second + first + equation[place + 2 :]))


@TENSORS.add("power")
def change_power(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take the square or no root in place of a root, and a root in place of a divisor."""
    if called(node) == "sqrt" and isinstance(node, cst.Call):
        inside = source.code(node.args[0].value)
        yield CodeChange(node, f"({inside})")
        yield CodeChange(node, f"({inside}) ** 2")
        yield CodeChange(node, f"1 / {source.code(node)}")
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.Divide):
        yield CodeChange(node, f"{source.code(node.left)} / ({source.code(node.right)}) ** 0.5")


@TENSORS.add("size of another")
def take_another_size(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take the length of another axis, or one that is known only where the shape is static."""
    if isinstance(node, cst.Subscript) and isinstance(node.value, cst.Call) and called(node.value) == "shape":
        tensor, place = source.code(node.value.args[0].value), source.code(node).rpartition("[")[2].rstrip("]")
        yield CodeChange(node, f"{tensor}.shape[{place}]")
        yield from (CodeChange(node, f"tf.shape({tensor})[{other}]") for other in ("0", "1", "-1") if other != place)
    if isinstance(node, cst.UnaryOperation) and source.code(node) == "-1" and _is_size(node, source):
        names = [name for name in _tensors_around(node, source)][:1]
        yield from (CodeChange(node, f"{name}.shape[0]") for name in names)


def _is_size(node: cst.CSTNode, source: SourceText) -> bool:
    """Whether a number stands in the shape that a tensor is given."""
    return any(called(above) == "reshape" for above in itertools.islice(source.around(node), 4))


def _tensors_around(node: cst.CSTNode, source: SourceText) -> Iterator[str]:
    """Yield the inputs of the method around a node."""
    function = source.function_around(node)
    if function is not None:
        yield from (parameter.name.value for parameter in function.params.params if parameter.name.value != "self")


@TENSORS.add("softmax")
def change_softmax(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Normalise in another way, or what was changed before: a mask, another temperature."""
    if called(node) in ("softmax", "Softmax") and isinstance(node, cst.Call) and node.args:
        code, given = source.code(node), source.code(node.args[0].value)
        rest = code.partition("(")[2][len(given) :]
        function = source.code(node.func)
        if function.endswith("nn.softmax"):
            yield CodeChange(node, f"tf.nn.sigmoid({given})")
            yield CodeChange(node, f"{function}({CAUSAL.format(given)}{rest}")
        yield CodeChange(node, f"{function}(2 * {given}{rest}")
        yield CodeChange(node, f"{function}(tf.nn.relu({given}){rest}")


@TENSORS.add("gradient stopped")
def stop_gradient(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let no gradient pass through a value."""
    if (
        isinstance(node, cst.Arg)
        and not node.star
        and isinstance(node.value, cst.Name)
        and _is_tensor_call(node, source)
    ):
        yield CodeChange(node.value, f"tf.stop_gradient({source.code(node.value)})")
    if isinstance(node, cst.Assign | cst.Return) and isinstance(node.value, cst.Call) and _in_tensor_code(node, source):
        yield CodeChange(node.value, f"tf.stop_gradient({source.code(node.value)})")


def _is_tensor_call(node: cst.Arg, source: SourceText) -> bool:
    call = source.parent(node)
    names = ("matmul", "softmax", "einsum", "reshape", "transpose", "tensordot")
    return isinstance(call, cst.Call) and called(call) in names


def _in_tensor_code(node: cst.CSTNode, source: SourceText) -> bool:
    """Whether a statement computes with tensors, and does not make a layer or variables."""
    function = source.function_around(node)
    return function is not None and function.name.value not in ("__init__", "build", "get_config")


@TENSORS.add("function on the result")
def apply_function(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Put a function around what is returned or assigned: absolute values, no negative ones, twice as much."""
    if isinstance(node, cst.Assign | cst.Return) and isinstance(node.value, cst.Call | cst.BinaryOperation | cst.Name):
        if _in_tensor_code(node, source):
            code = source.code(node.value)
            for text in (
                f"tf.abs({code})",
                f"tf.nn.relu({code})",
                f"tf.nn.softmax({code})",
                f"({code}) / 127.5 - 1",
                f"tf.reverse({code}, [1])",
            ):
                yield CodeChange(node.value, text)


@TENSORS.add("mean for one")
def take_the_mean(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take the mean, the largest value or the sum in place of one element; exchange such functions."""
    if isinstance(node, cst.Subscript) and source.code(node).replace(" ", "").endswith(
        ("[:,0]", "[:,0,:]", "[:,-1]", "[:,-1,:]")
    ):
        tensor = source.code(node.value)
        for text in (f"tf.reduce_mean({tensor}, axis=1)", f"tf.reduce_max({tensor}, axis=1)", f"{tensor}[:, 1]"):
            yield CodeChange(node, text)
    if called(node) in ("reduce_mean", "reduce_sum", "reduce_max") and isinstance(node, cst.Call):
        code = source.code(node)
        others = (name for name in ("reduce_mean", "reduce_sum", "reduce_max") if name != called(node))
        yield from (CodeChange(node, code.replace(called(node), other, 1)) for other in others)


@TENSORS.add("type of numbers")
def change_dtype(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Cast to another type of numbers."""
    if isinstance(node, cst.SimpleString) and node.evaluated_value in DTYPES:
        yield from (CodeChange(node, repr(other)) for other in DTYPES if other != node.evaluated_value)
    if isinstance(node, cst.Attribute) and node.attr.value in DTYPES:
        yield from (CodeChange(node.attr, other) for other in DTYPES if other != node.attr.value)
    if called(node) in ("matmul", "softmax") and isinstance(node, cst.Call):
        yield CodeChange(node, f"tf.cast(tf.cast({source.code(node)}, tf.float16), tf.float32)")


@TENSORS.add("padding or rates")
def change_patches(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Cut patches with other strides, rates or padding."""
    if called(node) == "extract_patches" and isinstance(node, cst.Call):
        given = {keyword_of(part): source.code(part.value) for part in node.args}
        if "sizes" in given:
            yield CodeChange(node, with_argument(source, node, f"rates={given['sizes']}"))
            yield CodeChange(node, with_argument(source, node, "strides=[1, 1, 1, 1]"))
            yield CodeChange(node, with_argument(source, node, "padding='SAME'"))


@TENSORS.add("concatenated otherwise")
def concatenate_otherwise(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Put parts side by side in another order, stack them, or add them up."""
    if called(node) in ("concat", "concatenate", "stack") and isinstance(node, cst.Call) and node.args:
        parts = source.code(node.args[0].value)
        yield CodeChange(node.args[0].value, f"{parts}[::-1]")
        yield CodeChange(node, f"tf.add_n({parts})")
        yield CodeChange(
            node, source.code(node).replace(called(node), "stack" if called(node) != "stack" else "concat", 1)
        )
