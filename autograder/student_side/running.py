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
from collections.abc import Callable, Iterator
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
    executed_by: Callable[[types.CodeType, dict[str, Any]], None] = execute,
) -> list[str]:
    """Run a module or a cell in a namespace, and return what it, or a file that it imports, could not import.

    Each is the name of a package, or `module:name` where the module is there and the name is not.

    Args:
        source: Its text.
        file: Under which it is compiled.
        names: The namespace.
        executed_by: Runs a statement in it.

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
                executed_by(code, names)
                as_in_jupyter(names)
            except ImportError as error:
                if not is_import:
                    raise
                missing.append(_put_placeholder(part, error, names))
    missing += _lacking_in_files
    _lacking_in_files.clear()
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
    if isinstance(error, ModuleNotFoundError) or isinstance(statement, ast.Import):
        return str(error.name or alias.name)
    return f"{statement.module or ''}:{alias.name}"


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
