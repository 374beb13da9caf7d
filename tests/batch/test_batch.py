"""Grading many: how much is handed over at once, and what happens when workers die."""

from __future__ import annotations

import errno
import os
from collections import Counter, deque
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from autograder.batch import batch
from autograder.batch.batch import Submit, grade_all
from autograder.batch.local_workers import LocalWorkers
from autograder.batch.outcome import GradedSubmission, ResultOrError, write_json
from autograder.cli import grading
from autograder.cli import main as cli
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import AutograderError, ClusterError, MachineBusy, SandboxUnavailable, UsageError
from autograder.results import Submission, SubmissionResult, from_json
from tests.tiny import TinyCourse, tiny_result


class Died(Exception):
    """A worker ended."""


class FakeWorkers:
    """Grades as soon as `gather` submissions wait, or all of them.

    A submission of `killer` kills its worker, and one of `broken` the whole executor; one of `starved` was kept from
    running, the first time or always.
    """

    death_errors = (Died,)
    remote, gpu = True, False

    def __init__(self, capacity: int, gather: int = 0) -> None:
        self.capacity = capacity
        self._gather = gather or capacity
        self.opened_times = 0
        self.most = 0
        self.seen: Counter[str] = Counter()
        self._waiting: deque[tuple[Future[ResultOrError], str, Snapshot]] = deque()

    @contextmanager
    def opened(self) -> Iterator[Submit]:
        """Open a working executor, also after one broke."""
        self.opened_times += 1
        self._broken = False
        yield self._submit

    def _submit(self, student: str, snapshot: Snapshot) -> Future[ResultOrError]:
        if self._broken:
            raise Died
        future: Future[ResultOrError] = Future()
        self._waiting.append((future, student, snapshot))
        self.seen[student] += 1
        self.most = max(self.most, len(self._waiting))
        alone = self.opened_times > 1 and len(self.seen) > 1
        if len(self._waiting) == self._gather or alone or self.seen.total() >= 5:
            while self._waiting:
                self._grade(*self._waiting.popleft())
        return future

    def _grade(self, future: Future[ResultOrError], student: str, snapshot: Snapshot) -> None:
        self._broken = self._broken or student.startswith("broken")
        if self._broken or student.startswith("killer"):
            future.set_exception(Died())
        elif student.startswith("starved") and (student.endswith("always") or self.seen[student] == 1):
            future.set_result(MachineBusy("The machine was too busy."))
        else:
            future.set_result(result_of(snapshot))


def result_of(snapshot: Snapshot) -> SubmissionResult:
    """Return full marks."""
    return msgspec.structs.replace(tiny_result(), submission=Submission(digest=snapshot.digest))


