"""Documentation: every command in it exists and works, every link leads somewhere, no page is longer than needed."""

from __future__ import annotations

import importlib
import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbgrader.apps import NbGraderApp
from nbgrader.apps.baseapp import NbGrader

from autograder.cli import main as cli
from autograder.cli.arguments import read_words
from autograder.course.assignment import load_assignment
from autograder.course.course import read_course
from autograder.feedback.exporter import write_feedback
from autograder.files import write_whole
from autograder.results import from_json, to_json
from tests.submissions.examples import EXAMPLES, HEADING
from tests.tiny import TinyCourse, tiny_result

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LONGEST = 150
"""Lines of the longest page."""
FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(?:\.venv/bin/)?(python -m (?:autograder|tests|benchmarks)[^`]*|make [^`]*|nbgrader [^`]*)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")
OURS = ("python -m autograder", "python -m tests", "python -m benchmarks", "make", "nbgrader")
SHELL = ("", "sh", "bash", "console")

WORKSHEET = "Identifier,Username,Grade,Maximum Grade,Last modified (grade)"
"""The heading of Moodle's worksheet, as far as it matters here."""
NOT_RUN = {
    "python -m autograder release": "starts TensorFlow: tests/test_flow.py runs it, and the last slow test here",
    "python -m autograder build --assignment halves": "needs the page's files: the last slow test here runs it",
    "python -m autograder check": "starts TensorFlow: tests/test_flow.py runs it",
    "python -m autograder grade": "starts TensorFlow: tests/test_flow.py runs it",
    "python -m autograder mark": "serves until somebody stops it: tests/marking/test_page.py runs it",
    "python -m autograder collect": "needs a platform's download: tests/collecting/test_collect.py makes them",
    "python -m autograder audit": "starts TensorFlow: tests/audit/test_audit.py runs it on the miniature course",
    "nbgrader generate_assignment": "the page says to use release, which runs the step",
    "nbgrader submit": "a student's command, named in passing",
    "nbgrader fetch_feedback": "a student's command: tests/feedback/test_page.py runs the step",
    "nbgrader autograde": "starts TensorFlow: tests/gradebook/test_recording.py runs the step",
    "make": "sets up an environment, or runs everything",
    "python -m tests": "take minutes; each is made of parts that tests run",
    "python -m benchmarks": "take minutes",
}
"""Commands that are only parsed, and why. Where two fit, the longer one counts."""
HELP_IS_CHEAP = "--help"


@dataclass(frozen=True)
class Command:
    """One command of ours in a page, without redirections and the folder of the environment."""

    page: str
    text: str

    @property
    def words(self) -> list[str]:
        """Its words, the program's included."""
        return shlex.split(self.text)

    @property
    def start(self) -> str:
        """The longest of the listed beginnings that it has; empty if none."""
        return max((start for start in NOT_RUN if re.match(rf"{start}(?![\w-])", self.text)), key=len, default="")


def commands() -> Iterator[Command]:
    """Yield every command of ours in the documentation, once for each page."""
    seen = set()
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for text in (*fenced(page.read_text("utf-8")), *inline(page.read_text("utf-8"))):
            command = Command(name, text)
            if command not in seen:
                seen.add(command)
                yield command


def fenced(text: str) -> Iterator[str]:
    """Yield the commands of ours in a page's blocks of shell commands."""
    for _, language, block in FENCE.findall(text):
        if language not in SHELL:
            continue
        for line in block.replace("\\\n", " ").splitlines():
            command = line.strip().removeprefix("$ ").split(" #")[0].removeprefix(".venv/bin/")
            command = re.split(r"\s(?:>>?|\||&&)\s", command)[0].strip()
            if f"{command} ".startswith(tuple(f"{program} " for program in OURS)) or command.startswith(
                "python -m tests."
            ):
                yield command


def inline(text: str) -> Iterator[str]:
    """Yield the commands in running text; those with brackets, dots or capitals show a form and are no commands."""
    for command in INLINE.findall(FENCE.sub("", text)):
        if not re.search(r"[\[…(]|\b[A-Z]{3,}\b", command):
            yield re.split(r"\s(?:>>?|\|)\s", command)[0].strip()


COMMANDS = list(commands())


def name_of(command: Command) -> str:
    return f"{command.page}: {command.text}"


def test_there_are_commands_to_test() -> None:
    starts = {program for program in OURS if any(command.text.startswith(program) for command in COMMANDS)}
    assert starts == set(OURS)
    named = {command.words[3] for command in COMMANDS if command.text.startswith("python -m autograder ")}
    assert named == set(cli.COMMANDS), "each command stands in the documentation as one can type it"
    assert all(any(command.start == start for command in COMMANDS) for start in NOT_RUN)


@pytest.mark.parametrize("command", COMMANDS, ids=name_of)
def test_each_command_exists_with_its_options(command: Command) -> None:
    words = command.words
    if words[0] == "make":
        targets = set(re.findall(r"^([\w.-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
        assert set(words[1:]) - {word for word in words if "=" in word} <= targets
    elif words[0] == "nbgrader":
        parse_nbgrader(words[1:])
    elif words[2] == "autograder":
        parse_ours(words[3:])
    else:
        module = ROOT / words[2].replace(".", "/")
        assert module.with_suffix(".py").is_file() or (module / "__main__.py").is_file()


def parse_ours(words: list[str]) -> None:
    """Read the words of one of our commands with the real parser."""
    if HELP_IS_CHEAP in words:
        with pytest.raises(SystemExit) as ended:
            read_words(words, cli.COMMANDS)
        assert ended.value.code == 0
    elif words:
        read_words(words, cli.COMMANDS)


def parse_nbgrader(words: list[str]) -> None:
    """Look up a command of nbgrader and its options."""
    app: NbGrader = NbGraderApp()
    while words and words[0] in app.subcommands:
        kind = app.subcommands[words.pop(0)][0]
        if isinstance(kind, str):
            module, _, name = kind.rpartition(".")
            kind = getattr(importlib.import_module(module), name)
        app = kind()
    assert not isinstance(app, NbGraderApp), f"nbgrader has no {words[0]}"
    for word in words:
        if word.startswith("--") and "." not in word:
            assert word[2:].partition("=")[0] in {*app.aliases, *app.flags}


@pytest.fixture(scope="module")
def taught(_tiny_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TinyCourse]:
    """A course as the guides have it: two submissions recorded, results written."""
    root = tmp_path_factory.mktemp("taught") / "course"
    shutil.copytree(_tiny_template, root)
    with (root / "course_config.py").open("a") as file:
        file.write('c.Autograder.assignment = "tiny"\n')
        file.write('c.Exchange.root = str(course / "exchange")\n')
    (root / "exchange").mkdir()
    course = TinyCourse(read_course(root), load_assignment(root, "tiny"))
    for student in ("student-1", "student-2"):
        folder = course.hand_in(student, json.dumps(course.released_notebook()).encode())
        (folder / "timestamp.txt").write_text("2026-01-01 10:00:00 UTC")  # as nbgrader's submit does
        (folder / "submission_secret.txt").write_text("0f" * 64)
        course.record(student, folder, tiny_result(total=1.0))
        write_whole(root / "results" / f"{student}.json", to_json(tiny_result(total=1.0)))
    write_feedback(course.course, course.assignment)
    rows = [f"Participant {number},student-{number},,7.00,-\n" for number in (1, 2)]
    (root / "worksheet.csv").write_text(f"{WORKSHEET}\n{''.join(rows)}")
    yield course


CHEAP = [
    command
    for command in COMMANDS
    if command.words[0] != "make" and (not command.start or HELP_IS_CHEAP in command.words)
]


@pytest.mark.parametrize("text", dict.fromkeys(command.text for command in CHEAP))
def test_each_cheap_command_runs(
    text: str, taught: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(taught.root)
    words = ["tiny" if word == "vit" else word.replace("/vit", "/tiny") for word in shlex.split(text)]
    if words[0] == "nbgrader":
        done = subprocess.run([sys.executable, "-m", *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return
    try:
        status: object = cli.main(words[3:])
    except SystemExit as ended:
        status = ended.code if HELP_IS_CHEAP in words or not words[3:] else 99
    said = capsys.readouterr()
    assert status == (0 if words[3:] else 2), said.err
    assert said.out or said.err or "--quiet" in words


@pytest.mark.slow
def test_the_assignment_of_the_guide_is_built_and_released(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    root = released_course.root
    page = (ROOT / "docs" / "adding_a_task.md").read_text("utf-8")
    paths = re.findall(r"`((?:solutions|autograder/checks)/halves/[\w.]+)`", page)
    blocks = [block for _, language, block in FENCE.findall(page) if language in ("python", "toml")]
    assert len(paths) == len(blocks) == 5
    for path, block in zip(paths, blocks, strict=True):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(block)
    (tried,) = [block for _, language, block in FENCE.findall(page) if language == "" and "build --assignment" in block]
    for line in tried.splitlines():
        words = [word.replace("solutions/", f"{root}/solutions/") for word in shlex.split(line)[3:]]
        assert cli.main([*words, "--course", str(root)]) == 0, line
    said = " ".join(capsys.readouterr().out.split())
    assert "Halving: 4 of 4 points" in said
    assert "Half of a number: 2 of 2 points" in said
    assert "released release/halves: the solutions get full marks, the stubs 0, nothing leaks." in said


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        if re.match(r"https://", target):
            continue
        place, _, heading = target.partition("#")
        file = (page.parent / place).resolve() if place else page
        assert file.is_relative_to(ROOT), target
        assert file.exists(), f"{page.name}: nothing at {target}"
        assert not heading or heading in headings(file), f"{page.name}: no heading {target}"


def headings(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    lines = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", line.lower()).replace(" ", "-") for line in lines}


def test_the_index_lists_every_page_and_picture_is_used() -> None:
    index = (ROOT / "docs" / "README.md").read_text("utf-8")
    linked = set(LINK.findall(index))
    assert {page.name for page in PAGES if page.parent.name == "docs"} - {"README.md"} <= linked
    texts = "".join(page.read_text("utf-8") for page in PAGES)
    for picture in (ROOT / "docs" / "images").glob("*"):
        assert f"images/{picture.name}" in texts
        assert picture.stat().st_size < 64 << 10


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_is_longer_than_needed(page: Path) -> None:
    assert len(page.read_text("utf-8").splitlines()) <= LONGEST


def test_the_contract_of_results_is_the_real_one() -> None:
    page = (ROOT / "docs" / "command_line.md").read_text("utf-8")
    (block,) = [block for _, language, block in FENCE.findall(page) if language == "json"]
    assert from_json(block.encode()).tasks[0].checks[0].outcome == "passed"
    documented, real = json.loads(block), json.loads(to_json(tiny_result()))
    for way in ((), ("submission",), ("environment",), ("tasks", 0), ("tasks", 0, "checks", 0)):
        shown, written = documented, real
        for step in way:
            shown, written = shown[step], written[step]
        assert set(shown) <= set(written), way


def test_the_examples_of_the_audit_name_checks_that_there_are() -> None:
    """`python -m tests.submissions.examples` writes them again."""
    page = (ROOT / "docs" / "audit.md").read_text("utf-8").partition(HEADING)[2].partition("\n## ")[0]
    examples = re.findall(r"Task `(\w+)`, points lost: [\d.]+\.\n(.*?)(?=\n\*\*|\Z)", page, re.DOTALL)
    assert len(examples) == len(EXAMPLES)
    for task, text in examples:
        said = re.findall(r"^- (.+)$", text, re.MULTILINE)
        checks = (ROOT / "autograder" / "checks" / "vit" / f"test_{task}.py").read_text("utf-8")
        assert said
        assert [sentence for sentence in said if f'"{sentence}"' not in checks] == []
