"""Each layer alone: what it forbids is forbidden behind it, and allowed with nothing up."""

from __future__ import annotations

import errno
import json
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autograder.config import Settings
from autograder.errors import SandboxUnavailable
from autograder.grading.student_process import layers_to_put_up
from autograder.sandbox import policy, seccomp
from autograder.sandbox.cgroup import delegated
from autograder.sandbox.confine import landlock_version
from autograder.sandbox.policy import private_folders, refuse_exposed
from tests.behind import Order, policy_of

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PRIVATE = ("/dev/shm", "/tmp")  # noqa: S108 - folders of the scratch folder
HARMLESS = os.ST_NOSUID | os.ST_NODEV | os.ST_NOEXEC
FORBIDDEN = {"EACCES", "EPERM", "ENOENT", "EROFS"}
NUMBERS = seccomp.MACHINES.get(platform.machine(), {})
TCP_ALONE = pytest.mark.skipif(landlock_version() < 4, reason="Landlock 4 refuses TCP")
ABSTRACT_ALONE = pytest.mark.skipif(landlock_version() < 6, reason="Landlock 6 has scopes")
ONLY_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root may do it with nothing up")


def behind(
    layers: tuple[str, ...],
    probe: str,
    *args: Any,
    user: int = -1,
    container: bool = False,
    before: str = "",
    **limits: int,
) -> dict[str, Any]:
    """Run a probe of `tests.behind` and return what it told."""
    order = Order(policy_of(layers, **limits), probe, list(args), user, container, before)
    words = [sys.executable, "-m", "tests.behind", order.encoded()]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    assert "refused" not in told, told
    return told


def code(told: dict[str, Any]) -> str:
    """Return the name of the error number that a probe got, or an empty string."""
    return errno.errorcode.get(told.get("errno") or 0, "")


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "gradebook.db"
    path.write_text("secret")
    return path


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def abstract() -> Iterator[str]:
    name = f"\0autograder-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        server.listen()
        yield name


@pytest.mark.parametrize("layer", ["namespaces", "landlock"])
def test_files_outside_cannot_be_read(secret: Path, layer: str) -> None:
    assert behind((), "read", str(secret))["answer"] == 6
    assert code(behind((layer,), "read", str(secret))) in FORBIDDEN


@pytest.mark.parametrize("layer", ["namespaces", "landlock"])
def test_files_outside_cannot_be_written(secret: Path, layer: str) -> None:
    for path in (secret, secret.parent / "new"):
        assert behind((), "write", str(path))["answer"] == 1
        assert code(behind((layer,), "write", str(path))) in FORBIDDEN
    assert behind((layer,), "write", "SCRATCH/new")["answer"] == 1


def test_the_new_root_itself_cannot_be_written() -> None:
    for folder in ("/", "/submission", "/usr/lib", "/proc", "/dev"):
        assert code(behind(("namespaces",), "write", f"{folder}/new")) == "EROFS", folder
    for place in (*PRIVATE, "/scratch"):
        assert behind(("namespaces",), "write", f"{place}/new")["answer"] == 1, place


def test_what_is_written_to_tmp_is_left_for_nobody(secret: Path) -> None:
    """The machine's own /tmp, where this secret lies, is out of reach, and the next process finds nothing."""
    layers = ("namespaces", "landlock")
    for place in PRIVATE:
        name = f"left-{os.getpid()}"
        assert behind(layers, "write", f"{place}/{name}")["answer"] == 1
        assert not Path(place, name).exists()
        assert behind(layers, "listing", place)["answer"] == []
        assert behind(layers, "mount_flags", place)["answer"] & HARMLESS == HARMLESS
    assert code(behind(("landlock",), "write", f"/tmp/left-{os.getpid()}")) == "EACCES"  # noqa: S108 - it is everybody's


def test_an_environment_in_tmp_stays_visible(monkeypatch: pytest.MonkeyPatch) -> None:
    assert private_folders(gpu=False) == PRIVATE
    monkeypatch.setattr(policy, "TEMPORARY", sys.prefix)
    assert private_folders(gpu=False) == PRIVATE[:1]


@ONLY_ROOT
def test_kernel_settings_cannot_be_written() -> None:
    """The kernel lets user 0 change settings even without a capability: they must not be there."""
    setting = "/proc/sys/vm/swappiness"
    assert behind((), "read", setting)["answer"]
    for layer in ("namespaces", "landlock"):
        assert code(behind((layer,), "read", setting)) in FORBIDDEN


