"""What an audit found: plain records, and what can be concluded from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from autograder.audit.corpus import Variant
from autograder.checking.comparisons import OBSERVATIONS
from autograder.results import CheckId, CheckResult

Naming = Literal["right", "none", "wrong", "-"]


@dataclass(frozen=True)
class AuditedSubmission:
    """What the checks found about one submission of the corpus.

    Attributes:
        checks: Results by task.
        lost: Points lost by task, where any are.
    """

    variant: Variant
    checks: Mapping[str, tuple[CheckResult, ...]]
    lost: Mapping[str, float]

    @property
    def is_as_expected(self) -> bool:
        """Whether it lost points in its own task and nowhere else; a right one nowhere at all."""
        own = set() if self.variant.right else {self.variant.task}
        return set(self.lost) == own and not self.errors

    @property
    def is_killed(self) -> bool:
        """Whether it lost points in the task that it is about."""
        return self.variant.task in self.lost

    @property
    def collateral(self) -> list[str]:
        """Tasks that lost points although they are right."""
        own = {self.variant.task} if not self.variant.right else set()
        return sorted(set(self.lost) - own)

    @property
    def errors(self) -> list[str]:
        """Checks that ended in an internal error."""
        return [check.id for checks in self.checks.values() for check in checks if check.outcome == "error"]

    @property
    def failed(self) -> list[CheckResult]:
        """The failed checks of its own task."""
        return [check for check in self.checks.get(self.variant.task, ()) if check.outcome == "failed"]

    @property
    def named(self) -> set[str]:
        """The misconceptions that its own task names; of an ambiguous answer all that were reported together."""
        return set().union(*self._mistakes_named())

    @property
    def naming(self) -> Naming:
        """Whether the expected misconception is named; `-` where the corpus asks for no name."""
        accepted = {self.variant.misconception, *self.variant.also}
        if any(not accepted & mistakes for mistakes in self._mistakes_named()):
            return "wrong"
        if self.variant.misconception is None:
            return "-"
        return "right" if self.variant.misconception in self.named else "none"

    @property
    def says(self) -> bool:
        """Whether a reason has the words that the corpus asks for."""
        return any(self.variant.says in check.message for check in self.failed)

    def _mistakes_named(self) -> list[set[str]]:
        """Return the mistakes that each failed check names; a mere observation is none."""
        named = (set(check.misconceptions) - set(OBSERVATIONS) for check in self.failed)
        return [mistakes for mistakes in named if mistakes]


@dataclass(frozen=True)
class CheckWorth:
    """What one check is good for.

    Attributes:
        kills: Wrong submissions of its task that fail it.
        alone: Those of them that fail no other check.
    """

    id: str
    kills: frozenset[str]
    alone: frozenset[str]


@dataclass(frozen=True)
class Audit:
    """All submissions of an audit, and how long it took with so many workers."""

    submissions: tuple[AuditedSubmission, ...]
    seconds: float
    workers: int

    @property
    def is_as_expected(self) -> bool:
        """Whether every submission lost points where it must and nowhere else."""
        return all(submission.is_as_expected for submission in self.submissions)

    def right(self) -> list[AuditedSubmission]:
        """Return the right submissions."""
        return [submission for submission in self.submissions if submission.variant.right]

    def wrong(self) -> list[AuditedSubmission]:
        """Return the wrong submissions."""
        return [submission for submission in self.submissions if not submission.variant.right]

    def lost(self, slug: str) -> Mapping[str, float]:
        """Return the points that a submission lost, by task."""
        return next(submission.lost for submission in self.submissions if submission.variant.slug == slug)

    def worth(self) -> list[CheckWorth]:
        """Return what each check of the tried tasks is good for, in the tasks' order."""
        failed = {
            submission.variant.slug: frozenset(function_of(check.id) for check in submission.failed)
            for submission in self.wrong()
        }
        return [
            CheckWorth(
                id=function,
                kills=frozenset(slug for slug, functions in failed.items() if function in functions),
                alone=frozenset(slug for slug, functions in failed.items() if functions == {function}),
            )
            for function in dict.fromkeys(self._functions())
        ]

    def together(self) -> list[list[str]]:
        """Return groups of checks that fail on exactly the same wrong submissions."""
        groups: dict[frozenset[str], list[str]] = {}
        for check in self.worth():
            if check.kills:
                groups.setdefault(check.kills, []).append(check.id)
        return [ids for ids in groups.values() if len(ids) > 1]

    def _functions(self) -> Iterator[str]:
        """Yield the checks of each task that a wrong submission is about."""
        tasks = {submission.variant.task for submission in self.wrong()}
        for submission in self.submissions:
            for task, checks in submission.checks.items():
                if task in tasks:
                    yield from (function_of(check.id) for check in checks)


def function_of(check_id: str) -> str:
    """Return a check's id without its parameters: one function may check several inputs."""
    return str(CheckId.parse(check_id).without_case)
