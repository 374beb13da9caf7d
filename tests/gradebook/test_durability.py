"""Marks are never lost: killed processes, several at once, locked or missing databases, full disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from nbconvert.writers import FilesWriter
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateAssignment

from autograder.course.course import course_secret, read_course
from autograder.course.submission import Snapshot
from autograder.errors import RecordingError, ZygoteError
from autograder.feedback.exporter import write_feedback
from autograder.files import write_whole
from autograder.gradebook import course_lock as locks
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.course_lock import course_lock
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.grading import result_store as store
from autograder.grading.grader import CachedTask
from autograder.ledger import connections
from autograder.results import Submission, SubmissionResult
from tests.kills import Round, commands, kill_rounds, make_course, processes_of, run_undisturbed, start, state_of
from tests.tiny import REPOSITORY, TinyCourse, scores, tiny_result

MARKS = {"double": 3.0, "total": 2.0, "question_01": 0.0}
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
HOLDER = """
import sys, time
from pathlib import Path
from autograder.gradebook.course_lock import course_lock
with course_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder(released_course: TinyCourse) -> Path:
    """A submission of ada's."""
    return released_course.hand_in("ada", json.dumps(released_course.released_notebook()).encode())


def put_down(course: TinyCourse, folder: Path, double: float = 3.0) -> None:
    """Record a result of ada's."""
    course.record("ada", folder, tiny_result(double=double))


def waits(course: TinyCourse) -> bool:
    """Whether ada's submission is shown as one that needs grading."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        return bool(book.find_submission("tiny", "ada").needs_manual_grade)


def graded_notebook(course: TinyCourse) -> Path:
    """What formgrader shows of ada's."""
    return course.root / "autograded/ada/tiny/tiny.ipynb"


@contextmanager
def held_elsewhere(state_dir: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the course's lock."""
    words = [sys.executable, "-c", HOLDER, str(state_dir)]
    with subprocess.Popen(words, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout and holder.stdout.readline() == "held\n"
        try:
            yield holder
        finally:
            holder.kill()


def test_only_one_process_records_at_a_time(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "LOCK_SECONDS", 0.1)
    with held_elsewhere(released_course.course.state_dir) as holder:
        with pytest.raises(RecordingError, match=r"Another process has held .*lock.*run end"):
            put_down(released_course, folder)
        holder.kill()
        holder.wait()
        put_down(released_course, folder)  # the kernel gave the lock back
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


def test_the_lock_may_be_taken_twice_in_one_process(tmp_path: Path) -> None:
    with course_lock(tmp_path), course_lock(tmp_path):
        pass
    with held_elsewhere(tmp_path):
        pass


def test_a_locked_database_is_an_error_and_grading_again_fixes_it(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    other = sqlite3.connect(released_course.root / "gradebook.db")
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(RecordingError, match="database is locked"):
        put_down(released_course, folder)
    other.rollback()
    other.close()
    put_down(released_course, folder)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


def test_a_database_that_is_locked_for_a_while_is_waited_for(released_course: TinyCourse, folder: Path) -> None:
    other = sqlite3.connect(released_course.root / "gradebook.db", check_same_thread=False)
    other.execute("BEGIN EXCLUSIVE")
    with ThreadPoolExecutor(1) as pool:
        timer = pool.submit(time.sleep, 0.5)
        timer.add_done_callback(lambda _: other.rollback())
        put_down(released_course, folder)
    other.close()
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


def test_a_read_only_database_is_an_error_and_grading_again_fixes_it(released_course: TinyCourse, folder: Path) -> None:
    put_down(released_course, folder, double=1.0)
    settings = released_course.root / "course_config.py"
    usual = settings.read_text()
    url = f"sqlite:///file:{released_course.root}/gradebook.db?mode=ro&uri=true"
    settings.write_text(f"{usual}\nc.CourseDirectory.db_url = {url!r}\n")
    read_only = released_course.read_again()
    with pytest.raises(RecordingError, match="readonly database"):
        put_down(read_only, folder)
    with pytest.raises(RecordingError, match="readonly database"):
        read_only.record_ungraded("ada", "No memory.")
    settings.write_text(usual)
    put_down(released_course, folder)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


@pytest.mark.parametrize(("content", "reason"), [(None, "does not know"), (b"no database " * 500, "not a database")])
def test_a_lost_database_is_an_error_and_registering_again_fixes_it(
    released_course: TinyCourse, folder: Path, content: bytes | None, reason: str
) -> None:
    database = released_course.root / "gradebook.db"
    database.unlink()
    if content is not None:
        database.write_bytes(content)
    with pytest.raises(RecordingError, match=reason):
        put_down(released_course, folder)
    database.unlink(missing_ok=True)
    coursedir = course_directory(released_course.course, "tiny")
    run_step(make_step(GenerateAssignment, released_course.course, coursedir))
    put_down(released_course, folder)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


def fail(*args: object, **kwargs: object) -> Any:
    """Stands in for what writes to a full disk."""
    raise FULL


FULL_AT: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the graded notebook": lambda patch: patch.setattr(FilesWriter, "write", fail),
    "the copy of the submission": lambda patch: patch.setattr("pathlib.Path.write_bytes", fail),
    "what waits for its commit": lambda patch: patch.setattr("autograder.ledger.unfinished._sync", fail),
    "the copy of the rows": lambda patch: patch.setattr("autograder.gradebook.isolated_autograde.scratch_book", fail),
    "the history": lambda patch: patch.setattr("autograder.gradebook.transactions.append", fail),
}
"""Before the commit."""


@pytest.mark.parametrize("breaks", FULL_AT.values(), ids=FULL_AT.keys())
def test_a_full_disk_leaves_the_old_score_and_its_notebook(
    released_course: TinyCourse, folder: Path, breaks: Callable[[pytest.MonkeyPatch], None]
) -> None:
    put_down(released_course, folder, double=1.0)
    before = graded_notebook(released_course).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        breaks(patch)
        with pytest.raises((RecordingError, OSError), match="No space left on device"):
            put_down(released_course, folder)
    assert graded_notebook(released_course).read_bytes() == before
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS | {"double": 1.0}}
    assert not waits(released_course)  # the mark is for this very hand-in
    put_down(released_course, folder)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}
    assert graded_notebook(released_course).read_bytes() != before


