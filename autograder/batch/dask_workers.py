"""Grade on a Dask cluster: see whether its workers fit, send them the course's rules and submissions.

Nothing is shared but the network. What a worker must know of the course travels to each once, as a parcel that it
unpacks into a folder which only its user can read. The gradebook and `course_config.py`, which may name it, stay here.
`docs/cluster.md` says how to run a cluster.
"""

from __future__ import annotations

import functools
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autograder.batch.batch import AHEAD, Submit
from autograder.batch.outcome import ResultOrError, attempt
from autograder.batch.parcel import Parcel, installed_versions, pack, unpack
from autograder.config import Settings
from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.course.submission import Snapshot
from autograder.errors import ClusterError
from autograder.grading.result_store import CachedGrader
from autograder.results import SubmissionResult

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

CONNECT_SECONDS = 10.0
"""How long to wait for the scheduler."""
FIRST_WORKER_SECONDS = 60.0
"""How long to wait for the first worker."""
COUNT_SECONDS = 5.0
"""How long the number of workers is taken to stay as it was."""
MOST_NAMED = 3
"""Workers that an error names."""
SAME_SETUP = "Install the same requirements.lock and the same package for every worker; start each with --nthreads 1."


@dataclass(frozen=True)
class WorkerReport:
    """What a worker says of itself.

    Attributes:
        versions: What is installed there.
        threads: Tasks that it runs at once.
        gpu: Whether it was started with the resource GPU.
    """

    versions: Mapping[str, str]
    threads: int
    gpu: bool


class ClusterWorkers:
    """The workers of a Dask cluster.

    Args:
        client: Connected to its scheduler.
        parcel: The course's rules.
        gpu: Whether only workers with the resource GPU grade.
    """

    remote = True

    def __init__(self, client: Client, parcel: Parcel, *, gpu: bool) -> None:
        from distributed.scheduler import KilledWorker

        self._client = client
        self.gpu = gpu
        self._resources = {"GPU": 1} if gpu else {}
        # A task, not scattered data: Dask runs it again where every worker that held its result is gone.
        self._parcel: Future[Parcel] = client.submit(_same_parcel, parcel, pure=False)
        self._count = 0
        self._counted_at = -COUNT_SECONDS
        self.death_errors: tuple[type[Exception], ...] = (KilledWorker,)

    @property
    def capacity(self) -> int:
        """Two for each worker that is there now."""
        if time.monotonic() >= self._counted_at + COUNT_SECONDS:
            self._count, self._counted_at = len(self._client.nthreads()), time.monotonic()
        return AHEAD * max(1, self._count)

    @contextmanager
    def opened(self) -> Iterator[Submit]:
        """Yield the function that hands over one submission; what is not back at the end is cancelled."""
        executor = self._client.get_executor(pure=False, resources=self._resources)
        try:
            yield functools.partial(executor.submit, grade_remotely, self._parcel)
        finally:
            executor.shutdown(wait=False)


@contextmanager
def cluster_workers(address: str, course: Course, assignment: Assignment) -> Iterator[ClusterWorkers]:
    """Connect to a scheduler, and see that its workers have what this machine has.

    Args:
        address: Of the scheduler, such as `tcp://10.0.0.1:8786`.
        course: The course.
        assignment: What is graded.

    Raises:
        ClusterError: If Dask is missing, nobody answers, there is no worker, or one does not fit.
    """
    try:
        import dask

        # Before its settings are changed: leaving `config.set` removes what was not there on entering, which without
        # this import is all that Dask's cluster needs.
        import distributed  # noqa: F401
    except ImportError as error:
        raise ClusterError("--cluster needs Dask.", "Run: pip install 'vit-course-autograder[cluster]'") from error
    parcel = pack(course, assignment)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):  # submissions may be large
        with _connected(address) as client:
            gpu = _check_workers(course.settings, parcel.versions, _reports(client))
            yield ClusterWorkers(client, parcel, gpu=gpu)


def _connected(address: str) -> Client:
    """Return a client of the scheduler at this address.

    Raises:
        ClusterError: If nobody answers, at once where the machine itself says so.
    """
    from distributed import Client
    from distributed.comm.addressing import get_address_host_port

    try:
        socket.create_connection(get_address_host_port(address), CONNECT_SECONDS).close()  # Dask would try again
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, ValueError) as error:  # TimeoutError is an OSError
        remedy = "Start one with `dask scheduler`, or correct the address: it looks like tcp://10.0.0.1:8786."
        raise ClusterError(f"No Dask scheduler answers at {address}: {error}.", remedy) from error


