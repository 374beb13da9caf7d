"""A system-call filter for student processes: a short classic-BPF program, assembled here and loaded once.

libseccomp would have to be on every grading machine, and its Python binding is no longer maintained; what we
need is two tables and five instructions. Refused calls fail with EPERM, as on a machine that does not
allow them, so that libraries fall back as they do there. Calls newer than this table fail with ENOSYS. A
call made for another architecture ends the process.

Reference: man page seccomp(2); linux/filter.h and linux/seccomp.h for the encoding.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_LOAD_WORD, _AND, _RETURN = 0x20, 0x54, 0x06
_JUMP_EQUAL, _JUMP_AT_LEAST, _JUMP_BITS = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; arguments are 8 bytes, low word first
_SET_MODE_FILTER = 1

CLONE_THREAD = 0x00010000
CLONE_NAMESPACES = 0x7E020080  # user, pid, net, ipc, uts, cgroup, mount and time
AF_UNIX, SOCK_STREAM, SOCK_SEQPACKET, SOCK_TYPES = 1, 1, 5, 0xF

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
"""Audit architecture, and column of the tables below."""

LAST_KNOWN = 469
"""file_setattr, Linux 6.17: later calls were not looked at. x32's calls, from 2^30 on, are beyond it, too."""

# Each call with its number on x86_64 and on aarch64; None where the architecture lacks it.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory and descriptors
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "process_madvise": (440, 440), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    # new processes and programs
    "fork": (57, None), "vfork": (58, None), "execve": (59, 221), "execveat": (322, 281),
    # keyrings
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219),
    # mounts, roots and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428),
    "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432),
    "fspick": (433, 433), "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    "open_tree_attr": (467, 467), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "fanotify_init": (300, 262), "unshare": (272, 97),
    "setns": (308, 268),
    # code in the kernel, and doors into it that are often broken
    "bpf": (321, 280), "perf_event_open": (298, 241), "init_module": (175, 105), "finit_module": (313, 273),
    "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "vmsplice": (278, 75),
    # the machine
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "sethostname": (170, 161), "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112),
    "clock_adjtime": (305, 266), "adjtimex": (159, 171), "vhangup": (153, 58), "personality": (135, 92),
    "iopl": (172, None), "ioperm": (173, None), "modify_ldt": (154, None), "uselib": (134, None),
    "lookup_dcookie": (212, 18), "nfsservctl": (180, 42), "_sysctl": (156, None), "sysfs": (139, None),
    # memory that no sampling of processes sees
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "shmctl": (31, 195),
    "shmat": (30, 196), "semget": (64, 190), "semop": (65, 193), "semctl": (66, 191), "semtimedop": (220, 192),
    "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188), "msgctl": (71, 187), "mq_open": (240, 180),
    "mq_unlink": (241, 181), "mq_timedsend": (242, 182), "mq_timedreceive": (243, 183), "mq_notify": (244, 184),
    # sockets of every family; only a connected pair may be made, and on a GPU what CUDA needs, see `program`
    "socket": (41, 198), "bind": (49, 200), "connect": (42, 203), "listen": (50, 201), "accept": (43, 202),
    "accept4": (288, 242),
}  # fmt: skip
CLONE, SOCKET, SOCKETPAIR, KILL, TGKILL = (56, 220), (41, 198), (53, 199), (62, 129), (234, 131)
CLONE3, SECCOMP = (435, 435), (317, 277)

CUDA_CALLS = ("socket", "bind", "listen")
"""CUDA does not start without a listening local socket. It reaches nobody: connect and accept stay refused."""

_libc = ctypes.CDLL(None, use_errno=True)