def test_a_notebook_that_cannot_be_put_in_its_place_is_put_there_on_the_next_start(
    released_course: TinyCourse, folder: Path
) -> None:
    put_down(released_course, folder, double=1.0)
    before = graded_notebook(released_course).read_bytes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("autograder.ledger.unfinished.shutil.copytree", fail)
        with pytest.raises(RecordingError, match=r"are recorded, but .* No space left on device"):
            put_down(released_course, folder)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}
    assert graded_notebook(released_course).read_bytes() == before
    released_course.record_ungraded("bob", "No memory.")  # anything that records
    assert graded_notebook(released_course).read_bytes() != before
    assert not list((released_course.course.state_dir / "unfinished").iterdir())


def test_a_new_hand_in_that_cannot_be_recorded_flags_the_old_mark(released_course: TinyCourse, folder: Path) -> None:
    put_down(released_course, folder, double=1.0)
    (folder / "utilities.py").write_text("new = 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesWriter, "write", fail)
        with pytest.raises(RecordingError, match="No space left on device"):
            put_down(released_course, folder)
    (ada,) = class_marks(released_course.course, released_course.assignment).students
    assert ada.scores == MARKS | {"double": 1.0}
    assert [mark.id for mark in ada.earlier] == ["double", "total"]


def test_feedback_on_a_full_disk_leaves_the_old_page_whole(released_course: TinyCourse, folder: Path) -> None:
    put_down(released_course, folder, double=1.0)
    (page,) = write_feedback(released_course.course, released_course.assignment)
    before = page.read_bytes()
    put_down(released_course, folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilesWriter, "write", fail)
        with pytest.raises(RecordingError, match="No space left on device"):
            write_feedback(released_course.course, released_course.assignment)
    assert page.read_bytes() == before
    write_feedback(released_course.course, released_course.assignment)
    assert page.read_bytes() != before
    assert {path.name for path in page.parent.parent.iterdir()} == {"tiny"}


def test_a_file_on_a_full_disk_stays_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_whole(tmp_path / "result.json", b"old")
    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "result.json", b"new")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("result.json", b"old")]


def test_what_a_killed_process_left_is_removed(released_course: TinyCourse, folder: Path) -> None:
    left = released_course.course.state_dir / "recording-killed" / "submitted"
    left.mkdir(parents=True)
    put_down(released_course, folder)
    assert not left.parent.exists()


def test_graders_that_start_together_agree_on_the_secret(released_course: TinyCourse) -> None:
    with ThreadPoolExecutor(8) as pool:
        secrets = set(pool.map(lambda _: course_secret(released_course.course), range(32)))
    assert len(secrets) == 1
    assert len(secrets.pop()) == 64
    assert [path.name for path in released_course.course.state_dir.iterdir()] == ["secret"]


