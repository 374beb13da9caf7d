"""From a platform's download to what goes back there, command by command; made results stand in for grading."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.cli import main as cli
from tests.collecting import downloads, readers
from tests.collecting.students import ROSTER, Student
from tests.page_text import Page
from tests.tiny import TinyCourse, tiny_result

SOME = ROSTER[:4]
"""Whose results are recorded: that takes the time."""


def points_of(student: Student) -> float:
    return 1 + student.place / 4


def run(course: TinyCourse, *words: str) -> int:
    return cli.main([*words, "--course", str(course.root), "--assignment", "tiny"])


def test_from_moodle_and_back(released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    course, sheet = released_course, tmp_path / "worksheet.csv"
    source = downloads.moodle_zip(tmp_path / "Course-tiny-99.zip", "tiny")
    sheet.write_bytes(downloads.moodle_worksheet("tiny", 7))
    assert run(course, "collect", str(source), "--roster", str(sheet)) == 1  # two need a person
    for student in SOME:
        course.record(
            student.id, course.root / "submitted" / student.id / "tiny", tiny_result(double=points_of(student))
        )
    assert run(course, "feedback") == 0
    assert run(course, "export", "feedback", "--for", "moodle", "--roster", str(sheet)) == 0
    archive = (course.root / "exports/tiny/feedback-moodle.zip").read_bytes()
    given, ignored = readers.moodle_feedback(archive, {student.moodle for student in ROSTER})
    assert not ignored and set(given) == {student.moodle for student in SOME}
    for student in SOME:
        page = Page(given[student.moodle]["tiny.html"].decode()).text
        assert f"For {student.id}." in page
        assert f"{points_of(student):g} of 3 points" in page

    assert run(course, "export", "moodle", "--fill", str(sheet)) == 0  # nobody wrote a word, so nobody waits
    content = (course.root / "exports/tiny/moodle.csv").read_bytes()
    headings = (downloads.ENGLISH[0], downloads.ENGLISH[5], downloads.ENGLISH[9])
    marks = readers.moodle_marks(content, headings, "Participant ")
    assert {s.moodle: float(marks[s.moodle]) for s in SOME} == {s.moodle: points_of(s) + 2 for s in SOME}
    assert not any(marks[s.moodle] for s in ROSTER if s not in SOME)
    capsys.readouterr()
