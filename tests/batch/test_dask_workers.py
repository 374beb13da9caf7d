"""Grading on a Dask cluster: a real scheduler and two workers over TCP, some of them killed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.batch import dask_workers
from autograder.batch.batch import discover, grade_all
from autograder.batch.dask_workers import ClusterWorkers, WorkerReport, cluster_workers
from autograder.batch.local_workers import LocalWorkers
from autograder.batch.outcome import GradedSubmission
from autograder.batch.parcel import installed_versions, pack, unpack
from autograder.cli import main as cli
from autograder.errors import ClusterError
from autograder.results import from_json
from tests.clusters import LOOPBACK, cluster, free_port, worker
from tests.tiny import TinyCourse, scores

TELLING = """
import os
import socket

import numpy as np
import pytest


@pytest.mark.check("Whoever runs this test knows.", weight=1)
def test_tells(student):
    number = int(np.squeeze(student.call("number", np.zeros((1, 1), np.float32))))
    with socket.create_connection(("127.0.0.1", {port})) as line:
        line.sendall(f"{{os.getpid()}} {{number}}".encode())
        line.recv(1)
"""
OTHER_NUMPY = """
from importlib import metadata
usual = metadata.Distribution.version.fget
metadata.version = lambda name: "0.1" if name == "numpy" else usual(metadata.distribution(name))
"""
KILLER = 13


class Watcher:
    """Is told by the checks which process grades which submission, and lets it go on or kills it."""

    def __init__(self) -> None:
        self._server = socket.create_server((LOOPBACK, 0))
        self.port: int = self._server.getsockname()[1]
        self.doomed: Callable[[int], bool] = lambda number: False
        self.killed: list[int] = []
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                line, _ = self._server.accept()
            except OSError:
                return
            with line:
                pid, number = map(int, line.recv(64).split())
                if self.doomed(number):
                    self.killed.append(number)
                    os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run two workers, and a scheduler that gives up a task at the first death."""
    with cluster(tmp_path_factory.mktemp("cluster"), workers=2, allowed_failures=0) as address:
        yield address


@pytest.fixture(scope="module")
def watcher() -> Iterator[Watcher]:
    """Run one watcher for all tests, so that the workers' zygotes serve them all."""
    watcher = Watcher()
    yield watcher
    watcher.close()


@pytest.fixture
def course(released_course: TinyCourse, watcher: Watcher) -> TinyCourse:
    """Return a course whose check of `double` tells the watcher, which lets everybody go on."""
    checks = released_course.assignment.checks_dir / "test_double.py"
    checks.write_text(TELLING.format(port=watcher.port))
    state = released_course.course.state_dir
    state.mkdir(exist_ok=True)
    (state / "secret").write_text("the same in all tests")
    watcher.doomed = lambda number: False
    watcher.killed.clear()
    return released_course


def hand_in(course: TinyCourse, *numbers: int) -> dict[str, Path]:
    """Hand in submissions that tell their numbers."""
    for number in numbers:
        course.hand_in(f"student-{number}", None, f"def number(x): return x + {number}")
    return discover(course.root / "submitted", "tiny")


def grade_on(address: str, course: TinyCourse, folders: dict[str, Path]) -> dict[str, GradedSubmission]:
    """Grade on the cluster."""
    with cluster_workers(address, course.course, course.assignment) as workers:
        done = list(grade_all(course.course, course.assignment, folders, workers))
    assert sorted(graded.student for graded in done) == sorted(folders)
    return {graded.student: graded for graded in done}


def points(done: dict[str, GradedSubmission]) -> dict[str, float]:
    """Return the points of each student for `double`."""
    return {
        student: task.score
        for student, graded in done.items()
        if graded.result and (task := graded.result.task("double"))
    }


@pytest.mark.slow
def test_a_cluster_gives_the_marks_of_this_machine(address: str, course: TinyCourse, tmp_path: Path) -> None:
    folders = hand_in(course, 1, 2)
    course.hand_in("wrong", None, "def number(x): raise ValueError('no')")
    course.hand_in("large", None, "#" * (65 << 20))
    words = ["grade", "--course", str(course.root), "--assignment", "tiny", "--json", str(tmp_path / "json")]
    assert cli.main([*words, "--cluster", address]) == 0
    book = scores(course.course, course.assignment)
    assert {name: marks["double"] for name, marks in book.items()} == {
        "student-1": 3, "student-2": 3, "wrong": 0, "large": 0,
    }  # fmt: skip
    there = {path.stem: from_json(path.read_bytes()) for path in (tmp_path / "json").iterdir()}
    assert (course.course.state_dir / "results" / "tiny").is_dir()  # came back and is cached
    assert cli.main([*words, "--jobs", "1", "--no-record"]) == 0
    shutil.rmtree(course.course.state_dir / "results")
    folders = discover(course.root / "submitted", "tiny")
    workers = LocalWorkers(course.course, "tiny", jobs=1)
    for graded in grade_all(course.course, course.assignment, folders, workers):
        near, far = graded.result, there[graded.student]
        assert near is not None
        assert [(task.id, task.score) for task in far.tasks] == [(task.id, task.score) for task in near.tasks]
        assert (far.submission, far.environment, far.notes) == (near.submission, near.environment, near.notes)


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_loses_nothing(address: str, course: TinyCourse, watcher: Watcher) -> None:
    folders = hand_in(course, 1, 2, 3, 4)
    watcher.doomed = lambda number: not watcher.killed
    done = grade_on(address, course, folders)
    assert len(watcher.killed) == 1
    assert points(done) == dict.fromkeys(folders, 3.0)


