"""The modules that the course gives: imported from its own texts, whatever files of their names were handed in."""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from typing import Any


class _CourseModules(MetaPathFinder, InspectLoader):
    """Finds and loads modules whose texts it holds."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in self._texts else None

    def get_source(self, fullname: str) -> str:
        return self._texts[fullname]

    def get_code(self, fullname: str) -> types.CodeType:
        return compile(self._texts[fullname], f"given {fullname}.py", "exec", dont_inherit=True)


class StudentsModule(types.ModuleType):
    """A student's module. Whoever imports from it gets what the course gave in place of the student's own.

    Attributes:
        _of_the_course: What the course gave, by name; a slot, so that it is no name of the module's.
    """

    __slots__ = ("_of_the_course",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._of_the_course: dict[str, Any] = {}

    def __getattribute__(self, name: str) -> Any:  # noqa: ANN401 - whatever a module holds
        given = object.__getattribute__(self, "_of_the_course")
        return given[name] if name in given else super().__getattribute__(name)

    def give(self, name: str, value: object) -> None:
        """Put what the course gave under a name, for others; in the module itself where it has nothing there."""
        self._of_the_course[name] = value
        vars(self).setdefault(name, value)


class Given:
    """The released module and the given modules beside it, run before any code of the student's.

    Args:
        name: Name of the student's module.
        released: Text of the released module.
        modules: Texts of the given modules, by name.
    """

    def __init__(self, name: str, released: str, modules: Mapping[str, str]) -> None:
        sys.meta_path.insert(0, _CourseModules(modules))
        self._modules = frozenset(modules)
        self._released = types.ModuleType(name)
        exec(compile(released, f"given {name}.py", "exec", dont_inherit=True), vars(self._released))  # noqa: S102 - trusted text

    def complete(self, module: StudentsModule) -> set[str]:
        """Have a student's module give others what the course gave, whatever it has itself under the same names.

        Trusted cells use it; a student who broke or dropped some of it loses nothing by that. Inside the module the
        student's own of these names stay. Names that it lacks altogether come as the released stubs, and are returned.
        """
        names = vars(module)
        stubs: set[str] = set()
        for name, value in vars(self._released).items():
            if not self._is_complete(value):
                stubs |= {name} - names.keys()
                names.setdefault(name, value)
            elif value.__module__ in self._modules:
                module.give(name, value)
            else:
                module.give(name, _moved(value, names))
        return stubs

    def _is_complete(self, value: object) -> bool:
        """Whether this is a given module's function, or one of the released module's with nothing left to write."""
        if not isinstance(value, types.FunctionType):
            return False
        own = value.__globals__ is vars(self._released)
        return value.__module__ in self._modules or (own and "NotImplementedError" not in value.__code__.co_names)


def _moved(function: types.FunctionType, names: dict[str, Any]) -> types.FunctionType:
    """Return the function as if it had been written in the module of these names, whose parts it then calls."""
    moved = types.FunctionType(function.__code__, names, function.__name__, function.__defaults__, function.__closure__)
    moved.__kwdefaults__ = function.__kwdefaults__
    return moved