def test_all_that_is_written_is_bounded_in_size() -> None:
    assert behind((), "fill", 24, scratch_mib=16)["answer"] == 24
    for place in ("", *PRIVATE):
        assert code(behind(("namespaces",), "fill", 24, place, scratch_mib=16)) == "ENOSPC", place


def test_all_that_is_written_is_bounded_in_number() -> None:
    assert behind((), "make_files", 120, scratch_files=100)["answer"] == 120
    assert code(behind(("namespaces",), "make_files", 120, scratch_files=100)) == "ENOSPC"


@pytest.mark.parametrize("layer", ["namespaces", "seccomp", pytest.param("landlock", marks=TCP_ALONE)])
def test_there_is_no_network(port: int, layer: str) -> None:
    assert behind((), "connect", "AF_INET", ["127.0.0.1", port])["answer"] == 0
    assert code(behind((layer,), "connect", "AF_INET", ["127.0.0.1", port]))


@pytest.mark.parametrize("layer", ["namespaces", "seccomp", pytest.param("landlock", marks=ABSTRACT_ALONE)])
def test_abstract_sockets_are_out_of_reach(abstract: str, layer: str) -> None:
    assert behind((), "connect", "AF_UNIX", abstract)["answer"] == 0
    assert code(behind((layer,), "connect", "AF_UNIX", abstract))


def test_a_connected_pair_is_the_only_socket() -> None:
    assert behind((), "make_pair", "SOCK_DGRAM")["answer"] == 0
    assert code(behind(("seccomp",), "make_pair", "SOCK_DGRAM")) == "EPERM"
    assert behind(("seccomp",), "make_pair", "SOCK_STREAM")["answer"] == 0


def test_other_processes_are_out_of_sight() -> None:
    assert len(behind((), "processes")["answer"]) > 1
    assert behind(("namespaces",), "processes")["answer"] == ["1"]
    assert code(behind(("landlock",), "processes")) in FORBIDDEN


@pytest.mark.parametrize("layer", ["namespaces", "seccomp", pytest.param("landlock", marks=ABSTRACT_ALONE)])
def test_other_processes_cannot_be_signalled(layer: str) -> None:
    assert behind((), "signal_parent", os.getpid())["answer"] == 0
    assert code(behind((layer,), "signal_parent", os.getpid())) in {"EPERM", "ESRCH"}


@pytest.fixture
def victim() -> Iterator[int]:
    """A process of this user's that has nothing to do with grading."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process.pid
        process.communicate(b"\n")


@pytest.mark.parametrize("layer", ["namespaces", "seccomp"])
@pytest.mark.parametrize("probe", ["limit_processor_time", "move", "slow_down", "own"])
def test_other_processes_cannot_be_changed(victim: int, probe: str, layer: str) -> None:
    assert behind((), probe, victim)["answer"] == 0
    assert code(behind((layer,), probe, victim)) in {"EPERM", "ESRCH"}


@pytest.mark.parametrize("layer", ["namespaces", "landlock"])
def test_the_memory_of_other_processes_cannot_be_opened(victim: int, layer: str) -> None:
    memory = f"/proc/{victim}/mem"
    assert code(behind((), "read", memory)) == "EIO"  # it is open: nothing is there at its beginning
    assert code(behind((layer,), "read", memory)) in {"ENOENT", *FORBIDDEN}


@pytest.mark.parametrize("probe", ["lock", "lock_by_fcntl"])
def test_no_lock_carries_a_message(probe: str) -> None:
    """A lock on a file of the system's is seen by everybody who may read it."""
    assert behind((), probe, "/etc/localtime")["answer"] == 0
    assert code(behind(("seccomp",), probe, "/etc/localtime")) == "ENOSYS"


def test_waiting_at_a_file_carries_no_message() -> None:
    """A shared futex in a file that everybody may read: who wakes is told how many wait there, in whatever process."""
    assert behind((), "wake_others", "/etc/localtime")["answer"] == 0
    assert code(behind(("seccomp",), "wake_others", "/etc/localtime")) == "EINVAL"
    assert behind(("seccomp",), "join_thread")["answer"] == 0  # for which the C library has a shared one


