"""Fuzzing by hand, at any size.

`python -m tests.fuzz frames --count 1000000 --seed 1` mutates what crosses the wall, `python -m tests.fuzz replies
--count 100000` one field of each answer to the hidden checks, `python -m tests.fuzz submissions --count 2000` what
students hand in.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.frames import fuzz_frames
from tests.mutants import fuzz_submissions
from tests.replies import fuzz_replies, replays

HEADROOM_MIB = 256
"""Memory that decoding may add to what is in use when it begins; more ends in a MemoryError."""


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz, and say how many ended how, in what time and memory."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=("frames", "replies", "submissions"))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(words)
    started = time.monotonic()
    fuzz = {"frames": _frames, "replies": _replies, "submissions": _submissions}[options.what]
    outcomes = fuzz(options.count, options.seed)
    told = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    sys.stdout.write(f"{told}; {time.monotonic() - started:.0f} s, at most {peak} MiB\n")
    return 0


def _frames(count: int, seed: int) -> Counter[str]:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * resource.getpagesize()
    limit = used + (HEADROOM_MIB << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    return fuzz_frames(count, seed)


def _replies(count: int, seed: int) -> Counter[str]:
    with tempfile.TemporaryDirectory() as folder, replays(Path(folder)) as replay:
        return fuzz_replies(replay, count, seed)


def _submissions(count: int, seed: int) -> Counter[str]:
    def tell(outcomes: Counter[str]) -> None:
        if outcomes.total() % 50 == 0:
            sys.stdout.write(f"{outcomes.total()} of {count}: {dict(outcomes)}\n")
            sys.stdout.flush()

    root = Path(tempfile.mkdtemp())
    outcomes = fuzz_submissions(root / "course", count, seed, tell)
    shutil.rmtree(root)  # where one fails, its files are still there to be looked at
    return outcomes


if __name__ == "__main__":
    sys.exit(main())
