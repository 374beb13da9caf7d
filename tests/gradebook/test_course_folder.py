"""A course in any folder, with plugins beside its settings and times in any zone: marks stay, and are right."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import msgspec
import nbformat
import pytest
from nbgrader.api import Gradebook
from nbgrader.apps.api import NbGraderAPI
from nbgrader.server_extensions.formgrader.apihandlers import AssignmentHandler
from traitlets.config import Config

from autograder.cli import doctor
from autograder.cli.main import main
from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.deadlines.late_policy import late_policy
from autograder.deadlines.times import UnreadableTime
from autograder.errors import ConfigError, RecordingError, ReleaseRefused, UsageError
from autograder.exports.csv_plugin import QuotedCsvExport
from autograder.feedback.exporter import write_feedback
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.nbgrader_adaptation import literal_glob
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.gradebook.record_stamp import plugins_digest
from autograder.release import publish
from autograder.release.build import build as make_source
from tests.page_text import Page
from tests.tiny import TinyCourse, scores, tiny_result

ODD = "Kurs [WS 25] 50%20? #1 'ü' \"q\" *"
PART = tiny_result(double=1.25, total=2.0)
MARKS = {"double": 1.25, "total": 2.0, "question_01": 0.0}
POLICY = """from nbgrader.plugins import BasePlugin

class {name}(BasePlugin):
    def late_submission_penalty(self, student_id, score, total_seconds_late):
        return {penalty}
"""


@contextmanager
def book_of(course: TinyCourse) -> Iterator[Gradebook]:
    """The course's gradebook."""
    with Gradebook(course_directory(course.course, "tiny").db_url) as book:
        yield book


def hand_in(course: TinyCourse, student: str = "ada", timestamp: bytes | None = None) -> Path:
    """Hand in the released notebook with an answer."""
    notebook = course.released_notebook()
    notebook["cells"][-1]["source"] = "Twice."
    folder = course.hand_in(student, json.dumps(notebook).encode())
    if timestamp is not None:
        (folder / "timestamp.txt").write_bytes(timestamp)
    return folder


def nbgrader(course: TinyCourse, *words: str) -> str:
    """Run nbgrader as an instructor does, and return what it says."""
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *words], cwd=course.root, capture_output=True, text=True, check=False,
        env=os.environ | {"JUPYTER_CONFIG_DIR": str(course.root / "none")},
    )  # fmt: skip
    return done.stdout + done.stderr


def moved(course: TinyCourse, name: str) -> TinyCourse:
    """The course under another name."""
    root = course.root.rename(course.root.parent / name)
    return TinyCourse(read_course(root), load_assignment(root, "tiny"))


def with_policy(course: TinyCourse, module: str, text: str) -> TinyCourse:
    """The course with a late policy in a module beside its settings, and work that was due on New Year's Day."""
    (course.root / f"{module}.py").write_text(text)
    settings = course.root / "course_config.py"
    plugin = f'\nc.AssignLatePenalties.plugin_class = "{module}.Policy"\nc.Autograder.assignment = "tiny"\n'
    settings.write_text(settings.read_text() + plugin)
    with book_of(course) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    return course.read_again()


def penalty(course: TinyCourse, student: str = "ada") -> float | None:
    """What nbgrader takes for lateness."""
    with book_of(course) as book:
        taken: float | None = book.find_submission_notebook("tiny", "tiny", student).late_submission_penalty
        return taken


@pytest.mark.parametrize("folder", ["Kurs [WS 25]", ODD])
def test_a_course_in_a_folder_with_any_name(released_course: TinyCourse, folder: str) -> None:
    course = moved(released_course, folder)
    for student in ("ada", "b[o]b", "c*", "d?", "Zoë O'x #1 50%20"):
        course.record(student, hand_in(course, student), PART)
    assert scores(course.course, course.assignment) == dict.fromkeys(
        ("ada", "b[o]b", "c*", "d?", "Zoë O'x #1 50%20"), MARKS
    )
    pages = write_feedback(course.course, course.assignment)
    assert [page.parts[-3] for page in pages] == ["Zoë O'x #1 50%20", "ada", "b[o]b", "c*", "d?"]
    assert all(page.is_file() for page in pages)
    assert (course.root / "gradebook.db").is_file()


