"""Fixtures: the miniature course of `tiny`, in three states."""

from __future__ import annotations

import functools
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import nbgrader.api
import pytest
from nbgrader.converters import GenerateAssignment
from playwright.sync_api import Browser

from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.grading.result_store import CachedGrader
from autograder.release.build import build
from tests.browsers import launched
from tests.tiny import TinyCourse, write_tiny_sources
from tests.zygotes import graders_of_commands, zygotes_used_again

LONGEST_FIRST = (
    "audit/test_audit.py",
    "course/test_lab.py",
    "test_flow.py",
    "grading/test_liars.py",
    "audit/mutants/test_run.py",
    "grading/test_partial_submissions.py",
    "grading/test_replies.py",
    "gradebook/test_durability.py",
    "sandbox/test_hostile.py",
    "ledger/test_marks_over_time.py",
    "test_ci.py",
    "grading/test_real_hand_ins.py",
    "course/test_profiles_and_edges.py",
    "grading/test_order_of_tasks.py",
    "test_draws.py",
    "test_hostile_reading.py",
)
"""Files that take longest: begun first, so that no worker is left alone with one of them at the end."""


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker of hidden checks, which some tests import."""
    config.addinivalue_line("markers", "check(sentence, weight=1): what a hidden check asks for")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; workers take files in this order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session", autouse=True)
def _alembic_asked_once() -> Iterator[None]:
    """Ask once: nbgrader starts a program for each new gradebook to learn a constant."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nbgrader.api, "get_alembic_version", functools.cache(nbgrader.api.get_alembic_version))
        yield


@pytest.fixture(scope="session", autouse=True)
def _graders() -> Iterator[list[CachedGrader]]:
    """Let zygotes serve one test after another."""
    with zygotes_used_again(), graders_of_commands() as graders:
        yield graders


@pytest.fixture(autouse=True)
def _graders_end_with_the_test(_graders: list[CachedGrader]) -> Iterator[None]:
    """Close what the commands of a test graded with, as at a command's end."""
    yield
    for grader in _graders:
        grader.close()


@pytest.fixture(autouse=True)
def _modules_of_the_tests_own_course() -> Iterator[None]:
    """Forget a test's course folder, where modules may lie: `late.py` of another test's course must not be found."""
    known = list(sys.path)
    yield
    added = {Path(folder) for folder in sys.path if folder not in known}
    sys.path[:] = known
    for name, module in list(sys.modules.items()) if added else ():  # thousands: longer than most tests take
        if Path(getattr(module, "__file__", None) or "").parent in added:
            del sys.modules[name]


@pytest.fixture(scope="session")
def _tiny_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("template")
    write_tiny_sources(root)
    build(root, "tiny")
    course = read_course(root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "tiny")))
    return root


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for the tests of one file."""
    with launched() as browser:
        yield browser


@pytest.fixture
def tiny_sources(tmp_path: Path) -> Path:
    """A course folder with nothing built."""
    root = tmp_path / "course"
    write_tiny_sources(root)
    return root


@pytest.fixture
def released_course(tmp_path: Path, _tiny_template: Path) -> Iterator[TinyCourse]:
    """A course whose assignment is built, released by nbgrader, and registered in the gradebook."""
    root = tmp_path / "course"
    shutil.copytree(_tiny_template, root)
    yield TinyCourse(read_course(root), load_assignment(root, "tiny"))


@pytest.fixture
def tiny_course(released_course: TinyCourse) -> TinyCourse:
    """A course whose assignment is built; there is no release and no gradebook."""
    shutil.rmtree(released_course.root / "release")
    (released_course.root / "gradebook.db").unlink()
    return released_course
