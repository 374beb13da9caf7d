"""The workflow files: the platforms' own schemas and linters take them, and their commands do what the guide says."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml

from autograder.cli.arguments import read_words
from autograder.cli.main import COMMANDS
from tests.tiny import REPOSITORY, TINY_MODULE, TinyCourse

FOLDER = REPOSITORY / "docs" / "ci"
GUIDE = REPOSITORY / "docs" / "ci.md"
PROGRAM = ".venv/bin/python -m autograder "
SCHEMAS = {"github": "vendor.github-workflows", "gitlab": "vendor.gitlab-ci"}
NAMES = [f"{platform}-{who}" for platform in SCHEMAS for who in ("student", "instructor")]
ELSEWHERE = ("make install", "sudo sysctl", "python -m pip install")  # what the machine of a test has, or must not do


def workflow(name: str) -> dict[str, Any]:
    """One of the files, read."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return read


def scripts(name: str) -> list[str]:
    """What one job hands to the shell: on GitHub a script for each step, on GitLab one for all lines."""
    read = workflow(name)
    if name.startswith("gitlab"):
        (job,) = read.values()
        return ["\n".join(line for line in job["script"] if not line.startswith(ELSEWHERE))]
    (job,) = read["jobs"].values()
    steps = [step["run"] for step in job["steps"] if "run" in step]
    return [step for step in steps if not step.startswith(ELSEWHERE)]


def run(script: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script as the platforms do."""
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)} | variables
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def checked(path: Path, schema: str) -> int:
    words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, str(path)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def audited(path: Path) -> int:
    words = [str(Path(sys.executable).parent / "zizmor"), "--offline", "--persona=auditor", str(path)]
    return subprocess.run(words, check=False, capture_output=True).returncode


def test_there_are_two_files_for_each_platform() -> None:
    assert sorted(path.stem for path in FOLDER.iterdir()) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_platforms_schema_takes_the_file(name: str, tmp_path: Path) -> None:
    schema = SCHEMAS[name.partition("-")[0]]
    assert checked(FOLDER / f"{name}.yml", schema) == 0
    broken = re.sub(r"timeout(-minutes)?: .*", r"timeout\1: [soon]", (FOLDER / f"{name}.yml").read_text())
    (tmp_path / "broken.yml").write_text(broken)
    assert checked(tmp_path / "broken.yml", schema) == 1


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith("github")])
def test_zizmor_finds_nothing(name: str, tmp_path: Path) -> None:
    path = FOLDER / f"{name}.yml"
    assert audited(path) == 0
    careless = tmp_path / "careless.yml"
    for right, wrong in ((r"(checkout)@\w+ .*", r"\1@main"), (r"persist-credentials: false", "fetch-depth: 1")):
        careless.write_text(re.sub(right, wrong, path.read_text()))
        assert audited(careless) > 0


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith("instructor")])
def test_every_command_is_one_that_there_is(name: str) -> None:
    lines = [line for script in scripts(name) for line in script.splitlines() if "autograder" in line.split("tar ")[0]]
    commands = [line.partition(PROGRAM)[2] for line in lines]
    assert all(line.startswith(PROGRAM) for line in lines)
    parsed = [read_words(shlex.split(re.split(r" >> | \|\| ", line)[0]), COMMANDS) for line in commands]
    assert [options.command for options in parsed[:3]] == ["doctor", "release", "grade"]


def test_the_guide_names_every_file_and_no_other() -> None:
    linked = set(re.findall(r"\]\(ci/([\w-]+)\.yml\)", GUIDE.read_text()))
    assert linked == set(NAMES)


def test_instructors_files_refuse_to_run_in_public() -> None:
    assert workflow("github-instructor")["jobs"]["grade"]["if"] == "github.event.repository.private"
    first = workflow("gitlab-instructor")["grade"]["rules"][0]
    assert first == {"if": '$CI_PROJECT_VISIBILITY != "private"', "when": "never"}


def test_students_files_have_nothing_of_the_hidden_checks() -> None:
    for name in ("github-student", "gitlab-student"):
        assert "autograder" not in (FOLDER / f"{name}.yml").read_text()


def private_repository(course: TinyCourse) -> Path:
    """The miniature course as an instructor's repository, with two students' submissions in it."""
    root = course.root
    config = root / "course_config.py"
    config.write_text(config.read_text() + 'c.Autograder.assignment = "tiny"\nc.Autograder.jobs = 1\n')
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(REPOSITORY))} exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    for student, factor in (("ada", "2.0"), ("bo", "3.0")):
        folder = course.hand_in(student, course.assignment.notebook_path.read_bytes(), TINY_MODULE)
        (folder / "utilities.py").write_text(TINY_MODULE.replace("2.0 * x", f"{factor} * x"))
    (root / "submitted").rename(root / "collected")
    return root


def assert_outcome(root: Path) -> None:
    """What both platforms keep: results, JUnit, the report, pages and the gradebook."""
    assert {path.name for path in (root / "results").iterdir()} == {"ada.json", "bo.json"}
    ada, bo = junitparser.JUnitXml.fromfile(str(root / "exports/tiny/junit.xml"))
    assert (ada.name, ada.failures, bo.name, bo.failures) == ("ada", 0, "bo", 2)
    assert "bo" in (root / "report/tiny/report.html").read_text()
    assert (root / "feedback/bo/tiny/tiny.html").is_file()
    assert (root / "gradebook.db").is_file()


@pytest.mark.slow
def test_githubs_steps_grade_a_class(tiny_course: TinyCourse) -> None:
    root = private_repository(tiny_course)
    summary = root / "summary.md"
    done = [run(script, root, GITHUB_STEP_SUMMARY=str(summary)) for script in scripts("github-instructor")]
    assert [process.returncode for process in done] == [0] * len(done), [process.stderr for process in done]
    assert_outcome(root)
    assert re.search(r"^\| bo \|.* 2 \|$", summary.read_text(), re.MULTILINE)
    commands = [line for process in done for line in process.stdout.splitlines() if line.startswith("::")]
    assert [line.partition("::Doubling")[0] for line in commands] == [
        "::warning title=bo%3A 2 of 5 points,file=collected/bo/tiny/utilities.py"
    ]
    with tarfile.open(root / "feedback.tar.gz") as packed:
        assert "feedback/bo/tiny/tiny.html" in packed.getnames()
    kept = workflow("github-instructor")["jobs"]["grade"]["steps"][-1]["with"]["path"].split()
    assert [name for name in kept if not (root / name).exists()] == []


@pytest.mark.slow
def test_gitlabs_script_grades_a_class(tiny_course: TinyCourse) -> None:
    root = private_repository(tiny_course)
    done = run(scripts("gitlab-instructor")[0], root)
    assert done.returncode == 0, done.stderr
    assert_outcome(root)
    kept = workflow("gitlab-instructor")["grade"]["artifacts"]
    assert [name for name in kept["paths"] if not (root / name).exists()] == []
    assert list(root.glob(kept["reports"]["junit"])) == [root / "exports/tiny/junit.xml"]


@pytest.mark.slow
def test_nothing_is_graded_where_the_machine_cannot_confine(tiny_course: TinyCourse) -> None:
    root = private_repository(tiny_course)
    config = root / "course_config.py"
    config.write_text(config.read_text() + 'c.Autograder.required_layers = ["namespaces", "cgroup"]\n')
    done = run(scripts("gitlab-instructor")[0], root)
    assert done.returncode == 1
    assert "MISS sandbox: cgroup" in done.stdout
    assert not (root / "results").exists()
