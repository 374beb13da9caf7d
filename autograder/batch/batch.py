"""Grade many submissions: find them, grade them in parallel, hand on each result as it comes.

Where they are graded is a matter of `Workers`: processes of this machine here, a cluster in `cluster`. Behind both is
an executor of `concurrent.futures`, and both get submissions as bytes. However many wait, only a few are in memory.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from queue import SimpleQueue
from typing import Any, ParamSpec, Protocol, TypeVar

from autograder.config import CourseConfig
from autograder.course.assignment import Assignment
from autograder.course.submission import Snapshot
from autograder.errors import AutograderError, ClusterError, SandboxUnavailable, UsageError
from autograder.files import write_whole
from autograder.grading.result_store import CachedGrader, grader_for
from autograder.results import SubmissionResult, to_json
from autograder.sandbox.confine import die_with_parent
from autograder.suggestions import did_you_mean

WORKER_MIB = 3072
"""Memory that one worker needs: its zygote's libraries, and a student process that trains."""
AHEAD = 2
"""Submissions handed over for each worker: one that is graded, one that waits for it."""
MOST_WAITING_BYTES = 1 << 29
"""Size of all submissions handed over, unless a single one is larger."""
WRITERS = 8
"""JSON files that are written at once."""
SLOW_SECONDS = 0.05
"""Results that come this far apart are written one by one."""
TRIES = 2
"""How often a submission that was in work when a worker died is graded alone before it is given up."""
LOST_WORKER = "The machine may be short of memory: end other programs, or grade with --jobs 1."
REPORT = "That is an error of ours: report it, with what `python -m autograder doctor` prints."

P = ParamSpec("P")
T = TypeVar("T")
Outcome = SubmissionResult | AutograderError
Submit = Callable[[str, Snapshot], "Future[Outcome]"]
Grade = Callable[[CourseConfig, str, str, Snapshot], SubmissionResult]
"""Grades one submission, given the settings, the assignment's name, the student and what was handed in."""


@dataclass(frozen=True)
class Graded:
    """What came of one submission: a result, or the reason why there is none.

    Attributes:
        kept: Whether the result was there already.
    """

    student: str
    folder: Path
    result: SubmissionResult | None
    error: AutograderError | None = None
    kept: bool = False


class Workers(Protocol):
    """Where submissions are graded."""

    @property
    def died(self) -> tuple[type[Exception], ...]:
        """What a future raises, or `submit` itself, when a worker ended while it graded."""

    @property
    def room(self) -> int:
        """How many submissions may be handed over and not be back yet."""

    @property
    def elsewhere(self) -> bool:
        """Whether they cannot keep results in the course folder, so that they are kept here."""

    def opened(self) -> AbstractContextManager[Submit]:
        """Return what hands over one submission; opened anew after it broke."""


def discover(submitted: Path, assignment: str, students: Sequence[str] = ()) -> dict[str, Path]:
    """Return student to submission folder, for `submitted/<student>/<assignment>/`, in order.

    Args:
        submitted: The folder with one folder a student.
        assignment: Name of the assignment.
        students: Only these; none means all.

    Raises:
        UsageError: If there is no submission, or one of `students` has none.
    """
    named = ((name, submitted / name / assignment) for name in _names(submitted) if not students or name in students)
    found = {name: folder for name, folder in named if folder.is_dir()}
    missing = [name for name in students if name not in found]
    if missing:
        raise UsageError(
            f"No submission of {missing[0]} in {submitted}: expected {submitted / missing[0] / assignment}.",
            did_you_mean(missing[0], _names(submitted)),
        )
    if not found:
        raise UsageError(f"No submissions in {submitted}.", f"Expected folders <student>/{assignment}/ in it.")
    return found


def _names(submitted: Path) -> list[str]:
    try:
        return sorted(os.listdir(submitted))  # noqa: PTH208 - names alone, for there may be many
    except (FileNotFoundError, NotADirectoryError):
        return []


def grade_all(
    config: CourseConfig, assignment: Assignment, folders: Mapping[str, Path], workers: Workers
) -> Iterator[Graded]:
    """Grade submissions and yield each as it is done; one whose result exists already is not graded again.

    Args:
        config: The course's settings.
        assignment: What is graded.
        folders: Student to folder, from `discover`.
        workers: Where they are graded.

    Raises:
        SandboxUnavailable: If a required layer of confinement is missing: then nothing can be graded.
        ClusterError: If the workers cannot be used.
    """
    return _Batch(grader_for(config, assignment.name), folders, workers).run()


@dataclass(frozen=True)
class _Waiting:
    """A submission that was read and has to be graded."""

    student: str
    folder: Path
    snapshot: Snapshot
    size: int


