"""The table of system calls in `docs/system_calls.md`: `python -m tests.call_table` writes it, a test compares it.

Also the verdict of a filter on one call, by an interpreter of the instructions that seccomp's filters are made of.
"""

from __future__ import annotations

import errno
import struct
from pathlib import Path
from unittest import mock

from seccompy import Action

from autograder.sandbox import seccomp
from autograder.sandbox.system_calls import FREE, GPU, UNKNOWN, WITHOUT_EFFECT, restricted

PAGE = Path(__file__).parents[1] / "docs" / "system_calls.md"
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, PERMISSION, NO_CALL = int(Action.ALLOW), Action.ERRNO | errno.EPERM, Action.ERRNO | errno.ENOSYS
NO_EFFECT = int(Action.ERRNO)

_LOAD, _AND, _RETURN, _JUMP = 0x20, 0x54, 0x06, 0x05
_ALLOWED_FOR = {True: "on a GPU worker alone", False: ""}
_INTRODUCTION = """\
# System calls that a student process may make

Written by `python -m tests.call_table` from `autograder/sandbox/system_calls.py`; a test holds both together. The
filter's program is evaluated for each of these calls on both architectures, and for every argument that it looks at
(`tests/sandbox/test_seccomp.py`).

"""


def program_of(machine: str, own_pid: int, *, gpu: bool = False) -> bytes:
    """Return the filter's program for an architecture, whichever this machine has."""
    with mock.patch("seccompy.syscalls.platform.machine", lambda: machine):
        return seccomp.filter_for(machine, own_pid, gpu=gpu).program


def verdict(program: bytes, architecture: int, number: int, *args: int) -> int:
    """Run a filter on one call as the kernel would."""
    data = struct.pack("<IIQ6Q", number, architecture, 0, *args, *[0] * (6 - len(args)))
    instructions = list(struct.iter_unpack("<HBBI", program))
    accumulator, place = 0, 0
    while True:
        operation, if_true, if_false, value = instructions[place]
        place += 1
        if operation == _RETURN:
            return int(value)
        if operation == _LOAD:
            (accumulator,) = struct.unpack_from("<I", data, value)
        elif operation == _AND:
            accumulator &= value
        elif operation == _JUMP:
            place += value
        else:
            jumps = {0x15: accumulator == value, 0x25: accumulator > value, 0x35: accumulator >= value}
            place += if_true if jumps[operation] else if_false


def rendered() -> str:
    """Return the page."""
    lines = ["## Let through", "", "| calls | why harmless |", "|---|---|"]
    lines += [f"| {_names(group.names)} | {group.reason} |" for group in FREE]
    lines += ["", "## Let through with some arguments", "", "| call | what is let through | |", "|---|---|---|"]
    without = restricted(1, gpu=False)
    lines += [f"| `{rule.name}` | {rule.reason} | |" for rule in without]
    lines += [f"| `{rule.name}` | {rule.reason} | {_ALLOWED_FOR[True]} |" for rule in restricted(1, gpu=True)
              if rule not in without]  # fmt: skip
    lines += [f"| {_names(group.names)} | {group.reason} | {_ALLOWED_FOR[True]} |" for group in GPU]
    lines += [
        "", "## Fail as if the kernel did not have them", "",
        "Calls with an older way that their callers take then, calls that carry messages between processes through",
        "locks and notices on files that everybody may read, and every call that is newer than the list of `seccompy`.",
        "So do the commands of `fcntl` for locks, leases and notices.", "", _names(UNKNOWN), "",
        "## Do nothing", "",
        "Calls that change rights or times of files say that they did, and did not: a descriptor from before, or the",
        "link `/proc/self/exe`, leads to a file outside its read-only view.", "", _names(WITHOUT_EFFECT), "",
        "## Refused", "",
        "Every other call, with `EPERM` (`socket`, `bind` and `listen` unless on a GPU worker, as above):", "",
        _names(refused()), "",
    ]  # fmt: skip
    return _INTRODUCTION + "\n".join(lines)


def refused() -> list[str]:
    """Return the known calls that are on no list, by name; on aarch64 some on a list have a second name."""
    rules = restricted(1, gpu=False)
    listed = {*(name for group in FREE for name in group.names), *(rule.name for rule in rules)}
    listed |= {*UNKNOWN, *WITHOUT_EFFECT}
    found: set[str] = set()
    for numbers in seccomp.MACHINES.values():
        taken = {numbers[name] for name in listed if name in numbers}
        found |= {name for name, number in numbers.items() if number not in taken}
    return sorted(found - listed)


def _names(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


if __name__ == "__main__":
    PAGE.write_text(rendered(), "utf-8")
