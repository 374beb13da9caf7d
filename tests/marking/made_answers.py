"""A made class that answers the fourteen questions: right, half right, wrong, copied, empty and off-topic answers.

What each answer earns is known, item by item. The class is the same at every call. Sentences stand in
`made_answers.toml`; here they are put together, reworded, misspelt and copied, as students do.
"""

from __future__ import annotations

import math
import random
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SENTENCES: dict[str, dict[str, dict[str, list[str]]]] = tomllib.loads(
    Path(__file__).with_name("made_answers.toml").read_text("utf-8")
)
UNTOUCHED = "YOUR ANSWER HERE"
EMPTY = (UNTOUCHED, UNTOUCHED, "", "  \n", "-", "?", "I don't know", "no idea", "TODO", "...", "???")
OFF_TOPIC = (
    "The training took very long on my machine.",
    "see notebook above",
    "I did not have time for this question, sorry.",
    "The answer can be found in the paper.",
    "Transformers were introduced in 2017 and are used in ChatGPT.",
    "my kernel died and I lost my answer",
    "Neural networks are inspired by the human brain.",
    "42",
    "Same as in the question before.",
)
REWORDED = (
    ("because", "since"),
    ("since", "as"),
    ("needs", "requires"),
    ("grows", "increases"),
    ("does not", "doesn't"),
    ("cannot", "can not"),
    ("is not", "isn't"),
    ("so ", "therefore "),
    ("whereas", "while"),
    ("compared with", "compared to"),
    ("images", "pictures"),
    ("takes", "uses"),
    ("many", "a lot of"),
    ("computed", "calculated"),
    ("layer", "Layer"),
    ("RNN", "recurrent network"),
    ("ViT", "vision transformer"),
    ("tokens", "patches"),
    ("great", "big"),
    ("normalisation", "normalization"),
    ("also", "too"),
)
LEADS = ("", "", "", "", "", "I think that ", "In my opinion: ", "Answer: ", "Well, ", "As we saw in the lecture, ")
FILLERS = (
    "We saw this in the lecture.",
    "This is explained in the paper, too.",
    "I hope this is what is asked for.",
    "See also the plot above.",
    "(source: lecture slides)",
)
LABELS = (
    ("", "", "", ""),
    ("", "", "", ""),
    ("(a) ", "(b) ", "(c) ", "(d) "),
    ("- ", "- ", "- ", "- "),
    ("1. ", "2. ", "3. ", "4. "),
)


@dataclass(frozen=True)
class MadeAnswer:
    """One student's answer to one question.

    Attributes:
        given: Ids of the rubric's items that it earns.
    """

    student: str
    question: str
    text: str
    given: frozenset[str]


def made_answers(students: int, seed: int = 26) -> list[MadeAnswer]:
    """Return the answers of so many students to all questions."""
    draw = random.Random(seed)  # noqa: S311 (no secret)
    answers: dict[tuple[str, str], MadeAnswer] = {}
    for number in range(1, students + 1):
        student, ability = f"student-{number:04}", draw.gauss(0.7, 1.1)
        partner = f"student-{draw.randrange(1, number):04}" if number > 1 and draw.random() < 0.15 else ""
        for question in SENTENCES:
            if partner and draw.random() < 0.6:
                source = answers[partner, question]
                text = source.text if draw.random() < 0.5 else _changed(source.text, draw)
                answers[student, question] = MadeAnswer(student, question, text, source.given)
            else:
                answers[student, question] = _written(student, question, ability, draw)
    return list(answers.values())


def _written(student: str, question: str, ability: float, draw: random.Random) -> MadeAnswer:
    if draw.random() < 0.06 / (1 + math.exp(ability)) * 2:
        return MadeAnswer(student, question, draw.choice(EMPTY), frozenset())
    if draw.random() < 0.03:
        return MadeAnswer(student, question, draw.choice(OFF_TOPIC), frozenset())
    said = list(_sentences(question, ability, draw))
    if not said:
        return MadeAnswer(student, question, draw.choice(OFF_TOPIC), frozenset())
    labels = draw.choice(LABELS)
    joiner = "\n" if labels[0] else draw.choice((" ", " ", "\n\n"))
    lines = [label + sentence for label, (_, sentence, _) in zip(labels, said, strict=False)]
    text = draw.choice(LEADS) + joiner.join(lines)
    if draw.random() < 0.12:
        text += joiner + draw.choice(FILLERS)
    given = frozenset(item for item, _, right in said if right)
    return MadeAnswer(student, question, text, given)


def _sentences(question: str, ability: float, draw: random.Random) -> Iterator[tuple[str, str, bool]]:
    """Yield item, what is said of it, and whether that is right; of some items nothing is said."""
    for item, sentences in SENTENCES[question].items():
        right = draw.random() < 1 / (1 + math.exp(-ability))
        if not right and draw.random() < 0.35:
            continue
        known = sentences["right" if right else "wrong"]
        weights = [1 / rank for rank in range(1, len(known) + 1)]
        yield item, _changed(draw.choices(known, weights)[0], draw), right


def _changed(text: str, draw: random.Random) -> str:
    """Return a text with a word or two in other words, and perhaps misspelt; what it says stays."""
    for old, new in draw.sample(REWORDED, 7):
        if draw.random() < 0.5:
            text = re.sub(rf"\b{old}\b", new, text, count=1)
    if draw.random() < 0.12:
        text = text.lower()
    if draw.random() < 0.2:
        text = _misspelt(text, draw)
    return text.rstrip(".") if draw.random() < 0.2 else text


def _misspelt(text: str, draw: random.Random) -> str:
    """Return a text with one letter of a long word left out or doubled."""
    words = [found for found in re.finditer(r"[a-z]{6,}", text)]
    if not words:
        return text
    place = draw.choice(words).start() + draw.randrange(2, 5)
    return text[:place] + (text[place] * 2 if draw.random() < 0.5 else "") + text[place + 1 :]
