"""The shape of the package: rooms in one order, imports one way, small modules, and who prints or exits."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "autograder"
ROOMS = (
    "__main__",
    "nbgrader_plugins",
    "cli",
    "release",
    "audit",
    "marking",
    "feedback",
    "exports",
    "reports",
    "batch",
    "collecting",
    "gradebook",
    "deadlines",
    "ledger",
    "grading",
    "checks",
    "checking",
    "student_side",
    "course",
    "rendering",
    "sandbox",
    "wire",
    "vocabulary",
)
"""From the top to the ground: a room imports from itself and from what stands below it."""
VOCABULARY = ("config", "errors", "files", "marks", "progress", "results", "suggestions", "text")
"""Modules at the package's root; they import each other alone."""
PRINT_OR_EXIT = {"print", "sys.stdout.write", "sys.stderr.write", "sys.exit", "exit", "quit", "SystemExit"}
MOST_MODULES = 12
"""In a folder; the check files of an assignment, one for each task, count by themselves."""
BESIDE_CHECKS = {"alternatives", "conftest", "parameters", "quick_names", "stand_ins"}
"""Modules that grading looks for beside the check files; all others lie in folders by subject."""
MOST_LINES = 320
MODULES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem != "__init__"
)


def room_of(module: str) -> str:
    """Return the room of a dotted name within the package, such as `grading.grader`."""
    first = module.split(".")[0]
    return "vocabulary" if first in VOCABULARY else first


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text())


def imported(path: Path) -> Iterator[str]:
    """Yield the package's modules that one imports, at the top or inside functions, named within the package.

    A module whose whole name stands in a text counts, too: that is how one is imported by `importlib`, or run by `-m`.
    """
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("autograder."):
            module = node.module.removeprefix("autograder.")
            is_folder = PACKAGE.joinpath(*module.split(".")).is_dir()
            yield from (f"{module}.{alias.name}" for alias in node.names) if is_folder else (module,)
        elif isinstance(node, ast.ImportFrom) and node.module == "autograder":
            yield from (alias.name for alias in node.names if not alias.name.startswith("__"))
        elif isinstance(node, ast.Import):
            names = (alias.name for alias in node.names)
            yield from (name.removeprefix("autograder.") for name in names if name.startswith("autograder."))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("autograder."):
            name = node.value.removeprefix("autograder.")
            yield from (name,) if Path(*name.split(".")).with_suffix(".py") in MODULES else ()


def named(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def is_check_file(path: Path) -> bool:
    return path.parts[0] == "checks" and path.name.startswith("test_")


def test_every_module_has_its_room() -> None:
    assert {room_of(named(path)) for path in MODULES} == set(ROOMS)


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_point_down(path: Path) -> None:
    here = ROOMS.index(room_of(named(path)))
    upward = [name for name in imported(path) if ROOMS.index(room_of(name)) < here]
    assert not upward, f"{named(path)} imports {upward}"


def test_the_student_side_knows_the_wire_the_sandbox_and_errors_alone() -> None:
    modules = (path for path in MODULES if path.parts[0] == "student_side")
    known = {room_of(name) if room_of(name) != "vocabulary" else name for path in modules for name in imported(path)}
    assert known <= {"student_side", "wire", "sandbox", "errors"}


def file_of(name: str) -> Path:
    """Return the file that a name is imported from: a module, a folder's `__init__`, or that of the folder above it."""
    path = Path(*name.split("."))
    if PACKAGE.joinpath(path).is_dir():
        return path / "__init__.py"
    module = path.with_suffix(".py")
    return module if module in MODULES else path.parent / "__init__.py"


def run_by_imports(importer: Path) -> Iterator[Path]:
    """Yield the files that Python runs for a module's imports: those named, and the `__init__` of folders around them.

    Folders around the importer itself are left out: their `__init__` has begun before it.
    """
    for file in map(file_of, imported(importer)):
        around = {folder / "__init__.py" for folder in file.parents if folder not in importer.parents}
        yield from {file, *around} & set(MODULES)


def test_no_import_goes_round_in_a_circle() -> None:
    TopologicalSorter({path: set(run_by_imports(path)) for path in MODULES}).prepare()  # raises, and names the circle


def test_modules_that_importlib_imports_are_seen() -> None:
    assert "student_side.server" in set(imported(Path("student_side/zygote.py")))
    assert "student_side.zygote" in set(imported(Path("grading/zygote_client.py")))


def test_circles_through_a_folder_are_seen() -> None:
    assert set(run_by_imports(Path("grading/student_process.py"))) >= {Path("wire/__init__.py"), Path("config.py")}
    assert file_of("wire.Load") == Path("wire/__init__.py")
    assert file_of("wire.frames") == Path("wire/frames.py")


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_imports_are_absolute(path: Path) -> None:
    tree = tree_of(path)
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]


FOLDERS = sorted({path.parent for path in MODULES} - {Path()})


@pytest.mark.parametrize("folder", FOLDERS, ids=str)
def test_a_folder_is_small(folder: Path) -> None:
    modules = [path.stem for path in MODULES if path.parent == folder and path.stem != "__init__"]
    checks = [module for module in modules if is_check_file(folder / module)]
    assert len(checks) <= MOST_MODULES
    assert len(modules) - len(checks) <= MOST_MODULES


@pytest.mark.parametrize("assignment", sorted((PACKAGE / "checks").iterdir()), ids=lambda folder: folder.name)
def test_what_checks_share_lies_in_folders_by_subject(assignment: Path) -> None:
    beside = {path.stem for path in assignment.glob("*.py") if not is_check_file(path.relative_to(PACKAGE))}
    assert beside <= BESIDE_CHECKS


def test_the_root_is_small() -> None:
    assert len([path for path in PACKAGE.glob("*.py") if path.stem != "__init__"]) <= 10


@pytest.mark.parametrize("path", MODULES, ids=named)
def test_a_module_is_short(path: Path) -> None:
    assert len((PACKAGE / path).read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] not in ("cli", "__main__.py")], ids=named)
def test_only_the_command_line_prints_and_exits(path: Path) -> None:
    tree = tree_of(path)
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not calls & PRINT_OR_EXIT


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[0] != "student_side"], ids=named)
def test_trusted_processes_import_no_tensorflow(path: Path) -> None:
    tree = tree_of(path)
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name.split(".")[0] in ("tensorflow", "tf_keras", "keras")}
    assert "student_side.server" not in set(imported(path))


@pytest.mark.parametrize("path", [path for path in MODULES if "private_names" not in path.parts], ids=named)
def test_private_names_of_tensorflow_and_keras_stand_in_one_place(path: Path) -> None:
    tree = tree_of(path)
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not {name for name in names if re.match(r"(tf_)?keras\.src\.|tensorflow\.python\.", name)}
