"""How well two people agree who marked the same answers: Cohen's kappa, weighted, for each question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autograder.marks import SecondMark

FEW = 10
"""Second readings below which a kappa says little."""


@dataclass(frozen=True)
class Agreement:
    """How well the first and the second marks of one question agree.

    Attributes:
        question: Its grade_id.
        read: Answers that were read a second time.
        same: How many of them got the same points.
        difference: Mean of second minus first points.
        kappa: Cohen's kappa with squared weights; None where all marks are the same, so that chance says all.
    """

    question: str
    read: int
    same: int
    difference: float
    kappa: float | None

    @property
    def remark(self) -> str:
        """What to think of it; empty if there is nothing to say."""
        if self.read < FEW:
            return "too few to tell"
        if self.kappa is not None and self.kappa < 0.6:
            return "talk about the rubric, then look at this question again"
        return ""


def agreements(second: Sequence[SecondMark], questions: Sequence[str]) -> list[Agreement]:
    """Return the agreement for each question that was read a second time, in the given order.

    Args:
        second: All second readings.
        questions: The grade_ids of all questions.
    """
    pairs = {name: [(mark.first, mark.second) for mark in second if mark.question == name] for name in questions}
    return [_agreement(name, found) for name, found in pairs.items() if found]


def weighted_kappa(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Return Cohen's kappa with weights that grow with the square of the difference; None if it is not defined.

    Reference:
        Cohen (1968), "Weighted kappa": 1 minus the mean weight of the pairs over that of all pairings by chance.
    """
    first, second = np.array(pairs, float).T  # (pairs,) each
    seen = np.mean((first - second) ** 2)
    by_chance = np.mean((first[:, None] - second[None, :]) ** 2)
    return float(1 - seen / by_chance) if by_chance else None


def _agreement(question: str, pairs: Sequence[tuple[float, float]]) -> Agreement:
    differences = [second - first for first, second in pairs]
    same = sum(difference == 0 for difference in differences)
    return Agreement(question, len(pairs), same, sum(differences) / len(pairs), weighted_kappa(pairs))
