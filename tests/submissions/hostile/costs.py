"""What one hand-in takes of the grader itself, outside the wall.

`python -m tests.submissions.hostile.costs [--only PATTERN]` prints it for each member of the corpus; the status is 1
where one is beyond the bound, which the tests hold, too.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from autograder.sandbox.confine import hide_memory

SECONDS, MIB = 10.0, 500
"""What one hand-in may take of the grader's processor and memory."""


@dataclass(frozen=True)
class Cost:
    """What was taken.

    Attributes:
        seconds: Of the processor, by all threads of this process.
        mib: How far memory went beyond what was in use before.
    """

    seconds: float
    mib: int

    @property
    def is_bounded(self) -> bool:
        """Whether a hand-in may take that much."""
        return self.seconds <= SECONDS and self.mib <= MIB

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.seconds:.2f} s, {self.mib} MiB"


@contextmanager
def measured() -> Iterator[list[Cost]]:
    """Yield a list for what the block takes of this process."""
    hide_memory(hidden=False)  # else an ordinary user may not write there
    Path("/proc/self/clear_refs").write_text("5")  # forgets the most memory that was in use
    hide_memory()
    before, began = _memory("VmRSS"), time.process_time()
    costs: list[Cost] = []
    yield costs
    costs.append(Cost(time.process_time() - began, _memory("VmHWM") - before))


def _memory(kind: str) -> int:
    found = re.search(rf"{kind}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) >> 10 if found else 0


def main() -> int:
    """Grade each member of the corpus, and print what it took."""
    from tests.submissions.hostile.attacks import RIGHT, notebook, read_attacks
    from tests.submissions.hostile.malformed import ANSWER, MALFORMED, write_right
    from tests.submissions.hostile.world import World

    parser = argparse.ArgumentParser(prog="python -m tests.submissions.hostile.costs", description=__doc__)
    parser.add_argument("--only", default="", metavar="PATTERN", help="those alone whose names fit")
    only = re.compile(parser.parse_args().only)
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        world = World(Path(folder), patch)
        for whole in (False, True):  # the libraries write their settings once
            world.grade(world.hand_in("honest", RIGHT, notebook(world.released, ANSWER)), whole=whole)
        for attack in read_attacks():
            if only.search(attack.name):
                cell = notebook(world.released, attack.cell(world.fill))
                place = world.hand_in("attacker", attack.module(world.fill), cell)
                with world.watched(attack.name):
                    world.grade(place, whole=attack.needs_stand_ins)
        for malformed in MALFORMED:
            if only.search(malformed.name):
                place = world.folder("careless")
                write_right(place, world)
                malformed.write(place, world)
                with world.watched(malformed.name):
                    world.grade(place)
        world.close()
        for name, cost in sorted(world.costs.items(), key=lambda item: -item[1].seconds):
            sys.stdout.write(f"{name}: {cost}\n")
    most = Cost(max(cost.seconds for cost in world.costs.values()), max(cost.mib for cost in world.costs.values()))
    sys.stdout.write(f"{len(world.costs)} hand-ins, each at most {most}; allowed: {Cost(SECONDS, MIB)}\n")
    return int(not most.is_bounded)


if __name__ == "__main__":
    sys.exit(main())
