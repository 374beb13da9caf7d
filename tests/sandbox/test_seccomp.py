"""The filter's verdict on every call, by an interpreter of the few instructions that it is made of."""

from __future__ import annotations

import ctypes
import errno
import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seccompy import Action

from autograder.sandbox import seccomp, system_calls
from autograder.sandbox.system_calls import (
    CLONE_FILES,
    CLONE_NAMESPACES,
    CLONE_THREAD,
    FREE,
    LOCK_COMMANDS,
    UNKNOWN,
    WITHOUT_EFFECT,
    restricted,
)
from tests.call_table import ALLOW, ARCHITECTURES, NO_CALL, NO_EFFECT, PAGE, PERMISSION, program_of, rendered, verdict

OWN_PID = 4711
MACHINES = sorted(ARCHITECTURES)
ALL_NUMBERS = 600
program = functools.cache(program_of)


def ask(machine: str, call: str | int, *args: int, gpu: bool = False) -> int:
    number = seccomp.MACHINES[machine][call] if isinstance(call, str) else call
    return verdict(program(machine, OWN_PID, gpu=gpu), ARCHITECTURES[machine], number, *args)


@pytest.mark.parametrize("machine", MACHINES)
def test_exactly_the_listed_calls_are_let_through(machine: str) -> None:
    numbers = seccomp.MACHINES[machine]
    free = {numbers[name] for group in FREE for name in group.names if name in numbers}
    undone = {numbers[name] for name in WITHOUT_EFFECT if name in numbers}
    looked_at = {numbers[rule.name] for rule in restricted(OWN_PID, gpu=False)}
    unknown = {numbers[name] for name in UNKNOWN if name in numbers} | set(range(ALL_NUMBERS)) - set(numbers.values())
    for number in set(range(ALL_NUMBERS)) - looked_at:
        expected = ALLOW if number in free else NO_CALL if number in unknown else PERMISSION
        expected = NO_EFFECT if number in undone else expected
        assert ask(machine, number) == expected, number


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("gpu", [False, True])
def test_calls_that_are_looked_at_pass_with_the_listed_arguments_alone(machine: str, gpu: bool) -> None:
    for rule in restricted(OWN_PID, gpu=gpu):
        for choice in rule.choices:
            values = {argument.index: argument.value for argument in choice}
            given = [values.get(index, 0) for index in range(6)]
            assert ask(machine, rule.name, *given, gpu=gpu) == ALLOW, rule.name
            for argument in choice:
                bit = argument.mask & -argument.mask
                for other in (bit, 1 << 31 & argument.mask, 1 << 32 & argument.mask, 1 << 63 & argument.mask):
                    changed = [value ^ other if index == argument.index else value for index, value in enumerate(given)]
                    allowed = any(_fits(changed, other_choice) for other_choice in rule.choices)
                    assert (ask(machine, rule.name, *changed, gpu=gpu) == ALLOW) == allowed, (rule.name, changed)


def _fits(args: list[int], choice: tuple[system_calls.CallArgument, ...]) -> bool:
    return all(args[argument.index] & argument.mask == argument.value for argument in choice)


@pytest.mark.parametrize("machine", MACHINES)
def test_a_gpu_changes_the_verdict_on_five_calls_alone(machine: str) -> None:
    arguments = [(), (1, 5), (1, 1), (2, 1), (OWN_PID,), (CLONE_THREAD,), (0, 0x5401)]
    changed = {
        name
        for name in seccomp.MACHINES[machine]
        if any(ask(machine, name, *given) != ask(machine, name, *given, gpu=True) for given in arguments)
    }
    assert changed == {"socket", "bind", "listen", "ioctl", "futex"}


