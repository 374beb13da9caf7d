"""Files of hidden checks, imported as modules or run by themselves."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from autograder.checking.remote import Student
from autograder.course.assignment import Task
from autograder.grading.check_runner import collected_checks
from autograder.results import CheckResult

CHECKS = Path(__file__).parents[1] / "autograder" / "checks" / "vit"
DRAWS = 50
"""A verdict must not hang on the draw: so many are tried of each kind."""


def run_checks(task: Task, student: Student, seed: bytes) -> tuple[CheckResult, ...]:
    """Return what one task's checks find; for arguments and errors see `Checks.run`."""
    with collected_checks([task]) as checks:
        return checks.run(task, student, seed)


@functools.cache
def load_checks(task: str) -> ModuleType:
    """Return the module of one task's hidden checks."""
    spec = importlib.util.spec_from_file_location(f"hidden_checks_of_{task}", CHECKS / f"test_{task}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def body_of(fixture: Any) -> Any:
    """Return the function that pytest's decorator made a fixture of."""
    return getattr(fixture, "__wrapped__", None) or fixture.__pytest_wrapped__.obj
