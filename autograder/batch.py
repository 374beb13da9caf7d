"""Grade many submissions: find them, grade them in parallel, hand on each result as it comes."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from autograder.assignment import Assignment
from autograder.config import CourseConfig
from autograder.errors import AutograderError, SandboxUnavailable, UsageError
from autograder.nearest import did_you_mean
from autograder.results import SubmissionResult
from autograder.sandbox import die_with_parent
from autograder.store import grader_for

WORKER_MIB = 3072
"""Memory that one worker needs: its zygote's libraries, and a student process that trains."""
TRIES = 2
LOST_WORKER = "The machine may be short of memory: end other programs, or grade with --jobs 1."
REPORT = "That is an error of ours: report it, with what `python -m autograder doctor` prints."


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


def discover(submitted: Path, assignment: str, students: Sequence[str] = ()) -> dict[str, Path]:
    """Return student to submission folder, for `submitted/<student>/<assignment>/`, in order.

    Args:
        submitted: The folder with one folder a student.
        assignment: Name of the assignment.
        students: Only these; none means all.

    Raises:
        UsageError: If there is no submission, or one of `students` has none.
    """
    found = {path.parent.name: path for path in sorted(submitted.glob(f"*/{assignment}")) if path.is_dir()}
    missing = [name for name in students if name not in found]
    if missing:
        raise UsageError(
            f"No submission of {missing[0]} in {submitted}: expected {submitted / missing[0] / assignment}.",
            did_you_mean(missing[0], found),
        )
    if not found:
        raise UsageError(f"No submissions in {submitted}.", f"Expected folders <student>/{assignment}/ in it.")
    return {name: path for name, path in found.items() if not students or name in students}


def grade_all(
    config: CourseConfig, assignment: Assignment, folders: Mapping[str, Path], jobs: int = 0
) -> Iterator[Graded]:
    """Grade submissions and yield each as it is done: first those whose results exist already.

    Args:
        config: The course's settings.
        assignment: What is graded.
        folders: Student to folder, from `discover`.
        jobs: Submissions graded at once; 0 means as many as processors and memory allow.

    Raises:
        SandboxUnavailable: If a required layer of confinement is missing: then nothing can be graded.
    """
    waiting = dict(folders)
    here = grader_for(config, assignment.name)
    for student, folder in folders.items():
        if not student.isprintable():  # control characters, or bytes that are no text
            del waiting[student]
            problem = AutograderError(f"{student!a} cannot be a student's id.", "Rename the submission's folder.")
            yield Graded(student, folder, None, problem)
            continue
        known = None
        with suppress(AutograderError, OSError):  # grading it will say so, and the batch goes on
            known = here.known(folder, student)
        if known is not None:
            del waiting[student]
            yield Graded(student, folder, known, kept=True)
    workers = min(jobs or config.jobs or default_jobs(), len(waiting))
    if workers == 1:
        for student, folder in waiting.items():
            yield _grade_here(config, assignment.name, student, folder)
    elif waiting:
        yield from _grade_in_pool(config, assignment.name, waiting, workers)


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


def _grade_in_pool(config: CourseConfig, name: str, waiting: dict[str, Path], workers: int) -> Iterator[Graded]:
    """Grade in worker processes; where one dies, go on in new ones, and at last one submission at a time."""
    for _ in range(TRIES):
        with _pool(workers) as pool:
            for graded in _gather(pool, config, name, waiting):
                del waiting[graded.student]
                yield graded
        if not waiting:
            return
    while waiting:
        with _pool(1) as pool:
            yield from _grade_singly(pool, config, name, waiting)


@contextmanager
def _pool(workers: int) -> Iterator[Executor]:
    """Yield a pool whose workers end with this process, and at once where it is interrupted."""
    others = set(multiprocessing.active_children())
    spawn = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=spawn, initializer=_begin_worker, initargs=(os.getpid(),))
    try:
        yield pool
    except BaseException:
        for process in set(multiprocessing.active_children()) - others:
            process.kill()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker(parent: int) -> None:
    """Tie a worker to the process that started it, which alone is interrupted by ^C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        die_with_parent()
    if os.getppid() != parent:  # it ended before the line above
        os._exit(1)


def _gather(pool: Executor, config: CourseConfig, name: str, waiting: Mapping[str, Path]) -> Iterator[Graded]:
    """Yield what comes; end early where a worker dies."""
    futures: list[Future[Graded]] = []
    with suppress(BrokenProcessPool):
        for student, folder in waiting.items():
            futures.append(pool.submit(_grade_here, config, name, student, folder, threads=1))
        for future in as_completed(futures):
            yield future.result()


def _grade_singly(pool: Executor, config: CourseConfig, name: str, waiting: dict[str, Path]) -> Iterator[Graded]:
    """Yield one after another, up to one that takes its worker along: that one is in error, the others are not."""
    for student, folder in list(waiting.items()):
        del waiting[student]
        try:
            yield pool.submit(_grade_here, config, name, student, folder, threads=1).result()
        except BrokenProcessPool:
            problem = AutograderError("The worker process that graded it died.", LOST_WORKER)
            yield Graded(student, folder, None, problem)
            return


def _grade_here(config: CourseConfig, name: str, student: str, folder: Path, *, threads: int = 0) -> Graded:
    try:
        return Graded(student, folder, grader_for(config, name, threads).grade(folder, student))
    except SandboxUnavailable:
        raise
    except AutograderError as error:
        return Graded(student, folder, None, error)
    except Exception as error:  # whatever it is, it is ours, and must not end the batch
        problem = AutograderError(f"Grading stopped with {type(error).__name__}: {error}.", REPORT)
        return Graded(student, folder, None, problem)
