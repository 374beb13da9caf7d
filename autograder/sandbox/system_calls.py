"""Which system calls a student process may make, and why each group is harmless: data for `seccomp`.

An allow-list: what TensorFlow, Keras, NumPy, Python's own library and the C library were seen to ask for while the
corpus was graded, and their close relatives. All else fails. Where a call takes a process number, a command or flags
that could reach beyond this process, only the listed values are let through.

A filter sees numbers, never what a pointer points to. So it cannot tell one file from another: paths are held by the
views of the namespaces and by Landlock.

Reference: the kernel's man pages, section 2; `linux/fcntl.h`, `linux/prctl.h` and `linux/sched.h` for the values.
"""

from __future__ import annotations

from dataclasses import dataclass

CLONE_FILES, CLONE_THREAD = 0x00000400, 0x00010000
CLONE_NAMESPACES = 0x7E020080  # user, pid, net, ipc, uts, cgroup, mount and time
AF_UNIX, SOCK_STREAM, SOCK_SEQPACKET, SOCK_TYPES = 1, 1, 5, 0xF
CLOSE_RANGE_CLOEXEC, FUTEX_PRIVATE = 4, 128
INT_BITS = (1 << 32) - 1
ALL_BITS = (1 << 64) - 1


@dataclass(frozen=True)
class CallGroup:
    """Calls that are let through whatever their arguments.

    Attributes:
        reason: Why they reach nobody else.
        names: The kernel's names; some exist on one architecture alone.
    """

    reason: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class CallArgument:
    """What one argument of a call must be: `argument & mask == value`.

    Attributes:
        index: Which argument, from 0.
        value: What it must be, in the bits of the mask.
        mask: The bits that are looked at.
    """

    index: int
    value: int
    mask: int = ALL_BITS


@dataclass(frozen=True)
class Restricted:
    """A call that is let through with some arguments only.

    Attributes:
        reason: Why these reach nobody else.
        name: The kernel's name.
        choices: Each a condition on arguments, all of which must hold; one choice must fit.
    """

    reason: str
    name: str
    choices: tuple[tuple[CallArgument, ...], ...]


FREE = (
    CallGroup(
        "Work on descriptors that this process already holds.",
        (
            "read", "write", "pread64", "pwrite64", "readv", "writev", "preadv", "pwritev", "pwritev2",
            "close", "lseek", "dup", "dup2", "dup3", "fstat", "fstatfs", "ftruncate", "fsync", "fdatasync",
            "sync_file_range", "fallocate", "readahead", "sendfile", "copy_file_range", "splice", "getdents",
            "getdents64", "fchdir",
        ),
    ),
    CallGroup(
        "Work on paths: the views of the namespaces and Landlock say which paths there are.",
        (
            "open", "openat", "creat", "access", "faccessat", "faccessat2", "stat", "lstat", "newfstatat", "statx",
            "statfs", "readlink", "readlinkat", "getcwd", "chdir", "truncate", "mkdir", "mkdirat", "rmdir", "unlink",
            "unlinkat", "rename", "renameat", "renameat2", "symlink", "symlinkat", "umask", "getxattr", "lgetxattr",
            "fgetxattr", "listxattr", "llistxattr", "flistxattr",
        ),
    ),
    CallGroup(
        "Memory of this process.",
        (
            "mmap", "munmap", "mremap", "mprotect", "msync", "madvise", "brk", "mlock", "mlock2", "munlock",
            "mbind", "get_mempolicy", "set_mempolicy", "membarrier", "pkey_alloc", "pkey_free", "pkey_mprotect",
        ),
    ),
    CallGroup(
        "Threads of this process, and its end.",
        (
            "set_robust_list", "set_tid_address", "rseq", "gettid", "exit", "exit_group",
            "sched_yield", "restart_syscall", "arch_prctl", "wait4", "waitid",
        ),
    ),
    CallGroup(
        "What it may know of itself and of the machine; nothing is changed.",
        (
            "getpid", "getppid", "getpgrp", "getpgid", "getsid", "getuid", "geteuid", "getgid", "getegid", "getgroups",
            "getresuid", "getresgid", "capget", "getrlimit", "getrusage", "getpriority", "getcpu", "sched_getaffinity",
            "sched_getparam", "sched_getscheduler", "sched_getattr", "sched_get_priority_max", "sched_get_priority_min",
            "sched_rr_get_interval", "sysinfo", "uname", "getrandom", "times",
        ),
    ),
    CallGroup(
        "Clocks and timers of this process.",
        (
            "time", "gettimeofday", "clock_gettime", "clock_getres", "nanosleep", "clock_nanosleep", "alarm",
            "getitimer", "setitimer", "timerfd_create", "timerfd_settime", "timerfd_gettime",
        ),
    ),
    CallGroup(
        "Signals that this process handles.",
        (
            "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigpending", "rt_sigtimedwait", "rt_sigsuspend",
            "sigaltstack", "pause", "signalfd4",
        ),
    ),
    CallGroup(
        "Pipes, events, waiting, and traffic on a connected pair: both ends are this process's.",
        (
            "pipe", "pipe2", "eventfd", "eventfd2", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait",
            "epoll_pwait", "epoll_pwait2", "poll", "ppoll", "select", "pselect6", "sendto", "recvfrom", "sendmsg",
            "recvmsg", "sendmmsg", "recvmmsg", "shutdown", "getsockname", "getpeername", "getsockopt",
        ),
    ),
    CallGroup("Its own limits: those from outside are hard ones, which nobody can raise again.", ("setrlimit",)),
)  # fmt: skip

