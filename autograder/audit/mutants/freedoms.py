"""Where a lab leaves freedom: rules by which a difference from one right way is no mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from autograder.audit.mutants.side_by_side import Difference, Looks, Unseen, differences

OPEN = {"defaults", "initial values", "saved and loaded"}
"""Aspects that another right way says nothing of."""
Look = Callable[[str], Looks | Unseen]
"""Looks at something of a submission: the call that does so."""


@dataclass(frozen=True)
class Freedom:
    """One freedom, as it is written in the lab's contract.

    Attributes:
        name: In a few words.
        why: The sentence of the contract.
        tasks: Where it holds.
        aspects: A difference in these aspects alone is free: a regular expression.
        most: If given, only differences up to so much of the largest value are free.
        call: If given, what else must be alike: the call that looks at it.
        any_of_it: Whether it is enough that one aspect of what the call looks at is alike.
        other_ways: If given, other right ways: calls that look at them in the original. The change must be like one.
    """

    name: str
    why: str
    tasks: tuple[str, ...]
    aspects: str = ".*"
    most: float | None = None
    call: str = ""
    any_of_it: bool = False
    other_ways: tuple[str, ...] = ()

    @property
    def is_of_aspects(self) -> bool:
        """Whether a look at the names of the aspects is enough."""
        return self.most is None and not self.call and not self.other_ways

    def is_free(self, task: str, difference: Difference) -> bool:
        """Whether a difference in this aspect may be free."""
        if difference.aspect is None:
            return False
        return task in self.tasks and re.fullmatch(self.aspects, difference.aspect) is not None

    def covers(self, compared: Compared) -> bool:
        """Whether all that differs is free by this rule."""
        if not all(self.is_free(compared.task, difference) for difference in compared.found):
            return False
        if self.other_ways:
            return any(self._is_alike(compared, compared.look_at_right(call)) for call in self.other_ways)
        if self.call:
            right, changed = compared.look_at_right(self.call), compared.look_at_changed(self.call)
            if isinstance(right, Unseen) or isinstance(changed, Unseen):
                return False
            apart = {difference.aspect for difference in differences(right, changed)}
            return not apart or (self.any_of_it and apart < right.keys())
        return self._is_small(compared.found)

    def _is_alike(self, compared: Compared, way: Looks | Unseen) -> bool:
        """Whether the change is like another right way; what a way does not fix is as in the original."""
        if isinstance(way, Unseen):
            return False
        known = {difference.aspect for difference in compared.found}
        found = [found for found in differences(way, compared.changed) if found.aspect in known | way.keys() - OPEN]
        return self._is_small(found)

    def _is_small(self, found: Sequence[Difference]) -> bool:
        return all(difference.gap.off <= (self.most or 0.0) for difference in found)


@dataclass(frozen=True)
class Compared:
    """A change beside its original.

    Attributes:
        found: In what they differ.
        changed: What was seen of the change.
        look_at_right: Looks at something else of the original.
        look_at_changed: Likewise of the change.
    """

    task: str
    found: tuple[Difference, ...]
    changed: Looks | Unseen
    look_at_right: Look
    look_at_changed: Look


def freedom_of(compared: Compared, freedoms: Sequence[Freedom]) -> str:
    """Return the names of the rules by which all that differs is free; empty if something is not."""
    names, rest = [], compared.found
    for freedom in freedoms:
        if freedom.is_of_aspects:
            unexplained = tuple(difference for difference in rest if not freedom.is_free(compared.task, difference))
            names += [freedom.name] if len(unexplained) < len(rest) else []
            rest = unexplained
    if not rest:
        return ", ".join(names)
    left = replace(compared, found=rest)
    return next((freedom.name for freedom in freedoms if not freedom.is_of_aspects and freedom.covers(left)), "")
