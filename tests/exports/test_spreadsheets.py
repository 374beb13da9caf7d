"""Files for Canvas, Moodle and spreadsheets, read with pandas."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pandas
import pytest

from autograder.errors import UsageError
from autograder.exports.formats import FORMATS, Platform, export
from autograder.exports.spreadsheets import CANVAS_COLUMNS
from autograder.marks import Person
from autograder.rendering.safe_csv import NBGRADER_COLUMNS
from tests.one_student import hostile, one_student, read_frame

CANVAS = (
    "Student,ID,SIS User ID,SIS Login ID,Section,Other (1),vit (12),Final Score\r\n"
    "    Points Possible,,,,,10,7,(read only)\r\n"
    '"O\'Brien, Ada",4711,X9,ada,"Lab, 1",3,,\r\n'
    '"Student, Test",99,,abc,"Lab, 1",,,\r\n'
)
WORKSHEET = (
    "Identifier,Full name,Email address,Status,Grade,Maximum Grade,Last modified (grade),Feedback comments\r\n"
    'Participant 17,Ada,ADA@example.org,"Submitted, late",,7.00,-,\r\n'
    "Participant 18,Eve,eve@example.org,No submission,,7.00,-,\r\n"
)


def test_csv_has_nbgraders_columns_and_the_penalty_in_the_score() -> None:
    frame = read_frame(export(one_student(), "csv").files[FORMATS["csv"]])
    assert tuple(frame.columns) == NBGRADER_COLUMNS
    (row,) = frame.to_dict("records")
    assert (row["raw_score"], row["late_submission_penalty"], row["score"], row["max_score"]) == (
        "4",
        "0.5",
        "3.5",
        "7",
    )
    assert (row["first_name"], row["last_name"]) == ("Ada, A.", "O'Brien")


@pytest.mark.parametrize("kind", ["csv", "canvas", "moodle"])
def test_hostile_names_stay_in_their_cells(kind: str) -> None:
    content = export(hostile(), kind).files[FORMATS[kind]]
    rows = list(csv.reader(io.StringIO(content.decode(), newline=""), strict=True))
    assert len({len(row) for row in rows}) == 1
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "@", "\t"))]
    assert any(cell.startswith("'=cmd") for cell in cells)
    assert "\x1b" not in content.decode()


def test_canvas_file_has_the_columns_and_the_points_row() -> None:
    frame = read_frame(export(one_student(), "canvas", Platform("ViT (12)")).files["canvas.csv"])
    assert (*frame.columns,) == (*CANVAS_COLUMNS, "ViT (12)")
    points, ada = frame.to_dict("records")
    assert (points["Student"].strip(), points["ViT (12)"]) == ("Points Possible", "7")
    assert (ada["Student"], ada["ID"], ada["SIS Login ID"], ada["ViT (12)"]) == (
        "O'Brien, Ada, A.",
        "4711",
        "ada",
        "3.5",
    )


def test_a_canvas_gradebook_is_filled_in_by_id(tmp_path: Path) -> None:
    (tmp_path / "gradebook.csv").write_bytes(b"\xef\xbb\xbf" + CANVAS.encode())
    made = export(one_student(), "canvas", Platform("vit (12)", tmp_path / "gradebook.csv"))
    points, ada = read_frame(made.files["canvas.csv"]).to_dict("records")
    assert list(ada.values()) == ["O'Brien, Ada", "4711", "X9", "ada", "Lab, 1", "3.5"]
    assert points["vit (12)"] == "7"
    assert made.left_out == ()
    assert made.new_column == ""
    assert export(one_student(), "canvas", Platform("vit", tmp_path / "gradebook.csv")).new_column == "vit"


def test_a_students_id_is_never_taken_for_a_platforms_number(tmp_path: Path) -> None:
    (tmp_path / "gradebook.csv").write_text(CANVAS)
    made = export(one_student(person=Person("99")), "canvas", Platform("vit (12)", tmp_path / "gradebook.csv"))
    assert len(read_frame(made.files["canvas.csv"])) == 1  # the points alone
    assert made.left_out == ("99",)


def test_moodle_import_file_names_students_in_moodles_columns() -> None:
    frame = read_frame(export(one_student(), "moodle").files["moodle.csv"])
    assert list(frame.columns) == ["Username", "First name", "Last name", "Email address", "Assignment: tiny (Real)"]
    assert list(frame.iloc[0]) == ["ada", "Ada, A.", "O'Brien", "ada@example.org", "3.5"]


def test_a_moodle_worksheet_is_filled_in_and_all_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "worksheet.csv").write_text(WORKSHEET)
    made = export(one_student(), "moodle", Platform(downloaded=tmp_path / "worksheet.csv"))
    before = pandas.read_csv(io.StringIO(WORKSHEET), dtype=str, keep_default_na=False)
    after = read_frame(made.files["moodle.csv"])
    assert list(after["Grade"]) == ["3.5", ""]
    pandas.testing.assert_frame_equal(before.drop(columns="Grade"), after.drop(columns="Grade"))


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("canvas", CANVAS.replace(",7,", ",70,"), "gives tiny 70 points, and here it has 7"),
        ("canvas", CANVAS.replace("Points Possible", "Points"), "has no row"),
        ("canvas", "a,b\n", "no gradebook exported from Canvas: it has no column 'Student'"),
        ("moodle", WORKSHEET.replace("7.00", "100.00"), "gives tiny 100.00 points"),
        ("moodle", WORKSHEET.replace("7.00", "Good"), "grades by a scale"),
        ("moodle", "", "no grading worksheet"),
        ("moodle", 'Identifier,Grade,Maximum Grade\n"x', "cannot be read as CSV"),
        ("csv", "", "fills in no file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, kind: str, text: str, message: str) -> None:
    (tmp_path / "downloaded.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        export(one_student(), kind, Platform("vit (12)", tmp_path / "downloaded.csv"))


def test_who_handed_in_nothing_gets_no_mark_where_a_mark_would_count() -> None:
    marks = one_student(submitted=False, tasks={}, questions={}, result=None, penalty=0.0)
    assert read_frame(export(marks, "canvas").files["canvas.csv"])["tiny"].tolist() == ["7", ""]
    assert len(read_frame(export(marks, "moodle").files["moodle.csv"])) == 0
    assert export(marks, "gradescope").files == {}
