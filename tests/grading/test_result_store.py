"""A result that exists is not computed again; where checks changed, only their tasks are."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from autograder.course.assignment import load_assignment
from autograder.course.submission import Snapshot, read_submission
from autograder.grading import result_store as store
from autograder.grading import rules_digest
from autograder.grading.grader import CachedTask
from autograder.grading.rules_digest import PACKAGE, checks_digest, grading_digest
from autograder.results import SubmissionResult, TaskResult
from tests.tiny import REPOSITORY, TinyCourse, tiny_result

CHECKS = REPOSITORY / "autograder" / "checks" / "vit"


class CountingGrader:
    """Stands in for a grader: gives each task that is not cached the marks set here, and counts it."""

    marks = tiny_result()
    graded: list[str] = []  # noqa: RUF012 - emptied by each test

    def __init__(self, course: object, assignment: object, **kwargs: object) -> None:
        self.alive = True

    def grade(self, snapshot: Snapshot, cached: CachedTask) -> SubmissionResult:
        """Grade the tasks that are not cached."""
        course = CountingGrader
        assignment = load_assignment(snapshot_root(), "tiny")
        tasks: list[TaskResult] = []
        for task in assignment.tasks:
            wrong = [
                assignment.task(other.id)
                for other in tasks
                if other.id in task.builds_on and other.score < other.max_score
            ]
            known = cached(task, wrong)
            if known is None:
                course.graded.append(task.id)
                known = course.marks.task(task.id)
            assert known is not None
            tasks.append(known)
        digest = msgspec.structs.replace(course.marks.submission, digest=snapshot.digest)
        return msgspec.structs.replace(course.marks, submission=digest, tasks=tuple(tasks))

    def close(self) -> None:
        """Nothing to end."""


_root: list[Path] = []


def snapshot_root() -> Path:
    """Return the course that is graded."""
    return _root[-1]


@pytest.fixture
def course(tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> TinyCourse:
    """A course whose second task builds on the first, and a counting grader for it."""
    plan = tiny_course.root / "autograder/checks/tiny/tasks.toml"
    plan.write_text(plan.read_text().replace("builds_on = []", 'builds_on = ["double"]'))
    monkeypatch.setattr(store, "Grader", CountingGrader)
    monkeypatch.setattr(CountingGrader, "marks", tiny_result())
    monkeypatch.setattr(CountingGrader, "graded", [])
    _root[:] = [tiny_course.root]
    tiny_course.hand_in("ada", b"{}")
    return tiny_course


def graded(course: TinyCourse) -> list[str]:
    """Grade in a new grader, as another run would, and return the tasks that were graded."""
    CountingGrader.graded.clear()
    grader = store.CachedGrader(course.course, load_assignment(course.root, "tiny"))
    grader.grade(course.root / "submitted/ada/tiny", "ada")
    return list(CountingGrader.graded)


def change(course: TinyCourse, name: str) -> None:
    """Change a file beside the checks without changing what it does."""
    path = course.root / "autograder/checks/tiny" / name
    path.write_text(f"{path.read_text()}\n# changed\n")


def test_an_unchanged_submission_is_not_graded_again(course: TinyCourse) -> None:
    assert graded(course) == ["double", "total"]
    assert graded(course) == []


def test_a_changed_check_reruns_its_task_alone(course: TinyCourse) -> None:
    graded(course)
    change(course, "test_total.py")
    assert graded(course) == ["total"]
    assert graded(course) == []


def test_a_task_is_graded_again_where_another_part_stands_in(
    course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    graded(course)
    change(course, "test_double.py")
    assert graded(course) == ["double"]
    change(course, "test_double.py")
    monkeypatch.setattr(CountingGrader, "marks", tiny_result(double=1.0))
    assert graded(course) == ["double", "total"]


def test_a_text_that_all_tasks_share_reruns_all(course: TinyCourse) -> None:
    graded(course)
    change(course, "tasks.toml")
    assert graded(course) == ["double", "total"]


def test_only_the_task_in_error_is_graded_again(course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CountingGrader, "marks", tiny_result(outcome="error"))
    assert graded(course) == ["double", "total"]
    monkeypatch.setattr(CountingGrader, "marks", tiny_result())
    assert graded(course) == ["double"]


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("readings/layouts", {"multi_head_attention", "transformer_block", "vit_model", "training"}),
        ("training/data", {"data_split", "preprocessing"}),
        ("oracles/hugging_face", {"pretrained"}),
        ("test_mlp", {"mlp"}),
    ],
)
def test_a_shared_module_counts_for_the_tasks_that_import_it(tmp_path: Path, name: str, changed: set[str]) -> None:
    shutil.copytree(CHECKS, tmp_path / "vit")

    def digests() -> dict[str, str]:
        files = (tmp_path / "vit").glob("test_*.py")
        return {path.stem.removeprefix("test_"): checks_digest(path) for path in files}

    before = digests()
    path = tmp_path / "vit" / f"{name}.py"
    path.write_text(path.read_text() + "\n# changed\n")
    after = digests()
    assert {task for task in before if before[task] != after[task]} == changed


@pytest.mark.parametrize(
    "name", ["numbers.py", "__init__.py", "readings/__init__.py", "readings/deep/blocks.py", "readings/deep/rows.py"]
)
def test_modules_in_folders_below_the_checks_count(tmp_path: Path, name: str) -> None:
    texts = {
        "test_it.py": "import autograder.checks.all.readings.deep.blocks\nfrom autograder.checks.all import numbers",
        "readings/deep/blocks.py": "def f():\n    from autograder.checks.all.readings.deep.rows import ROWS",
    }
    for path in ("test_it.py", "numbers.py", "__init__.py", "readings/__init__.py", "readings/deep/rows.py", *texts):
        (tmp_path / "all" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "all" / path).write_text(texts.get(path, ""))
    before = checks_digest(tmp_path / "all/test_it.py")
    (tmp_path / "all" / name).write_text(texts.get(name, "") + "\nCHANGED = True\n")
    assert checks_digest(tmp_path / "all/test_it.py") != before


def test_a_result_of_another_submission_is_not_taken(course: TinyCourse) -> None:
    graded(course)
    folder = course.root / "submitted/ada/tiny"
    grader = store.CachedGrader(course.course, load_assignment(course.root, "tiny"))
    other = grader._store._path(read_submission(folder, "tiny", course.course.settings)).read_bytes()
    (folder / "utilities.py").write_text("changed = 1\n")
    path = grader._store._path(read_submission(folder, "tiny", course.course.settings))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(other)
    assert grader.cached(folder, "ada") is None


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package, to be changed."""
    copy = tmp_path / "autograder"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def replace_in(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    "module",
    [
        "cli/main.py", "reports/class_report.py", "feedback/page.py", "release/leaks.py", "__init__.py",
        *rules_digest.DECIDES_NOTHING,
    ],
)  # fmt: skip
def test_what_decides_no_marks_regrades_nobody(
    course: TinyCourse, package: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(rules_digest, "PACKAGE", package)
    graded(course)
    (package / module).write_text((package / module).read_text() + "\n# another word\n")
    grading_digest.cache_clear()
    assert graded(course) == []


@pytest.mark.parametrize(
    "module",
    [
        "grading/grader.py", "checking/comparisons.py", "student_side/stand_ins.py", "sandbox/confine.py",
        "wire/bounds.py", "course/notebook.py", "results.py",
    ],
)  # fmt: skip
def test_what_grades_counts_for_every_result(
    course: TinyCourse, package: Path, monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    monkeypatch.setattr(rules_digest, "PACKAGE", package)
    graded(course)
    (package / module).write_text((package / module).read_text() + "\n# another rule\n")
    grading_digest.cache_clear()
    assert graded(course) == ["double", "total"]


def test_a_changed_given_module_counts_for_every_result(course: TinyCourse) -> None:
    tools = course.root / "source/tiny/tools.py"
    tools.write_text("SIZE = 1\n")
    graded(course)
    tools.write_text("SIZE = 2\n")
    assert graded(course) == ["double", "total"]


def test_another_tolerance_in_a_check_regrades_its_task(course: TinyCourse) -> None:
    graded(course)
    checks = course.root / "autograder/checks/tiny/test_double.py"
    replace_in(checks, "close(doubled, numbers + numbers)", "close(doubled, numbers + numbers, 1e-3)")
    assert graded(course) == ["double"]