GPU = (
    CallGroup(
        "CUDA does not start without a listening local socket; connect and accept stay refused.", ("bind", "listen")
    ),
)

WITHOUT_EFFECT = ("chmod", "fchmod", "fchmodat", "fchmodat2", "utime", "utimes", "futimesat", "utimensat")
"""Calls that change nothing and say that they did, as `shutil.copy` needs: those for rights and times of files. Neither
views nor Landlock hold them: a descriptor from before, or the link `/proc/self/exe`, leads to a file outside its
read-only view, and whoever owns it, as root owns the interpreter and `/dev/null`, could take it from everybody."""

UNKNOWN = (
    "clone3", "openat2", "futex_wait", "futex_wake", "futex_waitv", "futex_requeue",
    "flock", "inotify_init", "inotify_init1", "inotify_add_watch", "inotify_rm_watch",
    "fanotify_init", "fanotify_mark",
)  # fmt: skip
"""Calls that fail as if the kernel did not have them (ENOSYS). The first have an older way that their callers take
then; flags of `clone3` and `openat2` lie in memory, where no filter can look. The others carry messages between
processes, through locks and notices on files that everybody may read."""

_DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _SETPIPE_SZ, _GETPIPE_SZ = 0, 1, 2, 3, 4, 1030, 1031, 1032
LOCK_COMMANDS = (5, 6, 7, 36, 37, 38, 1024, 1025, 1026)
"""Commands of `fcntl` that fail as unknown: locks of processes and of open files, leases, notices of a folder."""
_PRCTL = {"SET_NAME": 15, "GET_NAME": 16, "CAPBSET_READ": 23, "GET_NO_NEW_PRIVS": 39, "SET_VMA": 0x53564D41}
_IOCTL = {"TCGETS": 0x5401, "TIOCGWINSZ": 0x5413, "FIONREAD": 0x541B, "FIONBIO": 0x5421, "FIONCLEX": 0x5450,
          "FIOCLEX": 0x5451}  # fmt: skip
_ASK_PERSONALITY = 0xFFFFFFFF
_FADVISE = {"NORMAL": 0, "RANDOM": 1, "SEQUENTIAL": 2, "WILLNEED": 3, "NOREUSE": 5}


def restricted(own_pid: int, *, gpu: bool) -> tuple[Restricted, ...]:
    """Return the calls whose arguments are looked at.

    Args:
        own_pid: The process that will be behind the filter: the only one it may signal.
        gpu: Whether CUDA must be able to start.
    """
    only_thread = CallArgument(0, CLONE_THREAD | CLONE_FILES, CLONE_THREAD | CLONE_FILES | CLONE_NAMESPACES)
    local = CallArgument(0, AF_UNIX)
    rules = (
        Restricted("Threads of this process: no process, no namespace, no descriptors of their own, which the limit on "
                   "open files would count apart.", "clone", ((only_thread,),)),
        Restricted("Without descriptors of the thread's own.", "close_range",
                   ((CallArgument(2, 0, INT_BITS ^ CLOSE_RANGE_CLOEXEC),),)),
        Restricted("Without asking whether others have read the same.", "preadv2", ((CallArgument(5, 0, INT_BITS),),)),
        Restricted("Hints on what is read next; nothing is taken from the memory that all share.", "fadvise64",
                   _either(3, *_FADVISE.values())),
        Restricted("A pair of streams, which asyncio wants: both ends are this process's.", "socketpair",
                   ((local, CallArgument(1, SOCK_STREAM, SOCK_TYPES)),)),
        Restricted("Signals to itself.", "kill", ((CallArgument(0, own_pid),),)),
        Restricted("Signals to its own threads.", "tgkill", ((CallArgument(0, own_pid),),)),
        Restricted("Its own limits: no other process's number.", "prlimit64", ((CallArgument(0, 0),),)),
        Restricted("Copies, flags and sizes of its own descriptors; no owner that gets signals.", "fcntl",
                   _either(1, _DUPFD, _GETFD, _SETFD, _GETFL, _SETFL, _DUPFD_CLOEXEC, _SETPIPE_SZ, _GETPIPE_SZ)),
        Restricted("Names of threads and of memory, and questions.", "prctl", _either(0, *_PRCTL.values())),
        Restricted("The question which personality it has.", "personality", _either(0, _ASK_PERSONALITY)),
    )  # fmt: skip
    if gpu:
        packets = (local, CallArgument(1, SOCK_SEQPACKET, SOCK_TYPES))
        return (
            Restricted("Every kind: whether CUDA waits for other processes was not tried.", "futex", ((),)),
            *rules,
            Restricted("The local socket that CUDA needs to start.", "socket", (packets,)),
            Restricted("Every command: they are how a GPU's driver is spoken to.", "ioctl", ((),)),
        )
    return (
        Restricted("Waiting within this process. A shared one wakes whoever waits at the same place of a file that "
                   "both may read: it fails with EINVAL, and the C library looks again.",
                   "futex", ((CallArgument(1, FUTEX_PRIVATE, FUTEX_PRIVATE),),)),
        *rules,
        Restricted("Questions to a terminal or pipe, and flags.", "ioctl", _either(1, *_IOCTL.values())),
    )  # fmt: skip


def _either(index: int, *values: int) -> tuple[tuple[CallArgument, ...], ...]:
    return tuple((CallArgument(index, value),) for value in values)
