"""Exports: each file is read by a tool of somebody else's, and nothing in it runs as a formula, markup or control."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import unittest
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import cmarkgfm
import github_action_utils
import junitparser
import pandas
import pytest
from better_gradescope_utils.autograder_utils.decorators import number, tags, weight
from better_gradescope_utils.autograder_utils.json_test_runner import JSONTestRunner
from bs4 import BeautifulSoup
from nbgrader.api import Gradebook

from autograder.cli import main as cli
from autograder.errors import UsageError
from autograder.exports.formats import FORMATS, export, write_export
from autograder.exports.github import github_annotations, markdown
from autograder.exports.gradescope import gradescope_results
from autograder.exports.junit import junit_xml
from autograder.exports.spreadsheets import CANVAS_COLUMNS
from autograder.gradebook.csv_plugin import QuotedCsvExport
from autograder.marks import ClassMarks, Mark, Person, StudentMarks
from autograder.rendering.safe_csv import NBGRADER_COLUMNS, csv_bytes, safe_cell
from autograder.results import CheckResult, Outcome, to_json
from tests.gradebook.test_class_marks import HALF_OFF, book_of, configured, record_late
from tests.made_class import made_class
from tests.tiny import TinyCourse, tiny_result

pytest_plugins = ["pytester"]

HOSTILE = "=cmd|' /C calc'!A0, \"x\"\n<script>alert(1)</script> | `@all` \x1b[31m\x00\ufffe"
FORMULAS = ["=1+1", "+1+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "\uff1d1+1", " \uff1d1", "\n=1"]


def one_student(outcome: Outcome | None = None, **changes: Any) -> ClassMarks:
    """A class of one, 4 of 7 points, half a point taken."""
    result = tiny_result(double=2.0, total=2.0, outcome=outcome)
    person = changes.pop("person", Person("ada", "Ada, A.", "O'Brien", "ada@example.org", "4711"))
    fields: dict[str, Any] = {
        "tasks": {"double": Mark("double", 3.0, 2.0), "total": Mark("total", 2.0, 2.0)},
        "questions": {"question_01": Mark("question_01", 2.0, None, by_hand=True, waiting=True)},
        "penalty": 0.5,
        "seconds_late": 60.0,
        "handed_in": datetime(2030, 1, 1, 0, 1),
        "due": datetime(2030, 1, 1),
        "submitted": True,
        "result": result,
    }
    points = {"double": 3.0, "total": 2.0, "question_01": 2.0}
    return ClassMarks("tiny", points, ("double", "total"), (StudentMarks(person, **fields | changes),), recorded=True)


def hostile() -> ClassMarks:
    """A class of one whose name, address and code attack whoever reads them."""
    marks = one_student(person=Person(HOSTILE, HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    result = marks.students[0].result
    assert result is not None
    check = CheckResult(id=f"double::{HOSTILE}", outcome="failed", weight=1, message=HOSTILE, misconception=HOSTILE)
    task = type(result.tasks[0])(id="double", score=2.0, max_score=3.0, checks=(check,))
    fields = {name: getattr(result, name) for name in result.__struct_fields__}
    return one_student(person=marks.students[0].person, result=type(result)(**fields | {"tasks": (task,)}))


def read_frame(content: bytes) -> pandas.DataFrame:
    return pandas.read_csv(io.BytesIO(content), dtype=str, keep_default_na=False)


# --- cells ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_disarmed(text: str) -> None:
    assert safe_cell(text).startswith("'")
    ((read,),) = csv.reader(io.StringIO(csv_bytes([[text]]).decode(), newline=""))
    assert read == safe_cell(text)


@pytest.mark.parametrize(
    "value", ["-1.5", "+3", "12", "3,5", "-", "", "a=b", "ada@example.org", "x-1", "O'Brien", "a; -1"]
)
def test_numbers_and_harmless_texts_stay(value: str) -> None:
    assert safe_cell(value) == value


@pytest.mark.parametrize("text", ["a;=1+1", "a;\uff1d1", "a\n-2+3", "Ada;@SUM(A1);+1", 'x";=cmd|"'])
def test_formulas_are_disarmed_where_a_spreadsheet_splits_at_semicolons(text: str) -> None:
    written = csv_bytes([["id", text, 1.5]]).decode()
    for delimiter in ",;":
        cells = [cell for row in csv.reader(io.StringIO(written, newline=""), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if cell.lstrip().startswith(("=", "+", "-", "@", "\uff1d"))]


def test_numbers_are_short_and_negative_ones_stay_numbers() -> None:
    assert [safe_cell(value) for value in (-1.5, 0.1 + 0.2, 100.0, 7, None)] == ["-1.5", "0.3", "100", "7", ""]


# --- CSV ------------------------------------------------------------------------------------------------------


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


# --- Canvas and Moodle ----------------------------------------------------------------------------------------

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


def test_canvas_file_has_the_columns_and_the_points_row() -> None:
    frame = read_frame(export(one_student(), "canvas", column="ViT (12)").files["canvas.csv"])
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
    made = export(one_student(), "canvas", "vit (12)", tmp_path / "gradebook.csv")
    points, ada = read_frame(made.files["canvas.csv"]).to_dict("records")
    assert list(ada.values()) == ["O'Brien, Ada", "4711", "X9", "ada", "Lab, 1", "3.5"]
    assert points["vit (12)"] == "7"
    assert made.left_out == ()


def test_a_students_id_is_never_taken_for_a_platforms_number(tmp_path: Path) -> None:
    (tmp_path / "gradebook.csv").write_text(CANVAS)
    made = export(one_student(person=Person("99")), "canvas", "vit (12)", tmp_path / "gradebook.csv")
    assert len(read_frame(made.files["canvas.csv"])) == 1  # the points alone
    assert made.left_out == ("99",)


def test_moodle_import_file_names_students_in_moodles_columns() -> None:
    frame = read_frame(export(one_student(), "moodle").files["moodle.csv"])
    assert list(frame.columns) == ["Username", "First name", "Last name", "Email address", "Assignment: tiny (Real)"]
    assert list(frame.iloc[0]) == ["ada", "Ada, A.", "O'Brien", "ada@example.org", "3.5"]


def test_a_moodle_worksheet_is_filled_in_and_all_else_is_kept(tmp_path: Path) -> None:
    (tmp_path / "worksheet.csv").write_text(WORKSHEET)
    made = export(one_student(), "moodle", downloaded=tmp_path / "worksheet.csv")
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
        ("moodle", "", "no grading worksheet"),
        ("moodle", 'Identifier,Grade,Maximum Grade\n"x', "cannot be read as CSV"),
        ("csv", "", "fills in no file"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path: Path, kind: str, text: str, message: str) -> None:
    (tmp_path / "downloaded.csv").write_text(text)
    with pytest.raises(UsageError, match=message):
        export(one_student(), kind, "vit (12)", tmp_path / "downloaded.csv")


def test_who_handed_in_nothing_gets_no_mark_where_a_mark_would_count() -> None:
    marks = one_student(submitted=False, tasks={}, questions={}, result=None, penalty=0.0)
    assert read_frame(export(marks, "canvas").files["canvas.csv"])["tiny"].tolist() == ["7", ""]
    assert len(read_frame(export(marks, "moodle").files["moodle.csv"])) == 0
    assert export(marks, "gradescope").files == {}


# --- Gradescope -----------------------------------------------------------------------------------------------


def written_by_gradescopes_library() -> dict[str, Any]:
    """What the library for Gradescope's autograders writes: a passed and a failed test."""

    class Sample(unittest.TestCase):
        def test_passes(self) -> None:
            """Passes."""

        def test_fails(self) -> None:
            """Fails."""
            self.fail("no")

    tags("a")(number("1")(weight(2)(Sample.test_passes)))
    number("2")(weight(3)(Sample.test_fails))
    stream = io.StringIO()
    JSONTestRunner(stream=stream, stdout_visibility="hidden").run(
        unittest.defaultTestLoader.loadTestsFromTestCase(Sample)
    )
    written: dict[str, Any] = json.loads(stream.getvalue())
    return written


