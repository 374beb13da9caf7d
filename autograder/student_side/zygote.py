"""The zygote: imports TensorFlow once, runs no student code, and forks student processes.

Started as `python -I -m autograder.student_side.zygote DESCRIPTOR [MODULE...]`. The descriptor is one end of a socket
pair; the modules are further ones that the assignment needs, imported after the first fork. Each message on the socket
orders one student process and carries three descriptors: where that process reads questions, where it writes answers,
and where its watchdog sends a pidfd and its reports. The zygote ends when the grader closes the socket, and everything
it forked ends with it.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import io
import os
import random
import select
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NoReturn

import msgspec

from autograder import wire
from autograder.errors import SandboxUnavailable
from autograder.sandbox.confine import confine, die_with_parent, enter_namespaces, hide_memory, load_libraries
from autograder.sandbox.policy import Places, Policy
from autograder.sandbox.watchdog import Watchdog
from autograder.student_side.private_names.other_keras import without_other_keras

PRELOADED = (
    "tensorflow",
    "tf_keras",
    "sklearn.datasets",
    "sklearn.model_selection",
    "matplotlib.pyplot",
    "IPython",
    "IPython.display",
    "carbontracker.tracker",
    "landlockpy",
    "seccompy",
    "autograder.student_side.server",
)
LARGEST_ORDER = 1 << 16
READY = b"\x01"
OBJECTS = 50_000
"""New objects after which Python looks for garbage: models make many that stay, and every 700 takes 5 % longer."""
USER = "student"
PASSED_ON = ("CUDA_VISIBLE_DEVICES", "LANG", "LC_ALL", "OMP_NUM_THREADS", "PATH", "TZ")

GPU_ENVIRONMENT = {
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # else the first process takes nearly all of the GPU's memory
    # XLA starts the program ptxas, which nothing here may; the driver compiles, too
    "XLA_FLAGS": "--xla_gpu_unsafe_fallback_to_driver_on_ptxas_not_found=true",
}


def main() -> None:
    """Import, say so with one byte, then fork on demand until the grader closes the socket."""
    die_with_parent()
    control = socket.socket(fileno=int(sys.argv[1]))
    if _is_closed(control):
        return  # the grader ended before `die_with_parent` could notice
    later = sys.argv[2:]
    import_preloaded()
    load_libraries()
    hide_memory()
    control.sendall(READY)
    while True:
        order, descriptors, _, _ = socket.recv_fds(control, LARGEST_ORDER, 3)
        if not order:
            return
        policy = msgspec.msgpack.decode(order, type=Policy)
        if os.fork() == 0:
            control.close()
            _watch(policy, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        _reap()
        if later:  # while the first student process, which needs them last, already runs
            _import(later)
            later = []
            control.sendall(READY)


def _is_closed(control: socket.socket) -> bool:
    poller = select.poll()
    poller.register(control, 0)  # errors and hang-ups are always told
    return bool(poller.poll(0))


def import_preloaded() -> None:
    """Import PRELOADED without Keras 3, which the course does not use."""
    with without_other_keras():
        importlib.import_module("tensorflow")
    _import(PRELOADED)


def _import(names: Sequence[str]) -> None:
    for name in names:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # keeps the forks from copying pages just to count references


def _reap() -> None:
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watch(policy: Policy, descriptors: list[int]) -> NoReturn:
    """Stay outside, fork the student process into its namespaces, and watch it until its end."""
    requests, replies, status = descriptors
    die_with_parent()
    hide_memory(hidden=False)
    try:
        watchdog = Watchdog(policy)
        if "namespaces" in policy.layers:
            enter_namespaces()
    except SandboxUnavailable as error:
        _refuse(replies, error)
    child = os.fork()
    if child == 0:
        os.close(status)
        _student(policy, watchdog, requests, replies)
    hide_memory()  # the student process stays as it is: the watchdog reads how much memory it holds
    os.close(requests)
    os.close(replies)
    with socket.socket(fileno=status) as channel:
        socket.send_fds(channel, [b"\x01"], [os.pidfd_open(child)])
        watchdog.watch(child, channel)
    os._exit(0)


def _student(policy: Policy, watchdog: Watchdog, requests: int, replies: int) -> NoReturn:
    """Confine this process for good, say which layers hold, and answer questions."""
    import tensorflow as tf

    from autograder.student_side.server import Server

    try:
        die_with_parent()
        os.setsid()  # a signal to its own process group would reach the grader's on kernels before 6.12
        requests, replies = _keep_only(requests, replies, watchdog.output)
        watchdog.hold_caller()
        places = confine(policy)
    except SandboxUnavailable as error:
        _refuse(replies, error)
    _scrub(places)
    gc.set_threshold(OBJECTS)
    device = "gpu" if policy.gpu and _open_gpu() else "cpu"
    environment = wire.Environment(tensorflow=tf.__version__, device=device, sandbox=policy.layers)
    wire.write_frame(replies, wire.encode_frame(wire.Ready(environment)))
    Server(places).serve(requests, replies)


def _open_gpu() -> bool:
    """Set this process up so that a GPU computes as a CPU does, and return whether TensorFlow can use one."""
    import tensorflow as tf
    import tf_keras as keras

    os.environ.update(GPU_ENVIRONMENT)
    tf.config.experimental.enable_tensor_float_32_execution(False)  # right products would be off in the third digit
    original = keras.optimizers.Optimizer.__init__

    @functools.wraps(original)
    def without_xla(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - Keras' own
        original(self, *args, **kwargs)
        self.jit_compile = False  # as on a CPU; where there is a GPU, Keras has XLA compile each optimiser's step

    keras.optimizers.Optimizer.__init__ = without_xla
    return bool(tf.config.list_physical_devices("GPU"))


def _refuse(replies: int, error: SandboxUnavailable) -> NoReturn:
    wire.write_frame(replies, wire.encode_frame(wire.Refused(layer=error.layer, reason=error.reason)))
    os._exit(1)


def _keep_only(requests: int, replies: int, output: int) -> tuple[int, int]:
    """Send what is printed to the watchdog, move the two pipes to unpredictable numbers, and close the rest."""
    nothing, _ = os.pipe()  # no device: its rights could be changed through the descriptor
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # as on a terminal: a line is out before the answer
    low = random.SystemRandom().randrange(100, 500)
    os.dup2(requests, low, inheritable=False)
    os.dup2(replies, low + 1, inheritable=False)
    os.closerange(3, low)
    os.closerange(low + 2, os.sysconf("SC_OPEN_MAX") if os.sysconf("SC_OPEN_MAX") < 1 << 16 else 1 << 16)
    return low, low + 1


def _scrub(places: Places) -> None:
    """Leave no environment but language and paths, and no way to import from the course folder."""
    passed_on = {name: value for name, value in os.environ.items() if name in PASSED_ON or name.startswith("TF_NUM_")}
    os.environ.clear()
    os.environ.update(passed_on)
    for name in ("HOME", "TMPDIR", "MPLCONFIGDIR", "XDG_CACHE_HOME", "KERAS_HOME", "HF_HOME", "IPYTHONDIR"):
        os.environ[name] = places.scratch
    os.environ.update({"HF_HUB_OFFLINE": "1", "MPLBACKEND": "Agg", "TF_CPP_MIN_LOG_LEVEL": "3"})
    os.environ.update(
        dict.fromkeys(("USER", "LOGNAME"), USER)
    )  # code that names its files by them finds them in Jupyter
    tempfile.tempdir = places.scratch  # a library may have asked for the folder before, outside
    prefixes = (sys.prefix, sys.base_prefix)
    sys.path[:] = [path for path in sys.path if path.startswith(prefixes)]
    signal.signal(signal.SIGINT, signal.SIG_IGN)


if __name__ == "__main__":
    main()
