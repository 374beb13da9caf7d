"""Grade many submissions: find them, grade them in parallel, and yield each as it comes back.

`Workers` are where they are graded: processes of this machine (`local_workers`) or a cluster (`dask_workers`). Both
use an executor of `concurrent.futures` and get submissions as bytes. However many wait, only a few are in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import Protocol

from autograder.batch.misplaced import in_folder, misplaced
from autograder.batch.outcome import GradedSubmission, ResultOrError, internal_error
from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import RENAME, AutograderError, ClusterError, MachineBusy, UsageError
from autograder.files import folders_of, two_folders
from autograder.grading.result_store import CachedGrader, grader_for
from autograder.suggestions import did_you_mean
from autograder.text import one_form, problem_with_id

AHEAD = 2
"""Submissions handed over for each worker: one that is graded, one that waits for it."""
MOST_BYTES = 1 << 29
"""Size of all submissions handed over, unless a single one is larger."""
MOST_REMEDIES = 3
"""Things in the wrong place that are named where nothing is in the right one."""
TRIES = 2
"""How often a submission that was handed over when a worker died is graded alone before it is given up."""
LOST_WORKER = "The machine may be short of memory: end other programs, or grade with --jobs 1."

Submit = Callable[[str, Snapshot], "Future[ResultOrError]"]
"""Hands a student's submission over to the workers."""


class Workers(Protocol):
    """The executor that grades submissions, and how many it grades at once."""

    @property
    def death_errors(self) -> tuple[type[Exception], ...]:
        """What a future raises, or `submit` itself, when a worker ended while it graded."""

    @property
    def capacity(self) -> int:
        """How many submissions may be with the workers at once."""

    @property
    def remote(self) -> bool:
        """Whether they run on other machines, so that their results must be stored in the course folder here."""

    @property
    def gpu(self) -> bool:
        """Whether they are to use a GPU."""

    def opened(self) -> AbstractContextManager[Submit]:
        """Return the function that hands over one submission; entered again after a worker died."""


def discover(submitted: Path, assignment: str, students: Sequence[str] = ()) -> dict[str, Path]:
    """Return student to submission folder, for `submitted/<student>/<assignment>/`, in order.

    Args:
        submitted: The folder with one folder a student.
        assignment: Name of the assignment.
        students: Only these; none means all.

    Raises:
        UsageError: If there is no submission, or one of `students` has none, or two.
    """
    names, twice = _names(submitted, assignment), two_folders(submitted, assignment)
    for student in students:
        if one_form(student) in twice:
            raise UsageError(twice[one_form(student)])
    wanted = {one_form(student) for student in students} or set(names)
    folders = {name: submitted / folder / assignment for name, folder in names.items() if name in wanted}
    found = {name: folder for name, folder in folders.items() if folder.is_dir()}
    missing = [name for name in students if one_form(name) not in found]
    if missing:
        student = missing[0]
        raise UsageError(
            f"No submission of {student} in {submitted}: expected {submitted / student / assignment}.",
            in_folder(submitted / student, assignment) or did_you_mean(student, set(names) - {one_form(student)}),
        )
    if not found:
        remedies = [sentence for _, sentence in islice(misplaced(submitted, assignment), MOST_REMEDIES)]
        expected = f"Expected folders <student>/{assignment}/ in it."
        raise UsageError(f"No submissions in {submitted}.", " ".join([expected, *remedies]))
    return found


def _names(submitted: Path, assignment: str) -> dict[str, str]:
    """Return student to folder, in order: a name with an accent can be written in two ways, and is one student.

    Who handed in in both ways is left out.
    """
    names: dict[str, str] = {}
    for student, folders in folders_of(submitted).items():
        there = [folder for folder in folders if (submitted / folder / assignment).is_dir()]
        if len(there) < 2:
            names[student] = (there or folders)[0]
    return dict(sorted(names.items()))


def grade_all(
    course: Course, assignment: Assignment, folders: Mapping[str, Path], workers: Workers
) -> Iterator[GradedSubmission]:
    """Grade submissions and yield each as it is done; one with a cached result is not graded again.

    Args:
        course: The course.
        assignment: What is graded.
        folders: Student to folder, from `discover`.
        workers: Where they are graded.

    Raises:
        SandboxUnavailable: If a required layer of confinement is missing: then nothing can be graded.
        GpuUnavailable: If the course demands a GPU that cannot be used.
        ClusterError: If the workers cannot be used.
    """
    return _Batch(grader_for(course, assignment.name), folders, workers).run()


@dataclass(frozen=True)
class _Waiting:
    """A submission that was read and has to be graded."""

    student: str
    folder: Path
    snapshot: Snapshot

    @property
    def size(self) -> int:
        """Bytes of its files."""
        return sum(map(len, self.snapshot.files.values()))


@dataclass(frozen=True)
class _Suspect:
    """A submission that has to be graded alone.

    It was with the workers when one of them died, perhaps because of it, or something beside it kept it from running.
    """

    student: str
    folder: Path
    tries: int = TRIES