class _Batch:
    """One run: what waits, what is with the workers, and what was with them when one died."""

    def __init__(self, here: CachedGrader, folders: Mapping[str, Path], workers: Workers) -> None:
        self._here = here
        self._workers = workers
        self._looked: Iterator[Graded | _Waiting] = (_look(here, *one) for one in folders.items())
        self._away: dict[Future[Outcome], _Waiting] = {}
        self._back: SimpleQueue[Future[Outcome]] = SimpleQueue()
        self._suspects: list[tuple[str, Path]] = []

    def run(self) -> Iterator[Graded]:
        """Yield each submission as it is done; last, one at a time, those that a worker died with."""
        broken = True
        while broken:
            with self._workers.opened() as submit:
                broken = yield from self._flow(submit)
        left = deque((*one, TRIES) for one in self._suspects)
        while left:
            with self._workers.opened() as submit:
                yield from self._alone(submit, left)

    def _flow(self, submit: Submit) -> Generator[Graded, None, bool]:
        """Yield what comes back, and hand over more, until nothing is left or no more can be handed over: then True."""
        broken = False
        while True:
            broken = broken or (yield from self._hand_over(submit))
            if not self._away:
                return broken
            future = self._back.get()
            one = self._away.pop(future)
            try:
                outcome = _outcome(future, self._workers.died)
            except self._workers.died:
                self._suspects.append((one.student, one.folder))
            else:
                yield self._taken_in(one, outcome)

    def _hand_over(self, submit: Submit) -> Generator[Graded, None, bool]:
        """Fill the room with the workers, and yield what needs no grading; whether the executor was found broken."""
        while self._has_room():
            one = next(self._looked, None)
            if one is None:
                break
            if isinstance(one, Graded):
                yield one
                continue
            try:
                future = submit(one.student, one.snapshot)
            except self._workers.died:
                self._looked = chain([one], self._looked)
                return True
            self._away[future] = one
            future.add_done_callback(self._back.put)
        return False

    def _has_room(self) -> bool:
        size = sum(one.size for one in self._away.values())
        return not self._away or (len(self._away) < self._workers.room and size < MOST_WAITING_BYTES)

    def _alone(self, submit: Submit, left: deque[tuple[str, Path, int]]) -> Iterator[Graded]:
        """Yield one after another, up to one that a worker dies with."""
        while left:
            student, folder, tries = left.popleft()
            one = _look(self._here, student, folder)
            if isinstance(one, _Waiting):
                try:
                    outcome = _outcome(submit(student, one.snapshot), self._workers.died)
                except self._workers.died:
                    if tries > 1:
                        left.append((student, folder, tries - 1))
                    else:
                        problem = AutograderError("The worker process that graded it died.", LOST_WORKER)
                        yield Graded(student, folder, None, problem)
                    return
                one = self._taken_in(one, outcome)
            yield one

    def _taken_in(self, one: _Waiting, outcome: Outcome) -> Graded:
        if isinstance(outcome, AutograderError):
            return Graded(one.student, one.folder, None, outcome)
        if self._workers.elsewhere:
            try:
                self._here.keep(one.snapshot, outcome)
            except OSError as error:
                return Graded(one.student, one.folder, None, _of_ours(error))
        return Graded(one.student, one.folder, outcome)


def _look(here: CachedGrader, student: str, folder: Path) -> Graded | _Waiting:
    """Read a submission; it is graded already if its result exists, or if there is no way to grade it."""
    if not student.isprintable():  # control characters, or bytes that are no text
        problem = AutograderError(f"{student!a} cannot be a student's id.", "Rename the submission's folder.")
        return Graded(student, folder, None, problem)
    try:
        found = here.look(folder, student)
    except AutograderError as error:
        return Graded(student, folder, None, error)
    except Exception as error:  # the batch goes on
        return Graded(student, folder, None, _of_ours(error))
    if isinstance(found, SubmissionResult):
        return Graded(student, folder, found, kept=True)
    return _Waiting(student, folder, found, sum(map(len, found.files.values())))


def _outcome(future: Future[Outcome], died: tuple[type[Exception], ...]) -> Outcome:
    """Return what came of a submission; what a worker raises in place of that ends the batch."""
    try:
        return future.result()
    except Exception as error:
        if isinstance(error, (AutograderError, *died)):
            raise
        problem = f"A worker could not begin to grade: {type(error).__name__}: {error}."
        raise ClusterError(problem, "Is the same package installed for every worker, and do they still run?") from error


