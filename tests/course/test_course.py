"""`course_config.py` is run once for each command, however many students it is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.cli import main as cli
from autograder.course.course import Course, course_from, read_course
from tests.tiny import TinyCourse, scores

COUNTING = """
c.Autograder.assignment = "tiny"
c.Autograder.max_submission_mib = 1
with (course / "runs").open("a") as runs:
    runs.write("run\\n")
"""
STUDENTS = ("ada", "bob", "cyd")


@pytest.fixture
def counted(released_course: TinyCourse) -> TinyCourse:
    """A course whose settings count how often they are read, with submissions that need no student process."""
    with (released_course.root / "course_config.py").open("a") as file:
        file.write(COUNTING)
    for student in STUDENTS:
        (released_course.hand_in(student, None) / "large.bin").write_bytes(bytes(2 << 20))
    return released_course


def runs_of(course: TinyCourse, words: str) -> int:
    """Run a command and return how often it ran the settings."""
    counter = course.root / "runs"
    counter.unlink(missing_ok=True)
    assert cli.main([*words.split(), "--quiet", "--course", str(course.root)]) == 0
    return len(counter.read_text().splitlines())


def test_the_settings_are_run_once_for_each_command(counted: TinyCourse, tmp_path: Path) -> None:
    download = tmp_path / "download"
    (download / "eve").mkdir(parents=True)
    (download / "eve" / "utilities.py").write_text("x = 1\n")
    commands = (
        *("build", "grade --preview", "grade", "grade --jobs 2", "grade ada", "feedback", "report", "export csv"),
        *("similarity", "history ada", "extend", f"check {counted.root / 'submitted' / 'ada' / 'tiny'}"),
        f"collect {download} --from folder --dry-run",
    )
    assert {words: runs_of(counted, words) for words in commands} == dict.fromkeys(commands, 1)
    course = read_course(counted.root)
    assert scores(course, course.assignment("tiny")).keys() == set(STUDENTS)


def test_a_course_for_workers_is_the_same_without_nbgraders_settings(tmp_path: Path) -> None:
    (tmp_path / "course_config.py").write_text("c = get_config()\nc.Autograde.pre_convert_hook = lambda **told: None\n")
    course = read_course(tmp_path)
    assert course.nbgrader.Autograde
    assert course.for_workers() == course
    assert hash(course.for_workers()) == hash(course)
    assert course.for_workers().nbgrader == {}


def test_nbgraders_own_settings_describe_the_same_course(tmp_path: Path) -> None:
    (tmp_path / "course_config.py").write_text("c = get_config()\nc.Autograder.jobs = 3\n")
    course = read_course(tmp_path)
    assert course_from(tmp_path, course.nbgrader) == course
    assert course != Course(tmp_path)
