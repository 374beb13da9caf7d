"""Mistakes that can be made in any program: the usual operators of mutation testing.

Reference:
    Offutt et al. 1996, "An Experimental Determination of Sufficient Mutant Operators".
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import libcst as cst

from autograder.audit.mutants.operators.places import CodeChange, Operators, SourceText, is_documentation, keyword_of

GENERAL = Operators()
_ARITHMETIC: dict[type[cst.BaseBinaryOp], tuple[str, ...]] = {
    cst.Add: ("-", "*"),
    cst.Subtract: ("+", "*"),
    cst.Multiply: ("/", "+"),
    cst.Divide: ("*", "-"),
    cst.FloorDivide: ("*", "+"),
    cst.Power: ("*", "/"),
    cst.Modulo: ("//",),
    cst.MatrixMultiply: ("*",),
}
_COMPARISONS: dict[type[cst.BaseCompOp], tuple[str, ...]] = {
    cst.Equal: ("!=", "<="),
    cst.NotEqual: ("==",),
    cst.LessThan: ("<=", ">"),
    cst.LessThanEqual: ("<", ">"),
    cst.GreaterThan: (">=", "<"),
    cst.GreaterThanEqual: (">", "<"),
    cst.Is: ("is not",),
    cst.IsNot: ("is",),
}
MOST_NAMES = 3
"""Other names that are put in place of one."""


@GENERAL.add("arithmetic")
def exchange_arithmetic(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Put another arithmetic operation in place of one."""
    if isinstance(node, cst.BinaryOperation):
        for other in _ARITHMETIC.get(type(node.operator), ()):
            yield CodeChange(node, f"{source.code(node.left)} {other} {source.code(node.right)}")


