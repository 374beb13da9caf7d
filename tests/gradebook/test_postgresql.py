"""The gradebook in a real PostgreSQL server: grade, record, mark by hand, regrade, feedback, export."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment

from autograder.batch.batch import discover, grade_all
from autograder.batch.local_workers import LocalWorkers
from autograder.cli.main import main
from autograder.course.course import read_course
from autograder.feedback.exporter import write_feedback
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.marking.actions import Marker, MarksDiffer
from autograder.marking.views import GivenMark, MarkRequest, Seen
from tests.batch.test_batch import grade_without_running
from tests.marking.class_course import desk_of
from tests.postgresql import binaries, server
from tests.tiny import REPOSITORY, TinyCourse, scores, tiny_result

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        binaries() is None, reason="no PostgreSQL server is installed (apt-get install postgresql); .ci/run installs it"
    ),
]
RECORDER = """
import sys
from pathlib import Path

from autograder.course.course import read_course
from tests.tiny import TinyCourse, tiny_result

course = read_course(Path(sys.argv[1]))
tiny = TinyCourse(course, course.assignment("tiny"))
print("ready", flush=True)
sys.stdin.readline()
for student in sys.argv[2:]:
    tiny.record(student, course.root / "submitted" / student / "tiny", tiny_result(double=1.0))
"""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A running server's database."""
    with server() as one:
        yield one


@pytest.fixture
def course(released_course: TinyCourse, url: str) -> TinyCourse:
    """The miniature course with its gradebook there."""
    (released_course.root / "gradebook.db").unlink()
    with (released_course.root / "course_config.py").open("a") as settings:
        settings.write(f"\nc.CourseDirectory.db_url = {url!r}\n")
    course = read_course(released_course.root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "tiny")))
    return TinyCourse(course, released_course.assignment)


def hand_in(course: TinyCourse, *students: str) -> dict[str, Path]:
    """Hand in the released notebook with an answer in words."""
    notebook = course.released_notebook()
    for cell in notebook["cells"]:
        if cell["metadata"].get("nbgrader", {}).get("grade_id") == "question_01":
            cell["source"] = "Twice as much."
    for student in students:
        course.hand_in(student, json.dumps(notebook).encode(), f"# {student}")
    return discover(course.root / "submitted", "tiny")


def test_marks_live_in_postgresql(course: TinyCourse, url: str) -> None:
    folders = hand_in(course, "ada", "bob")
    workers = LocalWorkers(course.course, "tiny", jobs=1, grade=grade_without_running)
    for graded in grade_all(course.course, course.assignment, folders, workers):
        assert graded.result is not None
        course.record(graded.student, graded.folder, graded.result)
    assert scores(course.course, course.assignment) == {
        student: {"double": 3.0, "total": 2.0, "question_01": 0.0} for student in ("ada", "bob")
    }
    assert not (course.root / "gradebook.db").exists()
    with Gradebook(url) as book:
        assert book.find_grade("question_01", "tiny", "tiny", "ada").needs_manual_grade
        book.find_grade("question_01", "tiny", "tiny", "ada").manual_score = 1.5
        book.db.commit()
    course.record("ada", folders["ada"], tiny_result(double=1.0))
    assert scores(course.course, course.assignment)["ada"] == {"double": 1.0, "total": 2.0, "question_01": 1.5}
    pages = write_feedback(course.course, course.assignment)
    assert [path.parent.parent.name for path in pages] == ["ada", "bob"]
    assert main(["export", "csv", "--course", str(course.root), "--assignment", "tiny"]) == 0
    (table,) = (course.root / "exports" / "tiny").glob("*.csv")
    rows = {row["student_id"]: row for row in csv.DictReader(table.read_text().splitlines())}
    assert float(rows["ada"]["score"]) == 4.5
    assert float(rows["bob"]["score"]) == 5.0


def test_held_tasks_and_marks_of_earlier_hand_ins_live_there_too(course: TinyCourse) -> None:
    folders = hand_in(course, "ada")

    def open_marks() -> dict[str, str]:
        students = class_marks(course.course, course.assignment).students
        (ada,) = (student for student in students if student.person.id == "ada")  # the database is that of all tests
        return {mark.id: mark.open.state for mark in ada.tasks.values() if mark.open}

    course.record("ada", folders["ada"], tiny_result(double=0.0, outcome="error"))
    assert open_marks() == {"double": "held"}
    assert course.record_ungraded("ada", "No \0 memory \udcff.")
    assert open_marks() == {"double": "held earlier", "total": "earlier"}
    course.record("ada", folders["ada"], tiny_result())
    assert open_marks() == {}


def test_two_recorders_at_once_lose_nothing(course: TinyCourse) -> None:
    students = [f"student-{number}" for number in range(6)]
    hand_in(course, *students)
    words = [sys.executable, "-c", RECORDER, str(course.root), *students]
    both = [
        subprocess.Popen(words, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for recorder in both:
        assert recorder.stdout and recorder.stdout.readline() == "ready\n"
    for recorder in both:
        recorder.communicate("go\n")
    assert [recorder.returncode for recorder in both] == [0, 0]
    book = scores(course.course, course.assignment)
    for student in students:
        assert book[student] == {"double": 1.0, "total": 2.0, "question_01": 0.0}
    graded = [course.root / "autograded" / student / "tiny" / "tiny.ipynb" for student in students]
    assert all(path.is_file() for path in graded)


def test_a_server_that_is_away_is_named_without_its_password(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (released_course.root / "course_config.py").open("a") as settings:
        url = f"postgresql+psycopg://grader:s3cret@/postgres?host={tmp_path}"
        settings.write(f"\nc.CourseDirectory.db_url = {url!r}\n")
    folders = hand_in(released_course, "ada")
    workers = LocalWorkers(released_course.course, "tiny", jobs=1, grade=grade_without_running)
    (one,) = grade_all(released_course.course, released_course.assignment, folders, workers)
    assert one.result is not None and one.result.score == 5.0
    assert main(["grade", "--course", str(released_course.root), "--assignment", "tiny", "--jobs", "1"]) == 1
    said = capsys.readouterr().err
    assert "cannot be used" in said
    assert "db_url" in said
    assert "s3cret" not in said


def test_marks_by_hand_and_how_they_came_about_live_there_too(tmp_path: Path, url: str) -> None:
    answers = {name: {"question_04": "All tokens at once."} for name in ("kai", "lea")}
    desk = desk_of(tmp_path / "class", answers, url=url)
    marker = Marker(desk, desk.question("question_04"), "Kim")

    def seen() -> dict[str, Seen]:
        rows = [desk.answer_row(paper, named=False) for paper in desk.papers("question_04").values()]
        return {row.id: Seen(row.digest, row.points, row.comment) for row in rows}

    shown = seen()
    marker.mark(MarkRequest("question_04", shown, GivenMark(("parallel",), "Why?"), "group"))
    assert {paper.points for paper in desk.papers("question_04").values()} == {1.0}
    with pytest.raises(MarksDiffer):
        marker.mark(MarkRequest("question_04", shown, GivenMark(()), "group"))
    marker.take_back(redo=False, force=False)
    assert {paper.state for paper in desk.papers("question_04").values()} == {"unmarked"}
    assert seen() == shown
