"""Groups of alike answers: empty ones first, identical ones together, the rest by likeness; a person may move any."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from autograder.marking.likeness import likeness, normalised

THRESHOLD = 0.45
"""How alike any two answers of a group are at least: the strictest at which five questions of a made class take at
most a third of the actions of marking one by one; `python -m benchmarks.marking_actions` reports nine of another."""
LEAST, MOST = 0.1, 1.0
"""Between which thresholds a person may choose; at 1 only identical answers are together."""
_SAYS_NOTHING = frozenset(
    normalised(text)
    for text in (
        "",
        "i do not know",
        "i don't know",
        "don't know",
        "dont know",
        "idk",
        "no idea",
        "no answer",
        "none",
        "n/a",
        "na",
        "nothing",
        "todo",
        "tbd",
        "skip",
        "your answer here",
    )
)
_PICTURE = re.compile(r"!\[|<img", re.IGNORECASE)
GroupKind = Literal["empty", "alike"]


@dataclass(frozen=True)
class Text:
    """An answer as far as grouping looks at it.

    Attributes:
        id: Names the answer.
        digest: Of all that the student wrote and pasted.
        text: The words.
        untouched: Whether it is what students were given.
    """

    id: str
    digest: str
    text: str
    untouched: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether it says nothing."""
        return self.untouched or (normalised(self.text) in _SAYS_NOTHING and not _PICTURE.search(self.text))


@dataclass(frozen=True)
class Group:
    """Answers that are marked in one action.

    Attributes:
        key: Digest of one of its answers, by which answers that are moved find it again.
        members: Ids.
    """

    key: str
    kind: GroupKind
    members: tuple[str, ...]


@dataclass(frozen=True)
class Distances:
    """The different texts of a question, and how alike they are: this takes long, groups at a threshold do not.

    Attributes:
        alike: (texts, texts).
    """

    texts: tuple[str, ...]
    alike: np.ndarray[Any, np.dtype[np.float32]]


def distances(answers: Iterable[Text]) -> Distances:
    """Compare all answers of a question that say something."""
    texts = tuple(sorted({normalised(answer.text) for answer in answers if not answer.is_empty}))
    is_comparable = len(texts) > 1 and any(texts)
    return Distances(texts, likeness(texts) if is_comparable else np.eye(len(texts), dtype=np.float32))


def labels_at(compared: Distances, threshold: float) -> dict[str, int]:
    """Return the number of each text's group.

    Args:
        compared: From `distances`.
        threshold: How alike any two texts of a group are at least, 0 to 1.
    """
    if len(compared.texts) < 2:
        return {text: 0 for text in compared.texts}
    from sklearn.cluster import AgglomerativeClustering

    clustering = AgglomerativeClustering(
        n_clusters=None,
        metric="precomputed",
        linkage="complete",  # any two of a group are alike, which a person can check
        distance_threshold=1 - threshold + 1e-6,
    )
    found: list[int] = clustering.fit(1 - compared.alike).labels_.tolist()
    return dict(zip(compared.texts, found, strict=True))


def grouped(answers: Sequence[Text], labels: Mapping[str, int], moved: Mapping[str, str]) -> list[Group]:
    """Return the groups of a question: empty answers, then the largest group first.

    Args:
        answers: All answers, in an order that says nothing of who wrote them.
        labels: From `labels_at`.
        moved: By id, the key of the group that a person put an answer into: a group of its own if that is the
            answer's own digest. A key of no group has no effect.
    """
    natural = {answer.id: _EMPTY if answer.is_empty else labels[normalised(answer.text)] for answer in answers}
    places = natural | _moved_labels(answers, natural, moved)
    members: dict[int, list[Text]] = {}
    for answer in answers:
        members.setdefault(places[answer.id], []).append(answer)
    groups = [_group(label, texts, moved) for label, texts in members.items()]
    return sorted(groups, key=lambda group: (group.kind != "empty", -len(group.members)))


_EMPTY = -1


def _moved_labels(answers: Sequence[Text], natural: Mapping[str, int], moved: Mapping[str, str]) -> dict[str, int]:
    """Return the groups of answers that were moved: that of an answer with the digest, or a new one."""
    stays = {answer.digest: natural[answer.id] for answer in answers if answer.id not in moved}
    new = {answer.digest for answer in answers if moved.get(answer.id) == answer.digest}
    fresh = {digest: len(natural) + number for number, digest in enumerate(sorted(new))}
    known = stays | fresh
    return {name: known[key] for name, key in moved.items() if key in known and name in natural}


def _group(label: int, members: Sequence[Text], moved: Mapping[str, str]) -> Group:
    """Return a group; its key is the digest of an answer that is here of itself, or was first moved here."""
    own = [member.digest for member in members if member.id not in moved or moved[member.id] == member.digest]
    key = min(own or [member.digest for member in members])
    return Group(key, "empty" if label == _EMPTY else "alike", tuple(member.id for member in members))