@GENERAL.add("term dropped")
def drop_term(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Leave one side of an arithmetic operation alone: a factor, a summand, a root."""
    if isinstance(node, cst.BinaryOperation):
        yield CodeChange(node, source.code(node.left))
        yield CodeChange(node, source.code(node.right))


@GENERAL.add("sign")
def change_sign(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take a sign or a `not` away."""
    if isinstance(node, cst.UnaryOperation):
        yield CodeChange(node, source.code(node.expression))


@GENERAL.add("comparison")
def exchange_comparison(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Put another comparison in place of one."""
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
        (target,) = node.comparisons
        for other in _COMPARISONS.get(type(target.operator), ()):
            yield CodeChange(node, f"{source.code(node.left)} {other} {source.code(target.comparator)}")


@GENERAL.add("condition")
def change_condition(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Negate a condition, or let it always hold or never."""
    if isinstance(node, cst.If | cst.IfExp):
        for text in (f"not ({source.code(node.test)})", "True", "False"):
            yield CodeChange(node.test, text)


@GENERAL.add("constant")
def change_constant(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Add one to a whole number or take one away; take twice, half, ten times or a little more than a broken one."""
    if isinstance(node, cst.Integer) and not _is_of_a_negative(node, source):
        yield CodeChange(node, str(node.evaluated_value + 1))
        yield CodeChange(node, f"({node.evaluated_value - 1})")
    if isinstance(node, cst.Float):
        value = node.evaluated_value
        yield from (CodeChange(node, repr(other)) for other in (2 * value, value / 2, 10 * value, value + 0.5))
    if isinstance(node, cst.UnaryOperation) and isinstance(node.expression, cst.Integer):
        value = node.expression.evaluated_value
        yield CodeChange(node, str(1 - value))
        yield CodeChange(node, str(-value - 1))


def _is_of_a_negative(node: cst.Integer, source: SourceText) -> bool:
    return isinstance(source.parent(node), cst.UnaryOperation)


@GENERAL.add("flag")
def flip_flag(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Exchange True and False."""
    if isinstance(node, cst.Name) and node.value in ("True", "False"):
        yield CodeChange(node, str(node.value != "True"))


@GENERAL.add("text")
def change_text(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take the last character of a text away."""
    if isinstance(node, cst.SimpleString) and isinstance(node.evaluated_value, str) and source.is_read(node):
        yield CodeChange(node, repr(node.evaluated_value[:-1]))


@GENERAL.add("statement removed")
def remove_statement(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take a statement away, if what it assigns is there without it."""
    if isinstance(node, cst.Expr | cst.AugAssign) or (
        isinstance(node, cst.Assign) and _is_assigned_before(node, source)
    ):
        yield CodeChange(node, "pass")


def _is_assigned_before(node: cst.Assign, source: SourceText) -> bool:
    names = {part.value for target in node.targets for part in source.nodes(target) if isinstance(part, cst.Name)}
    return bool(names) and names <= set(names_before(node, source))


@GENERAL.add("statements exchanged")
def exchange_statements(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let two neighbouring statements change places."""
    if isinstance(node, cst.IndentedBlock | cst.Module):
        for first, second in itertools.pairwise(node.body):
            if (
                isinstance(first, cst.SimpleStatementLine)
                and isinstance(second, cst.SimpleStatementLine)
                and not is_documentation(first)
            ):
                codes = [source.code(statement.body[0]) for statement in (first, second)]
                if len(first.body) == len(second.body) == 1 and not codes[1].startswith("return"):
                    indent = " " * source.place_of(first)[1]
                    yield CodeChange(first.body[0], f"{codes[1]}\n{indent}{codes[0]}", second.body[0])


@GENERAL.add("out of the loop")
def move_out_of_loop(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let the last statement of a loop stand behind it, as it does with less indentation."""
    if isinstance(node, cst.For) and len(node.body.body) > 1:
        before, last = node.body.body[-2:]
        if isinstance(before, cst.SimpleStatementLine) and isinstance(last, cst.SimpleStatementLine):
            indent = " " * source.place_of(node)[1]
            moved = f"{source.code(before.body[0])}\n{indent}{source.code(last.body[0])}"
            yield CodeChange(before.body[0], moved, last.body[0])


@GENERAL.add("argument removed")
def remove_argument(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take one argument of a call away."""
    if isinstance(node, cst.Call) and len(node.args) > 1:
        codes = [_alone(given, source) for given in node.args]
        for place in range(len(codes)):
            kept = ", ".join(codes[:place] + codes[place + 1 :])
            yield CodeChange(node, f"{source.code(node.func)}({kept})")


@GENERAL.add("arguments exchanged")
def exchange_arguments(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let two neighbouring arguments change places."""
    if isinstance(node, cst.Call):
        codes = [_alone(given, source) for given in node.args]
        for place, (first, second) in enumerate(itertools.pairwise(node.args)):
            if not keyword_of(first) and not keyword_of(second) and codes[place] != codes[place + 1]:
                swapped = [*codes[:place], codes[place + 1], codes[place], *codes[place + 2 :]]
                yield CodeChange(node, f"{source.code(node.func)}({', '.join(swapped)})")


@GENERAL.add("elements exchanged")
def exchange_elements(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let two neighbouring elements of a list or tuple change places."""
    if isinstance(node, cst.List | cst.Tuple):
        codes = [source.code(element.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for element in node.elements]
        for place in range(len(codes) - 1):
            if codes[place] != codes[place + 1]:
                swapped = [*codes[:place], codes[place + 1], codes[place], *codes[place + 2 :]]
                yield CodeChange(node, _bracketed(node, swapped))


@GENERAL.add("element dropped")
def drop_element(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take one element of a list away."""
    if isinstance(node, cst.List) and len(node.elements) > 1:
        codes = [source.code(element.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for element in node.elements]
        for place in range(len(codes)):
            yield CodeChange(node, _bracketed(node, codes[:place] + codes[place + 1 :]))


def _bracketed(node: cst.List | cst.Tuple, codes: Sequence[str]) -> str:
    inside = ", ".join(codes)
    return f"[{inside}]" if isinstance(node, cst.List) else inside


@GENERAL.add("call dropped")
def drop_call(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Leave the first argument, or what a method was called on, in place of the whole call."""
    if isinstance(node, cst.Call):
        if node.args and not node.args[0].star and not keyword_of(node.args[0]):
            yield CodeChange(node, f"({source.code(node.args[0].value)})")
        if isinstance(node.func, cst.Attribute) and not isinstance(node.func.value, cst.Name):
            yield CodeChange(node, f"({source.code(node.func.value)})")


@GENERAL.add("default changed")
def change_default(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Let a parameter have another default."""
    if isinstance(node, cst.Param) and node.default is not None:
        code = source.code(node.default)
        yield CodeChange(
            node.default, "True" if code in ("None", "False") else "False" if code == "True" else f"2 * {code}"
        )


@GENERAL.add("argument ignored")
def ignore_argument(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take a number in place of what a caller gives."""
    function = source.function_around(node)
    if isinstance(node, cst.Name) and function is not None and source.is_read(node):
        for parameter in function.params.params:
            if parameter.name.value == node.value:
                yield CodeChange(node, source.code(parameter.default) if parameter.default is not None else "2")


@GENERAL.add("other name")
def exchange_name(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Take another variable of the same function, or another attribute of the same object."""
    if isinstance(node, cst.Name) and source.is_read(node):
        known = names_before(node, source)
        if node.value in known:
            others = [name for name in reversed(known) if name not in (node.value, "self")]
            yield from (CodeChange(node, name) for name in others[:MOST_NAMES])
    if isinstance(node, cst.Attribute) and isinstance(node.value, cst.Name) and node.value.value == "self":
        others = [name for name in _own_attributes(node, source) if name != node.attr.value]
        is_stored = isinstance(source.parent(node), cst.AssignTarget)
        yield from (CodeChange(node.attr, name) for name in others[:MOST_NAMES] if not is_stored)


def names_before(node: cst.CSTNode, source: SourceText) -> list[str]:
    """Return the parameters of the function around a node and the names assigned above it, in order."""
    function = source.function_around(node)
    top: cst.CSTNode = source.module if function is None else function
    names = [parameter.name.value for parameter in function.params.params] if function is not None else []
    for other in source.nodes(top):
        if isinstance(other, cst.AssignTarget) and source.place_of(other) < source.place_of(node):
            parts = (part for part in source.nodes(other.target) if isinstance(part, cst.Name))
            if not isinstance(other.target, cst.Attribute | cst.Subscript):
                names += [part.value for part in parts]
    return list(dict.fromkeys(names))


def _own_attributes(node: cst.CSTNode, source: SourceText) -> list[str]:
    """Return the attributes that the class around a node assigns."""
    around = next((above for above in source.around(node) if isinstance(above, cst.ClassDef)), None)
    if around is None:
        return []
    targets = (part.target for part in source.nodes(around) if isinstance(part, cst.AssignTarget))
    return [target.attr.value for target in targets if isinstance(target, cst.Attribute)]


@GENERAL.add("returned value")
def change_return(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Return something else: a part of it, the pair the other way round, a list, nothing."""
    if isinstance(node, cst.Return) and node.value is not None:
        code = source.code(node.value)
        if isinstance(node.value, cst.Tuple):
            parts = [source.code(element.value) for element in node.value.elements]
            yield CodeChange(node.value, ", ".join(reversed(parts)))
            yield from (CodeChange(node.value, part) for part in parts)
        else:
            yield from (CodeChange(node.value, text) for text in (f"[{code}]", f"2 * ({code})", f"0 * ({code})"))
        yield CodeChange(node.value, "None")


@GENERAL.add("counted wrongly")
def count_wrongly(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Go through a loop once too often, or once too seldom."""
    if isinstance(node, cst.For | cst.CompFor):
        code = source.code(node.iter)
        if code.startswith("range("):
            yield CodeChange(node.iter, f"{code[:-1]} + 1)")
            yield CodeChange(node.iter, f"{code[:-1]} - 1)")
        else:
            yield CodeChange(node.iter, f"list({code})[1:]")
            yield CodeChange(node.iter, f"list({code})[:-1]")


@GENERAL.add("result not used")
def lose_result(node: cst.CSTNode, source: SourceText) -> Iterator[CodeChange]:
    """Give a result a name that nobody reads, where an older value has the right name."""
    if isinstance(node, cst.Assign) and len(node.targets) == 1 and _is_assigned_before(node, source):
        target = node.targets[0].target
        if isinstance(target, cst.Name):
            yield CodeChange(target, f"unused_{target.value}")


def _alone(given: cst.Arg, source: SourceText) -> str:
    return source.code(given.with_changes(comma=cst.MaybeSentinel.DEFAULT))
