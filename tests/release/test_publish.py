"""Releases: built the same every time, made by nbgrader, and refused when something secret is in them."""

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
from autograder.release.leaks import check_release
from autograder.release.publish import build, is_built, release
from autograder.results import SubmissionResult
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse, tiny_result


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def fair_grade(folder: Path) -> SubmissionResult:
    """Grades by what stands in the files."""
    module = (folder / "utilities.py").read_text()
    notebook = (folder / "tiny.ipynb").read_text()
    return tiny_result(double=3.0 * ("2.0 * x" in module), total=2.0 * ("sum(range(size))" in notebook))


def problems_of(course: TinyCourse, release_dir: Path) -> list[str]:
    """What the gate says of a release folder."""
    assignment = course.assignment
    module = (assignment.solution_dir / "utilities.py").read_text()
    given = [path.read_text() for path in assignment.given_modules]
    return check_release(module, given, assignment.notebook_path.read_bytes(), assignment.checks_dir, release_dir)


def test_build_is_byte_identical_and_known_to_be_up_to_date(tiny_sources: Path) -> None:
    written = build(tiny_sources, "tiny")
    first = snapshot(tiny_sources / "source")
    assert {path.relative_to(tiny_sources / "source").as_posix() for path in written} == set(first)
    assert set(first) == {"tiny/tiny.ipynb", "tiny/utilities.py", "tiny/images/dot.txt"}
    assert is_built(tiny_sources, "tiny") == []
    build(tiny_sources, "tiny")
    assert snapshot(tiny_sources / "source") == first


