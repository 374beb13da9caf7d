"""The command line's words and exit statuses."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import pty
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from autograder.batch import batch
from autograder.batch.batch import discover
from autograder.batch.outcome import GradedSubmission
from autograder.cli import arguments
from autograder.cli import main as cli
from autograder.course.course import read_course
from autograder.course.submission import Snapshot
from autograder.errors import AutograderError, ConfigError, UsageError
from autograder.gradebook.class_marks import class_marks
from autograder.results import Environment, SubmissionResult
from tests.tiny import TinyCourse, scores, tiny_result

ROOT = Path(__file__).parents[2]
SLOW_TO_IMPORT = ("tensorflow", "tf_keras", "nbgrader", "nbconvert", "numpy", "sqlalchemy")
RUN_AND_LIST = """
import sys
from autograder.cli import main as cli
try:
    cli.main(sys.argv[1:])
except SystemExit as ended:
    assert ended.code == 0, ended.code
print("imported:", *sorted(name.partition(".")[0] for name in sys.modules))
"""


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_help_shows_an_example_and_the_exit_status(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"Example: python -m autograder {command}" in said
    assert "Exit status: 0 " in said
    for word in ("--quiet", "--json", "--course", "--assignment"):
        assert word in said


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_examples_of_the_help_are_right(command: str) -> None:
    _, parsers = arguments.make_parser(cli.COMMANDS)
    examples = re.findall(r"^(?:Example:)? +python -m autograder (.+)$", parsers[command].format_help(), re.MULTILINE)
    assert examples
    for example in examples:
        assert arguments.read_words(example.split(), cli.COMMANDS).command == command


def test_every_command_has_a_parser_and_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    _, parsers = arguments.make_parser(cli.COMMANDS)
    assert list(parsers) == list(cli.COMMANDS)
    with pytest.raises(SystemExit) as ended:
        cli.main([])
    assert ended.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    for command in cli.COMMANDS:
        assert f"    {command} " in said.err or f"    {command}\n" in said.err


def imported_by(*words: str) -> set[str]:
    """Run a command in a process of its own and return the packages that it imported."""
    command = [sys.executable, "-c", RUN_AND_LIST, *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("imported:")[2].split())


def test_help_imports_nothing_that_takes_long() -> None:
    for words in (["--help"], ["grade", "--help"]):
        imported = imported_by(*words)
        assert "rich" in imported
        assert not set(SLOW_TO_IMPORT) & imported


@pytest.mark.slow
def test_check_imports_nothing_of_the_gradebook(tiny_course: TinyCourse, tmp_path: Path) -> None:
    folder = tiny_course.hand_in("student", None, "def double(x):\n    return 2 * x\n")
    page = tmp_path / "page.html"
    imported = imported_by(
        "check", str(folder), "--course", str(tiny_course.root), "--assignment", "tiny", "--html", str(page)
    )
    assert page.is_file()
    assert "numpy" in imported, "the checks ran"
    assert not {"nbgrader", "nbconvert", "sqlalchemy", "tensorflow", "distributed"} & imported


def test_a_command_makes_no_grammar_of_addresses(released_course: TinyCourse) -> None:
    """The library of jsonschema that makes one takes a second to import; `release` needs jsonschema for notebooks."""
    command = [sys.executable, "-X", "importtime", "-m", "autograder", "release", "--assignment", "tiny"]
    command += ["--course", str(released_course.root)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "jsonschema" in imported
    assert "lark" not in imported


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("grad", "no command 'grad'. Did you mean grade?"),
        ("similar", "Did you mean similarity?"),
        ("grade --submited x", "no option '--submited'. Did you mean --submitted?"),
        ("grade --jon=x", "no option '--jon'. Did you mean --json?"),
        ("grade --sandbox non", "no choice 'non'. Did you mean none?"),
        ("grade --sub x", "Did you mean --submitted?"),
        ("--quiet build", "--quiet stands after the command."),
        ("-q build", "-q stands after the command."),
        ("build everything", "unexpected 'everything'"),
        ("grade --jobs many", "invalid int value: 'many'"),
    ],
)
def test_a_wrong_word_is_answered_with_the_nearest(words: str, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(words.split())
    assert ended.value.code == 2
    assert answer in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        ("grade student-2 --assignment tiny", "Did you mean student-1?"),
        ("feedback student-1 --assignment tiny", "student-1 has no recorded result."),
        ("audit doubel --assignment tiny", "tiny has no task 'doubel'. Did you mean double?"),
        ("audit --mutants 3 --assignment tiny", "nothing says how to compare its parts"),
        ("audit --mutants 3 --own --assignment tiny", "--mutants takes none of them"),
        ("export canva --assignment tiny", "No format 'canva'. Did you mean canvas?"),
        ("export csv --to - --json - --assignment tiny", "cannot both print"),
        ("build --assignment tini", "No assignment 'tini'"),
        ("grade --assignment tini", "Did you mean tiny?"),
        ("check submitted --assignment tini", "Did you mean tiny?"),
        ("grade --jobs -1 --assignment tiny", "--jobs must be 0 or more"),
        ("similarity --least 7 --assignment tiny", "--least must be from 0 to 1, got 7."),
        ("feedback --assignment tiny", "No results of tiny are recorded yet. Run: python -m autograder grade"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest(
    released_course: TinyCourse, words: str, answer: str, capsys: pytest.CaptureFixture[str]
) -> None:
    released_course.hand_in("student-1", None)
    assert cli.main([*words.split(), "--course", str(released_course.root)]) == 2
    said = capsys.readouterr()
    assert answer in said.err
    assert said.out == ""


def run_on_terminal(*words: str, **environment: str) -> str:
    """Run a command with a terminal for its output, and return what it wrote there."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "autograder", *words]
    variables = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    variables |= {"TERM": "xterm-256color"} | environment
    process = subprocess.Popen(command, cwd=ROOT, env=variables, stdout=theirs, stderr=theirs)
    os.close(theirs)
    written = b""
    with contextlib.suppress(OSError):  # the kernel's word for the end of a terminal
        while chunk := os.read(ours, 4096):
            written += chunk
    os.close(ours)
    assert process.wait(timeout=60) == 2
    return written.decode()


