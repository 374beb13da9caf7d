"""Builds: the same every time, complete, and refused whole."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.errors import AssignmentError, ReleaseRefused
from autograder.release.leaks import find_leaks
from autograder.release.build import build, stale_files
from autograder.release.publish import release
from autograder.results import SubmissionResult
from tests.trees import snapshot
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse, tiny_result


def test_build_is_byte_identical_and_known_to_be_up_to_date(tiny_sources: Path) -> None:
    written = build(tiny_sources, "tiny")
    first = snapshot(tiny_sources / "source")
    assert {path.relative_to(tiny_sources / "source").as_posix() for path in written} == set(first)
    assert set(first) == {"tiny/tiny.ipynb", "tiny/utilities.py", "tiny/images/dot.txt"}
    assert stale_files(tiny_sources, "tiny") == []
    build(tiny_sources, "tiny")
    assert snapshot(tiny_sources / "source") == first


def test_build_reports_and_removes_what_is_stale(tiny_sources: Path) -> None:
    build(tiny_sources, "tiny")
    (tiny_sources / "solutions/tiny/images/dot.txt").unlink()
    (tiny_sources / "source/tiny/utilities.py").write_text("x = 1\n")
    (tiny_sources / "source/tiny/tiny.ipynb").unlink()
    assert stale_files(tiny_sources, "tiny") == [
        "source/tiny/tiny.ipynb is missing.",
        "source/tiny/images/dot.txt is not from solutions/tiny.",
        "source/tiny/utilities.py is out of date.",
    ]
    build(tiny_sources, "tiny")
    assert set(snapshot(tiny_sources / "source")) == {"tiny/tiny.ipynb", "tiny/utilities.py"}


def test_failed_build_writes_nothing(tiny_sources: Path) -> None:
    build(tiny_sources, "tiny")
    before = snapshot(tiny_sources / "source")
    script = tiny_sources / "solutions/tiny/tiny.py"
    script.write_text(script.read_text() + "\n# %%\n### BEGIN SOLUTION\n")
    (tiny_sources / "solutions/tiny/new.txt").write_text("new")
    with pytest.raises(AssignmentError):
        build(tiny_sources, "tiny")
    assert snapshot(tiny_sources / "source") == before


def test_build_refuses_a_module_it_does_not_know(tiny_sources: Path) -> None:
    (tiny_sources / "solutions/tiny/oracle.py").write_text("secret = 1\n")
    with pytest.raises(AssignmentError, match=r"Neither the notebook nor the module imports solutions/tiny/oracle\.py"):
        build(tiny_sources, "tiny")
