"""Answers to a word that does not exist: the nearest one that does."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

ALIKE = 0.5
"""Likeness (0 to 1, `difflib`) below which a word is not suggested."""
MOST = 20
"""Words that are listed at most if none is near."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return a question with the nearest known word, or a sentence that lists the known ones; empty if there are none.

    Args:
        word: What was written.
        known: What could have been written.
    """
    words = list(known)
    folded = {known_word.casefold(): known_word for known_word in reversed(words)}  # the first of equal ones stays
    near = difflib.get_close_matches(word.casefold(), folded, n=1, cutoff=ALIKE)
    if near:
        return f"Did you mean {folded[near[0]]}?"
    if not words:
        return ""
    further = f" and {len(words) - MOST} more" if len(words) > MOST else ""
    return f"{'There are' if len(words) > 1 else 'There is only'} {', '.join(words[:MOST])}{further}."
