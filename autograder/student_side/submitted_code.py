"""What the student wrote, run in this process: the module and the notebook's cells."""

from __future__ import annotations

import ast
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras
from IPython.core.inputtransformer2 import TransformerManager

from autograder import wire
from autograder.student_side.error_places import CELL_FILE
from autograder.student_side.given_modules import Given
from autograder.student_side.keras_shortcuts import weightless
from autograder.student_side.stand_ins import stand_in_for


class SubmittedModule:
    """The module, empty until it is loaded; then completed by what the course gives, on request with stand-ins.

    Args:
        submission: Folder of the submission.
    """

    def __init__(self, submission: str) -> None:
        self._submission = submission
        self._name = ""
        self._names: dict[str, Any] = {}

    def load(self, question: wire.Load) -> None:
        """Run the student's module, if asked, and put what the course gives over it, even if it raises."""
        path = Path(self._submission) / f"{question.name}.py"
        sys.path.append(self._submission)
        module = types.ModuleType(question.name)
        module.__file__ = str(path)
        sys.modules[question.name] = module
        self._name, self._names = question.name, vars(module)
        given = Given(question.name, question.given, question.modules)
        try:
            if question.own:
                exec(compile(path.read_bytes(), str(path), "exec"), self._names)  # noqa: S102 - the purpose
        finally:
            given.put_over(self._names)

    def use_stand_ins(self, question: wire.StandIn) -> None:
        """Put reference parts in place of the student's own of the same names."""
        reference = types.ModuleType(f"reference_{self._name}")
        exec(compile(question.source, "reference", "exec"), vars(reference))  # noqa: S102 - trusted text
        names = vars(sys.modules[self._name])  # what the notebook imports, which a student may have replaced
        for name in question.names:
            names[name] = stand_in_for(names.get(name), vars(reference)[name])

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the module has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in self._names:
            raise NameError(f"there is no `{name}` in {self._name}.py", name=name)
        return self._names[name]


class SubmittedNotebook:
    """The notebook's namespace, in which cells are run one after another, as by a kernel.

    Attributes:
        names: All that the cells have defined.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__", "get_ipython": _NoShell}

    def run(self, question: wire.RunCell) -> None:
        """Run one cell; whatever it raises comes out."""
        source = TransformerManager().transform_cell(question.source)
        file = f"{CELL_FILE}{question.id}"
        if not question.weightless:
            exec(compile(source, file, "exec"), self.names)  # noqa: S102 - the purpose
            return
        with weightless():
            for statement in ast.parse(source, file).body:
                self._build(compile(ast.Module([statement], []), file, "exec"))

    def _build(self, statement: types.CodeType) -> None:
        """Run a statement of a cell that builds a model: a model without weights is there, but cannot be called."""
        try:
            exec(statement, self.names)  # noqa: S102 - the purpose
        except tf.errors.OpError:
            if not any(isinstance(value, keras.Model) for value in self.names.values()):
                raise

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the notebook has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in self.names:
            raise NameError(f"there is no `{name}` in your notebook", name=name)
        return self.names[name]


class _NoShell:
    """Takes the place of IPython's shell: magics and shell commands in a cell do nothing."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda *args, **kwargs: None
