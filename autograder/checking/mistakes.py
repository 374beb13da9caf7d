"""Mistakes that checks recognise: each is one record, which stands beside the check that names it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from autograder.checking.comparisons import Answers, Floats, agrees, fail


@dataclass(frozen=True)
class Mistake:
    """One mistake, as a check recognises it and as a student reads of it.

    Attributes:
        slug: Its name in results.
        sentence: What happened and what to look at, not the solution.
        wrong: Returns what an answer with this mistake looks like; None where it shows in another way.
    """

    slug: str
    sentence: str
    wrong: Callable[..., Any] | None = None

    def __call__(self, *inputs: object) -> Any:  # noqa: ANN401 - arrays, or a pair of them, as the right oracle gives
        """Return what an answer with this mistake looks like for these inputs."""
        if self.wrong is None:
            raise ValueError(f"the mistake {self.slug} has no oracle")
        with np.errstate(all="ignore"):  # what is wrong may overflow
            return self.wrong(*inputs)

    def gives(self, answer: object, *inputs: object) -> bool:
        """Whether an answer is what this mistake gives for these inputs; one that overflows gives nothing."""
        return agrees(answer, self(*inputs))


def blame(mistake: Mistake) -> NoReturn:
    """End the check with a mistake's sentence."""
    fail(mistake.sentence, mistake.slug)


def answers(right: Floats | Sequence[Floats], mistakes: Iterable[Mistake] = (), *inputs: object) -> Answers:
    """Return the right answer, or all accepted ones, beside what each of these mistakes gives for these inputs."""
    wrong = {mistake.slug: mistake(*inputs) for mistake in mistakes}
    accepted = [right] if isinstance(right, np.ndarray) else list(right)
    return Answers(accepted, wrong, {mistake.slug: mistake.sentence for mistake in mistakes})
