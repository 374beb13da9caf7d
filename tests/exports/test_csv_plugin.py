"""nbgrader's export command with our plugin: its columns, quoted and safe."""

from __future__ import annotations

import csv
import io
import subprocess
import sys
from pathlib import Path

from nbgrader.api import Gradebook

from autograder.exports.csv_plugin import QuotedCsvExport
from autograder.rendering.safe_csv import NBGRADER_COLUMNS
from tests.gradebook.test_class_marks import HALF_OFF, book_of, configured, record_late
from tests.tiny import TinyCourse


def exported(course: TinyCourse, *words: str) -> list[dict[str, str]]:
    """Run `nbgrader export` and return its rows."""
    table = course.root / "grades.csv"
    command = [sys.executable, "-m", "nbgrader", "export", f"--to={table}", *words]
    subprocess.run(command, cwd=course.root, check=True, capture_output=True)
    return list(csv.DictReader(io.StringIO(table.read_text(), newline=""), strict=True))


def test_nbgraders_export_command_is_quoted_safe_and_counts_penalties_anew(released_course: TinyCourse) -> None:
    course = configured(released_course, HALF_OFF.replace("tests.tiny", "policy"))
    (course.root / "policy.py").write_text(
        "from nbgrader.plugins import BasePlugin\nclass HalfOff(BasePlugin):\n"
        "    def late_submission_penalty(self, student_id, score, total_seconds_late):\n        return score / 2\n"
    )
    record_late(configured(released_course, HALF_OFF))
    configured(course, HALF_OFF.replace("tests.tiny", "policy"))
    with book_of(course) as book:
        book.update_or_create_student("ada", first_name='A "quoted", name', last_name="=1+1", email="")
        book.add_student("eve")
        book.find_grade("question_01", "tiny", "tiny", "ada").manual_score = 2.0
        book.db.commit()
    ada, eve = sorted(exported(course), key=lambda row: row["student_id"])
    assert tuple(ada) == NBGRADER_COLUMNS
    assert (ada["first_name"], ada["last_name"]) == ('A "quoted", name', "'=1+1")
    assert (ada["raw_score"], ada["late_submission_penalty"], ada["score"]) == ("6", "3", "3")
    assert (eve["student_id"], eve["timestamp"], eve["score"], eve["max_score"]) == ("eve", "", "0", "7")
    assert [row["student_id"] for row in exported(course, "--student=['eve']")] == ["eve"]
    assert exported(course, "--assignment=['other']") == []


def test_the_plugin_agrees_with_nbgraders_own_columns(released_course: TinyCourse, tmp_path: Path) -> None:
    record_late(released_course)
    course = released_course
    plugin = QuotedCsvExport()
    plugin.to = str(tmp_path / "ours.csv")
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        plugin.export(book)
    theirs = exported(course, "--exporter=nbgrader.plugins.CsvExportPlugin")
    ours = list(csv.DictReader(io.StringIO((tmp_path / "ours.csv").read_text(), newline="")))
    figures = ("raw_score", "late_submission_penalty", "score", "max_score")
    assert [[float(row[name]) for name in figures] for row in ours] == [
        [float(row[name]) for name in figures] for row in theirs
    ]
    texts = set(NBGRADER_COLUMNS) - set(figures)
    assert [{name: row[name] for name in texts} for row in ours] == [
        {name: row[name] for name in texts} for row in theirs
    ]
