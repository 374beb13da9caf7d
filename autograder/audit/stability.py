"""Audit the corpus several times: does the same submission always get the same marks?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from autograder.audit.records import Audit


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
        run: Audits the corpus with a seed; its second argument is the number of the audit, from 0.
        seeds: At least one.

    Returns:
        The first audit, and how the others agree with it.
    """
    begin = time.monotonic()
    audits = [run(seed, number) for number, seed in enumerate(seeds)]
    slugs = [submission.variant.slug for submission in audits[0].submissions]
    lost = {slug: tuple(audit.lost(slug) for audit in audits) for slug in slugs}
    unstable = {slug: losses for slug, losses in lost.items() if any(other != losses[0] for other in losses)}
    return audits[0], Stability(len(audits), len(slugs), unstable, time.monotonic() - begin)


def seeds_of(text: str, different: int, each: int) -> list[bytes]:
    """Return `each` copies of each of `different` seeds; the first is the text itself.

    Args:
        text: What the first seed is.
        different: How many seeds that draw other hidden inputs.
        each: How often each is used.
    """
    return [f"{text}{number or ''}".encode() for number in range(different) for _ in range(each)]


def render_stability(stability: Stability) -> str:
    """Return the submissions that did not always get the same marks, then a line with their number."""
    title = f"Submissions whose marks changed between audits ({len(stability.unstable)})"
    lines = [title] if stability.unstable else []
    lines += [f"  {slug}: {', '.join(map(str, map(dict, losses)))}" for slug, losses in stability.unstable.items()]
    same = stability.submissions - len(stability.unstable)
    lines.append(f"the same marks in {stability.runs} audits: {same} of {stability.submissions}")
    return "\n".join(lines) + "\n"
