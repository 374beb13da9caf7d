"""The grader's end of a zygote: start it, and have it fork student processes."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple

import msgspec

from autograder import wire
from autograder.errors import MalformedReply, SandboxUnavailable, StudentDied, StudentTimeout, ZygoteError
from autograder.sandbox.policy import Policy
from autograder.sandbox.remedies import unavailable

START_SECONDS = 180.0
SPAWN_SECONDS = 30.0
REFUSAL_SECONDS = 1.0
LARGEST_FIRST_REPLY = 1 << 16
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ", "XDG_CACHE_HOME")


class Spawned(NamedTuple):
    """The grader's ends of one student process.

    Attributes:
        requests: Descriptor to write questions to.
        replies: Descriptor to read answers from.
        pidfd: To kill it by.
        watchdog: Where its watchdog reports what it printed, and in the end which bound it overran, if any.
    """

    requests: int
    replies: int
    pidfd: int
    watchdog: socket.socket


class Zygote:
    """One zygote process, which imports TensorFlow once and forks student processes; a context manager.

    Args:
        threads: Threads that TensorFlow uses in each student process; 0 leaves it to TensorFlow.
        gpu: Whether student processes may use the GPU.
        preload: Modules that student processes find imported, besides TensorFlow and the like; the zygote imports
            them after the first fork, so that the first answers need not wait.
    """

    def __init__(self, *, threads: int = 0, gpu: bool = False, preload: Sequence[str] = ()) -> None:
        if not sys.platform.startswith("linux"):
            raise SandboxUnavailable(
                f"Grading needs Linux (this is {sys.platform}): namespaces and Landlock are Linux kernel features.",
                "Use a Linux machine, a virtual machine or a container; building and reading feedback work anywhere.",
            )
        from autograder.sandbox.confine import hide_memory

        hide_memory()  # the hidden checks are in it
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own module, fixed words
                [sys.executable, "-I", "-m", "autograder.student_side.zygote", str(theirs.fileno()), *preload],
                pass_fds=[theirs.fileno()],
                env=environment_of(threads, gpu),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                cwd="/",
            )
        self._control = ours
        self._started = False
        self._forked = False
        self._complete = not preload
        self.gpu = gpu

    def __enter__(self) -> Zygote:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def wait_until_ready(self) -> None:
        """Wait until everything is imported.

        Raises:
            ZygoteError: If the imports fail or take too long.
        """
        if not self._started:
            self._receive_ready()
            self._started = True

    @property
    def complete(self) -> bool:
        """Whether the student process that was forked last found the modules to preload imported."""
        return self._complete

    def _wait_for_preloads(self) -> None:
        """Wait for the modules to preload, unless this is the first fork, beside which they are imported."""
        if self._forked and not self._complete:
            self._receive_ready()
            self._complete = True
        self._forked = True

    def _receive_ready(self) -> None:
        self._control.settimeout(START_SECONDS)
        try:
            ready = self._control.recv(1)
        except TimeoutError as error:
            raise ZygoteError(f"The libraries were not imported within {START_SECONDS:.0f} s.") from error
        except OSError:
            ready = b""
        if not ready:
            raise ZygoteError(f"The process that imports TensorFlow failed: {self._last_words()}", "Run: make install")

    def spawn(self, policy: Policy) -> Spawned:
        """Fork one student process.

        Raises:
            SandboxUnavailable: If a layer that is put up outside the process is missing.
            ZygoteError: If the zygote is gone.
        """
        self.wait_until_ready()
        self._wait_for_preloads()
        requests_out, requests_in = os.pipe()
        replies_out, replies_in = os.pipe()
        watchdog, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        try:
            order = msgspec.msgpack.encode(policy)
            socket.send_fds(self._control, [order], [requests_out, replies_in, theirs.fileno()])
        except OSError as error:
            raise ZygoteError("The process that imports TensorFlow is gone.") from error
        finally:
            for descriptor in (requests_out, replies_in):
                os.close(descriptor)
            theirs.close()
        for descriptor in (requests_in, replies_out):
            os.set_blocking(descriptor, False)
        return Spawned(requests_in, replies_out, _receive_pidfd(watchdog, replies_out), watchdog)

    @property
    def alive(self) -> bool:
        """Whether it holds its end of the socket, which the kernel closes before it kills what the zygote forked."""
        if not self._started or not _readable(self._control):
            return True
        with suppress(OSError):
            return bool(self._control.recv(1, socket.MSG_PEEK))  # it may have said that it is complete
        return False

    def close(self) -> None:
        """End the zygote and with it every process it forked."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        if self._process.stderr:
            self._process.stderr.close()

    def _last_words(self) -> str:
        self._process.kill()
        text = self._process.stderr.read() if self._process.stderr else b""
        lines = [line for line in text.decode(errors="replace").splitlines() if line.strip()]
        return lines[-1] if lines else f"exit status {self._process.wait()}"


def _readable(control: socket.socket) -> bool:
    poller = select.poll()
    poller.register(control, select.POLLIN)
    return bool(poller.poll(0))


def environment_of(threads: int, gpu: bool) -> dict[str, str]:
    """Return the environment variables of a zygote; for the arguments see `Zygote`."""
    environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    environment |= {"MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONNOUSERSITE": "1"}
    environment["TF_ENABLE_ONEDNN_OPTS"] = "0"  # it compiles for each new shape, which takes longer than it saves here
    environment["HDF5_USE_FILE_LOCKING"] = "FALSE"  # the filter of system calls has no locks
    if not gpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    if threads:
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    environment["OMP_NUM_THREADS"] = str(threads or 1)
    return environment


def _receive_pidfd(watchdog: socket.socket, replies: int) -> int:
    watchdog.settimeout(SPAWN_SECONDS)
    try:
        _, descriptors, _, _ = socket.recv_fds(watchdog, 1, 1)
    except TimeoutError as error:
        raise ZygoteError(f"A student process did not start within {SPAWN_SECONDS:.0f} s.") from error
    if descriptors:
        return descriptors[0]
    with suppress(StudentDied, StudentTimeout, MalformedReply):
        first_reply(replies, REFUSAL_SECONDS)
    raise ZygoteError("A student process could not be started.")


def first_reply(replies: int, seconds: float) -> wire.Reply:
    """Return the first reply of a student process, which comes before it reads one byte of the submission.

    Raises:
        SandboxUnavailable: If it refused to go on without a layer of confinement.
        StudentFault: If nothing came in time, or nothing that can be read.
    """
    frame = wire.read_frame(replies, LARGEST_FIRST_REPLY, time.monotonic() + seconds)
    reply = wire.decode_reply(frame)
    if isinstance(reply, wire.Refused):
        raise unavailable(reply.layer, reply.reason)
    return reply
