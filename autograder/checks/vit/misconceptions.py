"""What a student reads when a known mistake is recognised: what happened and what to look at, not the solution."""

from __future__ import annotations

from typing import NoReturn

from autograder.checking.comparisons import fail

SENTENCES = {
    "model_params_other": "`model_params` is not what the table asks for.",
}


def blame(slug: str) -> NoReturn:
    """End the check with a misconception's sentence."""
    fail(SENTENCES[slug], slug)
