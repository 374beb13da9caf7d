"""What was found about each mutant and each rewriting: plain records, written to a file from which a run resumes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

VerdictKind = Literal["equivalent", "free", "wrong", "rewriting"]


class Verdict(msgspec.Struct, frozen=True):
    """One mutant or rewriting, and what became of it.

    Attributes:
        name: Style, task, operator and place.
        key: Digest of its text and of all that its verdict depends on.
        kind: Whether it differs from its original, and if so whether the lab leaves that free.
        freedom: The rule by which it is free.
        differences: Aspects with what is different, which prove that it is wrong.
        fails_outright: Whether all that these say of it is that it raises.
        diff: Its lines beside those of the original.
        lost: Points lost by task, its own and others.
        failed: Checks of its own task that failed.
        named: Mistakes that its own task names.
        errors: Checks that ended in an internal error.
    """

    name: str
    key: str
    style: str
    task: str
    operator: str
    kind: VerdictKind
    diff: str
    freedom: str = ""
    differences: tuple[tuple[str, str], ...] = ()
    fails_outright: bool = False
    lost: Mapping[str, float] = {}
    failed: tuple[str, ...] = ()
    named: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_killed(self) -> bool:
        """Whether it lost points in its own task."""
        return self.task in self.lost

    @property
    def survives(self) -> bool:
        """Whether it is wrong and lost nothing in its own task."""
        return self.kind == "wrong" and not self.is_killed

    @property
    def collateral(self) -> dict[str, float]:
        """Points lost in other tasks, though it was paid for in its own, or is right."""
        paid = self.is_killed or self.kind == "rewriting"
        return {task: points for task, points in self.lost.items() if task != self.task and paid}


class VerdictFile:
    """A file to which verdicts are appended, so that a run that was ended resumes where it was.

    Args:
        path: Of the file; None writes none.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._known = {verdict.key: verdict for verdict in _read(path)} if path is not None else {}

    def __getitem__(self, key: str) -> Verdict:
        return self._known[key]

    def __contains__(self, key: object) -> bool:
        return key in self._known

    def add(self, verdict: Verdict) -> None:
        """Add a verdict, and write it at once."""
        self._known[verdict.key] = verdict
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("ab") as file:
                file.write(msgspec.json.encode(verdict) + b"\n")


def _read(path: Path) -> Iterator[Verdict]:
    """Yield the verdicts of a file; a last line that was cut off is left out."""
    if path.exists():
        for line in path.read_bytes().split(b"\n")[:-1]:
            yield msgspec.json.decode(line, type=Verdict)


class Tally(msgspec.Struct, frozen=True):
    """Figures over some verdicts of mutants."""

    made: int
    equivalent: int
    free: int
    wrong: int
    killed: int
    outright: int
    elsewhere_only: int
    survived: int
    collateral: int
    errors: int


def tally(verdicts: Sequence[Verdict]) -> Tally:
    """Count verdicts of mutants."""
    wrong = [verdict for verdict in verdicts if verdict.kind == "wrong"]
    return Tally(
        made=len(verdicts),
        equivalent=sum(verdict.kind == "equivalent" for verdict in verdicts),
        free=sum(verdict.kind == "free" for verdict in verdicts),
        wrong=len(wrong),
        killed=sum(verdict.is_killed for verdict in wrong),
        outright=sum(verdict.fails_outright for verdict in wrong),
        elsewhere_only=sum(verdict.survives and bool(verdict.lost) for verdict in wrong),
        survived=sum(verdict.survives and not verdict.lost for verdict in wrong),
        collateral=sum(bool(verdict.collateral) for verdict in wrong),
        errors=sum(bool(verdict.errors) for verdict in verdicts),
    )
