"""Digests of what decides marks: if one of them changes, cached results no longer count.

These are the code that grades (found by following imports, so that a word in `cli` or `reports` regrades nobody), the
checks, the instructor's texts, the settings, the libraries' versions and the course's secret.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import platform
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from importlib.metadata import version
from itertools import accumulate
from pathlib import Path

import msgspec

from autograder.course.assignment import MODULE, Assignment
from autograder.course.course import Course, course_secret

LIBRARIES = ("tensorflow", "tf-keras", "numpy", "scikit-learn", "transformers", "carbontracker")
SHARED_TEXTS = ("tasks.toml", "parameters.py", "quick_names.py", "stand_ins.py", "alternatives.py", "conftest.py")
"""Files beside the checks that all tasks depend on."""
PACKAGE = Path(__file__).parents[1]
GRADING_ROOMS = ("grading", "checking", "student_side")
"""Where following imports begins. Grading starts the student side as a program, so no import leads there."""
DECIDES_NOTHING = (
    "sandbox/remedies.py",  # what to do about a missing layer: grading stops, whatever the words are
    "suggestions.py",  # words of errors that end a command
    "files.py",  # how files are written; the submission's digest, which it makes, is itself in each result's key
    "course/snapshot_store.py",  # where snapshots lie; they are found by the digest of what they hold
    "course/rubrics.py",  # marking by hand
    "rendering/picture_kinds.py",  # what a page may show
)
"""Modules that grading imports and no automatic mark depends on: to reword them regrades nobody."""
_NOT_RULES = ("jobs", "timezone")


class Rules(msgspec.Struct, frozen=True):
    """Digests of all that marks depend on besides the submission.

    Attributes:
        checks: Of each task's checks, by grade_id.
        settings: Of the course's settings.
        others: Of what every task depends on: code, libraries, the instructor's texts, the course's secret.
    """

    checks: dict[str, str]
    settings: str
    others: str

    @property
    def shared(self) -> str:
        """The SHA-256 of all that every task depends on."""
        return _digest([self.settings.encode(), self.others.encode()])


def read_rules(course: Course, assignment: Assignment) -> Rules:
    """Return the digests of the rules as they are now."""
    settings = {key: value for key, value in asdict(course.settings).items() if key not in _NOT_RULES}
    versions = [platform.python_version(), *(f"{name} {version(name)}" for name in LIBRARIES)]
    code = repr((grading_digest(PACKAGE), versions)).encode()
    texts = [path.read_bytes() for path in _instructors_texts(assignment)]
    return Rules(
        checks={task.id: checks_digest(task.checks) for task in assignment.tasks},
        settings=_digest([repr(sorted(settings.items())).encode()]),
        others=_digest([course_secret(course) + code, *texts]),
    )


@functools.cache
def grading_digest(package: Path) -> str:
    """Return the SHA-256 of the modules of a copy of this package that grading consists of."""
    start = [path for room in GRADING_ROOMS for path in (package / room).glob("*.py")]
    return _digest_files(_import_closure(start, functools.partial(_module_of_package, package)))


def checks_digest(checks: Path) -> str:
    """Return the SHA-256 of one file of checks and of what it imports of its assignment's folder, directly or not."""
    return _digest_files(_import_closure([checks], functools.partial(_module_of_checks, checks.parents[1])))


def _instructors_texts(assignment: Assignment) -> Iterator[Path]:
    shared = sorted(assignment.checks_dir / name for name in SHARED_TEXTS)
    stubs, solution = assignment.source_dir / f"{MODULE}.py", assignment.solution_dir / f"{MODULE}.py"
    texts = (*shared, assignment.notebook_path, stubs, *assignment.given_modules, solution)
    yield from (path for path in texts if path.is_file())


def _import_closure(start: Iterable[Path], find: Callable[[str], Path | None]) -> set[Path]:
    """Return these files and all that they import, directly or not.

    Args:
        start: Python files.
        find: Returns the file of a module by its dotted name; None for one that does not count.
    """
    closure, waiting = set[Path](), list(start)
    while waiting:
        path = waiting.pop()
        if path not in closure:
            closure.add(path)
            files = (find(name) for name in _imported_names(path))
            waiting += [file for file in files if file is not None]
    return closure


def _imported_names(path: Path) -> Iterator[str]:
    """Yield the dotted names that a file imports, wherever the import stands, and the packages that hold them.

    `from package import name` gives `package.name`, too, which may be a module.
    """
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:  # importing a.b.c runs a's and a.b's own code first
            yield from accumulate(name.split("."), "{}.{}".format)


def _module_of_package(package: Path, name: str) -> Path | None:
    """Return the file of a module that counts.

    Checks do not: they are digested task by task. Nor does the package's own `__init__`, which is its version.
    """
    first, *rest = name.split(".")
    if first != "autograder" or not rest or rest[0] == "checks":
        return None
    path = _file_of(package.joinpath(*rest))
    return None if path in {package / module for module in DECIDES_NOTHING} else path


def _module_of_checks(all_checks: Path, name: str) -> Path | None:
    """Return the file of `autograder.checks.<assignment>.<module>`, which may lie in folders below the assignment's."""
    package, *place = name.split(".")
    if package != "autograder" or place[:1] != ["checks"]:
        return None
    return _file_of(all_checks.joinpath(*place[1:]))


def _file_of(module: Path) -> Path | None:
    """Return the file of a module, or of a package's own code, whose path is given without an ending."""
    candidates = (module / "__init__.py", module.parent / f"{module.name}.py")  # in the order in which Python looks
    return next((path for path in candidates if path.is_file()), None)


def _digest_files(paths: Iterable[Path]) -> str:
    return _digest(path.read_bytes() for path in sorted(paths))


def _digest(texts: Iterable[bytes]) -> str:
    whole = hashlib.sha256()
    for text in texts:
        whole.update(hashlib.sha256(text).digest())  # digests of one length keep the borders between texts
    return whole.hexdigest()
