"""The students' own check: the notebook's public tests with their words, on what a student may have written."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import github_action_utils
import junitparser
import pytest

from autograder.batch.batch import discover, grade_all
from autograder.batch.local_workers import LocalWorkers
from autograder.course.cells import load_cells, text_of
from autograder.release.build import build
from tests.test_ci import run, scripts
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse, tiny_result

RELEASE = REPOSITORY / "release" / "vit"
SOLVED = REPOSITORY / "solutions" / "vit" / "utilities.py"


def self_check() -> Any:
    """The released program as a module."""
    spec = importlib.util.spec_from_file_location("self_check", RELEASE / "check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["self_check"] = module
    spec.loader.exec_module(module)
    return module


CHECK = self_check()


def outcome_of(test_mlp: Callable[..., None]) -> Any:
    """What is said of `mlp` where this is its public test."""
    module, tests = types.ModuleType("utilities"), types.ModuleType("public_tests")
    vars(module).update({"__file__": __file__, "mlp": outcome_of})
    vars(tests)["test_mlp"] = test_mlp
    return CHECK.outcome_of(module, tests, "mlp")


def raising(error: BaseException) -> Callable[..., None]:
    def test(seed: int) -> None:
        raise error

    return test


def suite_in(path: Path) -> Any:
    """The one suite of a file, as junitparser reads it."""
    (suite,) = junitparser.JUnitXml.fromfile(str(path))
    return suite


def calls_in(source: str) -> list[tuple[str, dict[str, Any]]]:
    """The calls of public tests in a cell, with their arguments."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return [
        (call.func.id, {str(word.arg): ast.literal_eval(word.value) for word in call.keywords})
        for call in calls
        if isinstance(call.func, ast.Name) and call.func.id.startswith("test_")
    ]


def test_it_calls_what_the_notebook_calls() -> None:
    cells = load_cells((RELEASE / "vit.ipynb").read_bytes())
    code = [text_of(cell) for cell in cells if cell["cell_type"] == "code"]
    called = [call for text in code if "test_" in text and "%" not in text for call in calls_in(text)]
    assert [call for calls in CHECK.PARTS.values() for call in calls] == called
    given = (RELEASE / "public_tests.py").read_text()
    defined = [node.name for node in ast.parse(given).body if isinstance(node, ast.FunctionDef)]
    assert {name for name in defined if name.startswith("test_")} == {name for name, _ in called}


def test_a_part_passes_fails_or_is_not_written() -> None:
    passed = outcome_of(lambda seed: print("mine\nmlp: all public tests passed."))  # noqa: T201
    assert (passed.state, passed.printed, CHECK.headline(passed)) == ("passed", "mine", "all public tests passed.")
    failed = outcome_of(raising(AssertionError("widths: expected 3, got 4. Look again.")))
    assert (failed.state, failed.message) == ("failed", "widths: expected 3, got 4. Look again.")
    stub = outcome_of(raising(NotImplementedError("mlp is not written yet: do it.")))
    assert (stub.state, CHECK.headline(stub)) == ("not written yet", "not written yet: do it.")


def test_a_part_that_builds_on_an_unwritten_one_says_so() -> None:
    wrapped = 'Exception encountered when calling layer "x".\n\n    Other.call is not written yet: do it.\n\nmore'
    waiting = outcome_of(raising(NotImplementedError(wrapped)))
    assert CHECK.headline(waiting) == "cannot be tested, since Other.call is not written yet."


@pytest.mark.parametrize("error", [ValueError("no"), NotImplementedError("no symbolic tensors"), SystemExit("no")])
def test_a_crash_is_a_failure_with_its_line(error: BaseException) -> None:
    crashed = outcome_of(raising(error))
    assert crashed.state == "failed"
    assert crashed.message.startswith(f"utilities.py, line {crashed.line}: {type(error).__name__}: no")
    assert "raise error" in Path(__file__).read_text().splitlines()[crashed.line - 1]


def test_long_messages_are_cut_and_kerass_list_of_arguments_is_dropped() -> None:
    crashed = outcome_of(raising(ValueError("wrong\n\nCall arguments received by layer: 1")))
    assert crashed.message.endswith("ValueError: wrong")
    assert len(outcome_of(raising(ValueError("x\n" * 99))).message.splitlines()) == CHECK.MOST_LINES + 1


def test_a_deleted_public_test_is_named() -> None:
    outcome = CHECK.outcome_of(types.ModuleType("utilities"), types.ModuleType("public_tests"), "mlp")
    assert outcome.state == "failed"
    assert "no attribute 'test_mlp'. Put the public_tests.py that you were given back" in outcome.message


def test_junit_is_read_with_hostile_texts(tmp_path: Path) -> None:
    states = ("passed", "failed", "not written yet")
    outcomes = [CHECK.Outcome(state, state, "<b>&\x1b[0m\ufffe\ud800") for state in states]
    (tmp_path / "junit.xml").write_bytes(CHECK.junit(outcomes))
    suite = suite_in(tmp_path / "junit.xml")
    passed, failed, waiting = list(suite)
    assert (suite.tests, suite.failures, suite.skipped) == (3, 1, 1)
    assert passed.is_passed
    assert failed.result[0].message == "<b>&?[0m??"
    assert isinstance(waiting.result[0], junitparser.Skipped)


