"""What an assignment supplies so that its mutants can be told from right work, and where to find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from autograder.audit.mutants.freedoms import Freedom
from autograder.errors import UsageError

HERE = Path(__file__).parent
MODULE_NAME = "comparison"
"""The module of an assignment's folder here that holds its `COMPARISON`."""


@dataclass(frozen=True)
class Comparison:
    """How the parts of one assignment are put side by side.

    Its texts define `look_at_<task>()` for a task of the module, and `look_at_<task>_answer(answer)` for an answer of
    the notebook.

    Attributes:
        folder: Where the texts stand.
        texts: Names of the modules whose text runs behind the wall, in this order.
        first_cell: grade_id of the cell that runs before them: the notebook's imports.
        freedoms: Where the assignment leaves freedom.
    """

    folder: Path
    texts: Sequence[str]
    first_cell: str
    freedoms: Sequence[Freedom]

    def read_texts(self) -> list[str]:
        """Return the texts that run behind the wall."""
        return [(self.folder / f"{name}.py").read_text("utf-8") for name in self.texts]

    @property
    def files(self) -> list[Path]:
        """All that it is made of; a verdict depends on them."""
        return sorted(self.folder.glob("*.py"))


def comparison_of(assignment: str) -> Comparison:
    """Return how the parts of an assignment are compared.

    Raises:
        UsageError: If no folder here supplies that.
    """
    known = sorted(path.parent.name for path in HERE.glob(f"*/{MODULE_NAME}.py"))
    if assignment not in known:
        raise UsageError(
            f"Mutants of {assignment} cannot be told from right work: nothing says how to compare its parts.",
            f"--mutants knows {', '.join(known)}.",
        )
    found: Comparison = import_module(f"{__package__}.{assignment}.{MODULE_NAME}").COMPARISON
    return found