def kind_of(value: object) -> str:
    return "number" if isinstance(value, int | float) else type(value).__name__


def test_gradescope_results_have_the_shape_that_its_library_writes() -> None:
    theirs, ours = written_by_gradescopes_library(), json.loads(gradescope_results(*of(one_student())))
    theirs["execution_time"] = float(theirs["execution_time"])  # a text there, a number in the specification
    documented = {"output": "", "output_format": ""}
    assert {name: kind_of(value) for name, value in ours.items()}.items() <= {
        name: kind_of(value) for name, value in (theirs | documented).items()
    }.items()
    known = {name: kind_of(value) for test in theirs["tests"] for name, value in test.items()}
    for test in ours["tests"]:
        assert {name: kind_of(value) for name, value in test.items()}.items() <= known.items()
        assert test["status"] in {"passed", "failed"}


def of(marks: ClassMarks) -> tuple[ClassMarks, StudentMarks]:
    return marks, marks.students[0]


def test_gradescope_tests_add_up_to_the_score_with_the_penalty() -> None:
    marks, _ = made_class(40)
    for one in marks.students:
        if one.submitted:
            record = json.loads(gradescope_results(marks, one))
            assert record["score"] == one.total
            assert sum(test["score"] for test in record["tests"]) == pytest.approx(one.total)
            assert sum(test["max_score"] for test in record["tests"]) == marks.max_score


