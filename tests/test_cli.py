"""The command line's words and exit statuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from autograder import batch, cli
from autograder.batch import Graded, discover
from autograder.config import load_config
from autograder.errors import AutograderError, ConfigError, UsageError
from autograder.gradebook import scores
from tests.tiny import TinyCourse, tiny_result


@pytest.mark.parametrize(
    "command", ["build", "release", "check", "grade", "feedback", "report", "export", "similarity", "audit", "doctor"]
)
def test_help_shows_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert f"Example: python -m autograder {command}" in " ".join(capsys.readouterr().out.split())


def test_wrong_words_end_with_status_2(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["grad"])
    assert ended.value.code == 2
    assert cli.main(["grade", "--course", str(tmp_path)]) == 2


def test_a_missing_submission_is_named(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    released_course.hand_in("someone", None)
    words = ["grade", "nobody", "--course", str(released_course.root), "--assignment", "tiny"]
    assert cli.main(words) == 2
    assert "No submission of nobody" in capsys.readouterr().err


def test_discover_orders_and_refuses(released_course: TinyCourse) -> None:
    submitted = released_course.root / "submitted"
    with pytest.raises(UsageError, match="No submissions"):
        discover(submitted, "tiny")
    for student in ("b", "a"):
        released_course.hand_in(student, None)
    assert list(discover(submitted, "tiny")) == ["a", "b"]
    assert list(discover(submitted, "tiny", ["b"])) == ["b"]


def grade_with(course: TinyCourse, monkeypatch: pytest.MonkeyPatch, graded: Graded) -> int:
    monkeypatch.setattr(batch, "grade_all", lambda *_: iter([graded]))
    return cli.main(["grade", "--course", str(course.root), "--assignment", "tiny"])


def test_names_that_no_terminal_should_print_are_refused_and_shown(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (b"\xff", b"a\x1b[2J", b"[bold]x"):
        folder = released_course.root / "submitted" / os.fsdecode(name) / "tiny"
        folder.mkdir(parents=True)
        (folder / "large.bin").write_bytes(bytes(65 << 20))  # too large to be read: nothing needs to run
    assert cli.main(["grade", "--course", str(released_course.root), "--assignment", "tiny", "--no-record"]) == 1
    shown = capsys.readouterr()
    for refused in ("'\\udcff'", "'a\\x1b[2J'"):
        assert refused in shown.out
        assert f"{refused} cannot be a student's id. Rename the submission's folder." in shown.err
    assert "[bold]x" in shown.out
    assert "\x1b" not in shown.out


def test_a_failure_of_ours_leaves_no_stale_mark(released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = released_course.hand_in("student", None)
    assert grade_with(released_course, monkeypatch, Graded("student", folder, tiny_result())) == 0
    assert scores(released_course.config, released_course.assignment)["student"]["double"] == 3
    broken = Graded("student", folder, None, AutograderError("the machine failed"))
    assert grade_with(released_course, monkeypatch, broken) == 1
    assert scores(released_course.config, released_course.assignment)["student"]["double"] == 0


def test_doctor_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(Path(__file__).parents[1] / "course_config.py", tmp_path)
    status = cli.main(["doctor", "--course", str(tmp_path)])
    text = capsys.readouterr().out
    assert status == 0
    for name in ("system", "sandbox: namespaces", "sandbox: landlock", "sandbox: rlimits", "tensorflow", "gradebook"):
        assert f" {name}: " in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.Autograder.request_second = 3.0", "Did you mean request_seconds"),
        ("c.Autograder.jobs = 'many'", "must be of type int"),
        ("c.Autograder.sandbox = 'off'", "one of required, none"),
        ("c.Autograder.memory_mib = -1", "above zero"),
        ("c.Autograder.required_layers = ['walls']", "no layer 'walls'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_wrong_setting_is_explained(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "course_config.py").write_text(f"c = get_config()\n{line}\n")
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path)
