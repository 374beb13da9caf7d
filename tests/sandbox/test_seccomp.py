"""The filter's verdict on every call, by an interpreter of the few instructions that it is made of."""

from __future__ import annotations

import ctypes
import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograder.sandbox import seccomp

OWN_PID = 4711
MACHINES = sorted(seccomp.MACHINES)
PERMISSION, UNKNOWN = seccomp.ERRNO | errno.EPERM, seccomp.ERRNO | errno.ENOSYS
LOOKED_AT = {
    "clone": seccomp.CLONE, "clone3": seccomp.CLONE3, "socketpair": seccomp.SOCKETPAIR,
    "kill": seccomp.KILL, "tgkill": seccomp.TGKILL,
}  # fmt: skip


def verdict(filters: bytes, architecture: int, number: int, *args: int) -> int:
    """Run a filter on one call as the kernel would."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *args, *[0] * (6 - len(args)))
    program = list(struct.iter_unpack("<HBBI", filters))
    accumulator, place = 0, 0
    while True:
        operation, if_true, if_false, value = program[place]
        place += 1
        if operation == 0x06:
            return int(value)
        if operation == 0x20:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == 0x54:
            accumulator &= value
        else:
            jumps = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}
            place += if_true if jumps[operation] else if_false


def ask(machine: str, number: int, *args: int, gpu: bool = False) -> int:
    return verdict(seccomp.program(machine, OWN_PID, gpu=gpu), seccomp.MACHINES[machine][0], number, *args)


@pytest.mark.parametrize("machine", MACHINES)
def test_exactly_the_listed_calls_are_refused(machine: str) -> None:
    column = seccomp.MACHINES[machine][1]
    refused = {row[column] for row in seccomp.REFUSED.values()}
    conditional = {row[column] for row in LOOKED_AT.values()}
    for number in range(seccomp.LAST_KNOWN + 1):
        if number not in conditional:
            assert ask(machine, number) == (PERMISSION if number in refused else seccomp.ALLOW), number


@pytest.mark.parametrize("machine", MACHINES)
def test_a_gpu_changes_the_verdict_on_three_calls_alone(machine: str) -> None:
    column = seccomp.MACHINES[machine][1]
    arguments = [(), (1, 5), (1, 1), (2, 1), (OWN_PID,), (seccomp.CLONE_THREAD,)]
    allowed = {
        number
        for number in range(seccomp.LAST_KNOWN + 2)
        if any(ask(machine, number, *given) != ask(machine, number, *given, gpu=True) for given in arguments)
    }
    assert allowed == {seccomp.REFUSED[name][column] for name in ("socket", "bind", "listen")}


@pytest.mark.parametrize("machine", MACHINES)
@given(family=st.integers(0, 50), kind=st.integers(0, 2**32 - 1))
def test_on_a_gpu_sockets_are_local_ones_of_one_kind(machine: str, family: int, kind: int) -> None:
    number = seccomp.SOCKET[seccomp.MACHINES[machine][1]]
    local = family == seccomp.AF_UNIX and kind & seccomp.SOCK_TYPES == seccomp.SOCK_SEQPACKET
    assert ask(machine, number, family, kind, gpu=True) == (seccomp.ALLOW if local else PERMISSION)
    assert ask(machine, number, family, kind) == PERMISSION


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(seccomp.LAST_KNOWN + 1, 2**32 - 1))
def test_calls_that_are_not_known_yet_and_those_of_x32_are_unknown(machine: str, number: int) -> None:
    assert ask(machine, number) == UNKNOWN


@pytest.mark.parametrize("machine", MACHINES)
@given(architecture=st.integers(0, 2**32 - 1), number=st.integers(0, 600))
def test_another_architecture_ends_the_process(machine: str, architecture: int, number: int) -> None:
    if architecture != seccomp.MACHINES[machine][0]:
        assert verdict(seccomp.program(machine, OWN_PID), architecture, number) == seccomp.KILL_PROCESS


@pytest.mark.parametrize("machine", MACHINES)
@given(flags=st.integers(0, 2**32 - 1))
def test_clone_makes_threads_only(machine: str, flags: int) -> None:
    thread = flags & seccomp.CLONE_THREAD and not flags & seccomp.CLONE_NAMESPACES
    number = seccomp.CLONE[seccomp.MACHINES[machine][1]]
    assert ask(machine, number, flags) == (seccomp.ALLOW if thread else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("cloexec", [0, 0o2000000])
@pytest.mark.parametrize(("family", "kind", "allowed"), [(1, 1, True), (1, 2, False), (1, 5, False), (2, 1, False)])
def test_only_stream_pairs_are_made(machine: str, family: int, kind: int, cloexec: int, allowed: bool) -> None:
    number = seccomp.SOCKETPAIR[seccomp.MACHINES[machine][1]]
    assert ask(machine, number, family, kind | cloexec) == (seccomp.ALLOW if allowed else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["kill", "tgkill"])
@pytest.mark.parametrize(("pid", "allowed"), [(OWN_PID, True), (1, False), (0, False), (2**32 - 1, False)])
def test_it_signals_itself_only(machine: str, name: str, pid: int, allowed: bool) -> None:
    number = LOOKED_AT[name][seccomp.MACHINES[machine][1]]
    assert ask(machine, number, pid) == (seccomp.ALLOW if allowed else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_libseccomp(machine: str) -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    architecture, column = seccomp.MACHINES[machine]
    for name, row in {**seccomp.REFUSED, **LOOKED_AT, "seccomp": seccomp.SECCOMP}.items():
        found = library.seccomp_syscall_resolve_name_arch(architecture, name.encode())
        if found >= 0:  # negative where the architecture or the library lacks it
            assert row[column] == found, name