@pytest.mark.parametrize("machine", MACHINES)
@given(family=st.integers(0, 50), kind=st.integers(0, 2**32 - 1))
def test_on_a_gpu_sockets_are_local_ones_of_one_kind(machine: str, family: int, kind: int) -> None:
    local = family == system_calls.AF_UNIX and kind & system_calls.SOCK_TYPES == system_calls.SOCK_SEQPACKET
    assert ask(machine, "socket", family, kind, gpu=True) == (ALLOW if local else PERMISSION)
    assert ask(machine, "socket", family, kind) == PERMISSION


@pytest.mark.parametrize("machine", MACHINES)
@given(number=st.integers(ALL_NUMBERS, 2**32 - 1))
def test_calls_that_are_not_known_yet_and_those_of_x32_are_unknown(machine: str, number: int) -> None:
    assert ask(machine, number) == NO_CALL


@pytest.mark.parametrize("machine", MACHINES)
@given(architecture=st.integers(0, 2**32 - 1), number=st.integers(0, 600))
def test_another_architecture_ends_the_process(machine: str, architecture: int, number: int) -> None:
    if architecture != ARCHITECTURES[machine]:
        assert verdict(program(machine, OWN_PID), architecture, number) == 0x80000000


@pytest.mark.parametrize("machine", MACHINES)
@given(flags=st.integers(0, 2**32 - 1))
def test_clone_makes_threads_only(machine: str, flags: int) -> None:
    for asked in (flags, flags | CLONE_THREAD | CLONE_FILES):
        thread = asked & CLONE_THREAD and asked & CLONE_FILES and not asked & CLONE_NAMESPACES
        assert ask(machine, "clone", asked) == (ALLOW if thread else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@given(operation=st.integers(0, 2**9 - 1))
def test_nobody_waits_together_with_another_process(machine: str, operation: int) -> None:
    """A shared futex is a place in a file that both may read: the C library looks again where it fails so."""
    private = bool(operation & 128)
    assert ask(machine, "futex", 0, operation) == (ALLOW if private else Action.ERRNO | errno.EINVAL)
    assert ask(machine, "futex", 0, operation, gpu=True) == ALLOW


@pytest.mark.parametrize("machine", MACHINES)
def test_no_thread_gets_descriptors_of_its_own(machine: str) -> None:
    """The limit on open files would hold for each of them."""
    for flags, allowed in {0: True, 4: True, 2: False, 6: False}.items():
        assert ask(machine, "close_range", 3, 100, flags) == (ALLOW if allowed else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("cloexec", [0, 0o2000000])
@pytest.mark.parametrize(("family", "kind", "allowed"), [(1, 1, True), (1, 2, False), (1, 5, False), (2, 1, False)])
def test_only_stream_pairs_are_made(machine: str, family: int, kind: int, cloexec: int, allowed: bool) -> None:
    assert ask(machine, "socketpair", family, kind | cloexec) == (ALLOW if allowed else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("name", ["kill", "tgkill"])
@pytest.mark.parametrize(("pid", "allowed"), [(OWN_PID, True), (1, False), (0, False), (2**32 - 1, False)])
def test_it_signals_itself_only(machine: str, name: str, pid: int, allowed: bool) -> None:
    assert ask(machine, name, pid) == (ALLOW if allowed else PERMISSION)


@pytest.mark.parametrize("machine", MACHINES)
@given(command=st.integers(0, 2048))
def test_locks_leases_and_notices_are_unknown_and_owners_are_refused(machine: str, command: int) -> None:
    allowed = {0, 1, 2, 3, 4, 1030, 1031, 1032}
    expected = ALLOW if command in allowed else NO_CALL if command in LOCK_COMMANDS else PERMISSION
    assert ask(machine, "fcntl", 3, command) == expected


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_those_of_libseccomp(machine: str) -> None:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp is not installed")
    library.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]
    for name, number in seccomp.MACHINES[machine].items():
        found = library.seccomp_syscall_resolve_name_arch(ARCHITECTURES[machine], name.encode())
        if found >= 0:  # negative where the architecture or the library lacks it
            assert number == found, name


def test_the_page_of_calls_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == rendered()