class _Batch:
    """One run of `grade_all`.

    A submission is *discovered* (its folder is known), then *waiting* (read, and nothing is cached for it), then
    *handed over* to the workers, and at last *back*. When a worker dies, nobody can tell which of those handed over was
    its death: all that are lost with it become *suspects*, and so does one whose process something beside it kept from
    running. Suspects are graded at the end, one at a time, so that only the one that kills workers ends in an error.

    Args:
        grader: Knows cached results, and stores those of remote workers.
        folders: Student to folder.
        workers: Where submissions are graded.
    """

    def __init__(self, grader: CachedGrader, folders: Mapping[str, Path], workers: Workers) -> None:
        self._grader = grader
        self._workers = workers
        self._discovered = deque(folders.items())
        self._handed_over: dict[Future[ResultOrError], _Waiting] = {}
        self._back: SimpleQueue[Future[ResultOrError]] = SimpleQueue()
        self._suspects: deque[_Suspect] = deque()

    def run(self) -> Iterator[GradedSubmission]:
        """Yield each submission as it is done, the suspects last."""
        while self._discovered:
            with self._workers.opened() as submit:
                yield from self._grade_together(submit)
        while self._suspects:
            with self._workers.opened() as submit:
                yield from self._grade_suspects(submit)

    def _grade_together(self, submit: Submit) -> Iterator[GradedSubmission]:
        """Keep the workers busy until all submissions are back; after a broken executor, all that it had."""
        working = True
        while True:
            while working and self._discovered and self._has_capacity():
                student, folder = self._discovered.popleft()
                found = self._look_up(student, folder)
                if isinstance(found, GradedSubmission):
                    yield found
                elif not self._hand_over(found, submit):
                    self._discovered.appendleft((student, folder))  # first in line for the next executor
                    working = False
            if not self._handed_over:
                return
            graded = self._take_back()
            if graded is not None:
                yield graded

    def _has_capacity(self) -> bool:
        """Return whether one more may be handed over; a single one always may, however large."""
        size = sum(waiting.size for waiting in self._handed_over.values())
        return not self._handed_over or (len(self._handed_over) < self._workers.capacity and size < MOST_BYTES)

    def _hand_over(self, waiting: _Waiting, submit: Submit) -> bool:
        """Hand over one submission; return False if the executor is broken."""
        try:
            future = submit(waiting.student, waiting.snapshot)
        except self._workers.death_errors:
            return False
        self._handed_over[future] = waiting
        future.add_done_callback(self._back.put)
        return True

    def _take_back(self) -> GradedSubmission | None:
        """Wait for one submission and return what came of it; None if it is now a suspect."""
        future = self._back.get()
        waiting = self._handed_over.pop(future)
        try:
            answer = self._answer(future)
        except self._workers.death_errors:
            self._suspects.append(_Suspect(waiting.student, waiting.folder))
            return None
        if isinstance(answer, MachineBusy):
            self._suspects.append(_Suspect(waiting.student, waiting.folder))
            return None
        return self._finished(waiting, answer)

    def _grade_suspects(self, submit: Submit) -> Iterator[GradedSubmission]:
        """Grade one suspect after another, until none is left or a worker dies again."""
        while self._suspects:
            suspect = self._suspects.popleft()
            found = self._look_up(suspect.student, suspect.folder)
            if isinstance(found, GradedSubmission):
                yield found
                continue
            try:
                answer = self._answer(submit(found.student, found.snapshot))
            except self._workers.death_errors:
                if suspect.tries > 1:
                    self._suspects.append(replace(suspect, tries=suspect.tries - 1))
                else:
                    error = AutograderError("The worker process that graded it died.", LOST_WORKER)
                    yield GradedSubmission(suspect.student, suspect.folder, None, error)
                return
            yield self._finished(found, answer)

    def _look_up(self, student: str, folder: Path) -> GradedSubmission | _Waiting:
        """Read a submission; it is done at once if its result is cached, or if it cannot be graded."""
        if not student.isprintable():  # control characters, or bytes that are no text
            error = AutograderError(problem_with_id(student), RENAME)
            return GradedSubmission(student, folder, None, error)
        try:
            found = self._grader.look_up(folder, student)
        except AutograderError as error:
            return GradedSubmission(student, folder, None, error)
        except Exception as error:  # the batch goes on
            return GradedSubmission(student, folder, None, internal_error(error))
        if found.result is not None:
            return GradedSubmission(student, folder, found.result, snapshot=found.snapshot, cached=True)
        return _Waiting(student, folder, found.snapshot)

    def _answer(self, future: Future[ResultOrError]) -> ResultOrError:
        """Wait for a worker's answer.

        Raises:
            AutograderError: If no submission can be graded.
            ClusterError: If the worker could not even begin.
        """
        try:
            return future.result()
        except AutograderError:
            raise
        except self._workers.death_errors:
            raise
        except Exception as error:
            problem = f"A worker could not begin to grade: {type(error).__name__}: {error}."
            remedy = "Is the same package installed for every worker, and do they still run?"
            raise ClusterError(problem, remedy) from error

    def _finished(self, waiting: _Waiting, answer: ResultOrError) -> GradedSubmission:
        if isinstance(answer, AutograderError):
            return GradedSubmission(waiting.student, waiting.folder, None, answer)
        if self._workers.remote:
            try:
                self._grader.cache(waiting.snapshot, answer)
            except OSError as error:
                return GradedSubmission(waiting.student, waiting.folder, None, internal_error(error))
        return GradedSubmission(waiting.student, waiting.folder, answer, snapshot=waiting.snapshot)
