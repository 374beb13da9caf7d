"""Programs of random system calls with random arguments, behind all layers: nothing outside may change.

Each program runs in a disposable process; it may end in any way. What must stay as it is: a process that has nothing
to do with it, files outside, and the machine's devices and name.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autograder.config import Settings
from autograder.grading.student_process import layers_to_put_up
from tests.behind import Order, policy_of

CALLS = 400
"""Calls in one program."""
SECONDS = 10
"""How long a program may run; one that waits with all signals blocked is ended."""
SHARED = ("/dev/null", "/dev/zero", "/dev/urandom", sys.executable)
"""What everybody uses, and this user may own."""


@dataclass(frozen=True)
class Outside:
    """What random calls must not change.

    Attributes:
        victim: A process of this user's.
        folder: A folder of this user's, with files that anybody may write.
    """

    victim: int
    folder: Path

    def seen(self) -> dict[str, Any]:
        """Return all that is watched."""
        files = sorted(self.folder.rglob("*"))
        return {
            "files": [(str(file), file.stat().st_mode, file.read_bytes() if file.is_file() else b"") for file in files],
            "shared": [(found.st_mode, found.st_uid) for found in map(os.stat, SHARED)],
            "processors": os.sched_getaffinity(self.victim),
            "priority": os.getpriority(os.PRIO_PROCESS, self.victim),
            "scheduler": os.sched_getscheduler(self.victim),
            "limits": [resource.prlimit(self.victim, kind) for kind in range(16)],
            "alive": Path(f"/proc/{self.victim}/stat").read_text().rpartition(")")[2].split()[0] in "SR",
            "host": os.uname().nodename,
        }


@contextmanager
def outside() -> Iterator[Outside]:
    """Yield a process and a folder that nothing may touch."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(3):
            (folder / f"{number}.txt").write_text("as it was")
            (folder / f"{number}.txt").chmod(0o666)
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as victim:
            yield Outside(victim.pid, folder)
            victim.communicate(b"\n")


def run_program(watched: Outside, seed: int, user: int = -1) -> str:
    """Run one program, and return how it ended: `answered`, `ended` or `stopped`."""
    policy = policy_of(layers_to_put_up(Settings()))
    order = Order(policy, "random_calls", [seed, CALLS, watched.victim, str(watched.folder / "0.txt")], user)
    words = [sys.executable, "-m", "tests.behind", order.encoded()]
    try:
        # Its input is a device from outside, which it must not be able to take from the others.
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "stopped"
    if done.returncode:
        raise AssertionError(f"program {seed}: {done.stderr}")
    return "ended" if '"ended"' in done.stdout else "answered"


def run_programs(count: int, seed: int = 1) -> Counter[str]:
    """Run so many programs, and fail as soon as one changed anything outside."""
    outcomes: Counter[str] = Counter()
    with outside() as watched:
        before = watched.seen()
        for number in range(count):
            outcomes[run_program(watched, seed + number)] += 1
            after = watched.seen()
            if after != before:
                changed = [name for name in before if after[name] != before[name]]
                raise AssertionError(f"program {seed + number} changed {', '.join(changed)}")
    return outcomes
