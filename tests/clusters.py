"""Run a Dask scheduler and its workers as separate processes, over TCP on loopback."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"
END_SECONDS = 30
START_SECONDS = 120


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


@contextmanager
def _running(words: Sequence[str], log: Path, **environment: str) -> Iterator[None]:
    """Run one of Dask's programs; at the end stop it and whatever it started."""
    program = [sys.executable, "-m", "distributed.cli." + words[0], *words[1:]]
    with log.open("ab") as file:
        process = subprocess.Popen(program, stdout=file, stderr=file, env=os.environ | environment, cwd=log.parent)
    family = psutil.Process(process.pid)
    try:
        yield
    finally:
        below = family.children(recursive=True) if process.poll() is None else []
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for survivor in psutil.wait_procs(below, END_SECONDS)[1]:
            survivor.kill()


@contextmanager
def worker(address: str, folder: Path, *words: str) -> Iterator[None]:
    """Run one worker with its nanny; it is there when the scheduler says so."""
    words = ("dask_worker", address, "--nthreads", "1", "--no-dashboard", "--local-directory", str(folder), *words)
    with _running(words, folder / "log"):
        yield


@contextmanager
def cluster(folder: Path, workers: int, allowed_failures: int = 3) -> Iterator[str]:
    """Run a scheduler with some workers, and yield its address once they are all there.

    Args:
        folder: An empty folder for logs and what workers write.
        workers: How many; each grades one submission at a time.
        allowed_failures: Deaths of workers after which Dask gives up a task.
    """
    from distributed import Client

    port = free_port()
    address = f"tcp://{LOOPBACK}:{port}"
    allowed = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(allowed_failures)}
    with ExitStack() as stack:
        words = ("dask_scheduler", "--host", LOOPBACK, "--port", str(port), "--no-dashboard")
        stack.enter_context(_running(words, folder / "log", **allowed))
        for number in range(workers):
            place = folder / f"worker-{number}"
            place.mkdir(parents=True)
            stack.enter_context(worker(address, place))
        with Client(address, timeout=START_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)
        yield address
