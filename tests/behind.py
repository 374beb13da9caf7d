"""Run one probe behind chosen layers and write what it got: `python -m tests.behind ORDER`, ORDER in JSON.

The same steps as in the zygote, without TensorFlow: a watchdog, a fork, `confine`. Used by `test_confine`, in a
process of its own, since no layer can be taken down again.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import platform
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from autograder.errors import SandboxUnavailable
from autograder.sandbox import seccomp
from autograder.sandbox.cgroup import delegated
from autograder.sandbox.confine import confine, die_with_parent, enter_namespaces, load_libraries
from autograder.sandbox.new_root import MS_PRIVATE, MS_RDONLY, MS_REC, mount
from autograder.sandbox.policy import Places, Policy
from autograder.sandbox.watchdog import Ended, Watchdog, receive_report

LIBC = ctypes.CDLL(None, use_errno=True)
MIB = 1 << 20
BEFORE = 99
X32 = 1 << 30
"""Of a call's number: the call is one of x32, the other way to make calls on x86-64."""
LONGEST_WAIT = 0.01
"""Seconds after which a random call that waits is interrupted."""
INT_0X80_GETPID = bytes.fromhex("b814000000cd80c3")  # mov eax, 20; int 0x80; ret


class Order(msgspec.Struct):
    """What to run.

    Attributes:
        user: User to become before anything else; -1 stays who we are.
        container: Whether to cover a part of /proc first, as container runtimes do.
        before: A file to open before anything else, as the descriptor BEFORE; none if it is empty.
    """

    policy: Policy
    probe: str
    args: list[Any]
    user: int = -1
    container: bool = False
    before: str = ""

    def encoded(self) -> str:
        """Return the order as a word of the command line."""
        return msgspec.json.encode(self).decode()


def policy_of(layers: tuple[str, ...], **limits: Any) -> Policy:
    """Return a policy with these layers and generous limits."""
    return Policy(
        submission="", work="", layers=layers, cgroup=str(delegated() or ""),
        **{"memory_mib": 1 << 20, "scratch_mib": 1024, "scratch_files": 100_000, "max_processes": 100_000,
           "max_descriptors": 4096, "cpu_seconds": 600, **limits},
    )  # fmt: skip


def read(_: Places, path: str) -> int:
    return len(Path(path).read_bytes())


def listing(_: Places, path: str) -> list[str]:
    return sorted(entry.name for entry in Path(path).iterdir())


def write(places: Places, path: str) -> int:
    return Path(path.replace("SCRATCH", places.scratch)).write_bytes(b"x")


def fill(places: Places, mib: int, folder: str = "") -> int:
    for number in range(mib):
        Path(folder or places.scratch, str(number)).write_bytes(bytes(MIB))
    return mib


def mount_flags(_: Places, path: str) -> int:
    return os.statvfs(path).f_flag


def make_files(places: Places, count: int) -> int:
    for number in range(count):
        Path(places.scratch, str(number)).touch()
    return count


def grow_one_file(places: Places, mib: int) -> int:
    return Path(places.scratch, "one").write_bytes(bytes(mib * MIB))


def connect(_: Places, family: str, address: Any) -> int:
    with socket.socket(getattr(socket, family)) as connection:
        connection.settimeout(5)
        connection.connect(tuple(address) if isinstance(address, list) else address)
    return 0


def make_pair(_: Places, kind: str) -> int:
    for end in socket.socketpair(socket.AF_UNIX, getattr(socket, kind)):
        end.close()
    return 0


def processes(_: Places) -> list[str]:
    return [entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def name_thread(_: Places) -> int:
    """Write this thread's name as CUDA's driver does, and return the length of what can be read then."""
    path = f"/proc/self/task/{threading.get_native_id()}/comm"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.write(descriptor, b"cuda")
    os.close(descriptor)
    return len(Path(path).read_text().strip())


def listen(_: Places, kind: str, name: str) -> int:
    """Listen on a local socket of a name that no file has, as CUDA's driver does, or in a file."""
    with socket.socket(socket.AF_UNIX, getattr(socket, kind)) as server:
        server.bind(name)
        server.listen()
    return 0


def own_number(_: Places) -> str:
    """Return this process's number as /proc has it."""
    return Path("/proc/self/stat").read_text().split()[0]


def signal_parent(_: Places, pid: int) -> int:
    os.kill(pid, 0)
    return 0


def limit_processor_time(_: Places, pid: int) -> int:
    """Set another process's limit, which ends it once it has used that much."""
    resource.prlimit(pid, resource.RLIMIT_CPU, (3600, 3600))
    return 0


def move(_: Places, pid: int) -> int:
    """Choose the processors that another process runs on."""
    os.sched_setaffinity(pid, os.sched_getaffinity(pid))
    return 0


def slow_down(_: Places, pid: int) -> int:
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))
    return 0