@pytest.mark.parametrize("container", [False, True])
def test_nothing_tells_which_pages_of_a_file_others_have(container: bool) -> None:
    """One process could tell another something by what it reads."""
    for name in ("pagemap", "smaps", "smaps_rollup"):
        assert behind(("namespaces",), "read", f"/proc/self/{name}", container=container)["answer"] == 0
    assert behind((), "read", "/proc/self/smaps")["answer"] > 0
    assert behind(("namespaces",), "listing", "/proc/self/task", container=container)["answer"] == []


@ONLY_ROOT
def test_devices_can_be_used_but_not_changed() -> None:
    """Root could otherwise take the machine's /dev/null from everybody."""
    for path in ("/dev/null", "/dev/zero"):
        assert behind((), "set_rights", path)["answer"] == 0
        assert code(behind(("namespaces",), "set_rights", path)) == "EROFS"
        assert behind(("namespaces",), "write_to", path)["answer"] == 1


@pytest.mark.parametrize("probe", ["free_by_path", "free_by_descriptor"])
def test_rights_of_files_outside_their_views_stay(secret: Path, probe: str) -> None:
    """Through a descriptor from before, or a link to one such as `/proc/self/exe`."""
    secret.chmod(0o600)
    assert behind((), probe, before=str(secret))["answer"] == 0
    assert secret.stat().st_mode & 0o777 == 0o666
    secret.chmod(0o600)
    assert behind(layers_to_put_up(Settings()), probe, before=str(secret))["answer"] == 0
    assert secret.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("container", [False, True])
def test_the_own_process_is_seen_also_where_no_new_proc_can_be_mounted(container: bool) -> None:
    """Inside a container parts of /proc are covered; then the kernel lets nobody below mount it again."""
    own = behind(("namespaces",), "own_number", container=container)["answer"]
    assert (own != "1") == container  # else the old /proc's folder of this process is shown
    assert behind(("namespaces",), "listing", "/proc", container=container)["answer"] == [
        "1", "cpuinfo", "meminfo", "self", "stat", "uptime",
    ]  # fmt: skip


WRITABLE = ("/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/coredump_filter", "/proc/self/timerslack_ns")
ON_PROC = ["namespaces", "landlock"]


@pytest.mark.parametrize("layer", ON_PROC)
def test_threads_are_named_only_on_a_gpu_worker(layer: str) -> None:
    """CUDA does not start where it cannot name its threads."""
    assert behind((), "name_thread")["answer"] == 4
    assert code(behind((layer,), "name_thread")) in FORBIDDEN
    assert behind((layer,), "name_thread", gpu=True)["answer"] == 4


def test_threads_have_other_numbers_where_no_new_proc_can_be_mounted() -> None:
    """There CUDA cannot start behind namespaces: `doctor` tries it."""
    assert code(behind(("namespaces",), "name_thread", container=True, gpu=True)) == "ENOENT"


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("container", [False, True])
@pytest.mark.parametrize("layer", ON_PROC)
def test_nothing_else_of_the_own_process_can_be_written(layer: str, container: bool, gpu: bool) -> None:
    for path in WRITABLE:
        assert code(behind((layer,), "write", path, container=container, gpu=gpu)) in FORBIDDEN, path


def test_a_local_socket_listens_only_on_a_gpu_worker() -> None:
    """CUDA does not start without one of this kind."""
    name = f"\0autograder-{os.getpid()}"
    for kind in ("SOCK_SEQPACKET", "SOCK_STREAM", "SOCK_DGRAM"):
        assert code(behind(("seccomp",), "listen", kind, name)) == "EPERM"
    assert behind(("seccomp",), "listen", "SOCK_SEQPACKET", name, gpu=True)["answer"] == 0
    for kind in ("SOCK_STREAM", "SOCK_DGRAM"):
        assert code(behind(("seccomp",), "listen", kind, name, gpu=True)) == "EPERM"
    path = "/scratch/socket"
    assert code(behind(("namespaces", "landlock"), "listen", "SOCK_SEQPACKET", path, gpu=True)) == "EACCES"


def test_nobody_is_reached_from_a_gpu_worker(abstract: str, port: int) -> None:
    for family, address in (("AF_INET", ["127.0.0.1", port]), ("AF_UNIX", abstract)):
        assert code(behind(("seccomp",), "connect", family, address, gpu=True)) == "EPERM"
    for name, arguments in {"connect": (-1, 0, 0), "accept": (-1, 0, 0), "accept4": (-1, 0, 0, 0)}.items():
        assert code(behind(("seccomp",), "call", NUMBERS[name], *arguments, gpu=True)) == "EPERM"
    assert code(behind(("seccomp",), "start_process", gpu=True)) == "EPERM"


