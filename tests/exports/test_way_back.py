"""What goes back to platforms, read as they read it: every student gets what is theirs, and nobody else's."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from autograder.collecting.collect import CollectRequest, collect
from autograder.collecting.records import known_ids
from autograder.collecting.roster import read_roster
from autograder.errors import UsageError
from autograder.exports.feedback_files import feedback_zip
from autograder.exports.formats import Platform, export
from autograder.marks import ClassMarks, Mark, Person, StudentMarks
from tests.collecting import downloads, readers
from tests.collecting.students import ROSTER, Student, upload_of
from tests.one_student import one_student, read_frame
from tests.tiny import TinyCourse


def score_of(student: Student) -> float:
    """Points that nobody else has."""
    return round(2 + student.place / 20, 2)


def made_marks(*, with_ids: bool = False) -> ClassMarks:
    """Marks of everyone on the roster; the gradebook knows no platform's ids, or Canvas'."""
    students = tuple(
        StudentMarks(
            Person(student.id, lms_user_id=str(student.canvas) if with_ids else ""),
            tasks={"double": Mark("double", 3.0, 2.0), "total": Mark("total", 4.0, round(score_of(student) - 2, 2))},
            submitted=True,
        )
        for student in ROSTER
    )
    points = {"double": 3.0, "total": 4.0}
    return ClassMarks("tiny", points, ("double", "total"), students, recorded=True, titles={"double": "Doubling"})


def pages_of(folder: Path, students: Iterable[Student] = ROSTER) -> dict[str, Path]:
    """Pages, each its student's own."""
    pages = {}
    for student in students:
        pages[student.id] = folder / f"{student.id}.html"
        pages[student.id].write_text(f"<p>{student.id}</p>")
    return pages


def collected(course: TinyCourse, source: Path) -> None:
    (course.root / "roster.csv").write_bytes(downloads.own_roster())
    collect(course.course, course.assignment, course.root / "submitted", CollectRequest(source))


# --- feedback -------------------------------------------------------------------------------------------------


def test_moodle_finds_everyone_by_the_worksheet(tiny_course: TinyCourse, tmp_path: Path) -> None:
    for language, anonymous in (("en", False), ("de", False)):
        sheet = tmp_path / f"worksheet-{language}.csv"
        sheet.write_bytes(downloads.moodle_worksheet("tiny", 7, language, anonymous=anonymous))
        made = feedback_zip(tiny_course.course, "tiny", pages_of(tmp_path), "moodle", sheet)
        given, ignored = readers.moodle_feedback(made.files["feedback-moodle.zip"], {s.moodle for s in ROSTER})
        assert not ignored and not made.left_out
        assert given == {s.moodle: {"tiny.html": f"<p>{s.id}</p>".encode()} for s in ROSTER}


@pytest.mark.parametrize("anonymous", [False, True])
def test_moodle_finds_everyone_by_what_was_collected(tiny_course: TinyCourse, tmp_path: Path, anonymous: bool) -> None:
    collected(tiny_course, downloads.moodle_zip(tmp_path / "m.zip", "tiny", anonymous=anonymous))
    (tiny_course.root / "roster.csv").unlink()
    made = feedback_zip(tiny_course.course, "tiny", pages_of(tmp_path), "moodle", None)
    given, ignored = readers.moodle_feedback(made.files["feedback-moodle.zip"], {s.moodle for s in ROSTER})
    assert not ignored
    assert made.left_out == ("s14",)  # who handed in an essay alone
    assert given == {s.moodle: {"tiny.html": f"<p>{s.id}</p>".encode()} for s in ROSTER if s.place != 14}


@pytest.mark.parametrize("anonymous", [False, True])
def test_canvas_finds_everyone_by_an_attachment(tiny_course: TinyCourse, tmp_path: Path, anonymous: bool) -> None:
    rows = [[s.id, s.canvas, downloads.canvas_anonymous(s)] for s in ROSTER]
    (tiny_course.root / "roster.csv").write_bytes(downloads.table([["student", "canvas", "canvas anonymous"], *rows]))
    source = downloads.canvas_zip(tmp_path / "c.zip", "tiny", anonymous)
    collect(tiny_course.course, tiny_course.assignment, tiny_course.root / "submitted", CollectRequest(source))
    made = feedback_zip(tiny_course.course, "tiny", pages_of(tmp_path), "canvas", None)
    attachments = {
        downloads.canvas_attachment(s, number): (s.canvas, name)
        for s in ROSTER
        for number, (name, _) in enumerate([*upload_of(s, "tiny").files, *[("", b"")] * 9][:10])
    }
    hidden = {downloads.canvas_anonymous(s): s.canvas for s in ROSTER}
    given, ignored = readers.canvas_feedback(made.files["feedback-canvas.zip"], attachments, hidden)
    assert not ignored and made.left_out == ("s14",)
    assert given == {s.canvas: [f"<p>{s.id}</p>".encode()] for s in ROSTER if s.place != 14}