def test_annotations_are_what_a_library_for_github_writes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(RELEASE.parent)
    message = "100 % wrong\nsecond line\r::error::forged"
    github_action_utils.error(message, title="mlp", file="vit/utilities.py", line=7)
    theirs = capsys.readouterr().out.strip()
    ours = CHECK.annotation(CHECK.Outcome("mlp", "failed", message, 7))
    assert sorted(ours.split("::")[1].split(" ", 1)[1].split(",")) == sorted(
        theirs.split("::")[1].split(" ", 1)[1].split(",")
    )
    assert ours.split("::", 2)[2] == theirs.split("::", 2)[2]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "There is no utilities.py beside check.py"),
        ("x = (\n", "Python cannot read utilities.py, line 1"),
        ("\n", "There is no public_tests.py beside check.py"),
        ("\nimport lab_tools\n", "There is no lab_tools.py beside check.py"),
        ("\nimport nowhere_to_be_found\n", "The package nowhere_to_be_found is not installed. Run: python -m pip"),
        ("\n1 / 0\n", "utilities.py cannot be imported, line 2: ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_explained(tmp_path: Path, text: str | None, reason: str) -> None:
    shutil.copy(RELEASE / "check.py", tmp_path)
    for name, content in (("tensorflow", "class config: list_physical_devices = list"), ("tf_keras", FAKE_KERAS)):
        (tmp_path / f"{name}.py").write_text(content)
    if text is not None:
        (tmp_path / "utilities.py").write_text(text)
    done = subprocess.run([sys.executable, tmp_path / "check.py"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert reason in done.stdout
    assert "Traceback" not in done.stderr


FAKE_KERAS = "class utils:\n    def set_random_seed(seed): pass\n"


def test_a_wrong_word_is_answered_with_the_parts() -> None:
    done = subprocess.run([sys.executable, RELEASE / "check.py", "mpl"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no part 'mpl'; the parts are scaled_dot_product_attention, MultiHeadAttention, mlp" in done.stderr


def test_the_readme_names_what_is_there_and_what_can_be_said() -> None:
    readme = (RELEASE / "README.md").read_text()
    named = set(re.findall(r"^\| `([\w./]+?)/?` \|", readme, re.MULTILINE))
    assert named == {path.name for path in RELEASE.iterdir() if path.name not in ("README.md", "__pycache__")}
    commands = re.findall(r"python check\.py([^`\n]*)", readme)
    assert [CHECK.parse(words.split()).parts for words in commands] == [list(CHECK.PARTS), ["mlp", "PatchExtractor"]]


def lab(folder: Path, module: Path) -> Path:
    """A student's folder with the release and a module, and `python` as its job has it."""
    shutil.copytree(RELEASE, folder / "vit")
    shutil.copy(module, folder / "vit" / "utilities.py")
    (folder / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (folder / "python").chmod(0o755)
    return folder / "vit"


@pytest.mark.slow
def test_stubs_are_all_not_written_yet_in_githubs_job(tmp_path: Path) -> None:
    folder = lab(tmp_path, RELEASE / "utilities.py")
    (script,) = scripts("github-student")
    summary = tmp_path / "summary.md"
    done = run(script, folder, PATH=f"{tmp_path}:/usr/bin:/bin", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 1
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    assert [line.split(": ")[0] for line in lines] == [f"[{n}/7] {part}" for n, part in enumerate(CHECK.PARTS, 1)]
    assert all(": not written yet: " in line for line in lines)
    total = "0 of 7 parts passed all public tests, 7 not written yet."
    assert done.stdout.endswith(f"\n{total}\n")
    assert f"    {total}\n" in summary.read_text()
    assert suite_in(folder / "junit.xml").skipped == 7


@pytest.mark.slow
def test_solutions_pass_in_gitlabs_job(tmp_path: Path) -> None:
    folder = lab(tmp_path, SOLVED)
    (script,) = scripts("gitlab-student")
    done = run(f"{script} --json outcome.json", folder, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("\n7 of 7 parts passed all public tests.\n")
    assert {part["state"] for part in json.loads((folder / "outcome.json").read_text())["parts"]} == {"passed"}
    assert suite_in(folder / "junit.xml").failures == 0


def test_nbgrader_puts_the_courses_own_files_back(released_course: TinyCourse) -> None:
    course = released_course
    solutions = course.root / "solutions/tiny"
    (solutions / "check.py").write_text("print('ours')\n")
    (solutions / "tools.py").write_text("WHOSE = 'ours'\n")
    (solutions / "utilities.py").write_text(f"import tools\n\n{TINY_MODULE}")
    build(course.root, "tiny")
    folder = course.hand_in("ada", json.dumps(course.released_notebook()).encode(), "x = 1\n")
    (folder / "check.py").write_text("print('theirs')\n")
    (folder / "tools.py").write_text("WHOSE = 'theirs'\n")
    course.record("ada", folder, tiny_result(double=1.0))
    kept = course.root / "autograded/ada/tiny"
    assert (kept / "check.py").read_text() == "print('ours')\n"
    assert (kept / "tools.py").read_text() == "WHOSE = 'ours'\n"
    assert (kept / "utilities.py").read_text() == "x = 1\n"


@pytest.mark.slow
def test_a_changed_check_has_no_effect_on_marks(tiny_course: TinyCourse) -> None:
    course = tiny_course
    solved = course.assignment.notebook_path.read_bytes()
    for student, text in (("ada", None), ("bo", "raise SystemExit\nimport utilities\nutilities.double = None\n")):
        folder = course.hand_in(student, solved, TINY_MODULE)
        if text is not None:
            (folder / "check.py").write_text(text)
    folders = discover(course.root / "submitted", "tiny")
    graded = grade_all(course.course, course.assignment, folders, LocalWorkers(course.course, "tiny", jobs=1))
    found = {outcome.student: outcome.result for outcome in graded}
    assert [found[name].score for name in ("ada", "bo")] == [5.0, 5.0]  # type: ignore[union-attr]
    assert found["bo"].notes == found["ada"].notes == ()  # type: ignore[union-attr]
