"""Grade on a Dask cluster: see whether its workers fit, ship the course's rules and the submissions, take results back.

Nothing is shared but the network. What a worker must know of the course travels once to each: a parcel of its rule
files, the secret among them, unpacked into a folder that only the worker's user can read. The gradebook and
`course_config.py`, which may name it, stay here. `docs/cluster.md` says how to run one.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

from autograder import __version__
from autograder.batch.batch import AHEAD, Outcome, Submit, attempt
from autograder.config import CourseConfig
from autograder.course.assignment import MODULE, Assignment, load_assignment
from autograder.course.submission import Snapshot
from autograder.errors import ClusterError
from autograder.grading.grader import course_secret
from autograder.grading.result_store import LIBRARIES, CachedGrader
from autograder.grading.rules_digest import package_digest
from autograder.results import SubmissionResult

if TYPE_CHECKING:
    from distributed import Client, Future, Worker

CONNECT_SECONDS = 10.0
"""How long to wait for the scheduler."""
WORKER_SECONDS = 60.0
"""How long to wait for the first worker."""
COUNT_SECONDS = 5.0
"""How long the number of workers is taken to stay as it was."""
NAMED = 3
"""Workers that an error names."""
SAME = (*LIBRARIES, "msgspec", "cloudpickle", "dask", "distributed")
"""Libraries of which client and workers need the same versions, besides Python and this package."""


@dataclass(frozen=True)
class Parcel:
    """What a worker must know of the course.

    Attributes:
        config: The settings; the worker puts a folder of its own in place of `root`.
        assignment: Name of the assignment.
        files: Relative POSIX path to content of the files that grading reads.
        versions: What is installed where the course is.
    """

    config: CourseConfig
    assignment: str
    files: Mapping[str, bytes]
    versions: Mapping[str, str]

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over all of it, the client's own folder left out."""
        settings = {name: value for name, value in asdict(self.config).items() if name != "root"}
        whole = hashlib.sha256(
            repr((self.assignment, sorted(settings.items()), sorted(self.versions.items()))).encode()
        )
        for name, content in sorted(self.files.items()):
            whole.update(f"{len(name.encode())} {len(content)}\n{name}".encode() + content)
        return whole.hexdigest()


@dataclass(frozen=True)
class Report:
    """What a worker says of itself.

    Attributes:
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

    elsewhere = True

    def __init__(self, client: Client, parcel: Parcel, *, gpu: bool) -> None:
        from distributed.scheduler import KilledWorker

        self._client = client
        self._resources = {"GPU": 1} if gpu else {}
        # A task, not data put there: Dask makes it again where every worker that had it is gone.
        self._parcel: Future[Parcel] = client.submit(_parcel_itself, parcel, pure=False)
        self._count = 0
        self._counted = -COUNT_SECONDS
        self.died: tuple[type[Exception], ...] = (KilledWorker,)

    @property
    def room(self) -> int:
        """Two for each worker that is there now."""
        if time.monotonic() >= self._counted + COUNT_SECONDS:
            self._count, self._counted = len(self._client.nthreads()), time.monotonic()
        return AHEAD * max(1, self._count)

    @contextmanager
    def opened(self) -> Iterator[Submit]:
        """Yield what hands over one submission; what is not back at the end is cancelled."""
        executor = self._client.get_executor(pure=False, resources=self._resources)
        try:
            yield functools.partial(executor.submit, grade_there, self._parcel)
        finally:
            executor.shutdown(wait=False)


@contextmanager
def cluster_workers(address: str, config: CourseConfig, assignment: Assignment) -> Iterator[ClusterWorkers]:
    """Connect to a scheduler and see that its workers are as this machine is.

    Args:
        address: Of the scheduler, such as `tcp://10.0.0.1:8786`.
        config: The course's settings.
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
    parcel = pack(config, assignment)
    with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 GiB"}):  # submissions may be large
        with _connected(address) as client:
            gpu = _fit(config, parcel.versions, _reports(client))
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
        remedy = "Start one with `dask scheduler`, or fix the address: it looks like tcp://10.0.0.1:8786."
        raise ClusterError(f"No Dask scheduler answers at {address}: {error}.", remedy) from error


def installed() -> dict[str, str]:
    """Return the versions, and the code, that the results of this process depend on."""
    own = {"python": platform.python_version(), "autograder": f"{__version__} (code {package_digest()[:12]})"}
    return own | {name: _version(name) for name in SAME}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _reports(client: Client) -> dict[str, Report | Exception]:
    from distributed import TimeoutError as DaskTimeout

    try:
        client.wait_for_workers(1, timeout=WORKER_SECONDS)
    except (DaskTimeout, TimeoutError) as error:
        remedy = "Start some with `dask worker --nthreads 1 ADDRESS`; a cluster that adapts needs a minimum of 1."
        raise ClusterError(f"The cluster has no worker after {WORKER_SECONDS:.0f} s.", remedy) from error
    reports: dict[str, Report | Exception] = client.run(report, on_error="return")
    return reports


