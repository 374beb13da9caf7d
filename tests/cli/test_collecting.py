"""The command `collect`: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from autograder.cli import main as cli
from tests.collecting import downloads
from tests.tiny import TinyCourse


def test_it_prints_who_what_when_and_why(
    tiny_course: TinyCourse, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = downloads.canvas_zip(tmp_path / "submissions.zip", "tiny")
    (tiny_course.root / "roster.csv").write_bytes(downloads.own_roster())
    words = ["collect", str(source), "--course", str(tiny_course.root), "--assignment", "tiny"]
    assert cli.main([*words, "--dry-run"]) == 1
    assert not (tiny_course.root / "submitted").exists()
    assert cli.main([*words, "--json", str(tmp_path / "collected.json")]) == 1
    shown = capsys.readouterr()
    assert "tiny: hand-ins from Canvas" in shown.out
    assert "s05: leesam_4035_90500_tiny (1).ipynb was taken as tiny.ipynb" in shown.out
    assert "s10: obergasa_4070" not in shown.out
    assert "timestamp.txt is the student's own, and the platform's time counts" in shown.out
    assert "unknownuma_4203: matches nobody." in shown.err
    assert "Add whoever is missing to roster.csv" in shown.err
    assert "the time of 28 hand-ins is unknown" in shown.err
    record = json.loads((tmp_path / "collected.json").read_text())
    assert (record["platform"], len(record["hand_ins"])) == ("canvas", 30)
    assert cli.main([*words, "--from", "moodle"]) == 2
    assert "Nothing in submissions looks like a hand-in from Moodle" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        cli.main([*words, "--from", "moodel"])
    assert "Did you mean moodle?" in capsys.readouterr().err


def test_feedback_goes_to_a_platform(tiny_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "feedback", "--course", str(tiny_course.root), "--assignment", "tiny"]
    assert cli.main(words) == 2
    assert "Say which: --for moodle|canvas." in capsys.readouterr().err
    assert cli.main([*words, "--for", "moodle"]) == 2
    assert "There is no feedback for tiny yet" in capsys.readouterr().err
