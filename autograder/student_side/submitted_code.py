"""What the student wrote, run in this process: the module and the notebook's cells."""

from __future__ import annotations

import builtins
import linecache
import os
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tensorflow as tf
import tf_keras as keras
from IPython.core.inputtransformer2 import TransformerManager

from autograder import wire
from autograder.student_side.error_places import CELL_FILE
from autograder.student_side.given_modules import Given, StudentsModule
from autograder.student_side.jupyter import interrupted_after
from autograder.student_side.private_names.shortcuts import weightless
from autograder.student_side.running import import_files_of, run_text
from autograder.student_side.stand_ins import put_everywhere, stand_in_for


class SubmittedModule:
    """The module, empty until it is loaded; then completed by what the course gives, on request with stand-ins.

    Args:
        submission: Folder of the submission.
        folder: The working folder, from whose copy of it the module is run.
    """

    def __init__(self, submission: str, folder: str) -> None:
        self._submission = submission
        self._folder = folder
        self._name = ""
        self._module = StudentsModule("")
        self._absent: set[str] = set()  # parts that only the released stubs stand for, since the module did not run

    def load(self, question: wire.Load) -> wire.Value:
        """Run the student's module, if asked, and put what the course gives over it, even if it raises.

        What it defines all the same stays. Returns the names of packages that it could not import.
        """
        os.environ.update(question.environment)
        path = Path(self._folder) / f"{question.name}.py"
        import_files_of(self._folder)
        module = StudentsModule(question.name)
        module.__file__ = str(path)
        sys.modules[question.name] = module
        self._name, self._module = question.name, module
        given = Given(question.name, question.given, question.modules)
        loaded = False
        missing: list[str] = []
        try:
            if question.own:
                source = Path(self._submission, path.name).read_bytes()  # the copy may have found no room
                with interrupted_after(question.seconds):
                    missing = run_text(source, str(path), vars(module), to_its_end=True)
                loaded = True
        finally:
            stubs = given.complete(module)
            self._absent = set() if loaded else stubs
        return wire.Items(list(missing))

    def use_stand_ins(self, question: wire.StandIn) -> None:
        """Put reference parts in place of the student's own of the same names."""
        reference = types.ModuleType(f"reference_{self._name}")
        exec(compile(question.source, "reference", "exec", dont_inherit=True), vars(reference))  # noqa: S102 - trusted text
        names = vars(sys.modules[self._name])  # what the notebook imports, which a student may have replaced
        namespaces = list(self._namespaces())
        for name in question.names:
            own = names.get(name)
            names[name] = stand_in_for(own, vars(reference)[name])
            put_everywhere(names[name], own, namespaces)
            self._absent.discard(name)

    def _namespaces(self) -> Iterator[dict[str, Any]]:
        """Yield those of the student's module, and of the files beside it that were imported."""
        for module in list(sys.modules.values()):
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file.startswith(f"{self._folder}/"):
                yield vars(module)

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the module has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in vars(self._module) or name in self._absent:
            raise NameError(f"there is no `{name}` in {self._name}.py", name=name)
        return getattr(self._module, name)


class SubmittedNotebook:
    """The notebook's namespace, in which cells are run one after another, as by a kernel.

    Attributes:
        names: All that the cells have defined.
    """

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.restart(wire.Restart())

    def restart(self, question: wire.Restart) -> None:
        """Forget all that cells have defined."""
        # A module of this name, as in Jupyter: pickle looks there for the cells' classes.
        sys.modules["__main__"] = types.ModuleType("__main__")
        self.names = vars(sys.modules["__main__"])

    def run(self, question: wire.RunCell) -> wire.Value:
        """Run one cell; whatever it raises comes out. Returns the names of packages that it could not import."""
        source = TransformerManager().transform_cell(question.source)
        file = f"{CELL_FILE}{question.id}"
        # For those who ask for the text of a function: `inspect`, and TensorFlow, which translates it for graphs.
        linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
        with interrupted_after(question.seconds):
            if not question.weightless:
                return wire.Items(list(run_text(source, file, self.names, to_its_end=question.to_its_end)))
            with weightless():
                return wire.Items(self._run_weightless(source, file))

    def _run_weightless(self, source: str, file: str) -> list[wire.Value]:
        """Run a cell that builds models: without weights they are there, and what calls them is left out."""
        try:
            return [*run_text(source, file, self.names, to_its_end=True)]
        except tf.errors.OpError:
            if not any(isinstance(value, keras.Model) for value in self.names.values()):
                raise
        return []

    def lacking(self, question: wire.Lacking) -> wire.Value:
        """Return which of these names neither the cells have defined nor Python itself."""
        return wire.Items([name for name in question.names if name not in self.names and not hasattr(builtins, name)])

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the notebook has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in self.names:
            raise NameError(f"there is no `{name}` in your notebook", name=name)
        return self.names[name]
