"""Running hidden checks: what is said where they cannot be run, what is not run with them, and running them again."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from autograder import wire
from autograder.checking.remote import Student
from autograder.course.assignment import load_assignment
from autograder.errors import AssignmentError
from autograder.grading.check_runner import collected_checks
from tests.hidden_checks import run_checks
from tests.tiny import TinyCourse


def unasked(*question: object) -> Any:
    """Stand in for a student process where a check may ask nothing; after a failed one, it made no layer of Keras 3."""
    assert isinstance(question[0], wire.OtherKeras), question
    return ()


STUDENT = Student(unasked, unasked, 0)


def test_a_check_file_that_cannot_be_imported_is_told_shortly(tiny_course: TinyCourse) -> None:
    task = tiny_course.assignment.task("double")
    task.checks.write_text("import pytest\n\nvalue = misspelt\n")
    with pytest.raises(AssignmentError, match="NameError: name 'misspelt' is not defined") as raised:
        run_checks(task, STUDENT, b"seed")
    assert "test_double.py:3" in str(raised.value)
    assert "pluggy" not in str(raised.value)


def test_a_conftest_above_the_checks_is_not_run(tiny_course: TinyCourse) -> None:
    task = tiny_course.assignment.task("double")
    task.checks.write_text("def test_nothing():\n    pass\n")
    for folder in task.checks.parents[1:4]:
        (folder / "conftest.py").write_text("raise SystemExit('a stranger')\n")
    (task.checks.parent / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture(autouse=True)\ndef ours():\n    raise ValueError('ours')\n"
    )
    (check,) = run_checks(task, STUDENT, b"seed")
    assert check.message == "ValueError: ours"


def test_each_course_has_the_modules_below_its_own_checks(
    tiny_course: TinyCourse, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """One process may grade for two courses whose assignments, folders and modules have the same names."""
    copy = tmp_path_factory.mktemp("another") / "course"
    shutil.copytree(tiny_course.root, copy)
    courses = {"ours": tiny_course.assignment, "theirs": load_assignment(copy, "tiny")}
    for name, assignment in courses.items():
        (assignment.checks_dir / "readings").mkdir()
        (assignment.checks_dir / "readings" / "names.py").write_text(f"NAME = {name!r}\n")
        assignment.task("double").checks.write_text(
            "from autograder.checks.tiny.readings.names import NAME\n\n\ndef test_name():\n    raise ValueError(NAME)\n"
        )
    for name in ("ours", "theirs", "ours"):
        (check,) = run_checks(courses[name].task("double"), STUDENT, b"seed")
        assert check.message == f"ValueError: {name}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NUMBER = 3\n", "There is no check in .*test_double.py"),
        ("import pytest\n\n\ndef test_it():\n    pytest.exit('enough')\n", "test_double.py ended pytest: enough"),
    ],
)
def test_checks_that_give_no_result_are_an_error_of_the_course(tiny_course: TinyCourse, text: str, said: str) -> None:
    task = tiny_course.assignment.task("double")
    task.checks.write_text(text)
    with pytest.raises(AssignmentError, match=said):
        run_checks(task, STUDENT, b"seed")


COUNTING = """
import pytest

drawn = []


@pytest.fixture(scope="module")
def shared(student, task_rng):
    return student, task_rng.integers(1 << 60)


def test_first(shared):
    drawn.append(shared)


def test_second(shared, rng):
    pytest.fail(f"{shared[1]} {rng.integers(1 << 60)} {len(drawn)} {shared[0] is drawn[-1][0]}")
"""


def test_collected_checks_run_again_with_fixtures_of_their_own(tiny_course: TinyCourse) -> None:
    """As when a task is graded with a stand-in first, and with the student's own part after it."""
    task = tiny_course.assignment.task("double")
    task.checks.write_text(COUNTING)
    with collected_checks([task]) as checks:
        results = [checks.run(task, Student(unasked, unasked, 0), seed) for seed in (b"one", b"one", b"two")]
    said = [found[1].message.split() for found in results]
    assert [words[-2:] for words in said] == [["1", "True"], ["2", "True"], ["3", "True"]]
    assert said[0][-4:-2] == said[1][-4:-2]
    assert not set(said[0][-4:-2]) & set(said[2][-4:-2])


def test_what_is_raised_beside_the_checks_comes_out_and_leaves_nothing_open(tiny_course: TinyCourse) -> None:
    with pytest.raises(KeyboardInterrupt), collected_checks(tiny_course.assignment.tasks):
        raise KeyboardInterrupt
    task = tiny_course.assignment.task("double")
    assert [check.outcome for check in run_checks(task, STUDENT, b"seed")] == ["failed", "failed"]