def attempt(grade: Grade, config: CourseConfig, name: str, student: str, snapshot: Snapshot) -> Outcome:
    """Grade one submission, in a worker; an error that would meet every other submission, too, is raised.

    Raises:
        SandboxUnavailable: If a required layer of confinement is missing.
        ClusterError: If this worker may not grade.
    """
    try:
        return grade(config, name, student, snapshot)
    except (SandboxUnavailable, ClusterError):
        raise
    except AutograderError as error:
        return error
    except Exception as error:  # whatever it is, it is ours, and must not end the batch
        return _of_ours(error)


def _of_ours(error: Exception) -> AutograderError:
    return AutograderError(f"Grading stopped with {type(error).__name__}: {error}.", REPORT)


def grade_here(
    config: CourseConfig, name: str, student: str, snapshot: Snapshot, *, threads: int = 0
) -> SubmissionResult:
    """Grade one submission in this process, with a zygote that lives as long as it; see `Grader` for `threads`."""
    return grader_for(config, name, threads).grade_snapshot(snapshot, student)


def write_json(done: Iterable[Graded], folder: Path) -> Iterator[Graded]:
    """Yield each of `done` once its result stands in `<student>.json`; where that fails, with the error.

    Each file is waited for until the disk has it, which takes longer than all else here; so where many come at once,
    several are written at once.
    """
    with ThreadPoolExecutor(WRITERS) as pool:
        writing: deque[Future[Graded]] = deque()
        asked = time.monotonic()
        for one in done:
            writing.append(pool.submit(_write_json, one, folder))
            room = 0 if time.monotonic() - asked > SLOW_SECONDS else WRITERS
            while len(writing) > room:
                yield writing.popleft().result()
            asked = time.monotonic()
        for future in writing:
            yield future.result()


def _write_json(one: Graded, folder: Path) -> Graded:
    try:
        if one.result is not None:
            write_whole(folder / f"{one.student}.json", to_json(one.result))
    except OSError as error:
        return replace(one, error=AutograderError(f"{error}.", "Fix that, then grade again."))
    return one


class LocalWorkers:
    """Processes of this machine; a single one is this process itself.

    Args:
        config: The course's settings.
        name: Name of the assignment.
        jobs: Submissions graded at once; 0 means as many as processors and memory allow.
        most: How many submissions there are.
        grade: What grades one submission: a function of a module, since another process calls it.
    """

    died: tuple[type[Exception], ...] = (BrokenProcessPool,)
    elsewhere = False

    def __init__(
        self, config: CourseConfig, name: str, jobs: int = 0, most: int = sys.maxsize, grade: Grade | None = None
    ) -> None:
        self._config = config
        self._name = name
        self._jobs = min(jobs or config.jobs or default_jobs(), most)
        self._grade = grade or functools.partial(grade_here, threads=0 if self._jobs == 1 else 1)

    @property
    def room(self) -> int:
        """One where this process grades; else two for each worker."""
        return 1 if self._jobs == 1 else AHEAD * self._jobs

    @contextmanager
    def opened(self) -> Iterator[Submit]:
        """Yield what hands over one submission."""
        with _InThisProcess() if self._jobs == 1 else worker_pool(self._jobs) as executor:
            task = functools.partial(attempt, self._grade, self._config, self._name)
            yield lambda student, snapshot: executor.submit(task, student, snapshot)


class _InThisProcess(Executor):
    """Does at once what is submitted."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def default_jobs() -> int:
    """Return how many submissions this machine grades at once: by processors, and by memory that is free."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, _free_mib() // WORKER_MIB))


def _free_mib() -> int:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return WORKER_MIB
    sizes = dict(line.split(":", 1) for line in lines)
    return int(sizes["MemAvailable"].split()[0]) // 1024


@contextmanager
def worker_pool(
    workers: int, begin: Callable[..., None] | None = None, words: tuple[Any, ...] = ()
) -> Iterator[Executor]:
    """Yield a pool whose workers end with this process, and at once where it is interrupted.

    Args:
        workers: Number of processes.
        begin: What each does first.
        words: What it is called with.
    """
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    pool = _Pool(workers, mp_context=spawn, initializer=_begin_worker, initargs=(os.getpid(), begin, *words))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """Starts its workers deaf to ^C, which reaches them like this process while they still begin."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand over work; a worker that is started for it inherits what is blocked meanwhile."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker(parent: int, begin: Callable[..., None] | None, *words: Any) -> None:  # noqa: ANN401 - any
    """Tie a worker to the process that started it, which alone is interrupted by ^C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if sys.platform == "linux":
        die_with_parent()
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)
    if begin is not None:
        begin(*words)