NEW_USER_NAMESPACE = 0x10000000
CALLS: dict[str, tuple[Any, ...]] = {
    "ptrace": (0,),
    "process_vm_readv": (1, 0, 0, 0, 0, 0),
    "add_key": ("user", "name", "text", 4, -2),
    "keyctl": (0, -2, 1),
    "unshare": (NEW_USER_NAMESPACE,),
    "setns": (-1, 0),
    "open_tree": (-100, "/", 0),
    "name_to_handle_at": (-1, "/", 0, 0, 0),
    "io_uring_enter": (-1, 0, 0, 0, 0),
    "memfd_create": ("name", 0),
    "shmget": (0, 4096, 0o1600),
    "mq_unlink": ("nothing",),
    "socket": (2, 1, 0),
    "connect": (-1, 0, 0),
    "personality": (0,),
    "prlimit64": (1 << 22, 7, 0, 0),
    "sched_setaffinity": (1 << 22, 0, 0),
    "setpriority": (0, 1 << 22, 0),
    "pidfd_open": (1, 0),
    "timer_create": (99, 0, 0),
    "vmsplice": (-1, 0, 0, 0),
    "pidfd_send_signal": (-1, 0, 0, 0),
    "tkill": (1 << 22, 0),
    "close_range": (1 << 20, 1 << 20, 2),
    "mincore": (0, 0, 0),
    "preadv2": (-1, 0, 0, 0, 0, 8),
    "fadvise64": (-1, 0, 0, 4),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_is_refused(name: str) -> None:
    assert code(behind((), "call", NUMBERS[name], *CALLS[name])) != "EPERM"
    assert code(behind(("seccomp",), "call", NUMBERS[name], *CALLS[name])) == "EPERM"


@ONLY_ROOT
@pytest.mark.parametrize(
    ("name", "args"),
    [("mount", ("none", "/", "nothing", 0, 0)), ("sethostname", ("x", 4096)), ("swapoff", ("/nothing",))],
)
def test_every_layer_takes_roots_privileges_away(name: str, args: tuple[Any, ...]) -> None:
    """With nothing up, root gets another error than that of a missing privilege."""
    assert code(behind((), "call", NUMBERS[name], *args)) != "EPERM"
    for layer in ("namespaces", "landlock", "seccomp", "rlimits", "watchdog"):
        assert code(behind((layer,), "call", NUMBERS[name], *args)) == "EPERM", layer


def test_no_namespace_inside_the_namespaces() -> None:
    assert behind((), "call", NUMBERS["unshare"], NEW_USER_NAMESPACE)["answer"] == 0
    assert code(behind(("namespaces",), "call", NUMBERS["unshare"], NEW_USER_NAMESPACE)) in {"ENOSPC", "EPERM"}


def test_clone3_is_unknown_so_that_libraries_fall_back() -> None:
    assert code(behind((), "call", NUMBERS["clone3"], 0, 0)) != "ENOSYS"
    assert code(behind(("seccomp",), "call", NUMBERS["clone3"], 0, 0)) == "ENOSYS"
    assert behind(("seccomp",), "start_threads", 4, 0.0)["answer"] == 4


def test_no_process_and_no_program_can_be_started() -> None:
    assert behind((), "start_process")["answer"] == 0
    assert code(behind(("seccomp",), "start_process")) == "EPERM"
    assert behind((), "run_program").get("ended")  # the probe was replaced, so it told nothing
    for layer in ("seccomp", "landlock"):
        assert code(behind((layer,), "run_program")) in FORBIDDEN


@pytest.mark.skipif(platform.machine() != "x86_64", reason="int 0x80 is x86's")
def test_calls_of_another_architecture_end_the_process() -> None:
    assert behind((), "call_as_i386")["answer"] == 1
    assert behind(("seccomp",), "call_as_i386").get("ended")


def test_address_space_is_bounded() -> None:
    assert behind((), "reserve", 512, memory_mib=256)["answer"] == 512
    assert behind(("rlimits",), "reserve", 512, memory_mib=256)["error"] == "MemoryError"


def test_cpu_time_is_bounded() -> None:
    assert behind((), "spin", 2.0, cpu_seconds=1)["answer"] == 2.0
    assert behind(("rlimits",), "spin", 4.0, cpu_seconds=1).get("ended")


def test_descriptors_are_bounded() -> None:
    assert behind((), "open_files", 80, max_descriptors=64)["answer"] == 80
    assert code(behind(("rlimits",), "open_files", 80, max_descriptors=64)) == "EMFILE"


def test_each_file_is_bounded() -> None:
    assert behind((), "grow_one_file", 24, scratch_mib=16)["answer"] == 24 << 20
    assert code(behind(("rlimits",), "grow_one_file", 24, scratch_mib=16)) in {"EFBIG", "ENOSPC"}


def test_processes_and_threads_of_an_ordinary_user_are_bounded() -> None:
    """For root the kernel does not count: there seccomp and the watchdog hold."""
    user = NOBODY if os.geteuid() == 0 else -1
    count = {"start_processes": 40, "start_threads": 40}
    for probe, number in count.items():
        args = (number, 0.0) if probe == "start_threads" else (number,)
        assert behind((), probe, *args, user=user)["answer"] == number
        assert "error" in behind(("rlimits",), probe, *args, user=user, max_processes=20)


def test_the_watchdog_bounds_memory() -> None:
    assert behind((), "hold", 256, 0, 0.5, memory_mib=128)["answer"] == 256
    told = behind(("watchdog",), "hold", 256, 0, 30.0, memory_mib=128)
    assert told == {"ended": True, "overrun": "memory"}


def test_the_watchdog_counts_the_tables_of_memory_that_is_only_looked_at() -> None:
    """No such page counts, but the kernel's tables do; where CUDA runs, nothing bounds the space for addresses."""
    assert behind((), "look_far", 256, 0.0)["answer"] == 256
    assert behind(("watchdog",), "look_far", 256, 30.0, memory_mib=128) == {"ended": True, "overrun": "memory"}


def test_the_watchdog_adds_up_the_memory_of_all_processes() -> None:
    told = behind(("watchdog",), "hold", 320, 4, 30.0, memory_mib=128)
    assert told == {"ended": True, "overrun": "memory"}


def test_the_watchdog_counts_shared_memory_once() -> None:
    told = behind(("watchdog",), "hold_shared", 96, 3, 1.0, memory_mib=160)
    assert told == {"answer": 96, "overrun": ""}


def test_the_watchdog_bounds_processes_and_threads() -> None:
    assert behind((), "start_threads", 80, 0.5, max_processes=40)["answer"] == 80
    for layers in (("watchdog",), ("watchdog", "seccomp")):
        told = behind(layers, "start_threads", 80, 30.0, max_processes=40)
        assert told == {"ended": True, "overrun": "processes"}


@pytest.mark.skipif(delegated() is None, reason="no control group is delegated here")
def test_a_control_group_bounds_memory_and_processes() -> None:
    told = behind(("cgroup",), "hold", 512, 0, 5.0, memory_mib=64, scratch_mib=64)
    assert told == {"ended": True, "overrun": "memory"}
    assert "error" in behind(("cgroup",), "start_threads", 80, 0.0, max_processes=40)


@pytest.mark.parametrize("gpu", [False, True])
def test_all_layers_hold_together(secret: Path, gpu: bool) -> None:
    layers = layers_to_put_up(Settings())
    assert behind(layers, "write", "SCRATCH/new", gpu=gpu)["answer"] == 1
    assert code(behind(layers, "read", str(secret), gpu=gpu)) == "ENOENT"
    assert code(behind(layers, "start_process", gpu=gpu)) == "EPERM"


def test_what_cuda_needs_to_start_works_behind_all_layers() -> None:
    layers = layers_to_put_up(Settings())
    assert behind(layers, "name_thread", gpu=True)["answer"] == 4
    assert behind(layers, "listen", "SOCK_SEQPACKET", "\0cuda-uvmfd", gpu=True)["answer"] == 0


def test_a_course_that_submissions_could_read_is_refused(tmp_path: Path) -> None:
    refuse_exposed(tmp_path)
    (tmp_path / "link").symlink_to(sys.prefix)
    for folder in (Path(sys.prefix), Path(sys.prefix) / "course", tmp_path / "link" / "course"):
        with pytest.raises(SandboxUnavailable, match="every submission may read"):
            refuse_exposed(folder)
