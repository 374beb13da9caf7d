"""One student's disorder: it is named, costs no mark, and keeps nobody else from being graded."""

from __future__ import annotations

import json
import shutil
import unicodedata
from collections.abc import Callable
from pathlib import Path

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde

from autograder.batch import local_workers
from autograder.batch.outcome import GradedSubmission
from autograder.batch.recording_line import record_each
from autograder.cli.main import main
from autograder.course.course import Course
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import AutograderError
from autograder.feedback.exporter import write_feedback
from autograder.gradebook.autograding import RecordGrades
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.gradebook.record_stamp import Graded
from autograder.gradebook.transactions import GradebookWriter
from autograder.grading import result_store as store
from autograder.grading.rules_digest import read_rules
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.history import UNREADABLE_ENTRY
from autograder.marks import StudentMarks
from autograder.results import SubmissionResult
from tests.tiny import TinyCourse, scores, tiny_result

PART = tiny_result(double=1.25, total=2.0)
NOTHING = tiny_result(double=0.0, total=0.0)
MARKS = {"double": 1.25, "total": 2.0, "question_01": 0.0}


def hand_in(course: TinyCourse, student: str = "ada", module: str = "# work") -> Path:
    return course.hand_in(student, json.dumps(course.released_notebook()).encode(), module)


def of(course: TinyCourse, student: str = "ada") -> StudentMarks:
    """What the gradebook says of a student."""
    (found,) = (marks for marks in class_marks(course.course, course.assignment).students if marks.person.id == student)
    return found


def run(course: TinyCourse, *words: str) -> int:
    return main([*words, "--course", str(course.root), "--assignment", "tiny"])


def sql(course: TinyCourse, statement: str) -> None:
    """Change the gradebook behind everybody's back."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        book.db.connection().exec_driver_sql(statement)
        book.db.commit()


def history(course: TinyCourse, student: str = "ada") -> list[str]:
    """The commands of a student's history."""
    writer = GradebookWriter(course.course, course_directory(course.course, "tiny"), "test")
    return [told.entry.command for told in writer.history(SubmissionKey("tiny", student))]