def program(machine: str, own_pid: int, *, gpu: bool = False) -> bytes:
    """Return the whole filter.

    Args:
        machine: A key of `MACHINES`.
        own_pid: The process that will load it: the only one it may signal.
        gpu: Whether CUDA must be able to start.
    """
    column = MACHINES[machine][1]
    refused = {name: row[column] for name, row in REFUSED.items() if not (gpu and name in CUDA_CALLS)}
    rules = [
        _begin(machine),
        refuse(CLONE3[column], errno.ENOSYS),  # its flags lie in memory, where no filter can look; libc then uses clone
        *(refuse(number) for number in refused.values() if number is not None),
        _only_threads(CLONE[column]),
        # Pairs are what asyncio wants; those of streams, unlike datagram ones, reach nobody else.
        _only_local_sockets(SOCKETPAIR[column], SOCK_STREAM),
        *([_only_local_sockets(SOCKET[column], SOCK_SEQPACKET)] if gpu else []),
        _only_first_argument(KILL[column], own_pid),
        _only_first_argument(TGKILL[column], own_pid),
    ]
    return b"".join(rules) + _instruction(_RETURN, ALLOW)


def refuse(number: int, code: int = errno.EPERM) -> bytes:
    """Return the instructions that let one call fail with an error code."""
    return _when(number, [_instruction(_RETURN, ERRNO | code)])


def load(filters: bytes) -> None:
    """Put the calling thread and all it starts behind a filter, for good. Needs no_new_privs.

    Raises:
        OSError: If the kernel does not take it.
    """
    instructions = ctypes.create_string_buffer(filters, len(filters))
    header = struct.pack("HxxxxxxP", len(filters) // 8, ctypes.addressof(instructions))
    number = SECCOMP[MACHINES[platform.machine()][1]]
    if _libc.syscall(number, _SET_MODE_FILTER, 0, ctypes.c_char_p(header)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"seccomp: {os.strerror(code)}")


def _begin(machine: str) -> bytes:
    return b"".join(
        [
            _instruction(_LOAD_WORD, _ARCHITECTURE),
            _instruction(_JUMP_EQUAL, MACHINES[machine][0], 1, 0),
            _instruction(_RETURN, KILL_PROCESS),
            _instruction(_LOAD_WORD, _NUMBER),
            _instruction(_JUMP_AT_LEAST, LAST_KNOWN + 1, 0, 1),
            _instruction(_RETURN, ERRNO | errno.ENOSYS),
        ]
    )


def _only_threads(number: int) -> bytes:
    """Let clone make threads of this process, no process and no namespace."""
    body = [
        _instruction(_LOAD_WORD, _ARGUMENTS),
        _instruction(_JUMP_BITS, CLONE_NAMESPACES, 1, 0),
        _instruction(_JUMP_BITS, CLONE_THREAD, 1, 0),
        _instruction(_RETURN, ERRNO | errno.EPERM),
        _instruction(_RETURN, ALLOW),
    ]
    return _when(number, body)


def _only_local_sockets(number: int, kind: int) -> bytes:
    """Let socket or socketpair make sockets of this machine, and of one kind."""
    body = [
        _instruction(_LOAD_WORD, _ARGUMENTS),
        _instruction(_JUMP_EQUAL, AF_UNIX, 0, 3),
        _instruction(_LOAD_WORD, _ARGUMENTS + 8),
        _instruction(_AND, SOCK_TYPES),
        _instruction(_JUMP_EQUAL, kind, 1, 0),
        _instruction(_RETURN, ERRNO | errno.EPERM),
        _instruction(_RETURN, ALLOW),
    ]
    return _when(number, body)


def _only_first_argument(number: int, value: int) -> bytes:
    body = [
        _instruction(_LOAD_WORD, _ARGUMENTS),
        _instruction(_JUMP_EQUAL, value, 1, 0),
        _instruction(_RETURN, ERRNO | errno.EPERM),
        _instruction(_RETURN, ALLOW),
    ]
    return _when(number, body)


def _when(number: int, body: list[bytes]) -> bytes:
    """Run `body`, which returns on every path, for this call; else go on behind it."""
    return _instruction(_JUMP_EQUAL, number, 0, len(body)) + b"".join(body)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, value)