def test_a_beginning_that_is_there_is_no_pattern(tmp_path: Path) -> None:
    for name in ("a[b]", "ab", "*"):
        (tmp_path / "x [1]" / name / "tiny").mkdir(parents=True)
    found = literal_glob(f"{tmp_path}/x [1]/*/tiny")
    assert sorted(found) == [f"{tmp_path}/x [1]/{name}/tiny" for name in ("*", "a[b]", "ab")]
    assert literal_glob(f"{tmp_path}/x [1]/a[b]/./tiny") == [f"{tmp_path}/x [1]/a[b]/./tiny"]
    assert literal_glob(f"{tmp_path}/x [1]/[a]b/tiny") == [f"{tmp_path}/x [1]/ab/tiny"]


@pytest.mark.slow
def test_nbgraders_own_commands_in_such_a_folder(released_course: TinyCourse) -> None:
    """Times, paths and plugins are read in nbgrader's own process as in ours."""
    course = moved(released_course, ODD)
    settings = course.root / "course_config.py"
    settings.write_text(settings.read_text() + 'c.Autograder.timezone = "Europe/Berlin"\n')
    course = with_policy(course, "late_in_folder", POLICY.format(name="Policy", penalty="0.5"))
    said = nbgrader(course, "db", "assignment", "add", "tiny", "--duedate", "03.05.2030 19:30")
    assert "may mean 2030-05-03 or 2030-03-05" in said
    nbgrader(course, "db", "assignment", "add", "tiny", "--duedate", "2030-05-03 19:30")
    with book_of(course) as book:
        assert book.find_assignment("tiny").duedate == datetime(2030, 5, 3, 17, 30)
    for student, timestamp in (("ada", "2030-05-03 19:31 CEST"), ("bob", "2030-05-03 19:29 +0200")):
        course.record(student, hand_in(course, student, timestamp.encode("utf-16")), PART)
    with book_of(course) as book:
        for student in ("ada", "bob"):
            book.find_submission_notebook("tiny", "tiny", student).late_submission_penalty = 99
        book.db.commit()
    said = nbgrader(course, "generate_feedback", "tiny", "--force")
    assert "No notebooks were matched" not in said
    assert (course.root / "feedback/ada/tiny/tiny.html").is_file(), said
    assert "autograde" not in nbgrader(course, "export", f"--to={course.root / 'marks.csv'}")
    rows = (course.root / "marks.csv").read_text().splitlines()
    assert any(row.split(",")[-4:-1] == ["3.25", "0.5", "2.75"] for row in rows if ",ada," in row), rows
    assert any(row.split(",")[-4:-1] == ["3.25", "0", "3.25"] for row in rows if ",bob," in row), rows


def test_a_late_policy_beside_the_settings(released_course: TinyCourse) -> None:
    course = with_policy(released_course, "late_beside", POLICY.format(name="Policy", penalty="score * 0.1"))
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) == pytest.approx(0.325)


@pytest.mark.parametrize("text", ["import no_such_library", "class Policy:\n    pass", "x = "])
def test_a_late_policy_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    module = f"late_{abs(hash(text))}"
    (tmp_path / f"{module}.py").write_text(text)
    with pytest.raises(ConfigError, match=r"plugin_class cannot be used: .*course_config\.py"):
        late_policy(Config({"AssignLatePenalties": {"plugin_class": f"{module}.Policy"}}))


def test_a_late_policy_that_cannot_be_used_touches_no_mark(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    released_course.record("ada", hand_in(released_course), PART)
    course = with_policy(released_course, "late_broken", "import no_such_library")
    with pytest.raises(ConfigError, match=r"plugin_class cannot be used"):
        course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), tiny_result())
    assert main(["history", "ada", "--course", str(course.root)]) == 0  # which tells what happened so far all the same
    told = capsys.readouterr()
    assert "Doubling: – → 1.25" in told.out
    assert "no_such_library" in told.err
    for words in (["grade"], ["export", "csv"], ["report"]):
        assert main([*words, "--course", str(course.root)]) == 2
        said = capsys.readouterr().err
        assert "no_such_library" in said
        assert "course_config.py" in said
    assert (course.root / "autograded/ada/tiny/tiny.ipynb").is_file()
    with book_of(course) as book:
        assert book.find_grade("double", "tiny", "tiny", "ada").auto_score == 1.25


@pytest.mark.parametrize("timestamp", [b"03.05.2030 19:30", b"soon", b"\xff\x00\xff"])
def test_a_time_that_cannot_be_read_is_said_and_touches_no_mark(released_course: TinyCourse, timestamp: bytes) -> None:
    released_course.record("ada", hand_in(released_course), PART)
    with pytest.raises(UnreadableTime, match=r"timestamp\.txt of ada"):
        released_course.record("ada", hand_in(released_course, timestamp=timestamp), tiny_result())
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}
    assert (released_course.root / "autograded/ada/tiny/tiny.ipynb").is_file()


