"""The grader's side of the wall: start zygotes, start student processes, ask them questions."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import msgspec

from autograder import wire
from autograder.config import Settings
from autograder.course.submission import Snapshot
from autograder.errors import (
    AutograderError,
    MalformedReply,
    SandboxUnavailable,
    StudentDied,
    StudentRaised,
    StudentTimeout,
    ZygoteError,
)
from autograder.sandbox import cgroup
from autograder.sandbox.confine import Policy
from autograder.sandbox.remedies import remedy_for
from autograder.sandbox.watchdog import ENDED, LONGEST_OUTPUT, PRINTED, QUESTION
from autograder.text import escape_controls

START_SECONDS = 180.0
SPAWN_SECONDS = 30.0
LAST_WORD_SECONDS = 5.0
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TZ", "XDG_CACHE_HOME")


class Spawned(NamedTuple):
    """What the grader holds of one student process.

    Attributes:
        requests: Descriptor to write questions to.
        replies: Descriptor to read answers from.
        pidfd: To kill it by.
        warden: Where its warden says what it printed, and in the end which bound it overran, if any.
    """

    requests: int
    replies: int
    pidfd: int
    warden: socket.socket


class Zygote:
    """One zygote process. Close it, or use it as a context manager.

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
        """Whether what was forked last found the modules to preload imported."""
        return self._complete

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
            SandboxUnavailable: If the warden could not make the namespaces.
            ZygoteError: If the zygote is gone.
        """
        self.wait_until_ready()
        if self._forked and not self._complete:
            self._receive_ready()
            self._complete = True
        self._forked = True
        requests_out, requests_in = os.pipe()
        replies_out, replies_in = os.pipe()
        warden, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
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
        return Spawned(requests_in, replies_out, _receive_pidfd(warden, replies_out), warden)

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
    if not gpu:
        environment["CUDA_VISIBLE_DEVICES"] = "-1"
    if threads:
        environment |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    environment["OMP_NUM_THREADS"] = str(threads or 1)
    return environment


def _receive_pidfd(status: socket.socket, replies: int) -> int:
    status.settimeout(SPAWN_SECONDS)
    try:
        _, descriptors, _, _ = socket.recv_fds(status, 1, 1)
    except TimeoutError as error:
        raise ZygoteError(f"A student process did not start within {SPAWN_SECONDS:.0f} s.") from error
    if descriptors:
        return descriptors[0]
    deadline = time.monotonic() + 1.0
    with suppress(StudentDied, StudentTimeout, MalformedReply):
        reply = wire.decode_reply(wire.read_frame(replies, 1 << 16, deadline))
        if isinstance(reply, wire.Refused):
            raise _unavailable(reply)
    raise ZygoteError("A student process could not be started.")


def _unavailable(refused: wire.Refused) -> SandboxUnavailable:
    return SandboxUnavailable(f"{refused.layer}: {refused.reason}", remedy_for(refused.layer))


@dataclass(frozen=True)
class Setting:
    """What a student process told before it read the submission."""

    tensorflow: str
    device: str
    layers: tuple[str, ...]


class StudentProcess:
    """One confined process holding one submission.

    Args:
        zygote: To fork it from.
        snapshot: The submission's files.
        settings: Layers and limits.

    Attributes:
        complete: Whether it found the modules to preload imported.
    """

    def __init__(self, zygote: Zygote, snapshot: Snapshot, settings: Settings) -> None:
        self._settings = settings
        self._next_id = 1
        self._folder = tempfile.TemporaryDirectory(prefix="autograder-", ignore_cleanup_errors=True)
        try:
            submission = Path(self._folder.name) / "submission"
            snapshot.write_to(submission)
            policy = _policy(settings, submission, Path(self._folder.name), zygote.gpu)
            self._requests, self._replies, self._pidfd, self._warden = zygote.spawn(policy)
        except BaseException:
            self._folder.cleanup()
            raise
        self.alive = True
        self.complete = zygote.complete
        self.setting = self._first_words()

    def ask(self, question: wire.Question, seconds: float | None = None) -> Any:  # noqa: ANN401 - plain Python
        """Ask one question and wait for its answer.

        Args:
            question: See `wire`.
            seconds: Wall-clock limit; by default the course's limit of one request.

        Returns:
            Plain Python: arrays as NumPy, lists and tuples as tuples, mappings as dicts, objects that
            stay over there as `wire.Ref`.

        Raises:
            StudentRaised: The student's code raised.
            StudentTimeout: No answer in time; the process is stopped.
            StudentDied: The process ended.
            MalformedReply: What came is no answer; the process is stopped.
        """
        limit = seconds or self._settings.request_seconds
        reply = self._exchange(question, limit)
        if isinstance(reply, wire.Raised):
            where = f" ({reply.place}, line {reply.line})" if reply.line else ""
            text = " ".join(reply.message.split())
            raise StudentRaised(f"Your code raised {reply.exception}: {text}{where}", reply.exception)
        if not isinstance(reply, wire.Answer):
            self.stop()
            raise MalformedReply("Your code's answer could not be read.")
        return wire.from_value(reply.value)

    def printed(self) -> str:
        """Return the beginning of what the process has printed, control characters escaped; empty once it ended."""
        with suppress(OSError):
            self._warden.settimeout(LAST_WORD_SECONDS)
            self._warden.send(QUESTION)
            answer = self._warden.recv(LONGEST_OUTPUT + 1)
            if answer.startswith(PRINTED):
                return escape_controls(answer[1:].decode(errors="replace"))
        return ""

    def stop(self) -> None:
        """Kill the process and everything it started, and remove its files. May be called twice."""
        if not self.alive:
            return
        self.alive = False
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        for descriptor in (self._requests, self._replies, self._pidfd):
            os.close(descriptor)
        self._warden.close()
        self._folder.cleanup()

    def _exchange(self, question: wire.Question, seconds: float) -> wire.Reply:
        if not self.alive:
            raise StudentDied("Your code's process had already ended.")
        number, self._next_id = self._next_id, self._next_id + 1
        deadline = time.monotonic() + seconds
        try:
            wire.write_frame(self._requests, wire.encode_frame(wire.Request(number, question)), deadline)
            reply = wire.decode_reply(wire.read_frame(self._replies, self._settings.max_reply_mib << 20, deadline))
        except StudentTimeout as error:
            self.stop()
            raise StudentTimeout(
                f"Your code gave no answer within {seconds:g} s and was stopped. Is there a loop that never ends?"
            ) from error
        except StudentDied as error:
            overrun = self._overrun()
            self.stop()
            raise StudentDied(overrun or error.message) from error
        except MalformedReply:
            self.stop()
            raise
        if not isinstance(reply, (wire.Answer, wire.Raised)) or reply.id != number:
            self.stop()
            raise MalformedReply("Your code's answer does not belong to the question.")
        return reply

    def _overrun(self) -> str:
        """Return a sentence on the bound for which the process was ended, or nothing."""
        word = ""
        with suppress(OSError):
            self._warden.settimeout(LAST_WORD_SECONDS)
            word = self._warden.recv(64).removeprefix(ENDED).decode(errors="replace")
        bounds = {
            "memory": f"{self._settings.memory_mib} MiB of memory",
            "processes": f"{self._settings.max_processes} processes and threads",
        }
        return f"Your code used more than {bounds[word]} and was stopped." if word in bounds else ""

    def _first_words(self) -> Setting:
        deadline = time.monotonic() + SPAWN_SECONDS
        try:
            reply = wire.decode_reply(wire.read_frame(self._replies, 1 << 16, deadline))
        except (StudentDied, StudentTimeout, MalformedReply) as error:
            self.stop()
            raise ZygoteError("A student process ended before it read the submission.") from error
        if isinstance(reply, wire.Refused):
            self.stop()
            raise _unavailable(reply)
        if not isinstance(reply, wire.Ready):
            self.stop()
            raise ZygoteError("A student process began with the wrong words.")
        return Setting(reply.tensorflow, reply.device, tuple(reply.layers))


def _policy(settings: Settings, submission: Path, work: Path, gpu: bool) -> Policy:
    layers = layers_to_put_up(settings)
    return Policy(
        submission=str(submission),
        work=str(work),
        layers=layers,
        memory_mib=settings.memory_mib,
        scratch_mib=settings.scratch_mib,
        scratch_files=settings.scratch_files,
        max_processes=settings.max_processes,
        max_descriptors=settings.max_descriptors,
        cpu_seconds=int(settings.submission_seconds * (os.cpu_count() or 1)),
        gpu=gpu,
        cgroup=str(cgroup.delegated() or "") if "cgroup" in layers else "",
    )


def layers_to_put_up(settings: Settings) -> tuple[str, ...]:
    """Return the course's layers, with what bounds memory on this machine in place of `memory`.

    Raises:
        SandboxUnavailable: If the course demands a control group and none can be made here.
    """
    if settings.sandbox == "none":
        return ()
    there = cgroup.delegated() is not None
    if "cgroup" in settings.required_layers and not there:
        raise SandboxUnavailable("cgroup: no control group (v2) is delegated to this process.", remedy_for("cgroup"))
    bound = "cgroup" if there else "watchdog"
    return tuple(dict.fromkeys(bound if layer == "memory" else layer for layer in settings.required_layers))


def gpu_present() -> bool:
    """Whether this machine shows an NVIDIA GPU's devices; starts nothing."""
    return Path("/dev/nvidiactl").exists()


def wants_gpu(settings: Settings) -> bool:
    """Whether grading uses the GPU.

    Raises:
        AutograderError: If the course demands a GPU that is not there.
    """
    if settings.device == "gpu" and not gpu_present():
        raise AutograderError("course_config.py asks for a GPU, and there is none here.", 'Set device = "auto".')
    return settings.device != "cpu" and gpu_present()
