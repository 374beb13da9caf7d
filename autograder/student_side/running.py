"""Run the texts of a submission statement by statement: what cannot be imported fails only where it is used."""

from __future__ import annotations
import __future__

import ast
import asyncio
import functools
import inspect
import operator
import sys
import types
from collections.abc import Iterator
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    SourceFileLoader,
    SourcelessFileLoader,
)
from pathlib import Path
from typing import Any, NoReturn

from autograder.student_side.error_places import CELL_FILE
from autograder.student_side.jupyter import as_in_jupyter

_FUTURES = functools.reduce(
    operator.or_, (getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
)
_lacking_in_files: list[str] = []
"""What files could not import that were themselves imported: whoever runs the text that did it tells of it."""


class Placeholder:
    """Stands for what could not be imported; every use of it raises the error of the import.

    What lies in it, and what a type hint makes of it, is the placeholder again.

    Args:
        error: What the import raised.
    """

    def __init__(self, error: ImportError) -> None:
        self.__error = error

    def __use(self, *args: object, **kwargs: object) -> NoReturn:
        kind = ModuleNotFoundError if isinstance(self.__error, ModuleNotFoundError) else ImportError
        error = kind(f"{self.__error}, but your code uses it", name=self.__error.name)
        error.placeholder = self  # type: ignore[attr-defined]
        raise error

    def __within(self, *args: object) -> Placeholder:
        return self

    __getitem__ = __or__ = __ror__ = __within
    __call__ = __setitem__ = __contains__ = __iter__ = __len__ = __enter__ = __mro_entries__ = __instancecheck__ = __use
    __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = __floordiv__ = __mod__ = __pow__ = __neg__ = __use
    __radd__ = __rsub__ = __rmul__ = __rmatmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rpow__ = __use
    __lt__ = __le__ = __gt__ = __ge__ = __float__ = __int__ = __index__ = __array__ = __use

    def __repr__(self) -> str:
        return f"<what could not be imported: {self.__error}>"

    def __getattr__(self, name: str) -> Placeholder:
        if name.startswith("__"):  # Python's own questions, such as those of `copy` and `inspect`
            raise AttributeError(name)
        return self


def execute(code: types.CodeType, names: dict[str, Any]) -> None:
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
    *,
    to_its_end: bool = False,
) -> list[str]:
    """Run a module or a cell in a namespace, and return what it, or a file that it imports, could not import.

    Each is the name of a package, or `module:name` where the module is there and the name is not.

    Args:
        source: Its text.
        file: Under which it is compiled.
        names: The namespace.
        to_its_end: Go on after a statement that raises, and raise the first of these errors at the end: what fails
            where work is graded, such as a path of the student's machine, costs only what needs it.

    Raises:
        BaseException: Whatever the text raises, but for the error of an import that stands unguarded at its top level.
            A statement there that needs what was not imported is left out, and the same placeholder stands for what
            it would have made.
    """
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT if file.startswith(CELL_FILE) else 0
    tree = ast.parse(source, file)
    compile(tree, file, "exec", flags, dont_inherit=True)  # what only the compiler refuses keeps all of it from running
    missing: list[str] = []
    first_error: Exception | None = None
    for part in _parts_of(tree):
        code = compile(ast.Module([part], []), file, "exec", flags, dont_inherit=True)
        flags |= code.co_flags & _FUTURES
        try:
            execute(code, names)
            as_in_jupyter(names)
        except Exception as error:
            lacking = _put_placeholders(part, error, names)
            missing += lacking or ()
            first_error = first_error or (error if lacking is None else None)
            if first_error and not to_its_end:
                raise
    missing += _lacking_in_files
    _lacking_in_files.clear()
    if first_error:
        raise first_error
    return missing


def _parts_of(tree: ast.Module) -> Iterator[ast.stmt]:
    """Yield the statements of a text, imports one name at a time: of several names, one may be missing."""
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            yield from (ast.copy_location(ast.Import([alias]), statement) for alias in statement.names)
        elif isinstance(statement, ast.ImportFrom):
            for alias in statement.names:
                yield ast.copy_location(ast.ImportFrom(statement.module, [alias], statement.level), statement)
        else:
            yield statement


def _put_placeholders(statement: ast.stmt, error: Exception, names: dict[str, Any]) -> list[str] | None:
    """Put placeholders under the names that a statement would have made, if something could not be imported.

    Returns:
        What is missing, where the statement imports it, and nothing where it uses what was missing before; None if the
        error is another one.
    """
    if isinstance(error, ImportError) and isinstance(statement, ast.Import | ast.ImportFrom):
        (alias,) = statement.names
        name = alias.asname or alias.name.partition(".")[0]
        if name != "*":
            names.setdefault(name, Placeholder(error))
        if isinstance(error, ModuleNotFoundError) or isinstance(statement, ast.Import):
            return [str(error.name or alias.name)]
        return [f"{statement.module or ''}:{alias.name}"]
    placeholder = getattr(error, "placeholder", None)
    if not isinstance(placeholder, Placeholder):
        return None
    names |= dict.fromkeys(_names_made_by(statement), placeholder)
    return []


def _names_made_by(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif not isinstance(statement, ast.Expr):
        stored = (
            part for part in ast.walk(statement) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
        )
        yield from (part.id for part in stored)


def import_files_of(folder: str) -> None:
    """Have the files of a folder imported, each run as `run_text` runs one."""

    def finder(path: str) -> FileFinder:
        if Path(folder) not in (Path(path), *Path(path).parents):
            raise ImportError(f"{path} is not in {folder}")
        return FileFinder(
            path,
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (_StudentsFile, SOURCE_SUFFIXES),
            (SourcelessFileLoader, BYTECODE_SUFFIXES),
        )

    sys.path_hooks.insert(0, finder)
    sys.path.append(folder)


class _StudentsFile(SourceFileLoader):
    """Imports a file that was handed in."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Run the file."""
        _lacking_in_files.extend(run_text(self.get_data(self.path), self.path, vars(module)))
