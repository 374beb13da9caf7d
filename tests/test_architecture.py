"""The shape of the package: imports point one way, and only the command line prints."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "autograder"
ORDER = (
    ("errors", "nearest", "package", "watch"),
    ("results",),
    ("config",),
    ("assignment", "regions", "cells", "sanitizing"),
    ("requirements",),
    ("structure", "bounds"),
    ("notebook", "wire", "submission"),
    ("mends",),
    ("seccomp", "cgroup"),
    ("sandbox",),
    ("warden",),
    ("lean", "observation", "weightless"),
    ("evidence", "checking", "host", "session", "zygote"),
    ("hidden_checks", "respondent"),
    ("runner",),
    ("corpus", "store"),
    ("steps", "gate", "locks"),
    ("database", "rendering", "release"),
    ("freshness", "pages"),
    ("recorded", "pictures"),
    ("gradebook",),
    ("trial",),
    ("batch", "doctor"),
    ("cluster",),
    ("marks", "similarity"),
    ("student_marks",),
    ("feedback_page",),
    ("feedback",),
    ("item_analysis", "csv_exports"),
    ("charts", "exports"),
    ("report",),
    ("audit",),
    ("audit_report", "stability"),
    ("parser", "progress", "tables"),
    ("cli",),
    ("__main__",),
)
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__")


def imported(module: str) -> Iterator[str]:
    """Yield the package's modules that one imports, at the top or inside functions."""
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("autograder."):
            yield node.module.split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "autograder":
            yield from (alias.name for alias in node.names if alias.name in MODULES)


def test_every_module_has_its_place() -> None:
    assert sorted(RANK) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_one_way(module: str) -> None:
    upward = [name for name in imported(module) if RANK[name] > RANK[module]]
    assert not upward, f"{module} imports {upward}"


@pytest.mark.parametrize("module", [name for name in MODULES if name != "cli"])
def test_only_the_command_line_prints(module: str) -> None:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    calls = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert "print" not in calls


@pytest.mark.parametrize(
    "module", ["runner", "hidden_checks", "respondent", "session", "checking", "store", "batch", "cluster", "gradebook"]
)
def test_the_grader_process_imports_no_tensorflow(module: str) -> None:
    tree = ast.parse((PACKAGE / f"{module}.py").read_text())
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not {name for name in names if name.split(".")[0] in ("tensorflow", "tf_keras", "keras")}
    assert "autograder.host" not in names