def test_feedback_for_nobody_or_nowhere_is_refused(tiny_course: TinyCourse, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'moodel'.*Did you mean moodle\?"):
        feedback_zip(tiny_course.course, "tiny", pages_of(tmp_path), "moodel", None)
    with pytest.raises(UsageError, match="There is no feedback for tiny yet"):
        feedback_zip(tiny_course.course, "tiny", {}, "moodle", None)


def test_the_same_pages_give_the_same_zip(tiny_course: TinyCourse, tmp_path: Path) -> None:
    sheet = tmp_path / "worksheet.csv"
    sheet.write_bytes(downloads.moodle_worksheet("tiny", 7))
    zips = [feedback_zip(tiny_course.course, "tiny", pages_of(tmp_path), "moodle", sheet).files for _ in range(2)]
    assert zips[0] == zips[1]


# --- marks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delimiter", [",", ";"])
@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("with_ids", [False, True])
def test_canvas_reads_everyones_mark(tmp_path: Path, delimiter: str, split: bool, with_ids: bool) -> None:
    book = tmp_path / "gradebook.csv"
    book.write_bytes(downloads.canvas_gradebook(7, delimiter, split))
    made = export(made_marks(with_ids=with_ids), "canvas", Platform("Work (77)", book))
    marks = readers.canvas_marks(made.files["canvas.csv"], "Work (77)")
    assert {user: float(mark) for user, mark in marks.items()} == {s.canvas: score_of(s) for s in ROSTER}
    assert made.left_out == ()


@pytest.mark.parametrize(("language", "delimiter"), [("en", ","), ("de", ","), ("de", ";")])
def test_moodle_reads_everyones_mark(tmp_path: Path, language: str, delimiter: str) -> None:
    sheet = tmp_path / "worksheet.csv"
    sheet.write_bytes(downloads.moodle_worksheet("tiny", 7, language, delimiter))
    made = export(made_marks(), "moodle", Platform(downloaded=sheet))
    headings = downloads.GERMAN if language == "de" else downloads.ENGLISH
    names = (headings[0], headings[5], headings[9])
    marks = readers.moodle_marks(made.files["moodle.csv"], names, downloads.PARTICIPANT[language])
    assert {participant: float(mark) for participant, mark in marks.items()} == {s.moodle: score_of(s) for s in ROSTER}
    assert made.left_out == ()


def test_a_worksheet_in_a_language_that_nobody_listed_is_read(tmp_path: Path) -> None:
    sheet = tmp_path / "worksheet.csv"
    sheet.write_text(
        "Tunniste,Koko nimi,Sähköpostiosoite,Tila,Arvosana,Paras arvosana,Arvosana voidaan muuttaa\n"
        'Osallistuja 70013,Ada,ada@example.org,Palautettu,,"7,00",Kyllä\n'
    )
    assert read_roster(sheet).people[0].student == "ada@example.org"
    known = {"moodle": {"70013": "ada"}}
    made = export(one_student(), "moodle", Platform(downloaded=sheet, known=known))
    marks = readers.moodle_marks(made.files["moodle.csv"], ("Tunniste", "Arvosana", "Tila"), "Osallistuja ")
    assert {participant: float(mark) for participant, mark in marks.items()} == {70013: 3.5}


def test_moodle_reads_marks_where_names_are_hidden(tiny_course: TinyCourse, tmp_path: Path) -> None:
    sheet = tmp_path / "worksheet.csv"
    sheet.write_bytes(downloads.moodle_worksheet("tiny", 7, anonymous=True))
    collected(tiny_course, downloads.moodle_zip(tmp_path / "m.zip", "tiny", anonymous=True))
    known = known_ids(tiny_course.course, "tiny")
    made = export(made_marks(), "moodle", Platform(downloaded=sheet, known=known))
    names = ("Identifier", "Grade", "Last modified (grade)")
    marks = readers.moodle_marks(made.files["moodle.csv"], names, "Participant ")
    assert {participant: float(mark) for participant, mark in marks.items()} == {s.moodle: score_of(s) for s in ROSTER}


def scores_file() -> dict[str, Any]:
    """What Classroom 50 wrote: two submissions of everyone, and another assignment."""

    def record(student: Student, number: int) -> dict[str, Any]:
        return {
            "schema": "classroom50/result/v1",
            "classroom": "dl",
            "assignment_type": "individual",
            "owner": student.login,
            "submission": f"submit/2030-05-0{number}T10-00-00Z-abc",
            "commit": "https://github.com/x",
            "release": "https://github.com/y",
            "review": "https://github.com/z",
            "datetime": f"2030-05-0{number}T10:00:00Z",
            "score": 0,
            "max-score": 1,
            "tests": [{"test-name": "ran", "passed": False, "score": 0, "max-score": 1}],
            "late": False,
        }

    entries = [{"owner": s.login, "submissions": [record(s, 2), record(s, 1)]} for s in ROSTER]
    stranger = {"owner": "stranger", "override": False, "submissions": entries[0]["submissions"]}
    buckets = {"lab-one": {"type": "individual", "entries": [*entries, stranger]}}
    buckets["other"] = {"type": "group", "entries": [], "collected_at": "2030-05-03T10:00:00Z"}
    return {"schema": "classroom50/scores/v1", "assignments": buckets}


def test_classroom_50_takes_whole_points_and_nothing_else_changes(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    file.write_text(json.dumps(scores_file()))
    known = {"github": {s.login: s.id for s in ROSTER}}
    made = export(made_marks(), "classroom50", Platform("lab-one", file, known))
    found = readers.classroom50_scores(made.files["scores.json"], file.read_bytes(), "lab-one")
    for student in ROSTER:
        record = found[student.login]
        assert (record["score"], record["max-score"]) == (int(score_of(student)), 7)
        assert [test["test-name"] for test in record["tests"]] == ["Doubling", "Total"]
    assert found["stranger"]["score"] == 0
    assert made.left_out == ()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ('{"schema": "classroom50/scores/v2", "assignments": {}}', "no scores.json of Classroom 50"),
        ('{"schema": "classroom50/scores/v1", "assignments": {"a": {}, "b": {}}}', "has no assignment 'tiny'"),
        ('{"schema": "classroom50/scores/v1", "assignments": {"a": {}}}', "a has no entries"),
    ],
)
def test_another_file_is_not_filled_in(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "scores.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        export(made_marks(), "classroom50", Platform(downloaded=tmp_path / "scores.json"))
    with pytest.raises(UsageError, match=r"--fill scores\.json"):
        export(made_marks(), "classroom50")


# --- ids that meet --------------------------------------------------------------------------------------------

BOOK = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Work (77)\n"
    "    Points Possible,,,,,7\n"
    '"Ada",{ada},{sis},{login},A,\n'
    '"Bob",4712,,bob,A,\n'
)