def test_colours_are_for_terminals_alone(tmp_path: Path) -> None:
    words = ["grade", "--course", str(tmp_path)]
    assert "\x1b[1;31mautograder:" in run_on_terminal(*words)
    assert not re.search(r"\x1b\[[\d;]*3\d", run_on_terminal(*words, NO_COLOR="1"))
    done = subprocess.run(
        [sys.executable, "-m", "autograder", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stderr.startswith("autograder: No course_config.py")
    assert "\x1b" not in done.stderr


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


def test_what_was_not_released_is_not_graded_for_nothing(
    tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_course.hand_in("ada", None)
    monkeypatch.setattr(batch, "grade_all", lambda *_: pytest.fail("an hour of grading that cannot be recorded"))
    assert cli.main(["grade", "--course", str(tiny_course.root), "--assignment", "tiny"]) == 1
    said = "The gradebook does not know the assignment tiny. Run: python -m autograder release"
    assert capsys.readouterr().err == f"autograder: {said}\n"


def grade_with(course: TinyCourse, monkeypatch: pytest.MonkeyPatch, graded: GradedSubmission, *words: str) -> int:
    monkeypatch.setattr(batch, "grade_all", lambda *_: iter([graded]))
    return cli.main(["grade", "--course", str(course.root), "--assignment", "tiny", *words])


def test_grade_ends_with_a_table_or_json_or_nothing(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = released_course.hand_in("student-1", None)
    good = GradedSubmission("student-1", folder, tiny_result(total=1.0))
    assert grade_with(released_course, monkeypatch, good, "--no-record") == 0
    table = " ".join(capsys.readouterr().out.split())
    assert "Adding Doubling up sum student /3 /2 /5" in table
    assert "student-1 3 1 4" in table

    assert grade_with(released_course, monkeypatch, good, "--no-record", "--json", "-") == 0
    marks = json.loads(capsys.readouterr().out)
    assert marks["tasks"] == {"double": 3, "total": 2}
    assert marks["students"] == [
        {"student": "student-1", "score": 4, "tasks": {"double": 3, "total": 1}, "error": None}
    ]

    bad = GradedSubmission("student-1", folder, None, AutograderError("The disk is full.", "Make room."))
    assert grade_with(released_course, monkeypatch, bad, "--no-record", "--quiet") == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "autograder: student-1: The disk is full. Make room.\n"


UNUSED = "There is a GPU, but TensorFlow cannot use it: submissions ran on the CPU."


def on(device: str, tensorflow: str = "2.21.0") -> SubmissionResult:
    """Return a result of a submission that ran on this device."""
    environment = Environment(tensorflow=tensorflow, device=device, sandbox=())
    return msgspec.structs.replace(tiny_result(), environment=environment)


@pytest.mark.parametrize(
    ("result", "cached", "present", "device", "warned"),
    [
        (on("cpu"), False, True, "auto", True),
        (on("gpu"), False, True, "auto", False),
        (on("cpu"), True, True, "auto", False),  # it may be from a time without a GPU
        (on("cpu"), False, False, "auto", False),
        (on("cpu"), False, True, "cpu", False),
        (on("cpu", tensorflow=""), False, True, "auto", False),  # it could not be read, so it was not run
    ],
)
def test_a_gpu_that_is_not_used_is_named_once(
    released_course: TinyCourse,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    result: SubmissionResult,
    cached: bool,
    present: bool,
    device: str,
    warned: bool,
) -> None:
    monkeypatch.setattr("autograder.grading.gpu.gpu_present", lambda: present)
    with (released_course.root / "course_config.py").open("a") as file:
        file.write(f'c.Autograder.device = "{device}"\n')
    students = {name: released_course.hand_in(name, None) for name in ("student-1", "student-2")}
    graded = [GradedSubmission(name, folder, result, cached=cached) for name, folder in students.items()]
    monkeypatch.setattr(batch, "grade_all", lambda *_: iter(graded))
    words = ["grade", "--course", str(released_course.root), "--assignment", "tiny", "--no-record"]
    assert cli.main(words) == 0
    assert " ".join(capsys.readouterr().err.split()).count(UNUSED) == warned
    monkeypatch.setattr("autograder.grading.result_store.CachedGrader.grade_snapshot", lambda *_: result)
    folder = str(students["student-1"])
    assert cli.main(["check", folder, "--course", str(released_course.root), "--assignment", "tiny"]) == 0
    expected = result.environment.ran_on_cpu and present and device != "cpu"
    assert " ".join(capsys.readouterr().err.split()).count(UNUSED) == expected


def test_paths_are_told_as_text_as_json_or_not(tiny_sources: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["build", "--course", str(tiny_sources), "--assignment", "tiny"]
    assert cli.main(words) == 0
    assert "built source/tiny/tiny.ipynb" in capsys.readouterr().out.splitlines()
    assert cli.main([*words, "--json", "-"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert {key: made[key] for key in ("schema", "command", "assignment")} == {
        "schema": 1,
        "command": "build",
        "assignment": "tiny",
    }
    assert str(tiny_sources / "source/tiny/tiny.ipynb") in made["wrote"]
    assert all(Path(path).is_file() for path in made["wrote"])
    file = tiny_sources / "made.json"
    assert cli.main([*words, "--quiet", "--json", str(file)]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads(file.read_text()) == made


def test_a_library_that_is_missing_is_no_traceback(
    tiny_sources: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "autograder.release.build", None)
    words = ["build", "--course", str(tiny_sources), "--assignment", "tiny"]
    assert cli.main(words) == 1
    assert "Run: make install" in capsys.readouterr().err
    monkeypatch.setattr(platform, "system", lambda: "Windows")
    assert cli.main(words) == 1
    assert "This needs Linux, and this is Windows" in capsys.readouterr().err


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
        assert f"{refused} cannot be a student's id: it holds control characters" in shown.err
    assert "[bold]x" in shown.out
    assert "\x1b" not in shown.out


def test_a_hand_in_that_cannot_be_graded_leaves_the_old_mark_and_says_so(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = released_course.hand_in("student", None)
    graded = GradedSubmission("student", folder, tiny_result(), snapshot=Snapshot({}, "tiny.ipynb"), cached=True)
    assert grade_with(released_course, monkeypatch, graded) == 0
    assert scores(released_course.course, released_course.assignment)["student"]["double"] == 3
    broken = GradedSubmission("student", folder, None, AutograderError("The machine failed."))
    capsys.readouterr()
    assert grade_with(released_course, monkeypatch, broken) == 1
    shown = capsys.readouterr()
    assert shown.out.split()[-1] == "earlier"
    assert "student: The machine failed. Its mark is for an earlier hand-in." in shown.err
    (student,) = class_marks(released_course.course, released_course.assignment).students
    assert student.scores["double"] == 3
    assert [mark.open and mark.open.why for mark in student.earlier] == ["The machine failed."] * 2
    assert grade_with(released_course, monkeypatch, graded) == 0  # its result was recorded already, and counts again
    (student,) = class_marks(released_course.course, released_course.assignment).students
    assert (student.earlier, student.held, student.waiting) == ((), (), ())


def test_doctor_says_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(ROOT / "course_config.py", tmp_path)
    status = cli.main(["doctor", "--course", str(tmp_path)])
    text = capsys.readouterr().out
    assert status == 0
    layers = ("sandbox: namespaces", "sandbox: landlock", "sandbox: rlimits")
    for name in ("autograder", "system", "settings", *layers, "memory", "tensorflow", "gradebook"):
        assert f"ok   {name}: " in text
    assert "no   assignment: No assignment 'vit'" in text


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("c.Autograder.request_second = 3.0", "Did you mean request_seconds"),
        ("c.Autograder.jobs = 'many'", "Expected `int`, got `str`"),
        ("c.Autograder.sandbox = 'off'", "there is no 'off'. Choose from: required, none"),
        ("c.Autograder.memory_mib = -1", "-1. Expected `int` >= 1"),
        ("c.Autograder.required_layers = ['walls']", "there is no 'walls'"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_wrong_setting_is_explained(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "course_config.py").write_text(f"c = get_config()\n{line}\n")
    with pytest.raises(ConfigError, match=message):
        read_course(tmp_path)


def test_a_course_elsewhere_does_not_hide_the_package(tiny_sources: Path) -> None:
    command = [sys.executable, "-m", "autograder", "build", "--assignment", "tiny", "--json", "-"]
    done = subprocess.run(command, cwd=tiny_sources, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert str(tiny_sources / "source/tiny/tiny.ipynb") in json.loads(done.stdout)["wrote"]


def test_names_that_the_terminal_cannot_show_are_no_traceback(released_course: TinyCourse) -> None:
    folder = released_course.hand_in("Zoë", None)
    (folder / "large.bin").write_bytes(bytes(65 << 20))  # too large to be read: nothing needs to run
    words = ["grade", "--no-record", "--assignment", "tiny", "--course", str(released_course.root)]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "autograder", *words], cwd=ROOT, env=environment, capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert b"tiny: automatic marks" in done.stdout
