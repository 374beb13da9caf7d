"""What the student wrote, run in this process: the module and the notebook's cells."""

from __future__ import annotations
import __future__

import ast
import asyncio
import builtins
import functools
import inspect
import linecache
import operator
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import tensorflow as tf
import tf_keras as keras
from IPython.core.inputtransformer2 import TransformerManager

from autograder import wire
from autograder.student_side.error_places import CELL_FILE
from autograder.student_side.given_modules import Given, StudentsModule
from autograder.student_side.jupyter import as_in_jupyter, interrupted_after
from autograder.student_side.private_names.shortcuts import weightless
from autograder.student_side.stand_ins import stand_in_for

_FUTURES = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)


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

        What it defined before it raised stays. Returns the names of packages that it could not import.
        """
        path = Path(self._folder) / f"{question.name}.py"
        sys.path.append(self._folder)
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
                    missing = run_text(source, str(path), vars(module))
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
        for name in question.names:
            names[name] = stand_in_for(names.get(name), vars(reference)[name])
            self._absent.discard(name)

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
                return wire.Items(list(run_text(source, file, self.names)))
            with weightless():
                return wire.Items(list(run_text(source, file, self.names, self._build)))

    def lacking(self, question: wire.Lacking) -> wire.Value:
        """Return which of these names neither the cells have defined nor Python itself."""
        return wire.Items([name for name in question.names if name not in self.names and not hasattr(builtins, name)])

    def _build(self, statement: types.CodeType, names: dict[str, Any]) -> None:
        """Run a statement of a cell that builds a model: a model without weights is there, but cannot be called."""
        try:
            _execute(statement, names)
        except tf.errors.OpError:
            if not any(isinstance(value, keras.Model) for value in names.values()):
                raise

    def find(self, name: str) -> Any:  # noqa: ANN401 - whatever the student named so
        """Return what the notebook has under a name.

        Raises:
            NameError: If there is no such name.
        """
        if name not in self.names:
            raise NameError(f"there is no `{name}` in your notebook", name=name)
        return self.names[name]


class Placeholder:
    """Stands for what could not be imported; every use of it raises the error of the import.

    Args:
        error: What the import raised.
    """

    def __init__(self, error: ImportError) -> None:
        self.__error = error

    def __use(self, *args: object, **kwargs: object) -> NoReturn:
        raise ModuleNotFoundError(f"{self.__error}, but your code uses it", name=self.__error.name)

    __call__ = __getitem__ = __setitem__ = __contains__ = __iter__ = __len__ = __enter__ = __mro_entries__ = __use
    __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __neg__ = __use
    __radd__ = __rsub__ = __rmul__ = __rmatmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __use
    __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = __index__ = __array__ = __use

    def __repr__(self) -> str:
        return f"<what could not be imported: {self.__error}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # Python's own questions, such as those of `copy` and `inspect`
            raise AttributeError(name)
        self.__use()


def _execute(code: types.CodeType, names: dict[str, Any]) -> None:
    """Run a statement; one that awaits something runs to its end, as in Jupyter."""
    if code.co_flags & inspect.CO_COROUTINE:
        _event_loop().run_until_complete(eval(code, names))  # noqa: S307 - the purpose
    else:
        exec(code, names)  # noqa: S102 - the purpose


@functools.cache
def _event_loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all cells: what one begins another one may wait for."""
    return asyncio.new_event_loop()


def run_text(
    source: str | bytes,
    file: str,
    names: dict[str, Any],
    execute: Callable[[types.CodeType, dict[str, Any]], None] = _execute,
) -> list[str]:
    """Run a module or a cell in a namespace, and return the names of packages that could not be imported.

    Args:
        source: Its text.
        file: Under which it is compiled.
        names: The namespace.
        execute: Runs a statement in it.

    Raises:
        BaseException: Whatever the text raises, but for the error of an import that stands unguarded at its top level.
    """
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if file.startswith(CELL_FILE) else 0
    tree = ast.parse(source, file)
    compile(tree, file, "exec", flags, dont_inherit=True)  # what only the compiler refuses keeps all of it from running
    missing: list[str] = []
    for statement in tree.body:
        is_import = isinstance(statement, ast.Import | ast.ImportFrom)
        for part in _single_imports(statement) if is_import else [statement]:
            code = compile(ast.Module([part], []), file, "exec", flags, dont_inherit=True)
            flags |= code.co_flags & _FUTURES
            try:
                execute(code, names)
                as_in_jupyter(names)
            except ImportError as error:
                if not is_import:
                    raise
                missing.append(_put_placeholder(part, error, names))
    return missing


def _single_imports(statement: ast.stmt) -> Iterator[ast.stmt]:
    """Yield an import statement one name at a time: of several names, one may be missing."""
    if isinstance(statement, ast.Import):
        yield from (ast.copy_location(ast.Import([alias]), statement) for alias in statement.names)
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield ast.copy_location(ast.ImportFrom(statement.module, [alias], statement.level), statement)


def _put_placeholder(statement: ast.stmt, error: ImportError, names: dict[str, Any]) -> str:
    """Put a placeholder under the name that an import would have given, and return what is missing."""
    if not isinstance(statement, ast.Import | ast.ImportFrom):
        raise error
    (alias,) = statement.names
    name = alias.asname or alias.name.partition(".")[0]
    if name != "*":
        names.setdefault(name, Placeholder(error))
    of = f"{statement.module}." if isinstance(statement, ast.ImportFrom) else ""
    return str(error.name or f"{of}{alias.name}")
