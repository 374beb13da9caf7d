"""The export command: every format, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder.cli import main as cli
from autograder.exports.formats import FINAL, FORMATS, export, write_export
from autograder.results import to_json
from tests.exports.test_spreadsheets import WORKSHEET
from tests.gradebook.test_class_marks import record_late
from tests.one_student import one_student
from tests.tiny import TinyCourse, tiny_result


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind != "classroom50"])
def test_the_command_writes_every_format(
    kind: str, released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_late(released_course)
    (tmp_path / "ada.json").write_bytes(to_json(tiny_result(double=2.0)))
    words = ["export", kind, "--course", str(released_course.root), "--assignment", "tiny", "--results", str(tmp_path)]
    if kind in FINAL:
        assert cli.main(words) == 2
        assert "1 submission waits for a person, so their marks are not final" in capsys.readouterr().err
        words.append("--so-far")
    assert cli.main(words) == 0
    (path,) = (released_course.root / "exports" / "tiny").rglob("*.*")
    shown = capsys.readouterr()
    assert f"wrote {path}" in shown.out
    assert "1 submission waits for a person" in shown.err
    assert cli.main([*words, "--to", "-"]) == 0
    assert capsys.readouterr().out.encode() == path.read_bytes()


def test_the_command_refuses_what_does_not_exist(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--course", str(released_course.root), "--assignment", "tiny"]
    assert cli.main(["export", "excel", *words]) == 2
    assert (
        "There are csv, canvas, moodle, gradescope, classroom50, junit, markdown, annotations"
        in capsys.readouterr().err
    )
    assert cli.main(["export", "junit", "--fill", "x.csv", *words]) == 2


def test_students_a_downloaded_file_does_not_name_are_told(
    released_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record_late(released_course)
    (tmp_path / "worksheet.csv").write_text(WORKSHEET)
    words = ["--course", str(released_course.root), "--assignment", "tiny", "--fill", str(tmp_path / "worksheet.csv")]
    assert cli.main(["export", "moodle", "--so-far", *words]) == 1
    assert "does not name: ada" in capsys.readouterr().err


def test_files_are_written_below_one_folder(tmp_path: Path) -> None:
    paths = write_export(export(one_student(), "gradescope"), tmp_path)
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == ["gradescope/ada/results.json"]
