"""Make mutants of right work, all that the operators can make, and draw a sample of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from autograder.audit.mutants.operators.general import GENERAL
from autograder.audit.mutants.operators.layers import LAYERS
from autograder.audit.mutants.operators.tensors import TENSORS
from autograder.audit.mutants.operators.training import TRAINING
from autograder.audit.mutants.originals import Original, is_python

OPERATORS = {**GENERAL.by_name, **TENSORS.by_name, **LAYERS.by_name, **TRAINING.by_name}
NOT_GRADED = ("get_config", "_serializable")
"""Functions, and decorators, that nothing in the lab asks for."""


@dataclass(frozen=True)
class Mutant:
    """One small change of right work.

    Attributes:
        original: What was changed.
        operator: Name of the operator.
        line: Where, in the text of the original.
        column: Likewise.
        number: Which of the operator's changes at this place.
        text: The changed text.
    """

    original: Original
    operator: str
    line: int
    column: int
    number: int
    text: str

    @property
    def name(self) -> str:
        """What names it in every run: style, task, operator and place."""
        return f"{self.original.key}/{self.operator}/{self.line}:{self.column}/{self.number}"


def mutants_of(original: Original) -> Iterator[Mutant]:
    """Yield all mutants of an original, each text once; a few are not Python."""
    seen = {original.text}
    for node, source in original.nodes():
        for operator in OPERATORS.values():
            for number, change in enumerate(operator.find(node, source)):
                function = source.function_around(change.node)
                if function is not None and function.name.value in NOT_GRADED:
                    continue
                text = source.changed(change)
                line, column = source.place_of(change.node)
                if text not in seen:
                    seen.add(text)
                    yield Mutant(original, operator.name, line, column, number, text)


def sample(mutants: Iterable[Mutant], count: int, seed: str) -> list[Mutant]:
    """Draw mutants: the same for a seed, as many of each task and operator as there are, and from every style.

    Args:
        mutants: All that there are.
        count: How many; 0 for all.
        seed: Makes the draw.
    """
    groups: dict[str, dict[str, list[Mutant]]] = {}
    for mutant in sorted(mutants, key=lambda mutant: _rank(seed, mutant.name)):
        groups.setdefault(mutant.original.task, {}).setdefault(mutant.operator, []).append(mutant)
    in_turn = _in_turn([_in_turn(list(operators.values())) for operators in groups.values()])
    return list(islice((mutant for mutant in in_turn if is_python(mutant.text)), count or None))


def _in_turn(groups: Sequence[Sequence[Mutant]]) -> list[Mutant]:
    """Return the first of each group, then the second of each, and so on."""
    return [mutant for mutant in chain.from_iterable(zip_longest(*groups)) if mutant is not None]


def _rank(seed: str, name: str) -> bytes:
    return hashlib.sha256(f"{seed}:{name}".encode()).digest()