def _reports(client: Client) -> dict[str, WorkerReport | Exception]:
    """Return what each worker says of itself, by address; an exception where it cannot even say that."""
    from distributed import TimeoutError as DaskTimeout

    try:
        client.wait_for_workers(1, timeout=FIRST_WORKER_SECONDS)
    except (DaskTimeout, TimeoutError) as error:
        remedy = "Start some with `dask worker --nthreads 1 ADDRESS`; a cluster that adapts needs a minimum of 1."
        raise ClusterError(f"The cluster has no worker after {FIRST_WORKER_SECONDS:.0f} s.", remedy) from error
    reports: dict[str, WorkerReport | Exception] = client.run(report, on_error="return")
    return reports


def report(dask_worker: Worker) -> WorkerReport:
    """Return what a worker is; runs in the worker, and Dask passes it by the name of the parameter."""
    state = dask_worker.state
    return WorkerReport(installed_versions(), state.nthreads, state.total_resources.get("GPU", 0) > 0)


def _check_workers(
    settings: Settings, versions: Mapping[str, str], reports: Mapping[str, WorkerReport | Exception]
) -> bool:
    """Return whether only workers with a GPU are to grade.

    Raises:
        ClusterError: If a worker does not fit.
    """
    misfits = {address: _misfit(versions, reports[address]) for address in sorted(reports)}
    problems = [f"{address}: {misfit}" for address, misfit in misfits.items() if misfit]
    if problems:
        more = f" And {len(problems) - MOST_NAMED} more." if len(problems) > MOST_NAMED else ""
        raise ClusterError(f"Workers do not fit. {' '.join(problems[:MOST_NAMED])}{more}", SAME_SETUP)
    gpus = any(isinstance(said, WorkerReport) and said.gpu for said in reports.values())
    if settings.device == "gpu" and not gpus:
        raise ClusterError(
            "course_config.py asks for a GPU, and no worker declares one.", "Start them with --resources 'GPU=1'."
        )
    return gpus and settings.device != "cpu"


def _misfit(versions: Mapping[str, str], said: WorkerReport | Exception) -> str:
    """Return a sentence on why a worker cannot grade; empty if it can."""
    if isinstance(said, Exception):
        return f"the package could not be used there ({type(said).__name__}: {said})."
    differing = [
        f"{name} {said.versions.get(name, 'missing')} (here {ours})"
        for name, ours in versions.items()
        if said.versions.get(name) != ours
    ]
    if differing:
        return f"{', '.join(differing)}."
    return "" if said.threads == 1 else f"it runs {said.threads} tasks at once; checks run one at a time."


def _same_parcel(parcel: Parcel) -> Parcel:
    return parcel


def grade_remotely(parcel: Parcel, student: str, snapshot: Snapshot) -> ResultOrError:
    """Grade one submission in a worker of the cluster.

    Raises:
        ClusterError: If this worker, which may have come late, does not fit.
        SandboxUnavailable: If a required layer of confinement is missing here.
    """
    return attempt(functools.partial(_grade, parcel), parcel.course, parcel.assignment, student, snapshot)


def _grade(parcel: Parcel, course: Course, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
    return _unpacked.grader(parcel).grade_snapshot(snapshot, student)


class _UnpackedCourse:
    """What a worker process has unpacked: one course at a time, since each holds a zygote."""

    def __init__(self) -> None:
        self._digest = ""
        self._folder: Path | None = None
        self._grader: CachedGrader | None = None

    def grader(self, parcel: Parcel) -> CachedGrader:
        """Return the grader for a parcel; what another parcel left is removed.

        Raises:
            ClusterError: If this worker does not fit.
        """
        if self._grader is None or self._digest != parcel.digest:
            self.clear()
            from distributed import get_worker

            worker = get_worker()
            if misfit := _misfit(parcel.versions, report(worker)):
                raise ClusterError(f"Worker {worker.address} does not fit: {misfit}", SAME_SETUP)
            self._folder = Path(tempfile.mkdtemp(prefix="autograder-", dir=worker.local_directory))
            course = unpack(parcel, self._folder)
            self._grader = CachedGrader(course, course.assignment(parcel.assignment), threads=1)
            self._digest = parcel.digest
        return self._grader

    def clear(self) -> None:
        """End the zygote and remove the files."""
        if self._grader is not None:
            self._grader.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._grader = self._folder = None


_unpacked = _UnpackedCourse()
