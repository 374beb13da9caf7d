"""The system-call filter of student processes, made from the lists in `system_calls`.

What is on the lists is let through. Every other call that the table of `seccompy` knows fails with EPERM, as on a
machine that does not allow it, so that libraries fall back as they do there; calls that are newer than the table, and
those of `UNKNOWN`, fail with ENOSYS; those of `WITHOUT_EFFECT` do nothing. A call made for another architecture ends
the process.

Reference: man page seccomp(2).
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from seccompy import Action, ArgCmp, CmpOp, Filter
from seccompy.syscalls import AARCH64_SYSCALLS, X86_64_SYSCALLS

from autograder.sandbox.system_calls import FREE, GPU, LOCK_COMMANDS, UNKNOWN, WITHOUT_EFFECT, CallArgument, restricted

MACHINES: dict[str, dict[str, int]] = {"x86_64": X86_64_SYSCALLS, "aarch64": AARCH64_SYSCALLS}
"""Numbers of the known calls, by architecture and name."""


def filter_for(machine: str, own_pid: int, *, gpu: bool = False) -> Filter:
    """Return the whole filter, not loaded yet.

    Args:
        machine: A key of `MACHINES`; that of this machine, if the filter is to be loaded.
        own_pid: The process that will load it: the only one it may signal.
        gpu: Whether CUDA must be able to start.
    """
    numbers = MACHINES[machine]
    filters = Filter(default=Action.ERRNO | errno.ENOSYS)
    # First, since the program is run for these alone: what is always let through, the kernel finds in a table.
    for rule in restricted(own_pid, gpu=gpu):
        for choice in rule.choices:
            filters.allow(numbers[rule.name], args=[_condition(argument) for argument in choice])
    if not gpu:
        filters.errno(numbers["futex"], errno.EINVAL)
    # By number: on aarch64 some calls have two names.
    free = _numbers(machine, (name for group in (*FREE, *(GPU if gpu else ())) for name in group.names))
    for number in sorted(free):
        filters.allow(number)
    for number in sorted(_numbers(machine, WITHOUT_EFFECT)):
        filters.errno(number, 0)
    for command in LOCK_COMMANDS:
        filters.errno(numbers["fcntl"], errno.ENOSYS, args={1: command})
    for number in sorted(set(numbers.values()) - free - _numbers(machine, UNKNOWN)):
        filters.errno(number, errno.EPERM)  # also where none of the choices above fits
    return filters


def _numbers(machine: str, names: Iterable[str]) -> set[int]:
    """Return the numbers of those calls that the architecture has."""
    return {MACHINES[machine][name] for name in names if name in MACHINES[machine]}


def _condition(argument: CallArgument) -> ArgCmp:
    return ArgCmp(argument.index, CmpOp.MASKED_EQ, argument.value, argument.mask)
