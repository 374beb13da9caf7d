"""Rewritings say the same in other words."""

from __future__ import annotations

import numpy as np
import pytest

from autograder.audit.mutants.making import Mutant
from autograder.audit.mutants.originals import Original
from autograder.audit.mutants.rewritings import REWRITINGS, rewritings_of

MODULE = '''def part(x, units):
    """Text that stays."""
    total = x
    for unit in range(units):
        total = total + unit
    return total * 2


class Whole:
    def call(self, x):
        found = part(x, units=3)
        return found + self.part if hasattr(self, "part") else found
'''


@pytest.fixture(scope="module")
def rewritten() -> list[Mutant]:
    """Rewritings of one module."""
    return rewritings_of([Original("style", "task", "", MODULE, frozenset({"part", "Whole"}))], 40, "seed")


def test_rewritten_work_does_the_same(rewritten: list[Mutant]) -> None:
    assert len({mutant.text for mutant in rewritten}) == len(rewritten) > 20
    for mutant in rewritten:
        space: dict[str, object] = {}
        exec(mutant.text, space)  # noqa: S102 - written here
        assert space["Whole"]().call(np.arange(3)).tolist() == [6, 8, 10], mutant.text  # type: ignore[operator]


def test_a_function_is_put_into_another_one_once() -> None:
    module = "def mlp(x):\n    return x\n"
    for mutant in rewritings_of([Original("style", "mlp", "", module, frozenset({"mlp"}))], 60, "seed"):
        space: dict[str, object] = {}
        exec(mutant.text, space)  # noqa: S102 - written here
        assert space["mlp"](7) == 7, mutant.text  # type: ignore[operator]


def test_arguments_get_the_names_that_the_work_gives_them() -> None:
    module = """class MultiHeadAttention:
    def __init__(self, heads, width):
        self.sizes = heads, width


def block():
    return MultiHeadAttention(2, 5)
"""
    original = Original("style", "transformer_block", "", module, frozenset({"block", "MultiHeadAttention"}))
    named = [mutant.text for mutant in rewritings_of([original], 60, "seed") if "keyword" in mutant.operator]
    assert named
    assert all("MultiHeadAttention(heads=2, width=5)" in text for text in named)


def test_chains_have_up_to_five_links(rewritten: list[Mutant]) -> None:
    chains = [mutant.operator.split(" + ") for mutant in rewritten]
    assert {len(chain) for chain in chains} == {1, 2, 3, 4, 5}
    assert {name for chain in chains for name in chain} <= REWRITINGS.by_name.keys()