def own(_: Places, pid: int) -> int:
    """Let a signal go to another process once something can be read from a pipe."""
    reading, _writing = os.pipe()
    fcntl.fcntl(reading, fcntl.F_SETOWN, pid)
    return 0


def lock(_: Places, path: str) -> int:
    """Lock a file that everybody may read, as a message to whoever tries it, too."""
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return 0


def lock_by_fcntl(_: Places, path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY)
    fcntl.lockf(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    return 0


def wake_others(_: Places, path: str) -> int:
    """Wake whoever waits at the beginning of a file, and return how many did."""
    LIBC.mmap.restype = ctypes.c_void_p
    place = LIBC.mmap(None, mmap.PAGESIZE, mmap.PROT_READ, mmap.MAP_SHARED, os.open(path, os.O_RDONLY), 0)
    return call(_, {"x86_64": 202, "aarch64": 98}[platform.machine()], place, 1, 1 << 30)


def join_thread(_: Places) -> int:
    """Make a thread of the C library's, which sleeps, and wait for its end."""
    thread = ctypes.c_ulong()
    made = LIBC.pthread_create(ctypes.byref(thread), None, LIBC.usleep, ctypes.c_void_p(100_000))
    return int(made) or int(LIBC.pthread_join(thread, None))


def look_far(_: Places, mib: int, seconds: float) -> int:
    """Look at so many places far from each other that the kernel's tables of them fill so many MiB."""
    tables = mib * MIB // mmap.PAGESIZE
    apart = mmap.PAGESIZE // 8 * mmap.PAGESIZE
    far = mmap.mmap(-1, tables * apart, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, prot=mmap.PROT_READ)
    for number in range(tables):
        far[number * apart]
    time.sleep(seconds)
    return mib


def set_rights(_: Places, path: str) -> int:
    Path(path).chmod(Path(path).stat().st_mode & 0o7777)
    return 0


def free_by_descriptor(_: Places) -> int:
    os.fchmod(BEFORE, 0o666)
    return 0


def free_by_path(_: Places) -> int:
    Path(f"/proc/self/fd/{BEFORE}").chmod(0o666)
    return 0


def write_to(_: Places, path: str) -> int:
    """Write to what is there already, a device for example."""
    descriptor = os.open(path, os.O_WRONLY)
    return os.write(descriptor, b"x")


def call(_: Places, number: int, *args: Any) -> int:
    """Make a raw system call; an error number comes back as an error."""
    given = [
        ctypes.c_long(argument) if isinstance(argument, int) else ctypes.c_char_p(argument.encode())
        for argument in args
    ]
    result = LIBC.syscall(ctypes.c_long(number), *given)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return 0


def random_calls(_: Places, seed: int, count: int, victim: int, file: str) -> int:
    """Make random system calls, whatever comes of them; those that only end this process or wait are cut short."""
    chance = random.Random(seed)  # noqa: S311 - a program that can be repeated
    memory = ctypes.create_string_buffer(bytes(chance.randbytes(4096)), 4096)
    path = ctypes.create_string_buffer(file.encode())
    words = (0, 1, -1, 2, 3, 4, 8, 16, 4096, 1 << 31, (1 << 63) - 1, victim, os.getpid(), ctypes.addressof(memory),
             ctypes.addressof(path), ctypes.addressof(memory) + 2048)  # fmt: skip
    ends = {seccomp.MACHINES[platform.machine()][name] for name in ("exit", "exit_group", "rt_sigreturn")}
    for _number in range(count):
        number = chance.choice([number for number in range(480) if number not in ends])
        number |= chance.choice([0] * 19 + [X32])
        given = [
            ctypes.c_long(chance.choice(words) if chance.random() < 0.8 else chance.getrandbits(16)) for _ in "123456"
        ]
        signal.signal(signal.SIGALRM, lambda *_: None)  # an earlier call may have changed that
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        signal.setitimer(signal.ITIMER_REAL, LONGEST_WAIT, LONGEST_WAIT)
        LIBC.syscall(ctypes.c_long(number), *given)
    return count


def call_as_i386(_: Places) -> int:
    """Ask for the process id through the calls of a 32-bit program."""
    memory = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    memory.write(INT_0X80_GETPID)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    return int(ctypes.CFUNCTYPE(ctypes.c_int)(address)() > 0)


def start_process(_: Places) -> int:
    child = os.fork()
    if child == 0:
        os._exit(0)
    return os.waitpid(child, 0)[1]


def run_program(_: Places) -> int:
    os.execv(sys.executable, [sys.executable, "-c", "pass"])  # noqa: S606 - is it allowed


def start_processes(_: Places, count: int) -> int:
    for _number in range(count):
        if os.fork() == 0:
            time.sleep(60)
    return count


def start_threads(_: Places, count: int, seconds: float) -> int:
    threading.stack_size(64 << 10)
    for _number in range(count):
        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
    time.sleep(seconds)
    return count


def open_files(_: Places, count: int) -> int:
    return len([os.open(os.devnull, os.O_RDONLY) for _number in range(count)])


def reserve(_: Places, mib: int) -> int:
    return len(bytearray(mib * MIB)) // MIB


def hold(_: Places, mib: int, processes: int, seconds: float) -> int:
    """Fill memory, in the first process or evenly in several of its children."""
    share = mib // max(processes, 1)
    if all(os.fork() for _number in range(processes)) and processes:
        time.sleep(seconds)
        return mib
    held = bytearray(b"x") * (share * MIB)
    time.sleep(seconds)
    return len(held) // MIB * max(processes, 1)


def hold_shared(_: Places, mib: int, processes: int, seconds: float) -> int:
    """Fill memory once and share it with children, in whom it is resident, too."""
    held = bytearray(b"x") * (mib * MIB)
    for _number in range(processes):
        if os.fork() == 0:
            time.sleep(60)
    time.sleep(seconds)
    return len(held) // MIB


def spin(_: Places, seconds: float) -> float:
    """Use the processor for so long, however many others use it."""
    while time.process_time() < seconds:
        pass
    return seconds


PROBES: dict[str, Callable[..., Any]] = {
    function.__name__: function
    for function in (
        read, listing, write, fill, mount_flags, make_files, grow_one_file, connect, make_pair, processes, own_number,
        name_thread, listen,
        signal_parent, limit_processor_time, move, slow_down, own, lock, lock_by_fcntl, wake_others,
        join_thread, look_far, set_rights,
        free_by_descriptor, free_by_path, write_to, call,
        random_calls,
        call_as_i386, start_process, run_program, start_processes, start_threads, open_files, reserve, hold,
        hold_shared, spin,
    )
}  # fmt: skip


def inside(order: Order, watchdog: Watchdog) -> dict[str, Any]:
    """Confine this process and run the probe."""
    try:
        watchdog.hold_caller()
        places = confine(order.policy)
    except SandboxUnavailable as error:
        return {"refused": str(error)}
    try:
        return {"answer": PROBES[order.probe](places, *order.args)}
    except (OSError, MemoryError, RuntimeError) as error:
        return {"error": type(error).__name__, "errno": getattr(error, "errno", None)}


def main() -> None:
    """Do as ordered."""
    order = msgspec.json.decode(sys.argv[1], type=Order)
    load_libraries()
    platform.machine()
    if order.before:
        os.dup2(os.open(order.before, os.O_RDONLY), BEFORE)
    if order.user >= 0:
        os.setgroups([])
        os.setresgid(order.user, order.user, order.user)
        os.setresuid(order.user, order.user, order.user)
    if order.container:
        enter_namespaces()
        if os.fork():  # the first child is the new PID namespace's process 1
            sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
        mount(None, "/", None, MS_REC | MS_PRIVATE, None)
        mount("proc", "/proc", "proc", 0, None)
        mount("tmpfs", "/proc/bus", "tmpfs", MS_RDONLY, None)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as work:
        (Path(work) / "submission").mkdir()
        order.policy = msgspec.structs.replace(order.policy, work=work, submission=f"{work}/submission")
        sys.stdout.write(json.dumps(run(order)))


def run(order: Order) -> dict[str, Any]:
    """Fork, watch, and return what came of it."""
    reading, writing = os.pipe()
    try:
        watchdog = Watchdog(order.policy)
        if "namespaces" in order.policy.layers:
            enter_namespaces()
    except SandboxUnavailable as error:
        return {"refused": str(error)}
    child = os.fork()
    if child == 0:
        die_with_parent()  # which a test may end where the probe does not
        with contextlib.suppress(BaseException):
            os.write(writing, json.dumps(inside(order, watchdog)).encode())
        os._exit(0)
    os.close(writing)
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    watchdog.watch(child, theirs)
    theirs.close()
    report = receive_report(ours)
    overrun = report.overrun if isinstance(report, Ended) else ""
    ours.close()
    answer = os.read(reading, 1 << 20)
    return {**json.loads(answer or '{"ended": true}'), "overrun": overrun}


if __name__ == "__main__":
    main()