def two_students() -> ClassMarks:
    """Ada with 3 points and Bob with 1; Canvas' ids are known."""
    marks = one_student(penalty=0.0)
    ada = StudentMarks(Person("ada", lms_user_id="4711"), tasks={"double": Mark("double", 7.0, 3.0)}, submitted=True)
    bob = StudentMarks(Person("bob", lms_user_id="4712"), tasks={"double": Mark("double", 7.0, 1.0)}, submitted=True)
    return ClassMarks("tiny", marks.points, ("double",), (ada, bob), recorded=True)


def filled(tmp_path: Path, **cells: str) -> dict[str, str]:
    book = tmp_path / "gradebook.csv"
    book.write_text(BOOK.format(**cells))
    frame = read_frame(export(two_students(), "canvas", Platform("Work (77)", book)).files["canvas.csv"])
    return dict(zip(frame["Student"], frame["Work (77)"], strict=True))


def test_a_sis_id_that_is_another_students_canvas_id_takes_nobodys_mark(tmp_path: Path) -> None:
    """Both used to get the same mark."""
    marks = filled(tmp_path, ada="4711", sis="4712", login="ada")
    assert (marks["Ada"], marks["Bob"]) == ("3", "1")


def test_a_row_that_names_two_students_is_refused_with_both_names(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the row Ada, 4711, bob names two students: ada and bob"):
        filled(tmp_path, ada="4711", sis="", login="bob")


def test_two_rows_that_name_one_student_are_refused_with_both_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"two rows name bob: Ada, 99, bob and Bob, 4712, bob"):
        filled(tmp_path, ada="99", sis="", login="bob")
