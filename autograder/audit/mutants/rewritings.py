"""Write right work in other words that mean the same: no check may take a point for it."""

from __future__ import annotations

import ast
import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import libcst as cst

from autograder.audit.mutants.making import Mutant
from autograder.audit.mutants.operators.places import (
    CodeChange,
    Operators,
    SourceText,
    called,
    keyword_of,
    with_argument,
)
from autograder.audit.mutants.originals import Original, is_python

REWRITINGS = Operators()
LONGEST_CHAIN = 5
PARAMETERS = {
    "Dense": ("units",),
    "Dropout": ("rate",),
    "Embedding": ("input_dim", "output_dim"),
    "concat": ("values", "axis"),
    "reshape": ("tensor", "shape"),
    "PatchExtractor": ("patch_size",),
    "PatchEncoder": ("num_patches", "projection_dim"),
    "MultiHeadAttention": ("n_heads", "proj_size", "dk", "dv"),
    "run_experiment": ("model", "training_data", "validation_data", "test_data"),
}
"""What arguments are called that stand by their place, unless the work has a class of this name with other ones."""
OPTIONAL = {"scaled_dot_product_attention": "mask=None", "mlp": "activation=None", "transformerBlock": "name=None"}
"""A parameter more that a function may have."""
WRAPPED = (
    "scaled_dot_product_attention",
    "mlp",
    "transformerBlock",
    "create_vit_classifier",
    "run_experiment",
    "classify_image",
)


@REWRITINGS.add("@ for matmul")
def write_matmul_as_sign(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Write a matrix product with its sign."""
    if (
        called(node) == "matmul"
        and isinstance(node, cst.Call)
        and len(node.args) == 2
        and not any(map(keyword_of, node.args))
    ):
        first, second = (source.code(given.value) for given in node.args)
        yield CodeChange(node, f"(({first}) @ ({second}))")


@REWRITINGS.add("einsum")
def write_matmul_as_einsum(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Write a product with a transposed factor as an equation."""
    if called(node) == "matmul" and isinstance(node, cst.Call) and len(node.args) == 3:
        if keyword_of(node.args[2]) == "transpose_b" and not keyword_of(node.args[1]):
            first, second = (source.code(given.value) for given in node.args[:2])
            if "self." not in second:  # those of a layer may have fewer axes than what they multiply
                yield CodeChange(node, f"tf.einsum('...ij,...kj->...ik', {first}, {second})")


@REWRITINGS.add("sum for Add")
def write_add_as_sign(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Write a residual addition with its sign."""
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Call) and called(node.func) == "Add" and node.args:
        if isinstance(node.args[0].value, cst.List) and len(node.args[0].value.elements) == 2:
            parts = [source.code(part.value) for part in node.args[0].value.elements]
            yield CodeChange(node, f"(({parts[0]}) + ({parts[1]}))")


@REWRITINGS.add("keyword for place")
def name_arguments(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give the arguments of a call by their names."""
    names = (PARAMETERS | _own_parameters(source.text)).get(called(node), ())
    if isinstance(node, cst.Call) and 0 < len(node.args) <= len(names) and not any(given.star for given in node.args):
        is_of_tensors = called(node)[0].isupper() or source.code(node.func).startswith(("tf.", "run_"))
        if is_of_tensors and not any(map(keyword_of, node.args)):
            pairs = zip(names, node.args, strict=False)
            inside = ", ".join(f"{name}={source.code(given.value)}" for name, given in pairs)
            yield CodeChange(node, f"{source.code(node.func)}({inside})")


@functools.lru_cache(maxsize=4)
def _own_parameters(text: str) -> dict[str, tuple[str, ...]]:
    """Return what a module calls the parameters of its own versions of what `PARAMETERS` names."""
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef) and node.name in PARAMETERS]
    return {
        node.name: tuple(given.arg for given in part.args.args[1:])
        for node in classes
        for part in node.body
        if isinstance(part, ast.FunctionDef) and part.name == "__init__"
    }