@pytest.fixture
def made_grading(released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> Callable[[SubmissionResult], None]:
    """Grading gives a made result, which may be another from now on."""
    made = [PART]

    def grade_here(course: Course, name: str, student: str, snapshot: Snapshot, **kwargs: object) -> SubmissionResult:
        return made[-1]

    monkeypatch.setattr(local_workers, "grade_here", grade_here)
    store.grader_for.cache_clear()
    return made.append


def test_a_file_in_the_place_of_one_students_folder_stops_nobody_else(released_course: TinyCourse) -> None:
    course = released_course
    in_the_way = course.root / "autograded/ada"
    in_the_way.parent.mkdir()
    in_the_way.write_text("")
    submissions = []
    for student in ("ada", "bob", "cyd"):
        folder = hand_in(course, student)
        snapshot = read_submission(folder, "tiny", course.course.settings)
        submissions.append(GradedSubmission(student, folder, PART, snapshot=snapshot))
    for _ in range(2):
        done = list(record_each(course.course, course.assignment, submissions, preview=False))
        assert "cannot take its place" in str(done[0].error)
        assert [submission.error for submission in done[1:]] == [None, None]
    assert len(scores(course.course, course.assignment)) == 3
    (course.course.state_dir / "unfinished/stray").write_text("")
    with pytest.raises(AutograderError, match="cannot take its place"):
        course.record("ada", hand_in(course, module="# the newest"), PART)
    in_the_way.unlink()
    course.record("bob", hand_in(course, "bob", "# more"), PART)
    assert (course.root / "autograded/ada/tiny/utilities.py").read_text() == "# the newest"


def test_feedback_of_the_others_is_written_where_one_students_folder_is_in_disorder(
    released_course: TinyCourse,
) -> None:
    course = released_course
    for student in ("ada", "bob"):
        course.record(student, hand_in(course, student), PART)
    (course.root / "feedback").mkdir()
    (course.root / "feedback/ada").write_text("")
    with pytest.raises(AutograderError, match=r"feedback for ada.*1 other pages are written"):
        write_feedback(course.course, course.assignment)
    assert (course.root / "feedback/bob/tiny/tiny.html").is_file()


@pytest.mark.parametrize("names", [(), ("utilities (1).py", "tiny.ipynb"), ("utilities.py", "Tiny (2).ipynb")])
def test_an_empty_or_misnamed_hand_in_leaves_the_mark_and_says_so(
    released_course: TinyCourse, names: tuple[str, ...]
) -> None:
    course = released_course
    course.record("ada", hand_in(course), PART)
    folder = hand_in(course, module="# new")
    for name in ("utilities.py", "tiny.ipynb"):
        for other in names:
            if other != name and Path(other).suffix == Path(name).suffix:
                shutil.copy(folder / name, folder / other)
        if name not in names:
            (folder / name).unlink()
    with pytest.raises(AutograderError, match="The hand-in holds n"):
        course.record("ada", folder, NOTHING)
    assert of(course).scores == MARKS
    assert {mark.id for mark in of(course).earlier} == {"double", "total"}
    if names:
        with pytest.raises(StepFailed):
            run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny", student_id="ada")))
        assert of(course).scores == MARKS


def test_a_first_hand_in_that_is_empty_has_no_points(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("ada", None, None)
    for _ in range(2):
        released_course.record("ada", folder, NOTHING)
    assert of(released_course).total == 0
    assert of(released_course).earlier == ()


def test_a_held_task_stays_held_when_a_later_hand_in_cannot_be_graded(released_course: TinyCourse) -> None:
    course = released_course
    folder = hand_in(course)
    course.record("ada", folder, tiny_result(double=2.0, total=2.0, outcome="error"))
    reason = of(course).held[0].open
    assert course.record_ungraded("ada", "No memory.")
    assert course.record_ungraded("ada", "No memory.")
    assert [mark.id for mark in of(course).held] == ["double"]
    assert reason is not None
    assert of(course).tasks["double"].open == reason.__class__("held earlier", reason.since, reason.why, reason.digest)
    assert {mark.id for mark in of(course).earlier} == {"double", "total"}
    course.record("ada", folder, tiny_result(double=3.0, total=2.0))
    assert (of(course).held, of(course).earlier) == ((), ())


@pytest.mark.parametrize("damage", ["book = '{'", "book = x'ff'", "at = 'soon'", "why = '[]'", "rules = '7'"])
def test_a_row_of_the_history_that_cannot_be_read_ends_nothing(
    released_course: TinyCourse, damage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course
    course.record("ada", hand_in(course), PART)
    course.record("ada", hand_in(course, module="# more"), tiny_result(double=2.0, total=2.0))
    sql(course, f"UPDATE autograder_history SET {damage} WHERE id = 2")  # noqa: S608 - a test's own words
    course.record("ada", hand_in(course, module="# even more"), tiny_result())
    assert of(course).scores["double"] == 3.0
    told = history(course)
    assert told[-1] == "grade"
    assert (UNREADABLE_ENTRY in told) == (damage[:2] in ("bo", "at"))
    assert run(course, "history", "ada") == 0
    assert ("Row 2 of autograder_history cannot be read" in capsys.readouterr().out) == (UNREADABLE_ENTRY in told)
    write_feedback(course.course, course.assignment)


def test_no_command_makes_a_gradebook(
    released_course: TinyCourse, made_grading: Callable[[SubmissionResult], None]
) -> None:
    course, book = released_course, released_course.root / "gradebook.db"
    folder = hand_in(course)
    course.record("ada", folder, PART)  # so that a stamp, a graded notebook and a history are asked for
    book.unlink()
    for words in (
        ["grade"], ["grade", "--preview"], ["extend"], ["extend", "ada", "+2d"], ["history", "ada"], ["feedback"],
        ["report"], ["export", "csv"], ["similarity"], ["check", str(folder)], ["doctor"], ["grade", "--no-record"],
    ):  # fmt: skip
        run(course, *words)
        assert not book.exists(), words


def test_a_preview_tells_of_a_time_that_cannot_be_read_what_grading_does(
    released_course: TinyCourse,
    made_grading: Callable[[SubmissionResult], None],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    course = released_course
    hand_in(course)
    assert run(course, "grade", "--jobs", "1") == 0
    hand_in(course, module="# new").joinpath("timestamp.txt").write_text("soon")
    capsys.readouterr()
    statuses, said = [], []
    for words in (["grade", "--preview", "--json", str(tmp_path)], ["grade"]):
        statuses.append(run(course, *words, "--jobs", "1"))
        said.append(capsys.readouterr())
    assert statuses == [0, 1]  # what a preview foretells is no failure of the preview
    assert "Adding up 2 → 2, for an earlier hand-in (not graded)" in said[0].out
    assert "earlier" in said[1].out
    for output in said:
        assert "Its mark is for an earlier hand-in." in output.err
    foretold = json.loads((tmp_path / "preview/changes.json").read_text())
    assert [change["state"] for change in foretold["students"][0]["changes"]] == ["earlier", "earlier"]


def test_what_nobody_expected_of_one_submission_ends_no_batch(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = released_course
    folder = hand_in(course)
    snapshot = read_submission(folder, "tiny", course.course.settings)

    def fail(*args: object) -> None:
        raise KeyError("unexpected")

    monkeypatch.setattr("autograder.gradebook.recording.is_recorded", fail)
    graded = GradedSubmission("ada", folder, PART, snapshot=snapshot)
    (done,) = record_each(course.course, course.assignment, [graded], preview=False)
    assert "KeyError" in str(done.error)


def test_both_unicode_forms_of_a_name_are_one_student_for_every_command(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    course, name = released_course, "Zoë"
    decomposed = unicodedata.normalize("NFD", name)
    sql(course, "UPDATE assignment SET duedate = '2030-01-01 00:00:00.000000'")
    hand_in(course, decomposed)
    assert run(course, "extend", decomposed, "+2d") == 0
    assert "not in the gradebook yet" not in capsys.readouterr().err
    for written in (name, decomposed):
        step = make_step(Autograde, course.course, course_directory(course.course, "tiny", student_id=written))
        graded = Graded(PART, "sha256:0", read_rules(course.course, course.assignment))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(RecordGrades, "_grade", lambda *args, graded=graded: graded)
            run_step(step)
    assert list(scores(course.course, course.assignment)) == [name]
    assert (course.root / f"autograded/{name}/tiny/tiny.ipynb").is_file()
    capsys.readouterr()
    for written in (name, decomposed):
        assert run(course, "extend", written) == 0
        assert f"{name}: until 2030-01-03" in capsys.readouterr().out
        assert run(course, "history", written) == 0
        assert run(course, "feedback", written) == 0
    assert len(class_marks(course.course, course.assignment).students) == 1
    shutil.copytree(course.root / "submitted" / decomposed, course.root / "submitted" / name)
    with pytest.raises(StepFailed):  # nobody can say which of the two counts
        run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny")))
    assert history(course, name) == ["nbgrader autograde"] * 2


def test_a_student_whom_the_gradebook_has_in_the_other_form_of_unicode_is_listed_once(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    course, decomposed = released_course, unicodedata.normalize("NFD", "Zoë")
    folder = hand_in(course, "Zoë")
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        book.add_student(decomposed)
    course.record(decomposed, folder, PART)
    stored = {"Zoë": PART}

    def results(course: object, assignment: object, folders: dict[str, Path]) -> dict[str, SubmissionResult]:
        return {student: stored[folder.parent.name] for student, folder in folders.items()}

    monkeypatch.setattr("autograder.batch.class_results.stored_results", results)
    assert run(course, "export", "csv", "--quiet", "--to", str(tmp_path)) == 0
    (table,) = tmp_path.glob("*.csv")
    assert [row.split(",")[3] for row in table.read_text().splitlines()] == ["student_id", decomposed]