@pytest.mark.parametrize("name", ["..", "../../up", "a/b", "a\\b"])
def test_gradescope_files_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    (path,) = write_export(export(one_student(person=Person(name)), "gradescope"), tmp_path)
    assert path.resolve().parents[2] == tmp_path.resolve()


def test_gradescope_tells_reasons_and_what_waits() -> None:
    double, total, question, late = json.loads(gradescope_results(*of(one_student())))["tests"]
    assert "double is <b>wrong</b>" in double["output"]
    assert (double["status"], total["status"]) == ("failed", "passed")
    assert question["output"] == "Marked by hand.\nWaiting for a person to look at it."
    assert (late["name"], late["score"]) == ("Late penalty", -0.5)


# --- JUnit ----------------------------------------------------------------------------------------------------


def test_junit_is_read_with_every_outcome(tmp_path: Path) -> None:
    outcomes: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped")
    for outcome in outcomes:
        (tmp_path / "junit.xml").write_bytes(junit_xml(one_student(outcome)))
        (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
        (double, total) = list(suite)
        assert (suite.name, suite.tests, double.classname, double.name) == ("ada", 2, "tiny.double", "works")
        found = {type(result).__name__.lower() for result in double.result} or {"passed"}
        assert found == {{"failed": "failure"}.get(outcome, outcome)}
        assert (suite.failures, suite.errors, suite.skipped) == tuple(
            int(outcome == name) for name in ("failed", "error", "skipped")
        )
        assert total.is_passed
        assert {one.name: one.value for one in suite.properties()} == {  # type: ignore[no-untyped-call]
            "score": "3.5",
            "late_penalty": "0.5",
        }


def test_junit_survives_hostile_texts(tmp_path: Path) -> None:
    (tmp_path / "junit.xml").write_bytes(junit_xml(hostile()))
    (suite,) = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    (case,) = list(suite)
    assert "<script>alert(1)</script>" in case.result[0].message


def test_junit_counts_a_whole_class(tmp_path: Path) -> None:
    marks, _ = made_class(30)
    (tmp_path / "junit.xml").write_bytes(junit_xml(marks))
    suites = list(junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml")))
    assert len(suites) == sum(one.result is not None for one in marks.students)
    for suite in suites:
        written = (suite.tests, suite.failures, suite.errors, suite.skipped)
        suite.update_statistics()  # type: ignore[no-untyped-call]
        assert (suite.tests, suite.failures, suite.errors, suite.skipped) == written


def vocabulary(document: bytes) -> set[tuple[str, str]]:
    """Every element with every attribute it has, and with the element it stands in."""
    root = ET.fromstring(document)  # noqa: S314 (written here)
    attributes = {(element.tag, name) for element in root.iter() for name in element.attrib}
    return attributes | {(parent.tag, f"<{child.tag}>") for parent in root.iter() for child in parent}


def test_junit_has_no_word_that_pytest_does_not_write(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        @pytest.fixture
        def broken(): raise OSError
        def test_passes(record_testsuite_property): record_testsuite_property("score", 1)
        def test_fails(): assert False
        def test_skips(): pytest.skip()
        def test_breaks(broken): pass
        """
    )
    pytester.runpytest_subprocess("--junitxml=theirs.xml", "-p", "no:cacheprovider")
    theirs = vocabulary((pytester.path / "theirs.xml").read_bytes())
    outcomes: tuple[Outcome, ...] = ("passed", "failed", "error", "skipped")
    ours = set().union(*(vocabulary(junit_xml(one_student(outcome))) for outcome in outcomes))
    assert ours <= theirs | {("failure", "type"), ("error", "type")}  # the schema has these; pytest leaves them out


# --- Markdown -------------------------------------------------------------------------------------------------


def test_markdown_is_a_table_with_a_row_for_each_student() -> None:
    marks, _ = made_class(30)
    page = cmarkgfm.github_flavored_markdown_to_html(markdown(marks))
    assert page.count("<table>") == 1
    rows = [[cell.text for cell in row.find_all(["th", "td"])] for row in BeautifulSoup(page, "html.parser")("tr")]
    assert len(rows) == 31
    assert rows[0][:2] == ["student", "Scaled dot-product attention /8"]
    shown = {row[0]: row[-1] for row in rows}
    assert all(shown[one.person.id] == (f"{one.total:g}" if one.submitted else "–") for one in marks.students)
    assert "Commonest mistakes" in page


def test_markdown_takes_hostile_texts_literally() -> None:
    page = cmarkgfm.github_flavored_markdown_to_html(markdown(hostile()), cmarkgfm.cmark.Options.CMARK_OPT_UNSAFE)
    assert "<script" not in page
    assert "<code" not in page
    assert "<a " not in page
    assert "@all" not in page
    assert page.count("<tr>") == 2
    assert page.count("<td") == 6


# --- Annotations on GitHub ------------------------------------------------------------------------------------


def test_annotations_are_what_a_library_for_github_writes(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("collected/a,b: 100%/tiny")
    github_action_utils.warning(
        "Double: 2 of 3 points\ndouble is <b>wrong</b>, by $1$ & more.",
        file=f"{folder.as_posix()}/utilities.py",
        title="ada: 4 of 5 points",
    )
    assert github_annotations(one_student(), {"ada": folder}) == capsys.readouterr().out


def test_hostile_texts_stay_in_one_annotation(capsys: pytest.CaptureFixture[str]) -> None:
    made = github_annotations(hostile(), {})
    assert made.count("\n") == 1
    assert made.startswith("::warning title==cmd|")
    assert "\x1b" not in made
    clean = HOSTILE.replace("\x1b", "\ufffd").replace("\x00", "\ufffd")
    message = f"Double: 2 of 3 points\n{clean}"
    github_action_utils.warning(message, title=f"{clean}: 4 of 5 points")
    assert made == capsys.readouterr().out


def test_annotations_name_what_needs_the_instructor_first() -> None:
    ada, ours = one_student().students[0], one_student("error", person=Person("zoe")).students[0]
    lost = replace(ada, person=Person("yan"), result=None)
    full = replace(ada, person=Person("bo"), result=tiny_result())
    marks = replace(one_student(), students=(ada, full, lost, ours, StudentMarks(Person("eve"))))
    lines = github_annotations(marks, {}).splitlines()
    assert [line.partition(":: ")[0].split("::")[1] for line in lines] == [
        "error title=yan%3A no cached result",
        "error title=zoe%3A internal error",
        "warning title=ada%3A 4 of 5 points",
    ]


# --- the command ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FORMATS)
def test_the_command_writes_every_format(
    kind: str, released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_late(released_course)
    (tmp_path / "ada.json").write_bytes(to_json(tiny_result(double=2.0)))
    words = ["export", kind, "--course", str(released_course.root), "--assignment", "tiny", "--results", str(tmp_path)]
    assert cli.main(words) == 0
    (path,) = (released_course.root / "exports" / "tiny").rglob("*.*")
    shown = capsys.readouterr()
    assert f"wrote {path}" in shown.out
    assert "1 submissions wait for a person" in shown.err
    assert cli.main([*words, "--to", "-"]) == 0
    assert capsys.readouterr().out.encode() == path.read_bytes()


def test_the_command_refuses_what_does_not_exist(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--course", str(released_course.root), "--assignment", "tiny"]
    assert cli.main(["export", "excel", *words]) == 2
    assert "There are csv, canvas, moodle, gradescope, junit, markdown, annotations" in capsys.readouterr().err
    assert cli.main(["export", "junit", "--fill", "x.csv", *words]) == 2


def test_students_a_downloaded_file_does_not_name_are_told(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_late(released_course)
    (tmp_path / "worksheet.csv").write_text(WORKSHEET)
    words = ["--course", str(released_course.root), "--assignment", "tiny", "--fill", str(tmp_path / "worksheet.csv")]
    assert cli.main(["export", "moodle", *words]) == 1
    assert "does not name: ada" in capsys.readouterr().err


def test_files_are_written_below_one_folder(tmp_path: Path) -> None:
    paths = write_export(export(one_student(), "gradescope"), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["gradescope/ada/results.json"]