class FakeGrader:
    """Stands in for a grader whose zygote is lost at the given moments."""

    fates: list[str] = []  # noqa: RUF012 - set by each test
    closed = 0

    def __init__(self, *args: object, **kwargs: object) -> None:
        self.alive = True

    def grade(self, snapshot: Snapshot, cached: CachedTask) -> SubmissionResult:
        """Grade, lose the zygote before the end, or find that it is gone."""
        fate = FakeGrader.fates.pop(0)
        if fate == "gone":
            raise ZygoteError("The process that imports TensorFlow is gone.")
        self.alive = fate == "well"
        marks = tiny_result() if self.alive else tiny_result(double=0.0, total=0.0)
        return msgspec.structs.replace(marks, submission=Submission(digest=snapshot.digest))

    def close(self) -> None:
        """Count."""
        FakeGrader.closed += 1


@pytest.mark.parametrize("fates", [["well"], ["lost", "well"], ["gone", "well"]])
def test_a_lost_zygote_costs_no_points(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch, fates: list[str]
) -> None:
    monkeypatch.setattr(store, "Grader", FakeGrader)
    monkeypatch.setattr(FakeGrader, "fates", list(fates))
    grader = store.CachedGrader(released_course.course, released_course.assignment)
    assert grader.grade(folder, "ada").score == 5.0
    assert grader.grade(folder, "ada").score == 5.0  # from the store


def test_a_zygote_that_is_always_lost_is_an_error_of_ours(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "Grader", FakeGrader)
    monkeypatch.setattr(FakeGrader, "fates", ["lost", "gone"])
    grader = store.CachedGrader(released_course.course, released_course.assignment)
    with pytest.raises(ZygoteError):
        grader.grade(folder, "ada")
    assert grader.cached(folder) is None


@pytest.mark.parametrize("content", [b"", b'{"schema": 1, "assig', b"\xff", b"[]"])
def test_a_broken_stored_result_is_computed_again(
    released_course: TinyCourse, folder: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(store, "Grader", FakeGrader)
    monkeypatch.setattr(FakeGrader, "fates", ["well", "well"])
    grader = store.CachedGrader(released_course.course, released_course.assignment)
    grader.grade(folder, "ada")
    (stored,) = (released_course.course.state_dir / "results/tiny").rglob("*.json")
    stored.write_bytes(content)
    assert grader.cached(folder, "ada") is None
    assert grader.grade(folder, "ada").score == 5.0
    assert grader.cached(folder, "ada") is not None


@pytest.mark.slow
def test_kills_lose_nothing(tmp_path: Path) -> None:
    (one,) = kill_rounds(tmp_path, [Round(3)], students=4, seed=3)
    assert len(one.killed) == 3
    assert (one.left, one.differences) == (0, ())


@pytest.mark.slow
def test_two_graders_and_nbgrader_at_once_lose_nothing(tmp_path: Path) -> None:
    make_course(tmp_path / "calm", 4)
    grade = commands(tmp_path / "calm")[0]
    start([*grade, "--no-record"], tmp_path / "log").wait()  # grading itself takes no turns; recording does
    shutil.copytree(tmp_path / "calm", tmp_path / "busy")
    statuses = run_undisturbed(tmp_path / "calm")
    course = tmp_path / "busy"
    ours = commands(course)[0]
    nbgraders = [sys.executable, "-m", "nbgrader", "autograde", "tiny", "--force", f"--course-dir={course}"]
    running = [start(ours, course / "log"), start(ours, course / "log")]
    running.append(subprocess.Popen(nbgraders, cwd=course, stderr=subprocess.PIPE))
    assert [process.wait() for process in running[:2]] == [statuses[0]] * 2
    said = running[2].communicate()[1].decode()
    assert "locked" not in said + (course / "log").read_text()
    assert run_undisturbed(course) == statuses
    assert state_of(course) == state_of(tmp_path / "calm")


@pytest.mark.slow
@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupted_run_ends_at_once_and_is_resumed(tmp_path: Path, jobs: int) -> None:
    make_course(tmp_path / "course", 4)
    words = commands(tmp_path / "course", jobs)[0]
    running = start(words, tmp_path / "log")
    zygotes: list[psutil.Process] = []
    while not zygotes:
        assert running.poll() is None
        zygotes = [process for kind, process in processes_of(running.pid) if kind == "zygote"]
    started = [process for _, process in processes_of(running.pid)]
    os.killpg(running.pid, signal.SIGINT)
    assert running.wait() == 1
    assert psutil.wait_procs(started, timeout=300)[1] == []
    assert not list((tmp_path / "course/.autograder/results").rglob("*.json"))  # at once: nothing was finished
    assert "interrupted" in (tmp_path / "log").read_text()
    assert "Traceback" not in (tmp_path / "log").read_text()
    course = read_course(tmp_path / "course")
    start(words, tmp_path / "log").wait()
    assert len(scores(course, course.assignment("tiny"))) == 4
