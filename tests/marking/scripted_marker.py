"""A marker who knows what each answer earns and counts what it takes to say so: with groups, and one by one.

Each of these is one action: opening a group or an answer, moving an answer, giving a mark, and giving a comment, which
whoever lost points gets. With groups the marker opens one after the other, moves out what earns something else than
most of the group does, and marks the rest. An answer that is moved to a group that is marked gets its mark with it, and
a mark that was given before is chosen with its comment.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from autograder.marking.groups import Text, distances, grouped, labels_at
from tests.marking.made_answers import SENTENCES, UNTOUCHED, MadeAnswer

Items = frozenset[str]


@dataclass(frozen=True)
class Count:
    """What a question took.

    Attributes:
        actions: With groups.
        one_by_one: Without.
        groups: That there were.
        moved: Answers that were moved out.
        marks: What was given, by student.
    """

    actions: int
    one_by_one: int
    groups: int
    moved: int
    marks: Mapping[str, Items]

    @property
    def share(self) -> float:
        """Actions with groups, of those one by one."""
        return self.actions / self.one_by_one


def count_actions(question: str, answers: Sequence[MadeAnswer], threshold: float) -> Count:
    """Mark one question of a made class at a threshold."""
    everything = frozenset(SENTENCES[question])
    earned = {answer.student: answer.given for answer in answers}
    texts = [Text(answer.student, answer.text, answer.text, answer.text == UNTOUCHED) for answer in answers]
    groups = grouped(texts, labels_at(distances(texts), threshold), {})
    marks: dict[str, Items] = {}
    marked: set[Items] = set()
    actions = moved = 0
    for group in groups:
        counted = Counter(earned[member] for member in group.members)
        most = max(counted, key=lambda items: (counted[items], sorted(items)))
        actions += 1 + _giving(most, everything, marked)  # opening, mark, comment
        marked.add(most)
        for member in group.members:
            marks[member] = most
            if earned[member] != most:
                moved, actions = moved + 1, actions + 1
                marks[member] = earned[member]
                if earned[member] not in marked:  # into a group of its own, which is opened and marked, too
                    actions += 1 + _giving(earned[member], everything, marked)
                    marked.add(earned[member])
    one_by_one = sum(1 + _giving(items, everything, ()) for items in earned.values())
    return Count(actions, one_by_one, len(groups), moved, marks)


def _giving(items: Items, everything: Items, marked: Container[Items]) -> int:
    """Return the actions of giving a mark, and a comment unless all points were earned; both are one the next time."""
    return 1 if items == everything or items in marked else 2
