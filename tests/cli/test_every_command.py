"""Every command in the two set-ups that used to take marks away: a folder with brackets, and a plugin in a module."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from nbgrader.api import Gradebook

from autograder.audit.records import Audit
from autograder.cli.main import COMMANDS, main
from autograder.course.course import read_course
from autograder.course.submission import read_submission
from autograder.gradebook.class_marks import class_marks
from autograder.grading.result_store import CachedGrader
from autograder.results import Submission
from tests.collecting.students import zipped
from tests.tiny import TinyCourse, tiny_result

LATE = """from nbgrader.plugins import BasePlugin


class TenPercent(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return score * 0.1 * -(-total_seconds_late // 86400)
"""


@pytest.fixture
def course(released_course: TinyCourse) -> TinyCourse:
    """A course in a folder `Kurs [WS 25]`, with `late.py` beside its settings and work that was due in 2030."""
    root = released_course.root.rename(released_course.root.parent / "Kurs [WS 25]")
    (root / "late.py").write_text(LATE)
    with (root / "course_config.py").open("a") as settings:
        settings.write('\nc.AssignLatePenalties.plugin_class = "late.TenPercent"\n')
    with Gradebook(f"sqlite:///{root / 'gradebook.db'}") as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    course = read_course(root)
    return TinyCourse(course, course.assignment("tiny"))


def cache(course: TinyCourse, folder: Path) -> None:
    """Store a result, as if the hand-in had been graded."""
    snapshot = read_submission(folder, "tiny", course.course.settings)
    result = msgspec.structs.replace(tiny_result(double=1.0), submission=Submission(digest=snapshot.digest))
    CachedGrader(course.course, course.assignment).cache(snapshot, result)


def test_every_command_in_both_set_ups(
    course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook = json.dumps(course.released_notebook()).encode()
    folder = course.hand_in("ada", notebook)
    (folder / "timestamp.txt").write_text("2030-01-02 00:00 UTC")
    download = course.root / "download.zip"
    download.write_bytes(zipped({"bob/tiny.ipynb": notebook, "bob/utilities.py": b"# bob"}))
    (course.root / "roster.csv").write_text("student\nada\nbob\n")
    served: list[Path] = []
    monkeypatch.setattr("autograder.marking.serving.server.serve", lambda desk, *rest: served.append(desk.course.root))
    monkeypatch.setattr("autograder.audit.audit.audit", lambda *rest: Audit((), 0.0, 1))

    monkeypatch.setattr("autograder.release.publish._grade_both", lambda *rest: [])

    def run(*words: str) -> None:
        assert main([*words, "--course", str(course.root), "--assignment", "tiny"]) == 0, capsys.readouterr()
        ran.add(words[0])

    ran: set[str] = set()
    run("build")
    run("release")
    for work in (folder, course.root / "submitted/bob/tiny"):
        if work != folder:
            run("collect", str(download), "--from", "folder")
        cache(course, work)
        run("check", str(work))
    run("grade", "--preview")
    run("grade")
    run("history", "ada")
    assert "late penalty: 0 → 0.3" in capsys.readouterr().out
    run("feedback")
    run("report")
    run("export", "csv", "--so-far", "--assume-punctual")
    run("similarity")
    run("mark", "--no-browser")
    run("audit")
    run("doctor")
    assert "late policy: late.TenPercent" in capsys.readouterr().out
    run("extend", "ada", "+2d")
    run("grade")
    assert ran == set(COMMANDS)
    assert served == [course.root]
    students = class_marks(course.course, course.assignment).students
    assert {student.person.id: student.scores for student in students} == {
        student: {"double": 1.0, "total": 2.0, "question_01": 0.0} for student in ("ada", "bob")
    }
    for student in ("ada", "bob"):
        for page in ("autograded/{}/tiny/tiny.ipynb", "feedback/{}/tiny/tiny.html"):
            assert (course.root / page.format(student)).is_file()
