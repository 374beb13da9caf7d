"""A course with secrets in it, a grader for it, and what must hold after each hostile submission."""

from __future__ import annotations

import ctypes
import dataclasses
import hashlib
import html.parser
import os
import re
import shutil
import socket
import tempfile
import time
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from autograder.config import Settings
from autograder.course.assignment import load_assignment
from autograder.course.course import Course, course_secret
from autograder.grading.result_store import CachedGrader
from autograder.release.build import build
from autograder.rendering.result_html import render_summary_html, render_task_html
from autograder.rendering.result_text import render_text
from autograder.results import SubmissionResult, to_json
from tests.submissions.hostile.costs import Cost, measured

REPOSITORY = Path(__file__).resolve().parents[3]
NAME = "hostile"
CANARY = "CANARY-7f3a"
FULL = {"double": 3.0, "total": 2.0}
LIMIT_SECONDS = 12.0
LARGEST_RESULT = 200_000
_SLACK_SECONDS = 30.0  # for starting processes on a busy machine
_GONE_SECONDS = 10.0
_SUBREAPER = 36
_TAGS = {"a", "div", "li", "p", "span", "ul"}

MODULE = '''"""Two functions to write."""


def double(x):
    """Return twice `x`, a float tensor."""
    ### BEGIN SOLUTION
    return 2.0 * x
    ### END SOLUTION


def quadruple(x):
    """Return four times `x`, a float tensor."""
    ### BEGIN SOLUTION
    return double(double(x))  # CANARY-7f3a-solution
    ### END SOLUTION
'''

NOTEBOOK = """# %% tags=["parameters", "grading"] nbgrader={"grade_id": "parameters", "locked": true}
size = 1000

# %% tags=["grading"]
import utilities

# %% nbgrader={"grade_id": "double", "grade": true, "locked": true, "points": 3}
# Hidden checks.

# %% nbgrader={"grade_id": "quadruple", "grade": true, "locked": true, "points": 2}
# Hidden checks.

# %% nbgrader={"grade_id": "total_answer", "solution": true}
### BEGIN SOLUTION
total = sum(range(size))
### END SOLUTION

# %% nbgrader={"grade_id": "total", "grade": true, "locked": true, "points": 2}
# Hidden checks.

# %% [markdown] nbgrader={"grade_id": "question_01", "grade": true, "solution": true, "points": 2}
# ### BEGIN SOLUTION
# Doubling is multiplying by two.
# ### END SOLUTION
"""

TASKS = """[double]
provides = ["double"]

[quadruple]
provides = ["quadruple"]
builds_on = ["double"]

[total]
answers = ["total_answer"]
"""

_CHECK_HEAD = '''"""CANARY-7f3a-checks."""

import numpy as np
import pytest

from autograder.checking.comparisons import close, expect_array, require

'''

DOUBLE = (
    _CHECK_HEAD
    + """
@pytest.mark.check("Every element is doubled.", weight=2)
def test_doubles_every_element(student, rng):
    numbers = rng.normal(size=(3, 5)).astype(np.float32)
    doubled = expect_array(student.call("double", numbers), (3, 5), "The result")
    require(close(doubled, numbers + numbers), "Some elements of the result are not twice as large.")


@pytest.mark.check("A known number is doubled.", weight=1)
def test_doubles_a_known_number(student):
    doubled = student.call("double", np.full((1, 1), 617283.5, np.float32))
    require(float(np.squeeze(expect_array(doubled, (1, 1), "The result"))) == 1234567.0, "A number is not doubled.")
"""
)

QUADRUPLE = (
    _CHECK_HEAD
    + """
@pytest.mark.check("Every element is quadrupled.")
def test_quadruples(student, rng):
    numbers = rng.normal(size=(3, 5)).astype(np.float32)
    result = expect_array(student.call("quadruple", numbers), (3, 5), "The result")
    require(close(result, 4 * numbers), "Some elements of the result are not four times as large.")
"""
)

TOTAL = (
    _CHECK_HEAD
    + """
@pytest.mark.check("The numbers below `size` are added up.")
def test_adds_up(student):
    require(student.variable("total") == 499500, "`total` is not the sum of the numbers below `size`.")
"""
)


@dataclass(frozen=True)
class Before:
    """What is compared with afterwards."""

    files: dict[str, str]
    descriptors: int
    time: float


