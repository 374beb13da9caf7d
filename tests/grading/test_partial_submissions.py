"""A submission is graded for what is there: a module alone, a notebook alone, a notebook full of changed metadata."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from autograder.course.assignment import load_assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.grading.grader import Grader
from autograder.results import SubmissionResult

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ASSIGNMENT = load_assignment(ROOT, "vit")
POINTS = {task.id: task.points for task in ASSIGNMENT.tasks}
NOTEBOOK_TASKS = {"data_split", "preprocessing", "training", "carbon", "pretrained"}
MODULE = (ROOT / "solutions" / "vit" / "utilities.py").read_bytes()
SOLVED = ASSIGNMENT.notebook_path.read_bytes()
GIVEN = {path.name: path.read_bytes() for path in ASSIGNMENT.given_modules}
STUBS = (ROOT / "release" / "vit" / "utilities.py").read_bytes()


@pytest.fixture(scope="module")
def grader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grader]:
    course = Course(tmp_path_factory.mktemp("course"))
    with Grader(course, ASSIGNMENT, threads=1) as grader:
        yield grader


def graded(grader: Grader, **files: bytes) -> SubmissionResult:
    """Grade a submission of these files."""
    names = {"module": "utilities.py", "notebook": "vit.ipynb"}
    result = grader.grade(Snapshot({names[key]: content for key, content in files.items()}, "vit.ipynb"))
    assert not result.has_error
    return result


def in_one_file() -> bytes:
    """The solved module as it was before there were given modules: tools and tests in the same file."""
    module = ast.parse(MODULE)
    module.body = [node for node in module.body if not (isinstance(node, ast.ImportFrom) and node.module in MODULES)]
    before = [GIVEN["lab_tools.py"], GIVEN["public_tests.py"]]  # the experiments came later
    return b"\n\n".join([*before, ast.unparse(module).encode()])


MODULES = {name.removesuffix(".py") for name in GIVEN}


def marks(result: SubmissionResult) -> dict[str, float]:
    """Scores by task."""
    return {task.id: task.score for task in result.tasks}


def reasons(result: SubmissionResult, task_id: str) -> set[str]:
    """Why a task lost points."""
    task = result.task(task_id)
    assert task is not None
    return {check.message for check in task.checks if check.outcome == "failed"}


def test_a_module_alone(grader: Grader) -> None:
    result = graded(grader, module=MODULE)
    found = marks(result)
    for task, points in POINTS.items():
        if task in NOTEBOOK_TASKS:
            assert found[task] == 0
            assert all("missing from what you handed in" in reason for reason in reasons(result, task))
        elif task != "vit_model":
            assert found[task] == points
    assert 0.9 * POINTS["vit_model"] < found["vit_model"] < POINTS["vit_model"]
    assert reasons(result, "vit_model") == {
        "The notebook's cell `vit_model_answer` is missing from what you handed in."
    }
    assert any("There is no notebook in your hand-in" in note for note in result.notes)


@pytest.mark.parametrize(
    "module",
    [
        in_one_file(),
        in_one_file().replace(b"def load_images(", b"def load_pictures("),
        (ROOT / "tests/submissions/right/by_definition.py").read_bytes(),
    ],
    ids=["tools and tests in it", "a tool renamed", "no tools at all"],
)
def test_an_old_module_without_the_given_ones(grader: Grader, module: bytes) -> None:
    assert b"lab_tools import" not in module
    result = graded(grader, module=module, notebook=SOLVED)
    assert marks(result) == POINTS
    assert result.notes == ()


def test_given_modules_come_from_the_course(grader: Grader) -> None:
    spoilt = GIVEN["lab_tools.py"].replace(b"return _load_digits(", b"return None, _load_digits(")
    assert spoilt != GIVEN["lab_tools.py"]
    files = {
        "utilities.py": MODULE,
        "vit.ipynb": SOLVED,
        "lab_tools.py": spoilt,
        "public_tests.py": b"raise SystemExit",
    }
    result = grader.grade(Snapshot(files, "vit.ipynb"))
    assert marks(result) == POINTS
    assert result.notes == tuple(
        f"Your {name} is not the one you were given; grading uses the course's."
        for name in ("lab_tools.py", "public_tests.py")
    )


def test_given_modules_as_they_were_given_need_no_note(grader: Grader) -> None:
    windows = {name: content.replace(b"\n", b"\r\n") for name, content in GIVEN.items()}
    result = grader.grade(Snapshot({"utilities.py": STUBS, **windows}, "vit.ipynb"))
    assert not [note for note in result.notes if "is not the one you were given" in note]


def test_a_notebook_alone(grader: Grader) -> None:
    result = graded(grader, notebook=SOLVED)
    assert marks(result) == {task: points if task in NOTEBOOK_TASKS else 0 for task, points in POINTS.items()}
    assert reasons(result, "attention") == {"You handed in no utilities.py."}


def test_changed_metadata_earns_nothing(grader: Grader) -> None:
    honest = graded(grader, module=STUBS, notebook=SOLVED)
    changed = json.loads(SOLVED)
    cells = [cell for cell in changed["cells"] if cell["metadata"].get("nbgrader", {}).get("grade_id") != "attention"]
    for cell in cells:
        if "nbgrader" in cell["metadata"]:
            cell["metadata"]["nbgrader"] |= {"points": 100, "grade": True, "solution": True, "locked": False}
            cell["metadata"]["tags"] = ["skip-execution", "grading", "weightless"]
    changed["cells"] = [*cells[::-1], *cells[:3]]
    result = graded(grader, module=STUBS, notebook=json.dumps(changed).encode())
    assert marks(result) == marks(honest)
    assert result.max_score == sum(POINTS.values())
    assert len(result.notes) > 5