@pytest.mark.slow
def test_a_submission_that_kills_every_worker_is_in_error_and_the_batch_goes_on(
    address: str, course: TinyCourse, watcher: Watcher
) -> None:
    folders = hand_in(course, 1, KILLER, 2)
    watcher.doomed = lambda number: number == KILLER
    done = grade_on(address, course, folders)
    assert watcher.killed == [KILLER] * 3  # once among the others, twice alone
    assert "worker process that graded it died" in str(done[f"student-{KILLER}"].error)
    assert points(done) == {"student-1": 3.0, "student-2": 3.0}


@pytest.mark.slow
def test_a_worker_with_another_version_is_refused(address: str, course: TinyCourse, tmp_path: Path) -> None:
    from distributed import Client

    (tmp_path / "preload.py").write_text(OTHER_NUMPY)
    with Client(address, set_as_default=False) as client, worker(address, tmp_path, "--preload", "preload.py"):
        client.wait_for_workers(3, timeout=120)
        with pytest.raises(ClusterError, match=r"numpy 0\.1 \(here 2.*requirements\.lock"):
            grade_on(address, course, hand_in(course, 1))


@pytest.mark.slow
def test_a_worker_that_comes_late_is_looked_at_too(address: str, course: TinyCourse) -> None:
    """The cluster fitted; then this machine's versions change, which looks as if the worker's had."""
    from distributed import Client

    folders = hand_in(course, 1)
    parcel = pack(course.course, course.assignment)
    other = replace(parcel, versions={**parcel.versions, "numpy": "9.9"})
    with Client(address, set_as_default=False) as client:
        workers = ClusterWorkers(client, other, gpu=False)
        with pytest.raises(ClusterError, match=r"Worker tcp://.* does not fit: numpy 2.* \(here 9\.9\)"):
            list(grade_all(course.course, course.assignment, folders, workers))


def test_an_address_where_nobody_answers_is_named(
    released_course: TinyCourse, capsys: pytest.CaptureFixture[str]
) -> None:
    released_course.hand_in("ada", None)
    address = f"tcp://{LOOPBACK}:{free_port()}"
    words = ["grade", "--course", str(released_course.root), "--assignment", "tiny", "--cluster"]
    assert cli.main([*words, address]) == 1
    assert f"No Dask scheduler answers at {address}" in capsys.readouterr().err
    assert cli.main([*words, "no address"]) == 1
    assert "it looks like tcp://" in capsys.readouterr().err
    assert cli.main([*words, address, "--jobs", "2"]) == 2


def test_without_dask_the_extra_is_named(released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ClusterError, match=r"needs Dask\. Run: pip install '.*\[cluster\]'"):
        grade_on("tcp://127.0.0.1:1", released_course, {})


SAME = installed_versions()
FITS = WorkerReport(SAME, threads=1, gpu=False)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (replace(FITS, versions=SAME | {"python": "3.10.0"}), r"python 3\.10\.0 \(here 3"),
        (replace(FITS, versions={}), r"autograder missing \(here"),
        (replace(FITS, threads=4), "runs 4 tasks at once"),
        (ModuleNotFoundError("No module named 'autograder'"), "could not be used there"),
    ],
)
def test_workers_that_do_not_fit(released_course: TinyCourse, said: WorkerReport | Exception, reason: str) -> None:
    with pytest.raises(ClusterError, match=rf"tcp://b:1: .*{reason}"):
        dask_workers._check_workers(released_course.course.settings, SAME, {"tcp://a:1": FITS, "tcp://b:1": said})


def test_a_gpu_is_asked_for_where_workers_declare_one(released_course: TinyCourse) -> None:
    settings, mixed = released_course.course.settings, {"a": FITS, "b": replace(FITS, gpu=True)}
    assert dask_workers._check_workers(settings, SAME, mixed)
    assert not dask_workers._check_workers(replace(settings, device="cpu"), SAME, mixed)
    assert not dask_workers._check_workers(settings, SAME, {"a": FITS})
    with pytest.raises(ClusterError, match="no worker declares one"):
        dask_workers._check_workers(replace(settings, device="gpu"), SAME, {"a": FITS})


def test_the_parcel_holds_the_rules_for_its_user_alone(released_course: TinyCourse, tmp_path: Path) -> None:
    parcel = pack(released_course.course, released_course.assignment)
    folder = tmp_path / "unpacked"
    folder.mkdir(mode=0o700)
    there = unpack(parcel, folder)
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*")}
    assert {"autograder/checks/tiny/test_double.py", "source/tiny/tiny.ipynb", ".autograder/secret"} <= names.keys()
    assert not [name for name in names if "course_config" in name or "gradebook" in name or "submitted" in name]
    for path in names.values():
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    assert there == replace(released_course.course, root=folder)
    assert replace(parcel, course=there).digest == parcel.digest  # wherever the course lies
    assert replace(parcel, files={**parcel.files, ".autograder/secret": b"other"}).digest != parcel.digest