def report(dask_worker: Worker) -> Report:
    """Return what a worker is; runs there."""
    state = dask_worker.state
    return Report(installed(), state.nthreads, state.total_resources.get("GPU", 0) > 0)


def _fit(config: CourseConfig, versions: Mapping[str, str], reports: Mapping[str, Report | Exception]) -> bool:
    """Return whether only workers with a GPU grade.

    Raises:
        ClusterError: If a worker does not fit.
    """
    problems = [f"{address}: {why}" for address, one in sorted(reports.items()) if (why := _misfit(versions, one))]
    if problems:
        more = f" And {len(problems) - NAMED} more." if len(problems) > NAMED else ""
        raise ClusterError(f"Workers do not fit. {' '.join(problems[:NAMED])}{more}", _REMEDY)
    gpus = any(isinstance(one, Report) and one.gpu for one in reports.values())
    if config.device == "gpu" and not gpus:
        raise ClusterError(
            "course_config.py asks for a GPU, and no worker declares one.", "Start them with --resources 'GPU=1'."
        )
    return gpus and config.device != "cpu"


_REMEDY = "Install the same requirements.lock and the same package for every worker; start each with --nthreads 1."


def _misfit(versions: Mapping[str, str], one: Report | Exception) -> str:
    """Return a sentence on why a worker cannot grade, or nothing."""
    if isinstance(one, Exception):
        return f"the package could not be used there ({type(one).__name__}: {one})."
    differing = [
        f"{name} {one.versions.get(name, 'missing')} (here {ours})"
        for name, ours in versions.items()
        if one.versions.get(name) != ours
    ]
    if differing:
        return f"{', '.join(differing)}."
    return "" if one.threads == 1 else f"it runs {one.threads} tasks at once; checks run one at a time."


def pack(config: CourseConfig, assignment: Assignment) -> Parcel:
    """Return the course's rules as they are now: checks, built notebook, stubs, solution and secret."""
    course_secret(config)  # makes it
    below_checks = (path for path in sorted(assignment.checks_dir.rglob("*")) if path.is_file())
    paths = [
        *(path for path in below_checks if "__pycache__" not in path.parts),
        assignment.notebook_path,
        assignment.source_dir / f"{MODULE}.py",
        assignment.solution_dir / f"{MODULE}.py",
        config.state_dir / "secret",
    ]
    files = {path.relative_to(config.root).as_posix(): path.read_bytes() for path in paths}
    return Parcel(config, assignment.name, files, installed())


def unpack(parcel: Parcel, folder: Path) -> CourseConfig:
    """Write a parcel's files below an empty folder, for this user alone, and return the settings with it as the course.

    Args:
        parcel: From `pack`.
        folder: Made by `tempfile.mkdtemp`, so that nobody else can enter it.
    """
    for name, content in parcel.files.items():
        path = folder / name
        for above in reversed(path.relative_to(folder).parents):
            (folder / above).mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    return replace(parcel.config, root=folder)


def _parcel_itself(parcel: Parcel) -> Parcel:
    return parcel


def grade_there(parcel: Parcel, student: str, snapshot: Snapshot) -> Outcome:
    """Grade one submission in a worker of the cluster.

    Raises:
        ClusterError: If this worker, which may have come late, does not fit.
        SandboxUnavailable: If a required layer of confinement is missing here.
    """
    return attempt(functools.partial(_grade, parcel), parcel.config, parcel.assignment, student, snapshot)


def _grade(parcel: Parcel, config: CourseConfig, name: str, student: str, snapshot: Snapshot) -> SubmissionResult:
    return _desk.grader(parcel).grade_snapshot(snapshot, student)


class _Desk:
    """What a worker process has unpacked: one course at a time, since each holds a zygote."""

    def __init__(self) -> None:
        self._digest = ""
        self._folder: Path | None = None
        self._grader: CachedGrader | None = None

    def grader(self, parcel: Parcel) -> CachedGrader:
        """Return the grader for a parcel; what another parcel left is put away."""
        if self._grader is None or self._digest != parcel.digest:
            self.clear()
            from distributed import get_worker

            worker = get_worker()
            if why := _misfit(parcel.versions, report(worker)):
                raise ClusterError(f"Worker {worker.address} does not fit: {why}", _REMEDY)
            self._folder = Path(tempfile.mkdtemp(prefix="autograder-", dir=worker.local_directory))
            config = unpack(parcel, self._folder)
            self._grader = CachedGrader(config, load_assignment(config.root, parcel.assignment), threads=1)
            self._digest = parcel.digest
        return self._grader

    def clear(self) -> None:
        """End the zygote and remove the files."""
        if self._grader is not None:
            self._grader.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._grader = self._folder = None


_desk = _Desk()