def test_extra_time_before_and_after_handing_in(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    course = with_policy(released_course, "late_extended", POLICY.format(name="Policy", penalty="1.0"))
    here = ["--course", str(course.root)]
    assert main(["extend", "ada", "2030-01-03", "00:00", *here]) == 0
    assert "ada is not in the gradebook yet." in capsys.readouterr().err
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) is None
    assert main(["extend", *here]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "tiny is due 2030-01-01 00:00 UTC",
        "ada: until 2030-01-03 00:00 UTC",
    ]
    assert main(["extend", "ada", "none", *here]) == 0
    assert "ada: no extension" in capsys.readouterr().out
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) == 1.0
    assert main(["extend", "ada", "+2d", *here]) == 0
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) is None
    with book_of(course) as book:  # the extension is a time: it stays when the due date moves
        book.update_or_create_assignment("tiny", duedate="2030-01-02 12:00 UTC")
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 23:00 UTC"), PART)
    assert penalty(course) is None
    course.record("ada", hand_in(course, timestamp=b"2030-01-03 00:01 UTC"), PART)
    assert penalty(course) == 1.0
    assert main(["extend", "ada", "03.05.2030 12:00", *here]) == 2
    assert "2030-05-03 or 2030-03-05" in capsys.readouterr().err
    assert main(["extend", "ada", "2029-12-01 12:00", *here]) == 2
    assert "not after the due date" in capsys.readouterr().err