@REWRITINGS.add("named result")
def name_the_result(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give what is returned a name first."""
    if isinstance(node, cst.Return) and node.value is not None and _begins_its_line(node, source):
        indent = " " * source.place_of(node)[1]
        yield CodeChange(node, f"the_result = {source.code(node.value)}\n{indent}return the_result")


def _begins_its_line(node: cst.Return, source: SourceText) -> bool:
    line = source.parent(node)
    return isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1


@REWRITINGS.add("renamed variable")
def rename_variable(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give a function's variable another name, wherever it stands."""
    if isinstance(node, cst.FunctionDef) and source.function_around(node) is None:
        targets = [
            part.target.value
            for part in source.nodes(node)
            if isinstance(part, cst.AssignTarget) and isinstance(part.target, cst.Name)
        ]
        parameters = {part.name.value for part in source.nodes(node) if isinstance(part, cst.Param)}
        for name in dict.fromkeys(targets):
            if name not in parameters:
                body = node.body.visit(_Renaming(name, f"{name}_{len(name)}"))
                yield CodeChange(source.module, source.module.with_deep_changes(node, body=body).code)


class _Renaming(cst.CSTTransformer):
    """Renames a variable, but no attribute and no keyword of this name."""

    def __init__(self, old: str, new: str) -> None:
        super().__init__()
        self._old, self._new = old, new

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> cst.Name:
        """Rename the chosen variable where it is used."""
        return updated_node.with_changes(value=self._new) if original_node.value == self._old else updated_node

    def leave_Attribute(self, original_node: cst.Attribute, updated_node: cst.Attribute) -> cst.Attribute:
        """Put the attribute's own name back."""
        return updated_node.with_changes(attr=original_node.attr)

    def leave_Arg(self, original_node: cst.Arg, updated_node: cst.Arg) -> cst.Arg:
        """Leave the keywords of arguments as they are."""
        return updated_node.with_changes(keyword=original_node.keyword)


@REWRITINGS.add("optional parameter")
def add_parameter(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Add an optional parameter, which nobody gives."""
    if isinstance(node, cst.FunctionDef) and node.name.value in OPTIONAL and node.params.params:
        extra = OPTIONAL[node.name.value]
        if not node.params.star_kwarg and extra.partition("=")[0] not in {
            part.name.value for part in node.params.params
        }:
            last = node.params.params[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
            yield CodeChange(node.params.params[-1], f"{source.code(last)}, {extra}")


@REWRITINGS.add("type hint")
def add_type_hint(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Say of a parameter that it is a tensor or what else it is."""
    if isinstance(node, cst.Param) and node.annotation is None and node.default is None and node.name.value != "self":
        function = source.function_around(node)
        if function is not None and node in function.params.params:
            yield CodeChange(node.name, f"{node.name.value}: object")


@REWRITINGS.add("comment")
def add_comment(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Add a comment behind a statement."""
    if isinstance(node, cst.Return | cst.Assign) and source.function_around(node) is not None:
        indent = " " * source.place_of(node)[1]
        yield CodeChange(node, f"# what follows is as in the lecture\n{indent}{source.code(node)}")


@REWRITINGS.add("initial values")
def change_initialiser(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give weights other initial values: they are trained anyway."""
    if called(node) == "Dense" and isinstance(node, cst.Call) and not any(given.star for given in node.args):
        yield CodeChange(node, with_argument(source, node, "kernel_initializer='he_normal'"))
    if isinstance(node, cst.Arg) and keyword_of(node) == "initializer" and "zeros" not in source.code(node):
        yield CodeChange(node.value, "'he_normal'")


@REWRITINGS.add("function within")
def wrap_function(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let a function hand everything to another one that does the work."""
    if isinstance(node, cst.FunctionDef) and node.name.value in WRAPPED and not node.decorators:
        name = node.name.value
        within = f"work_of_{name}"
        if source.function_around(node) is None and within not in source.text:
            inner = source.code(node.with_changes(name=cst.Name(within), leading_lines=[])).rstrip("\n")
            outer = f"def {name}(*given, **settings):\n    return {within}(*given, **settings)"
            yield CodeChange(node, f"{inner}\n\n\n{outer}\n")


@REWRITINGS.add("decorator")
def add_decorator(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Compile the attention with `tf.function`."""
    if isinstance(node, cst.FunctionDef) and node.name.value == "scaled_dot_product_attention" and not node.decorators:
        yield CodeChange(node, f"@tf.function\n{source.code(node.with_changes(leading_lines=[])).rstrip()}\n")


@REWRITINGS.add("function for its name")
def write_activation_as_function(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give a non-linearity itself in place of its name."""
    if isinstance(node, cst.SimpleString) and node.evaluated_value in ("relu", "gelu"):
        given = source.parent(node)
        if isinstance(given, cst.Arg) and keyword_of(given) == "activation":
            yield CodeChange(node, f"tf.nn.{node.evaluated_value}")


@REWRITINGS.add("list for range")
def write_range_as_list(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Go through a list of numbers in place of the range."""
    if isinstance(node, cst.For) and source.code(node.iter).startswith(("range(", "enumerate(")):
        yield CodeChange(node.iter, f"list({source.code(node.iter)})")


@REWRITINGS.add("power for root")
def write_root_as_power(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Write a root as a power."""
    if called(node) == "sqrt" and isinstance(node, cst.Call) and len(node.args) == 1:
        yield CodeChange(node, f"(({source.code(node.args[0].value)}) ** 0.5)")


def rewritings_of(originals: Sequence[Original], count: int, seed: str) -> list[Mutant]:
    """Return so many rewritings of right work, in chains of one to five, the same for a seed.

    Args:
        originals: What is rewritten, in turn.
        count: How many; fewer come where there are no more.
        seed: Makes the draw.
    """
    found: dict[str, Mutant] = {}
    for number in range(3 * count + 2 * len(originals)):  # some answers have nothing to rewrite
        if len(found) >= count or not originals:
            break
        original = originals[number % len(originals)]
        rng = random.Random(f"{seed}:{number}:{original.key}")  # noqa: S311 - a draw that can be repeated
        rewritten = _chain(original, rng, 1 + number // len(originals) % LONGEST_CHAIN, number)
        if rewritten is not None:
            found.setdefault(rewritten.text, rewritten)
    return list(found.values())


def _chain(original: Original, rng: random.Random, length: int, number: int) -> Mutant | None:
    """Return an original after several rewritings, one upon the other; None if there is none."""
    now, names = original, []
    for _ in range(length):
        step = _step(now, rng)
        if step is not None:
            name, text = step
            names.append(name)
            now = replace(now, text=text)
    if not names:
        return None
    return Mutant(original, " + ".join(names), 0, 0, number, now.text)


def _step(original: Original, rng: random.Random) -> tuple[str, str] | None:
    """Return the name of a rewriting and the text that it makes."""
    found: dict[str, list[tuple[CodeChange, SourceText]]] = {}
    for node, source in original.nodes():
        for operator in REWRITINGS.by_name.values():
            found.setdefault(operator.name, []).extend((change, source) for change in operator.find(node, source))
    names = [name for name, changes in found.items() if changes]
    rng.shuffle(names)
    for name in names:
        change, source = rng.choice(found[name])
        text = source.changed(change)
        if is_python(text) and not _is_saved(change, source):
            return name, text
    return None


def _is_saved(change: CodeChange, source: SourceText) -> bool:
    function = source.function_around(change.node)
    return function is not None and function.name.value == "get_config"
