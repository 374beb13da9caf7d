"""The main job, end to end: build, release, grade a class, record, give feedback; and nbgrader's own command."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from autograder.cli.main import main
from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.course.solution_regions import inside_lines, outside_lines
from autograder.release.build import stale_files
from autograder.sandbox.cgroup import delegated
from tests.submissions.__main__ import copy_course, write_class
from tests.tiny import scores

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BOUND = "cgroup" if delegated() else "watchdog"
FULL = {
    "attention": 8, "multi_head_attention": 12, "mlp": 4, "transformer_block": 10, "data_split": 2, "preprocessing": 2,
    "patch_extractor": 8, "patch_encoder": 8, "vit_model": 8, "training": 6,
    "carbon": 2, "pretrained": 2,
}  # fmt: skip
MARKS = {
    "perfect-by-definition": FULL,
    "perfect-einsum": FULL,
    "untouched-stubs": dict.fromkeys(FULL, 0),
    "half-done": dict.fromkeys(FULL, 0) | {"attention": 8, "multi_head_attention": 12, "mlp": 4},
    "attention-unscaled": FULL | {"attention": 5},
    "heads-not-merged": FULL | {"multi_head_attention": 6},
    "crash-at-import": FULL,  # what stands above the line that raises is graded
    "never-returns": FULL | {"multi_head_attention": 0},
}


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A released course with the example class, graded and recorded."""
    folder = tmp_path_factory.mktemp("demo") / "course"
    copy_course(folder)
    here = ["--course", str(folder)]
    assert main(["build", *here]) == 0
    assert main(["release", *here]) == 0
    write_class(folder)
    for student in folder.joinpath("submitted").iterdir():
        if student.name not in MARKS:
            shutil.rmtree(student)
    assert main(["grade", *here, "--json", str(folder / "json")]) == 0
    return folder


def automatic(folder: Path) -> dict[str, dict[str, float]]:
    course = read_course(folder)
    book = scores(course, load_assignment(folder, "vit"))
    return {student: {task: marks[task] for task in FULL} for student, marks in book.items()}


@pytest.mark.parametrize("student", MARKS)
def test_marks_are_right(course: Path, student: str) -> None:
    assert automatic(course)[student] == MARKS[student], lost_checks(course, student)


def lost_checks(course: Path, student: str) -> dict[str, str]:
    """Return each check that was not passed, with its reason."""
    result = json.loads((course / "json" / f"{student}.json").read_text())
    checks = [check for task in result["tasks"] for check in task["checks"]]
    return {check["id"]: check["message"] for check in checks if check["outcome"] != "passed"}


def test_nbgrader_gives_the_same_marks(course: Path) -> None:
    """Results are forgotten first, so that nbgrader's command grades by itself."""
    before = automatic(course)
    shutil.rmtree(course / ".autograder" / "results")
    words = [sys.executable, "-m", "nbgrader", "autograde", "vit", "--student", "h*", "--force"]  # two of them
    done = subprocess.run(words, cwd=course, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list((course / ".autograder" / "results" / "vit").rglob("*.json"))) == 2
    assert automatic(course) == before


def test_results_follow_the_contract(course: Path) -> None:
    result = json.loads((course / "json" / "attention-unscaled.json").read_text())
    assert result["schema"] == 1
    assert result["assignment"] == "vit"
    assert result["submission"]["student"] == "attention-unscaled"
    assert (result["score"], result["max_score"]) == (69, 72)
    assert result["environment"]["sandbox"] == ["namespaces", "landlock", "seccomp", "rlimits", BOUND]
    task = result["tasks"][0]
    assert (task["id"], task["score"], task["max_score"], task["carried_forward"]) == ("attention", 5, 8, False)
    check = task["checks"][0]
    assert check["id"] == "attention::weights"
    assert (check["outcome"], check["misconception"], check["weight"]) == ("failed", "unscaled", 6)
    assert check["message"]
    assert {task["id"]: task["carried_forward"] for task in result["tasks"]}["multi_head_attention"]


def test_the_endless_loop_is_named(course: Path) -> None:
    result = json.loads((course / "json" / "never-returns.json").read_text())
    messages = [check["message"] for task in result["tasks"] for check in task["checks"]]
    assert any("no answer within" in message for message in messages)


def test_the_crash_is_named_with_its_line(course: Path) -> None:
    result = json.loads((course / "json" / "crash-at-import.json").read_text())
    (note,) = result["notes"]
    assert re.search(r"NameError.*create_vit_clasifier.*utilities.py.* line \d+", note)


def test_feedback_teaches_and_hides_the_checks(course: Path) -> None:
    assert main(["feedback", "--course", str(course), "heads-not-merged"]) == 0
    page = html.unescape((course / "feedback" / "heads-not-merged" / "vit" / "vit.html").read_text())
    result = json.loads((course / "json" / "heads-not-merged.json").read_text())
    shown = re.sub("</?code>|`", "", page)  # what stands between backticks is code there
    for task in result["tasks"]:
        for check in task["checks"]:
            assert check["sentence"].replace("`", "") in shown
            assert check["message"].replace("`", "") in shown
    lines = {
        line.strip()
        for path in (ROOT / "autograder" / "checks" / "vit").rglob("*.py")
        for line in path.read_text().splitlines()
        if len(line.strip()) > 30 and not line.strip().startswith(("import", "from", "@pytest", '"'))
    }
    assert not [line for line in lines if line in page]
    assert str(ROOT) not in page


def test_the_committed_build_is_up_to_date() -> None:
    assert stale_files(ROOT, "vit") == []


def test_the_committed_release_is_what_release_makes(course: Path) -> None:
    for name in ("vit.ipynb", "utilities.py"):
        assert (ROOT / "release" / "vit" / name).read_bytes() == (course / "release" / "vit" / name).read_bytes()


def test_no_solution_stands_in_source_or_release() -> None:
    solved = (ROOT / "solutions" / "vit" / "utilities.py").read_text()
    secret = inside_lines(solved) - outside_lines(solved)
    assert secret
    for path in (ROOT / "source/vit/utilities.py", ROOT / "release/vit/utilities.py"):
        assert not secret & {line.strip() for line in path.read_text().splitlines()}


def test_check_prints_the_result_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(ROOT / "solutions" / "vit"), "--json", "-", "--course", str(ROOT)]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["score"] == result["max_score"] == 72
    assert {task["id"]: task["score"] for task in result["tasks"]} == FULL