def test_extra_time_is_the_granted_time_wherever_the_due_date_moves(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    """At once, before anything is graded again, and in nbgrader's own columns afterwards."""
    course = with_policy(released_course, "late_moved", POLICY.format(name="Policy", penalty="1.0"))
    here = ["--course", str(course.root)]

    def move(due: str | None) -> None:
        with book_of(course) as book:
            book.update_or_create_assignment("tiny", duedate=due)

    def late() -> tuple[float, float, datetime | None]:
        (student,) = class_marks(course.course, course.assignment).students
        course_marks = course.root / "marks.csv"
        with book_of(course) as book:
            QuotedCsvExport(config=course.course.nbgrader, to=str(course_marks)).export(book)
        (row,) = course_marks.read_text().splitlines()[1:]
        assert float(row.split(",")[-3]) == student.penalty
        return student.seconds_late, student.penalty, student.due

    def hand_in_again(day: int) -> None:
        course.record("ada", hand_in(course, timestamp=f"2030-01-{day:02} 00:00 UTC".encode()), PART)

    assert main(["extend", "ada", "2030-01-03", "00:00", *here]) == 0
    hand_in_again(2)
    assert late() == (0, 0, datetime(2030, 1, 3))
    move("2029-12-20 00:00 UTC")
    assert late() == (0, 0, datetime(2030, 1, 3))
    move("2030-01-10 00:00 UTC")
    assert late() == (0, 0, datetime(2030, 1, 10))
    hand_in_again(9)
    assert (late(), penalty(course)) == ((0, 0, datetime(2030, 1, 10)), None)
    with book_of(course) as book:
        assert book.find_submission("tiny", "ada").extension == timedelta()
    hand_in_again(11)
    assert (late(), penalty(course)) == ((86400, 1, datetime(2030, 1, 10)), 1)
    capsys.readouterr()
    assert main(["extend", *here]) == 0
    assert "ada: until 2030-01-10 00:00 UTC" in capsys.readouterr().out
    move("9999-12-31 23:59 UTC")
    assert main(["extend", *here]) == 0
    assert main(["extend", "ada", "+1d", *here]) == 2
    assert "after the year 9999" in capsys.readouterr().err
    move(None)
    assert late() == (0, 0, None)
    write_feedback(course.course, course.assignment)
    hand_in_again(12)
    assert (late(), penalty(course)) == ((0, 0, None), None)


def test_a_hand_in_without_a_time_is_not_as_late_as_the_one_before(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    course = with_policy(released_course, "late_untimed", POLICY.format(name="Policy", penalty="1.0"))
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) == 1.0
    course.record("ada", hand_in(course), PART)
    (ada,) = class_marks(course.course, course.assignment).students
    assert (penalty(course), ada.handed_in, ada.seconds_late, ada.is_untimed) == (None, None, 0.0, True)
    here = ["--course", str(course.root)]
    assert main(["export", "csv", "--to", str(tmp_path), *here]) == 0
    assert "nobody knows when they handed in: ada." in capsys.readouterr().err
    assert main(["report", "--to", str(tmp_path), *here]) == 0
    assert "hand-in time unknown" in (tmp_path / "report.csv").read_text()


def test_an_edited_policy_counts_at_once_and_the_history_tells(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    course = with_policy(released_course, "late_edited", POLICY.format(name="Policy", penalty="1.0"))
    folder, here = hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), ["--course", str(course.root)]
    course.record("ada", folder, PART)
    (course.root / "late_edited.py").write_text(POLICY.format(name="Policy", penalty="2.0"))
    del sys.modules["late_edited"]
    course = course.read_again()
    for _ in range(2):
        assert main(["export", "csv", "--to", str(tmp_path), *here]) == 0
    assert penalty(course) == 2.0
    capsys.readouterr()
    assert main(["history", "ada", *here]) == 0
    said = capsys.readouterr().out
    assert said.count("The late penalty was worked out again") == said.count("late penalty: 1 → 2") == 1
    with book_of(course) as book:
        book.find_grade("question_01", "tiny", "tiny", "ada").manual_score = 2.0
        book.find_submission_notebook("tiny", "tiny", "ada").late_submission_penalty = 1.0
        book.db.commit()
    course.record("ada", folder, PART)  # the same hand-in and result: only the policy is another
    assert penalty(course) == 2.0


def test_nbgraders_export_tells_the_history_of_penalties_too(released_course: TinyCourse, tmp_path: Path) -> None:
    course = with_policy(released_course, "late_exported", POLICY.format(name="Policy", penalty="1.0"))
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    with book_of(course) as book:
        book.find_submission_notebook("tiny", "tiny", "ada").late_submission_penalty = 0.5
        book.db.commit()
        QuotedCsvExport(config=course.course.nbgrader, to=str(tmp_path / "marks.csv")).export(book)
    assert ",1,2.25," in (tmp_path / "marks.csv").read_text()
    assert penalty(course) == 1.0


@pytest.mark.parametrize("module", ["late.py", "policies/late.py"])
def test_a_module_of_the_courses_own_is_an_input_of_what_is_recorded(released_course: TinyCourse, module: str) -> None:
    settings = released_course.root / "course_config.py"
    name = module.removesuffix(".py").replace("/", ".")
    settings.write_text(f'{settings.read_text()}\nc.AssignLatePenalties.plugin_class = "{name}.Policy"\n')
    path = released_course.root / module
    path.parent.mkdir(exist_ok=True)
    digests = []
    for text in ("x = 1", "x = 2"):
        path.write_text(text)
        (released_course.root / "submitted").mkdir(exist_ok=True)
        (released_course.root / "submitted/their.py").write_text(text)
        digests.append(plugins_digest(released_course.course))
    assert digests[0] != digests[1]
    (released_course.root / "submitted/their.py").write_text("x = 3")
    assert plugins_digest(released_course.course) == digests[1]


@pytest.mark.parametrize(
    ("due", "shown"),
    [
        ("2030-03-31 00:30", "2030-03-31 01:30:00 CET"),
        ("2030-03-31 01:30", "2030-03-31 03:30:00 CEST"),
        ("2030-10-27 00:30", "2030-10-27 02:30:00 CEST"),
        ("2030-10-27 01:30", "2030-10-27 02:30:00 CET"),
        ("2030-10-26 23:30", "2030-10-27 01:30:00 CEST"),
    ],
)
def test_formgrader_shows_and_keeps_due_dates_near_a_change_of_clocks(
    released_course: TinyCourse, due: str, shown: str
) -> None:
    course = released_course
    with book_of(course) as book:
        book.update_or_create_assignment("tiny", duedate=f"{due} UTC")
    api = NbGraderAPI(course_directory(course.course, "tiny"))
    api.timezone = "Europe/Berlin"
    told = api.get_assignment("tiny")
    assert told["display_duedate"] == shown
    with book_of(course) as book:  # what formgrader does when its form is saved unchanged
        book.update_or_create_assignment("tiny", duedate=f"{told['duedate_notimezone']} {told['duedate_timezone']}")
        assert book.find_assignment("tiny").duedate == datetime.fromisoformat(due)


def test_formgraders_row_says_why_a_due_date_was_not_saved(released_course: TinyCourse) -> None:
    """The form of an hour that comes twice, sent as the page sends it."""
    said: list[dict[str, object]] = []
    sent = {"duedate_notimezone": "2030-10-27T02:30", "duedate_timezone": "Europe/Berlin"}
    coursedir = course_directory(released_course.course, "tiny")
    with book_of(released_course) as book:
        handler = SimpleNamespace(
            api=NbGraderAPI(coursedir), gradebook=book, coursedir=coursedir, current_user="prof", xsrf_token="",
            settings={"nbgrader_bad_setup": False}, get_json_body=lambda: sent,
            write=lambda text: said.append(json.loads(text)),
        )  # fmt: skip
        AssignmentHandler.put(handler, "tiny")
        AssignmentHandler.put(handler, "other")  # which is new
        assert book.find_assignment("tiny").duedate is None
        sent["duedate_timezone"] = "+0100"
        AssignmentHandler.put(handler, "tiny")
        assert book.find_assignment("tiny").duedate == datetime(2030, 10, 27, 1, 30)
    for shown in said[:2]:
        assert "Not saved." in str(shown["display_duedate"])
        assert "02:30 +02:00 (CEST) or 02:30 +01:00 (CET)" in str(shown["display_duedate"])
    assert said[2]["display_duedate"] == "2030-10-27 01:30:00 UTC"


@pytest.mark.parametrize("nonsense", ["float('nan')", "'3'", "True", "score > 1", "[]"])
def test_a_policy_that_returns_no_number_of_points_is_named(released_course: TinyCourse, nonsense: str) -> None:
    released_course.record("ada", hand_in(released_course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    module = f"late_nonsense_{abs(hash(nonsense))}"
    course = with_policy(released_course, module, POLICY.format(name="Policy", penalty=nonsense))
    with pytest.raises(ConfigError, match=r"late policy failed for nobody.*plugin_class in course_config\.py"):
        late_policy(course.course.nbgrader).try_out()
    with pytest.raises(ConfigError, match=r"late policy failed for ada, 86400 s late.*plugin_class"):
        course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), tiny_result())
    with book_of(course) as book:
        assert book.find_grade("double", "tiny", "tiny", "ada").auto_score == 1.25


def test_a_policy_may_return_numpys_numbers(released_course: TinyCourse) -> None:
    policy = "import numpy as np\n" + POLICY.format(name="Policy", penalty="np.float32(0.5)")
    course = with_policy(released_course, "late_numpy", policy)
    course.record("ada", hand_in(course, timestamp=b"2030-01-02 00:00 UTC"), PART)
    assert penalty(course) == 0.5


def test_the_history_and_feedback_show_times_in_the_courses_zone(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text() + 'c.Autograder.timezone = "Asia/Kolkata"\n')
    course = released_course.read_again()
    monkeypatch.setattr("autograder.gradebook.transactions.utc_now", lambda: datetime(2030, 5, 3, 20, 0))
    course.record("ada", hand_in(course), PART)
    course.record("ada", hand_in(course), tiny_result())
    assert main(["history", "ada", "--course", str(course.root), "--assignment", "tiny"]) == 0
    assert capsys.readouterr().out.startswith("2030-05-04 01:30 IST  grade by ")
    (page,) = write_feedback(course.course, course.assignment)
    assert "Changed since 2030-05-04 01:30 IST (1.25 then)" in Page(page.read_text()).text


def test_extra_time_needs_a_due_date(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    here = ["--assignment", "tiny", "--course", str(released_course.root)]
    assert main(["extend", "ada", "+2d", *here]) == 2
    assert "tiny has no due date" in capsys.readouterr().err


def test_pictures_beside_the_notebook_reach_markers_and_students(released_course: TinyCourse) -> None:
    course = released_course
    folder = hand_in(course)
    notebook = json.loads((folder / "tiny.ipynb").read_text())
    notebook["cells"][-1]["source"] = "**Look**: ![plot](plot.png) ![gone](gone.png)"
    (folder / "tiny.ipynb").write_text(json.dumps(notebook))
    (folder / "plot.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    course.record("ada", folder, PART)
    (page,) = write_feedback(course.course, course.assignment)
    text = page.read_text()
    assert re.search(r'<strong>Look</strong>: <img [^>]*src="data:image/png;base64,iVBORw0KGgo="', text)
    assert "[The picture gone.png is not in the hand-in.]" in text
    assert not (course.root / "autograded/ada/tiny/plot.png").exists()


def test_a_gradebook_of_another_nbgrader_says_what_to_do(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    course.record("ada", hand_in(course), PART)
    with sqlite3.connect(course.root / "gradebook.db") as book:
        book.execute("alter table submitted_assignment drop column extension")
        book.execute("update alembic_version set version_num = 'older'")
    for words in (["export", "csv"], ["grade"], ["extend"]):
        assert main([*words, "--assignment", "tiny", "--course", str(course.root)]) == 1
        said = capsys.readouterr().err
        assert "nbgrader db upgrade" in said
        assert "RecordingError" not in said  # an error of our own is told in its own words
    finding = doctor._gradebook(course.course, "tiny")
    assert not finding.good
    assert "nbgrader db upgrade" in finding.remedy


def test_doctor_tries_the_plugins(released_course: TinyCourse) -> None:
    def findings(course: TinyCourse) -> list[str]:
        return [f"{finding.name}: {finding.found}" for finding in doctor._plugins(course.course) if not finding.good]

    assert findings(released_course) == []
    course = with_policy(released_course, "late_raises", POLICY.format(name="Policy", penalty="score / 0"))
    (found,) = findings(course)
    assert "ZeroDivisionError" in found
    settings = course.root / "course_config.py"
    settings.write_text(settings.read_text() + 'c.Autograde.post_convert_hook = "no_such_module.hook"\n')
    assert any("no_such_module.hook cannot be imported" in found for found in findings(course.read_again()))
    assert list(doctor._nbgraders_own(course.course)) == []
    (course.root / "nbgrader_config.py").write_text('load_subconfig("course_config.py")')
    (finding,) = doctor._nbgraders_own(course.course)
    assert "due dates without a zone" in finding.found


def test_a_task_that_was_renamed_after_grading_says_the_way_out(released_course: TinyCourse) -> None:
    course = released_course
    course.record("ada", hand_in(course), PART)
    double, total = PART.tasks
    renamed = msgspec.structs.replace(PART, tasks=(double, msgspec.structs.replace(total, id="sum")))
    with pytest.raises(RecordingError, match="needs its old grade_id back: total"):
        course.record("ada", hand_in(course), renamed)
    build = course.root / "solutions/tiny/tiny.py"
    build.write_text(build.read_text().replace('"grade_id": "total",', '"grade_id": "sum",'))
    make_source(course.root, "tiny")
    with pytest.raises(ReleaseRefused, match="give each its old grade_id back"):
        publish._generate(course.course, course.assignment, course.root / ".autograder" / "new", None)


@pytest.mark.slow
def test_a_plain_assignment_is_left_to_nbgrader(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    source = course.root / "source/plain/plain.ipynb"
    source.parent.mkdir(parents=True)
    check = {"grade_id": "one", "grade": True, "locked": True, "solution": False, "schema_version": 3, "points": 2}
    answer = {"grade_id": "answer", "grade": False, "locked": False, "solution": True, "schema_version": 3}
    cells = [
        nbformat.v4.new_code_cell("one = 1", metadata={"nbgrader": answer}),
        nbformat.v4.new_code_cell("assert one == 1", metadata={"nbgrader": check}),
    ]
    source.write_text(nbformat.writes(nbformat.v4.new_notebook(cells=cells)))
    here = ["--course", str(course.root), "--assignment", "plain"]
    for words in (["build"], ["release"], ["grade"], ["export", "csv"], ["extend"]):
        assert main([*words, *here]) == 2
        assert "plain is a plain nbgrader assignment" in capsys.readouterr().err
    nbgrader(course, "generate_assignment", "plain")
    shutil.copytree(course.root / "release/plain", course.root / "submitted/ada/plain")
    handed_in = course.root / "submitted/ada/plain/plain.ipynb"
    notebook = json.loads(handed_in.read_text())
    notebook["cells"][0]["source"] = "one = 1"  # the release has a stub there
    handed_in.write_text(json.dumps(notebook))
    said = nbgrader(course, "autograde", "plain") + nbgrader(course, "generate_feedback", "plain")
    with book_of(course) as book:
        assert book.find_grade("one", "plain", "plain", "ada").auto_score == 2, said
    assert (course.root / "feedback/ada/plain/plain.html").is_file(), said


@pytest.mark.parametrize("name", ["a*", "[a]", "a?", "a+b", "../a"])
def test_names_of_assignments_that_nbgrader_misreads_are_refused(released_course: TinyCourse, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of an assignment"):
        make_source(released_course.root, name)