def test_build_reports_and_removes_what_is_stale(tiny_sources: Path) -> None:
    build(tiny_sources, "tiny")
    (tiny_sources / "solutions/tiny/images/dot.txt").unlink()
    (tiny_sources / "source/tiny/utilities.py").write_text("x = 1\n")
    (tiny_sources / "source/tiny/tiny.ipynb").unlink()
    assert is_built(tiny_sources, "tiny") == [
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


def test_modules_that_the_lab_imports_are_given(tiny_sources: Path) -> None:
    folder = tiny_sources / "solutions/tiny"
    (folder / "tools.py").write_text("import more_tools\n")
    (folder / "more_tools.py").write_text("def show():\n    pass\n")
    (folder / "utilities.py").write_text(TINY_MODULE + "\n\nfrom tools import more_tools\n")
    build(tiny_sources, "tiny")
    assert (tiny_sources / "source/tiny/more_tools.py").read_text() == "def show():\n    pass\n"
    given = load_assignment(tiny_sources, "tiny").given_modules
    assert [path.name for path in given] == ["more_tools.py", "tools.py"]


def test_gate_finds_a_solution_in_a_given_module(released_course: TinyCourse) -> None:
    for folder in ("solutions", "source", "release"):
        (released_course.root / folder / "tiny/tools.py").write_text("def f(x):\n    return twice_of_everything\n")
    (found,) = problems_of(released_course, released_course.assignment.release_dir)
    assert found.startswith("tools.py: a line of the solution in utilities.py is in it")


def test_release_is_what_nbgraders_own_command_makes(tiny_course: TinyCourse) -> None:
    made = release(tiny_course.course, tiny_course.assignment, fair_grade)
    ours = snapshot(made)
    assert set(ours) == {"tiny.ipynb", "utilities.py", "images/dot.txt"}
    shutil.rmtree(made)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    words = [sys.executable, "-m", "nbgrader", "generate_assignment", "tiny", "--force"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PATH": path}
    subprocess.run(words, cwd=tiny_course.root, env=environment, check=True, capture_output=True)
    assert snapshot(made) == ours


def test_release_registers_cells_and_points(tiny_course: TinyCourse) -> None:
    release(tiny_course.course, tiny_course.assignment, fair_grade)
    with Gradebook(f"sqlite:///{tiny_course.root / 'gradebook.db'}") as book:
        cells = {cell.name: cell.max_score for cell in book.find_notebook("tiny", "tiny").grade_cells}
    assert cells == {"double": 3.0, "total": 2.0, "question_01": 2.0}
    assert list((tiny_course.root / ".autograder").iterdir()) == []


def test_release_replaces_the_old_one_whole(released_course: TinyCourse) -> None:
    stale = released_course.root / "release/tiny/stale.txt"
    stale.write_text("old")
    release(released_course.course, released_course.assignment, fair_grade)
    assert not stale.exists()


@pytest.mark.parametrize(
    ("grade", "problem"),
    [
        (lambda folder: tiny_result(double=0.5, total=0.0), "The solutions get 0.5 of 3 points for double."),
        (lambda folder: tiny_result(double=3.0, total=2.0), "The empty release gets 2 points for total."),
        (
            lambda folder: tiny_result(outcome="error"),
            "The checks of double stopped with an error on the solutions.",
        ),
    ],
)
def test_release_is_refused_when_marks_are_wrong(
    tiny_course: TinyCourse, grade: Callable[[Path], SubmissionResult], problem: str
) -> None:
    with pytest.raises(ReleaseRefused) as refused:
        release(tiny_course.course, tiny_course.assignment, grade)
    assert f"- {problem}" in str(refused.value)
    assert not (tiny_course.root / "release/tiny").exists()
    assert not (tiny_course.root / "gradebook.db").exists()


def test_refusal_keeps_release_and_gradebook(released_course: TinyCourse) -> None:
    root = released_course.root
    before = snapshot(root / "release")
    script = root / "solutions/tiny/tiny.py"
    script.write_text(script.read_text().replace('"points": 2}\n# Hidden', '"points": 4}\n# Hidden'))
    build(root, "tiny")
    database = (root / "gradebook.db").read_bytes()
    with pytest.raises(ReleaseRefused):
        release(read_course(root), load_assignment(root, "tiny"), lambda folder: tiny_result())
    assert snapshot(root / "release") == before
    assert (root / "gradebook.db").read_bytes() == database


def test_release_is_refused_when_the_build_is_stale(tiny_course: TinyCourse) -> None:
    (tiny_course.root / "source/tiny/utilities.py").write_text("x = 1\n")
    with pytest.raises(ReleaseRefused, match=r"(?s)utilities\.py is out of date.*autograder build"):
        release(tiny_course.course, tiny_course.assignment, fair_grade)


def test_release_is_refused_when_a_line_of_a_check_is_in_it(tiny_course: TinyCourse) -> None:
    module = tiny_course.root / "solutions/tiny/utilities.py"
    module.write_text(module.read_text() + "numbers = rng.normal(size=(3, 5)).astype(np.float32)\n")
    build(tiny_course.root, "tiny")
    with pytest.raises(ReleaseRefused, match=r"- utilities\.py: a line of a hidden check is in it: 'numbers = rng"):
        release(tiny_course.course, tiny_course.assignment, fair_grade)
    assert not (tiny_course.root / "gradebook.db").exists()


def test_gate_has_nothing_to_say_of_a_fair_release(released_course: TinyCourse) -> None:
    assert problems_of(released_course, released_course.assignment.release_dir) == []


@pytest.mark.parametrize(
    ("file", "planted", "problem"),
    [
        ("utilities.py", "return twice_of_everything", "utilities.py: a line of the solution in utilities.py"),
        ("utilities.py", "total = sum(range(size))", "utilities.py: a line of the solution in tiny.ipynb"),
        ("images/dot.txt", "  twice_of_everything = 2.0 * x", "a line of the solution in utilities.py"),
        ("tiny.ipynb", "total = sum(range(size))", "tiny.ipynb: a line of the solution in tiny.ipynb"),
        ("tiny.ipynb", "twice_of_everything = 2.0 * x", "tiny.ipynb: a line of the solution in utilities.py"),
        ("new.md", "Doubling is multiplying by two, which costs one operation per element.", "in tiny.ipynb"),
        ("tiny.ipynb", 'require(student.variable("total") == 499500, "", None)', "number from a hidden check"),
        ("utilities.py", "    numbers = rng.normal(size=(3, 5)).astype(np.float32)", "a line of a hidden check"),
        ("tiny.ipynb", "The answer is 1,234,567.", "a number from a hidden check is in it: 1234567."),
        ("utilities.py", "### BEGIN SOLUTION", "the marker 'BEGIN SOLUTION' is left"),
        ("tiny.ipynb", "=== BEGIN MARK SCHEME ===", "the marker 'MARK SCHEME' is left"),
        ("test_double.py", "", "has the name of a hidden check"),
        ("deep/tasks.toml", "", "has the name of a hidden check"),
        ("check.py", "    twice_of_everything = 2.0 * x", "check.py: a line of the solution in utilities.py"),
    ],
)
def test_gate_finds_what_was_planted(released_course: TinyCourse, file: str, planted: str, problem: str) -> None:
    folder = released_course.assignment.release_dir
    path = folder / file
    path.parent.mkdir(exist_ok=True)
    if file == "tiny.ipynb":
        notebook = json.loads(path.read_text())
        notebook["cells"][0]["source"] = ["harmless\n", planted]
        path.write_text(json.dumps(notebook))
    else:
        path.write_text((path.read_text() if path.exists() else "") + planted + "\n")
    found = problems_of(released_course, folder)
    assert any(problem in one for one in found), found


def test_gate_finds_a_long_line_of_a_check_even_where_the_sources_show_it(released_course: TinyCourse) -> None:
    line = "numbers = rng.normal(size=(3, 5)).astype(np.float32)"
    for folder in ("solutions", "release"):
        path = released_course.root / folder / "tiny/utilities.py"
        path.write_text(path.read_text() + line + "\n")
    assert "a line of a hidden check" in problems_of(released_course, released_course.assignment.release_dir)[0]


def test_gate_finds_outputs(released_course: TinyCourse) -> None:
    path = released_course.root / "release/tiny/tiny.ipynb"
    notebook = json.loads(path.read_text())
    notebook["cells"][1]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "42"}]
    path.write_text(json.dumps(notebook))
    found = problems_of(released_course, path.parent)
    assert found == ["tiny.ipynb: the cell 'parameters' has outputs or has been run."]