def grade_without_running(course: Course, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
    """Return full marks without running anything; a submission may kill the worker process, once or always."""
    module = (snapshot.module_bytes or b"").decode()
    if module == "always" or (module.startswith("once ") and not Path(module[5:]).exists()):
        if module != "always":
            Path(module[5:]).touch()
        os._exit(1)
    if module == "raises":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if module == "no layer":
        raise SandboxUnavailable("landlock: missing.")
    return result_of(snapshot)


def hand_in(course: TinyCourse, *students: str) -> dict[str, Path]:
    """Hand in modules that differ."""
    return {student: course.hand_in(student, None, f"# {student}") for student in students}


def grade(course: TinyCourse, folders: dict[str, Path], workers: batch.Workers) -> dict[str, GradedSubmission]:
    """Grade everything; each must come once."""
    done = list(grade_all(course.course, course.assignment, folders, workers))
    assert sorted(graded.student for graded in done) == sorted(folders)
    return {graded.student: graded for graded in done}


def in_error(done: dict[str, GradedSubmission]) -> dict[str, str]:
    """Return who has no result, and why."""
    return {student: str(graded.error) for student, graded in done.items() if graded.error}


@pytest.mark.parametrize("capacity", [1, 3, 5])
def test_no_more_are_handed_over_than_the_capacity(tiny_course: TinyCourse, capacity: int) -> None:
    workers = FakeWorkers(capacity)
    folders = hand_in(tiny_course, "a", "b", "c", "d", "e")
    assert in_error(grade(tiny_course, folders, workers)) == {}
    assert workers.most == capacity


def test_large_submissions_are_handed_over_one_by_one(tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "MOST_BYTES", 1)
    handed_over: list[int] = []
    usual = batch._Batch._has_capacity

    def spy(run: batch._Batch) -> bool:
        handed_over.append(len(run._handed_over))
        return usual(run)

    monkeypatch.setattr(batch._Batch, "_has_capacity", spy)
    grade(tiny_course, hand_in(tiny_course, "a", "b", "c"), FakeWorkers(capacity=5, gather=1))
    assert max(handed_over) == 1


def test_a_result_of_another_machine_is_cached_here(tiny_course: TinyCourse) -> None:
    folders = hand_in(tiny_course, "a", "b")
    grade(tiny_course, folders, FakeWorkers(2))
    again = FakeWorkers(2)
    done = grade(tiny_course, folders, again)
    assert not again.seen
    assert done["a"].result is not None
    assert done["a"].result.submission.student == "a"


def test_a_submission_with_which_workers_die_is_in_error_and_the_others_are_not(tiny_course: TinyCourse) -> None:
    workers = FakeWorkers(5)
    done = grade(tiny_course, hand_in(tiny_course, "a", "killer", "b", "broken", "c"), workers)
    assert in_error(done).keys() == {"killer", "broken"}
    assert workers.seen["killer"] == 1 + batch.TRIES
    assert batch.LOST_WORKER in in_error(done)["killer"]


def test_a_submission_that_was_kept_from_running_is_graded_again_alone(tiny_course: TinyCourse) -> None:
    workers = FakeWorkers(3)
    folders = hand_in(tiny_course, "a", "starved", "starved-always", "b", "c")
    done = grade(tiny_course, folders, workers)
    assert in_error(done) == {"starved-always": "The machine was too busy."}
    assert (workers.seen["starved"], workers.seen["starved-always"], workers.seen["a"]) == (2, 2, 1)


def processors_of(course: Course, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
    """Return a result whose note names the processors that the worker may use."""
    note = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    return msgspec.structs.replace(result_of(snapshot), notes=(note,))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two processors")
def test_workers_have_processors_of_their_own(tiny_course: TinyCourse) -> None:
    folders = hand_in(tiny_course, *(f"student-{number}" for number in range(12)))
    done = grade(tiny_course, folders, LocalWorkers(tiny_course.course, "tiny", 2, grade=processors_of))
    shares = {graded.result.notes[0] for graded in done.values() if graded.result}
    taken = [set(share.split(",")) for share in shares]
    assert set.union(*taken) <= {str(number) for number in os.sched_getaffinity(0)}
    assert sum(map(len, taken)) == len(set.union(*taken))


@pytest.mark.parametrize("jobs", [2])
def test_processes_that_die_are_replaced(tiny_course: TinyCourse, tmp_path: Path, jobs: int) -> None:
    folders = hand_in(tiny_course, "a", "b", "c", "d")
    folders["always"] = tiny_course.hand_in("always", None, "always")
    folders["once"] = tiny_course.hand_in("once", None, f"once {tmp_path / 'died'}")
    workers = LocalWorkers(tiny_course.course, "tiny", jobs, grade=grade_without_running)
    assert in_error(grade(tiny_course, folders, workers)).keys() == {"always"}


@pytest.mark.parametrize("jobs", [1, 2])
def test_internal_errors_end_one_submission_or_all(tiny_course: TinyCourse, jobs: int) -> None:
    folders = hand_in(tiny_course, "a", "b") | {"raises": tiny_course.hand_in("raises", None, "raises")}
    workers = LocalWorkers(tiny_course.course, "tiny", jobs, grade=grade_without_running)
    assert "No space left on device" in in_error(grade(tiny_course, folders, workers))["raises"]
    folders["lacks"] = tiny_course.hand_in("lacks", None, "no layer")
    with pytest.raises(SandboxUnavailable, match="landlock"):
        grade(tiny_course, folders, workers)


def test_a_worker_that_cannot_begin_ends_the_batch(tiny_course: TinyCourse) -> None:
    workers = LocalWorkers(tiny_course.course, "tiny", jobs=1, grade=grade_without_running)

    @contextmanager
    def opened() -> Iterator[Submit]:
        future: Future[ResultOrError] = Future()
        future.set_exception(ModuleNotFoundError("No module named 'autograder'"))
        yield lambda student, snapshot: future

    workers.opened = opened  # type: ignore[method-assign]
    with pytest.raises(ClusterError, match=r"could not begin.*No module named 'autograder'.*same package"):
        grade(tiny_course, hand_in(tiny_course, "a"), workers)


def test_a_single_submission_is_graded_in_this_process(tiny_course: TinyCourse) -> None:
    here: list[int] = []

    def note(course: Course, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
        here.append(os.getpid())
        return result_of(snapshot)

    grade(tiny_course, hand_in(tiny_course, "a"), LocalWorkers(tiny_course.course, "tiny", jobs=4, most=1, grade=note))
    assert here == [os.getpid()]


def test_json_is_written_in_order_and_failures_are_named(tmp_path: Path) -> None:
    done = [GradedSubmission(f"student-{number:02}", tmp_path, tiny_result(double=number % 4)) for number in range(30)]
    done[7] = GradedSubmission("nobody", tmp_path, None, AutograderError("the machine failed"))
    (tmp_path / "student-09.json").mkdir()  # in the way
    written = list(write_json(done, tmp_path))
    assert [graded.student for graded in written] == [graded.student for graded in done]
    assert [graded.student for graded in written if graded.error] == ["nobody", "student-09"]
    for graded in written:
        if graded.error is None:
            assert from_json((tmp_path / f"{graded.student}.json").read_bytes()) == graded.result


def test_a_long_class_is_shown_in_part(
    tiny_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(grading, "MOST_SHOWN", 3)
    folders = hand_in(tiny_course, *(f"student-{number}" for number in range(8)))
    failing = [
        GradedSubmission(name, folder, None, AutograderError(f"{name} failed.")) for name, folder in folders.items()
    ]
    monkeypatch.setattr(batch, "grade_all", lambda *_: iter(failing[::-1]))
    words = ["grade", "--course", str(tiny_course.root), "--assignment", "tiny", "--no-record", "--json", str(tmp_path)]
    assert cli.main(words) == 1
    shown = capsys.readouterr()
    for number in range(8):
        assert (f"student-{number}" in shown.out) == (number < 3)
    assert f"3 of 8 students; the marks of all are in {tmp_path}" in shown.out
    assert shown.err.count("failed.") == 3
    assert "5 more ended in an error" in shown.err


def test_two_forms_of_a_name_are_one_student(tmp_path: Path) -> None:
    composed, decomposed = "Jos\u00e9", "Jose\u0301"
    (tmp_path / decomposed / "tiny").mkdir(parents=True)
    assert batch.discover(tmp_path, "tiny") == {composed: tmp_path / decomposed / "tiny"}
    for typed in (composed, decomposed):
        assert list(batch.discover(tmp_path, "tiny", [typed])) == [composed]
    (tmp_path / composed / "tiny").mkdir(parents=True)
    with pytest.raises(UsageError, match=r"are one student.*Remove the one that does not count"):
        batch.discover(tmp_path, "tiny")