class World:
    """The course, its grader, and all that hostile submissions try to reach.

    Args:
        place: A new folder.
        patch: Sets this process's environment, as secrets in it are to be kept, too.

    Attributes:
        costs: What each submission took of the grader itself.
    """

    def __init__(self, place: Path, patch: pytest.MonkeyPatch) -> None:
        self.root, self.home, self.outside, self.tmp = (place / name for name in ("course", "home", "outside", "tmp"))
        self.costs: dict[str, Cost] = {}
        self._write_course()
        self._write_secrets()
        patch.setenv("HOME", str(self.home))
        patch.setenv("GRADER_TOKEN", f"{CANARY}-environment")
        patch.setattr(tempfile, "tempdir", str(self.tmp))
        ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)  # whatever loses its parent becomes our child, and is seen
        self._listen()
        settings = Settings(
            request_seconds=2.0, load_seconds=2.5, training_seconds=2.0,
            submission_seconds=LIMIT_SECONDS, memory_mib=1024, scratch_mib=16, max_processes=128,
            max_reply_mib=8, max_submission_files=100,
        )  # fmt: skip
        self.course = Course(self.root, settings)
        self.assignment = load_assignment(self.root, NAME)
        self.released = (self.root / "source" / NAME / f"{NAME}.ipynb").read_bytes()
        few = tuple(task for task in self.assignment.tasks if not task.builds_on)
        self._quick = CachedGrader(self.course, dataclasses.replace(self.assignment, tasks=few), threads=1)
        self._whole = CachedGrader(self.course, self.assignment, threads=1)
        self._secrets = (CANARY, course_secret(self.course).decode(), "root:x:0:")

    def close(self) -> None:
        """End the grader's processes, and listen no more."""
        self._quick.close()
        self._whole.close()
        for listener in self._listeners:
            listener.close()

    @property
    def fill(self) -> dict[str, str]:
        """What attacks may know of this world, by the names that stand in them."""
        return {
            "ROOT": str(self.root), "HOME": str(self.home), "OUTSIDE": str(self.outside), "PID": str(os.getpid()),
            "REPOSITORY": str(REPOSITORY), "PORT": str(self._port), "SOCKET": str(self._socket),
            "ABSTRACT": self._abstract,
        }  # fmt: skip

    def grade(self, folder: Path, *, whole: bool = False) -> SubmissionResult:
        """Grade a submission: the tasks that stand alone, or all, so that reference parts stand in for wrong ones."""
        return (self._whole if whole else self._quick).grade(folder, folder.parent.name)

    def folder(self, name: str) -> Path:
        """Return a new, empty submission folder."""
        folder = self.root / "submitted" / name / NAME
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def hand_in(self, name: str, module: str | None, notebook: bytes | None) -> Path:
        """Write a submission and return its folder."""
        folder = self.folder(name)
        if module is not None:
            (folder / "utilities.py").write_text(module, "utf-8")
        if notebook is not None:
            (folder / f"{NAME}.ipynb").write_bytes(notebook)
        return folder

    @contextmanager
    def watched(self, name: str) -> Iterator[list[SubmissionResult]]:
        """Yield a list for the result of what is graded in the block; then hold it to all that must hold.

        Args:
            name: Under which what it took of the grader is kept in `costs`.

        Raises:
            AssertionError: With everything that does not hold.
        """
        baseline = set(psutil.Process().children(recursive=True))
        before = Before(self._files(), _descriptors(), time.monotonic())
        results: list[SubmissionResult] = []
        with measured() as costs:
            yield results
        self.costs[name] = costs[0]
        problems = [] if costs[0].is_bounded else [f"the grader itself took {costs[0]}"]
        problems += [*self._changes(before), *self._survivors(baseline), *self._connections()]
        for result in results:
            problems += self._leaks(result)
        assert not problems, problems

    def _write_course(self) -> None:
        files = {
            f"solutions/{NAME}/{NAME}.py": NOTEBOOK,
            f"solutions/{NAME}/utilities.py": MODULE,
            f"autograder/checks/{NAME}/tasks.toml": TASKS,
            f"autograder/checks/{NAME}/test_double.py": DOUBLE,
            f"autograder/checks/{NAME}/test_quadruple.py": QUADRUPLE,
            f"autograder/checks/{NAME}/test_total.py": TOTAL,
            "gradebook.db": f"{CANARY}-gradebook",
        }
        for name, text in files.items():
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            (self.root / name).write_text(text)
        settings = (REPOSITORY / "course_config.py").read_text()
        (self.root / "course_config.py").write_text(f"{settings}\n# {CANARY}-settings\n")
        build(self.root, NAME)

    def _write_secrets(self) -> None:
        for folder in (self.home / ".ssh", self.outside, self.tmp):
            folder.mkdir(parents=True)
        (self.home / ".ssh" / "id_ed25519").write_text(f"{CANARY}-key")
        (self.home / ".bashrc").write_text(f"# {CANARY}-shell\n")
        (self.outside / "canary.txt").write_text(f"{CANARY}-outside")

    def _listen(self) -> None:
        self._abstract = f"autograder-{os.getpid()}"
        self._socket = Path(tempfile.mkdtemp(dir=self.outside), "socket")
        stream, datagram = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        local, abstract = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        stream.bind(("127.0.0.1", 0))
        self._port = int(stream.getsockname()[1])
        datagram.bind(("127.0.0.1", self._port))
        here = os.open(self._socket.parent, os.O_RDONLY)
        local.bind(f"/proc/self/fd/{here}/socket")  # paths of sockets are short
        os.close(here)
        abstract.bind(f"\0{self._abstract}")
        self._listeners = (stream, local, abstract, datagram)
        for listener in self._listeners:
            listener.setblocking(False)
        for listener in self._listeners[:-1]:
            listener.listen()

    def _files(self) -> dict[str, str]:
        """Return a digest of all that must not change, by path."""
        seen: dict[str, str] = {}
        for top in (self.root, self.home, self.outside, self.tmp):
            for parent, folders, names in os.walk(top):
                if Path(parent) in (self.root, self.root / ".autograder"):
                    folders[:] = [name for name in folders if name not in ("submitted", "results", "snapshots")]
                for name in (*folders, *names):
                    seen[str(Path(parent, name))] = _digest(Path(parent, name))
        pwned = (path for top in self._exposed() for path in top.glob("*pwned*"))
        return seen | {str(path): "" for path in pwned}

    def _exposed(self) -> list[Path]:
        libraries = Path(pytest.__file__).parents[1]
        return [REPOSITORY, REPOSITORY / "autograder", libraries, Path("/tmp"), Path("/var/tmp"), Path("/dev/shm")]  # noqa: S108

    def _changes(self, before: Before) -> Iterator[str]:
        after = self._files()
        changed = {name for name in before.files.keys() | after.keys() if before.files.get(name) != after.get(name)}
        yield from (f"{name} was changed, made or removed" for name in sorted(changed))
        if _descriptors() > before.descriptors:
            yield "the grader holds more open descriptors than before"
        took = psutil.time.monotonic() - before.time  # type: ignore[attr-defined]
        if took > LIMIT_SECONDS + _SLACK_SECONDS:
            yield f"grading took {took:.0f} s"

    def _survivors(self, baseline: set[psutil.Process]) -> Iterator[str]:
        """Yield the processes that are still there a while later; the zygote reaps what it forked at its next fork."""
        ends = time.monotonic() + _GONE_SECONDS
        while alive := [
            process
            for process in psutil.Process().children(recursive=True)
            if _lives(process) and process not in baseline
        ]:
            if time.monotonic() > ends:
                yield from (f"the process {process} is left" for process in alive)
                return
            time.sleep(0.01)

    def _connections(self) -> Iterator[str]:
        for listener in self._listeners:
            try:
                if listener.type == socket.SOCK_DGRAM:
                    yield f"a datagram came: {listener.recv(100)!r}"
                else:
                    yield f"a connection came: {listener.accept()[1]!r}"
            except BlockingIOError:
                continue

    def _leaks(self, result: SubmissionResult) -> Iterator[str]:
        record, text = to_json(result).decode(), render_text(result, {})
        page = "".join([render_summary_html(result, {}), *(render_task_html(task, {}) for task in result.tasks)])
        for secret in self._secrets:
            if any(secret in form for form in (record, text, page)):
                yield f"the result holds a secret: {secret}"
        if len(record) > LARGEST_RESULT:
            yield f"the result has {len(record)} characters"
        if any(unicodedata.category(character) in ("Cc", "Cf", "Cs") for character in text if character not in "\n\t"):
            yield "the text holds control characters"
        yield from _unsafe(page)


class _Elements(html.parser.HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def _unsafe(page: str) -> Iterator[str]:
    """Yield what a page of ours holds that it never should."""
    for tag, attributes in _Elements(page).found:
        if tag not in _TAGS or not attributes.keys() <= {"class", "href", "id", "style"}:
            yield f"the page holds <{tag} {attributes}>"
        if not re.fullmatch(r"#[\w-]+|", attributes.get("href", "")):
            yield f"the page links to {attributes['href']}"


def _lives(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _digest(path: Path) -> str:
    mode = path.lstat().st_mode
    content = path.read_bytes() if path.is_file() else str(path.readlink()).encode() if path.is_symlink() else b""
    return f"{mode:o} {hashlib.sha256(content).hexdigest()}"


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - as many as there are, with the one that lists them
