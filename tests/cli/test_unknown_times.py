"""Marks where nobody knows who was late: nobody is punctual by silence, and nobody is late by silence."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from autograder.cli.main import main
from tests.page_text import Page
from tests.tiny import TinyCourse, tiny_result

POLICY = '\nc.AssignLatePenalties.plugin_class = "tests.tiny.OnePointOff"\n'


@pytest.fixture
def ungiven(released_course: TinyCourse) -> TinyCourse:
    """A course with a due date, in which Ada's work has no time and Ben's was in time."""
    with Gradebook(f"sqlite:///{released_course.root}/gradebook.db") as gradebook:
        gradebook.update_or_create_assignment("tiny", duedate=datetime(2030, 5, 1, 12))
    for student in ("ada", "ben"):
        folder = released_course.hand_in(student, b"{}")
        if student == "ben":
            (folder / "timestamp.txt").write_text("2030-05-01 10:00:00 UTC\n")
        released_course.record(student, folder, tiny_result())
    return released_course


def run(course: TinyCourse, *words: str) -> int:
    """Run a command."""
    return main([*words, "--course", str(course.root), "--assignment", "tiny"])


def test_marks_for_students_wait_until_somebody_says_when(
    ungiven: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(ungiven, "export", "canvas", "--so-far") == 0  # being late costs nothing here
    assert "nobody knows when they handed in: ada." in " ".join(capsys.readouterr().err.split())
    settings: Path = ungiven.root / "course_config.py"
    settings.write_text(settings.read_text() + POLICY)
    (ungiven.root / "exports/tiny/canvas.csv").unlink()
    assert run(ungiven, "export", "canvas", "--so-far") == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Being late costs points here, and nobody knows when these handed in: ada." in said
    assert "--assume-punctual" in said
    assert not (ungiven.root / "exports/tiny/canvas.csv").exists()
    assert run(ungiven, "export", "csv") == 0  # for the instructor alone
    assert run(ungiven, "export", "canvas", "--so-far", "--assume-punctual") == 0
    assert (ungiven.root / "exports/tiny/canvas.csv").exists()


def test_a_student_reads_that_the_time_is_not_known(ungiven: TinyCourse) -> None:
    assert run(ungiven, "feedback", "--quiet") == 0
    said = {name: Page((ungiven.root / f"feedback/{name}/tiny/tiny.html").read_text()).text for name in ("ada", "ben")}
    assert "when this was handed in is not known" in said["ada"]
    assert "is not known" not in said["ben"]
