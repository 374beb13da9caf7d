"""List what students have to install: the packages that a lab imports, in the versions that it is graded with."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from importlib.metadata import packages_distributions

from packaging.utils import NormalizedName, canonicalize_name

from autograder.errors import AssignmentError

HEADING = "# The versions that the course grades with. To install them: python -m pip install -r requirements.txt\n"
PYTHON = (
    f"# Work is graded with Python {sys.version_info.major}.{sys.version_info.minor}, not with what is new in a later one.\n"
)
"""Stands below the heading in a release, and not in what is built: that is the same with every Python."""
_FROM_JUPYTER = "IPython"  # comes with whatever runs notebooks; Colab needs its own version of it
_PIN = re.compile(r"^([A-Za-z0-9._-]+)==[^\s;\\]+(?: ; [^\\\n]*[^\\\s])?", re.MULTILINE)


def student_requirements(lock: str, sources: Mapping[str, str]) -> str:
    """Return the text of a requirements.txt with what Python sources import, inside functions too.

    Args:
        lock: The course's requirements.lock.
        sources: By name, the notebook as a script, the module and the given modules; they may import each other.

    Raises:
        AssignmentError: If a source is not Python, or imports what the lock does not pin.
    """
    pins: dict[NormalizedName, list[str]] = {}
    for pin in _PIN.finditer(lock):
        pins.setdefault(canonicalize_name(pin[1]), []).append(pin[0])
    installed = packages_distributions()
    imported = {name for source in sources.values() for name in imported_modules(source)}
    elsewhere = sorted(imported - sys.stdlib_module_names - set(sources) - {_FROM_JUPYTER})
    needed = {_distribution(name, installed.get(name, ()), pins) for name in elsewhere}
    return HEADING + "".join(f"{line}\n" for name in sorted(needed) for line in pins[name])


def with_python(requirements: str) -> str:
    """Return a requirements.txt of ours that also says which Python grades: the one that makes the release."""
    return requirements.replace(HEADING, HEADING + PYTHON, 1)


def imported_modules(source: str) -> Iterator[str]:
    """Yield the top-level names of the modules that a Python source imports, inside functions too.

    Raises:
        AssignmentError: If it is not Python.
    """
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise AssignmentError(f"The solutions are not Python, line {error.lineno}: {error.msg}.") from error
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module]
        yield from (name.partition(".")[0] for name in names)


def _distribution(module: str, providers: Iterable[str], pins: Collection[NormalizedName]) -> NormalizedName:
    """Return the name of the pinned package that a module comes from: mostly, but not always, its own name."""
    for name in map(canonicalize_name, (module, *sorted(providers))):
        if name in pins:
            return name
    raise AssignmentError(
        f"The solutions import {module}, which requirements.lock does not pin.",
        "Name its package in pyproject.toml, then run: make lock install",
    )

