"""The notebook's cells, run in one namespace as a kernel would."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from IPython.core.inputtransformer2 import TransformerManager

from autograder import wire
from autograder.student_side.error_places import CELL_FILE
from autograder.student_side.parameter_counting import weightless


class RunningNotebook:
    """The namespace in which cells are run and names are looked up."""

    def __init__(self) -> None:
        self._names: dict[str, Any] = {"__name__": "__main__", "get_ipython": _NoShell}

    def run(self, question: wire.RunCell) -> None:
        """Run one cell; whatever it raises comes out."""
        source = TransformerManager().transform_cell(question.source)
        code = compile(source, f"{CELL_FILE}{question.id}", "exec")
        with weightless() if question.weightless else nullcontext():
            exec(code, self._names)  # noqa: S102 - the purpose

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the notebook has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in self._names:
            raise NameError(f"there is no `{name}` in your notebook", name=name)
        return self._names[name]


class _NoShell:
    """Takes the place of IPython's shell: magics and shell commands in a cell do nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None
