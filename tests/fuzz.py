"""Fuzzing by hand, at any size.

`python -m tests.fuzz frames --count 1000000 --seed 1` mutates what crosses the wall, `python -m tests.fuzz replies
--count 100000 --file replies.jsonl` one field of each answer to the hidden checks, `python -m tests.fuzz submissions
--count 2000` what students hand in; `python -m tests.fuzz calls --count 500` makes random system calls behind the wall.
Replies are spread evenly over all questions, fields and styles; what the file holds is not tried again, so that a run
that was killed goes on.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from benchmarks.measuring import read_lines
from tests.frames import fuzz_frames
from tests.mutants import fuzz_submissions
from tests.random_calls import run_programs
from tests.replies import Found, Lies, replays

HEADROOM_MIB = 256
"""Memory that decoding may add to what is in use when it begins; more ends in a MemoryError."""

EACH = 4
"""Lies in place of one reply, each time that a task's checks are run."""


def main(words: Sequence[str] | None = None) -> int:
    """Fuzz, and say how many ended how, in what time and memory."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", choices=("calls", "frames", "replies", "submissions"))
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--styles", nargs="*", default=[""], help="replies: of these right modules, not the solved one")
    parser.add_argument("--file", type=Path, help="replies: holds what was tried")
    options = parser.parse_args(words)
    started = time.monotonic()
    if options.what == "replies":
        outcomes = _replies(options.styles, options.count, options.seed, options.file)
    else:
        outcomes = {"calls": run_programs, "frames": _frames, "submissions": _submissions}[options.what](
            options.count, options.seed
        )
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


class _Run(msgspec.Struct):
    """What the checks of one task made of some lies: a line of the file."""

    style: str
    task: str
    spoilt: bool
    seed: int
    turn: int
    found: Found


def _replies(styles: Sequence[str], count: int, seed: int, path: Path | None) -> Counter[str]:
    """Change so many replies, counting those of the file, and say what must not have come of it."""
    with tempfile.TemporaryDirectory() as folder, replays(Path(folder), styles) as all_replays:
        path = path or Path(folder) / "runs"
        runs = [msgspec.json.decode(line, type=_Run) for line in read_lines(path)]
        done = {(run.style, run.task, run.spoilt, run.seed, run.turn) for run in runs}
        outcomes: Counter[str] = Counter()
        for run in runs:
            outcomes.update(run.found.outcomes)
        with path.open("ab", buffering=0) as file:
            for turn in itertools.count():
                for style, replay in zip(styles, all_replays, strict=True):
                    for task, spoilt in itertools.product(replay.tasks, (False, True)):
                        if outcomes.total() >= count:
                            return outcomes
                        if (style, task, spoilt, seed, turn) not in done:
                            found = replay.with_lies(task, Lies(EACH, turn, seed), spoilt=spoilt)
                            file.write(msgspec.json.encode(_Run(style, task, spoilt, seed, turn, found)) + b"\n")
                            outcomes.update(found.outcomes)
                            sys.stdout.write("".join(f"{fault}\n" for fault in found.faults))
    return outcomes


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
