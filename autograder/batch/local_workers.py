"""Grade in processes of this machine, or, where one is enough, in this process itself."""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import Any, ParamSpec, TypeVar

import psutil

from autograder.batch.batch import AHEAD, Submit
from autograder.batch.outcome import Grade, attempt
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.grading.gpu import may_use_gpu
from autograder.grading.result_store import grader_for
from autograder.results import SubmissionResult
from autograder.sandbox.confine import die_with_parent

WORKER_BYTES = 3 << 30
"""Memory that one worker needs: its zygote's libraries, and a student process that trains."""

P = ParamSpec("P")
T = TypeVar("T")


class LocalWorkers:
    """Processes of this machine; a single one is this process itself.

    Args:
        course: The course.
        name: Name of the assignment.
        jobs: Submissions graded at once; 0 means as many as processors and memory allow.
        most: How many submissions there are.
        grade: Grades one submission. It must be a function of a module, since another process calls it.
    """

    death_errors: tuple[type[Exception], ...] = (BrokenProcessPool,)
    remote = False

    def __init__(
        self, course: Course, name: str, jobs: int = 0, most: int = sys.maxsize, grade: Grade | None = None
    ) -> None:
        self._course = course.for_workers()
        self._name = name
        self.gpu = may_use_gpu(course.settings)
        self._jobs = min(jobs or course.settings.jobs or default_jobs(), most)
        self._grade = grade or functools.partial(grade_here, threads=0 if self._jobs == 1 else 1)

    @property
    def capacity(self) -> int:
        """One where this process grades; else two for each worker."""
        return 1 if self._jobs == 1 else AHEAD * self._jobs

    @contextmanager
    def opened(self) -> Iterator[Submit]:
        """Yield the function that hands over one submission."""
        with InThisProcess() if self._jobs == 1 else worker_pool(self._jobs) as executor:
            task = functools.partial(attempt, self._grade, self._course, self._name)
            yield lambda student, snapshot: executor.submit(task, student, snapshot)


def grade_here(course: Course, name: str, student: str, snapshot: Snapshot, *, threads: int = 0) -> SubmissionResult:
    """Grade one submission in this process, with a zygote that lives as long as it; see `Grader` for `threads`."""
    return grader_for(course, name, threads).grade_snapshot(snapshot, student)


def default_jobs() -> int:
    """Return how many submissions this machine grades at once: by processors, and by memory that is free."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(processors, psutil.virtual_memory().available // WORKER_BYTES))


class InThisProcess(Executor):
    """Runs at once what is submitted."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Return a future that is done."""
        future: Future[T] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


@contextmanager
def worker_pool(
    workers: int, initializer: Callable[..., None] | None = None, arguments: tuple[Any, ...] = ()
) -> Iterator[Executor]:
    """Yield a pool of processes that end with this one, and at once where it is interrupted.

    Args:
        workers: Number of processes.
        initializer: What each process calls first.
        arguments: Its arguments.
    """
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    place = _Place(os.getpid(), workers, spawn.Value("i", 0))
    pool = _Pool(workers, mp_context=spawn, initializer=_begin_worker, initargs=(place, initializer, *arguments))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


class _Pool(ProcessPoolExecutor):
    """Starts its workers with ^C blocked: the terminal sends it to them, too, while they still begin."""

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Hand over work; a worker that is started for it inherits which signals are blocked."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(function, *args, **kwargs)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


@dataclass(frozen=True)
class _Place:
    """The processors that one of several workers may use.

    Attributes:
        parent: The process that starts the workers.
        workers: How many there are at once.
        started: How many have begun so far, counted by them.
    """

    parent: int
    workers: int
    started: Synchronized[int]

    def take_processors(self) -> None:
        """Keep this worker and all that it starts to a share of the processors, so that none slows another down.

        Student processes cannot choose others: their filter has no such call.
        """
        with self.started.get_lock():
            number, self.started.value = self.started.value, self.started.value + 1
        processors = sorted(os.sched_getaffinity(0))
        first = number % min(self.workers, len(processors))
        os.sched_setaffinity(0, processors[first :: self.workers])


def _begin_worker(place: _Place, initializer: Callable[..., None] | None, *arguments: Any) -> None:  # noqa: ANN401 - any
    """Tie a worker to the process that started it, which alone is interrupted by ^C, and to its processors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if sys.platform == "linux":
        die_with_parent()
        place.take_processors()
    if os.getppid() != place.parent:  # it ended before the line above
        os._exit(1)
    if initializer is not None:
        initializer(*arguments)
