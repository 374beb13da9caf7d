"""Audit the corpus several times: does the same submission always get the same marks?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from autograder.audit.audit import Audit


@dataclass(frozen=True)
class Stability:
    """What several audits of one corpus found.

    Attributes:
        runs: Number of audits.
        submissions: Number of submissions in each.
        unstable: Slug of a submission that did not always lose the same points, to what it lost in each audit.
    """

    runs: int
    submissions: int
    unstable: Mapping[str, tuple[Mapping[str, float], ...]]
    seconds: float


def repeat(run: Callable[[bytes, int], Audit], seeds: Iterable[bytes]) -> tuple[Audit, Stability]:
    """Audit once for each seed; equal seeds draw the same hidden inputs.

    Args:
        run: Audits the corpus with a seed; also gets the number of the audit, from 0.
        seeds: At least one.

    Returns:
        The first audit, and how the others agree with it.
    """
    begin = time.monotonic()
    found = [run(seed, number) for number, seed in enumerate(seeds)]
    lost = {row.variant.slug: tuple(audit.lost(row.variant.slug) for audit in found) for row in found[0].rows}
    unstable = {slug: losses for slug, losses in lost.items() if any(one != losses[0] for one in losses)}
    return found[0], Stability(len(found), len(lost), unstable, time.monotonic() - begin)


def seeds_of(text: str, different: int, each: int) -> list[bytes]:
    """Return `each` copies of each of `different` seeds; the first is the text itself.

    Args:
        text: What the first seed is.
        different: How many seeds that draw other hidden inputs.
        each: How often each is used.
    """
    return [f"{text}{number or ''}".encode() for number in range(different) for _ in range(each)]


def render_stability(stability: Stability) -> str:
    """Return a line, after a list of the submissions that did not always get the same marks."""
    lines = [f"Submissions with other marks in another audit ({len(stability.unstable)})"] if stability.unstable else []
    lines += [f"  {slug}: {', '.join(map(str, map(dict, losses)))}" for slug, losses in stability.unstable.items()]
    same = stability.submissions - len(stability.unstable)
    lines.append(f"the same marks in {stability.runs} audits: {same} of {stability.submissions}")
    return "\n".join(lines) + "\n"
