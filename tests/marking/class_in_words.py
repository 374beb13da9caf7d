"""A made class whose answers were written from questions and rubrics alone, by somebody who had not seen the grouping.

Wordings, and the rubric's items that each earns, stand in `class_in_words*.toml`. Here they are put together as
students do it: two parts with labels or without, or one part alone, with openings, closings and slips of the pen;
copies with and without a changed word, empty fields, and answers about something else. All wordings that earn as much
are as likely, which is harder on grouping than a real class, where a few are common.
"""

from __future__ import annotations

import random
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.marking.made_answers import MadeAnswer

FOLDER = Path(__file__).parent
COPIED, EMPTY, SAYING_NOTHING, OFF_TOPIC = 0.08, 0.05, 0.03, 0.03
ONE_PART, OPENED, CLOSED, CARELESS = 0.05, 0.10, 0.12, 0.35
SLIPS = 0.025
"""Share of a careless student's longer words that are misspelt."""
LAYOUTS = (
    "(a) {} (b) {}",
    "a) {}\n\nb) {}",
    "**(a)** {}\n\n**(b)** {}",
    "{} {}",
    "{}\n\n{}",
    "a: {}\nb: {}",
    "* {}\n* {}",
)


@dataclass(frozen=True)
class Wording:
    """One way to answer a part of a question, and the rubric's items that it earns."""

    gives: frozenset[str]
    pattern: str


@dataclass(frozen=True)
class _Written:
    text: str
    given: frozenset[str] = frozenset()


def answers_in_words(students: int, seed: int = 1) -> list[MadeAnswer]:
    """Return the answers of so many students to all questions; the same ones for the same seed."""
    names = [f"student-{number:04}" for number in range(1, students + 1)]
    return [
        MadeAnswer(name, question, written.text, written.given)
        for question in _data("class_in_words_1", "class_in_words_2")
        for name, written in zip(names, _answers(question, students, seed), strict=True)
    ]


def _answers(question: str, students: int, seed: int) -> list[_Written]:
    draw = random.Random(f"{seed} {question}")  # noqa: S311 (no secret)
    around = _data("class_in_words")
    skills = [draw.betavariate(2.2, 1.6) for _ in range(students)]
    written: list[_Written] = []
    for skill in skills:
        chance = draw.random()
        if chance < COPIED and written:
            written.append(_copied(draw.choice(written), draw))
        elif chance < COPIED + EMPTY:
            written.append(_Written(draw.choice(("", "\n", "  "))))
        elif chance < COPIED + EMPTY + SAYING_NOTHING + OFF_TOPIC:
            kind = "nothing" if draw.random() < SAYING_NOTHING / (SAYING_NOTHING + OFF_TOPIC) else "off_topic"
            written.append(_Written(draw.choice(_lines(around[kind]))))
        else:
            written.append(_own(question, skill, draw))
    return written


def _own(question: str, skill: float, draw: random.Random) -> _Written:
    around = _data("class_in_words")
    chosen = [_wording(part, skill, draw) for part in _parts(question)]
    texts = [_said(wording.pattern, draw) for wording in chosen]
    if draw.random() < ONE_PART:
        kept = draw.randrange(2)
        text, given = texts[kept], chosen[kept].gives
    else:
        text, given = draw.choice(LAYOUTS).format(*texts), chosen[0].gives | chosen[1].gives
    if draw.random() < OPENED and text[0].isupper():
        text = f"{draw.choice(_lines(around['opening']))} {text[0].lower()}{text[1:]}"
    if draw.random() < CLOSED:
        text = f"{text} {draw.choice(_lines(around['closing']))}"
    return _Written(_misspelt(text, draw) if draw.random() < CARELESS else text, given)


def _wording(part: list[Wording], skill: float, draw: random.Random) -> Wording:
    """Draw how much of a part is earned, then one of the wordings that earn as much."""
    most = max(len(wording.gives) for wording in part)
    earned = sum(draw.random() < skill for _ in range(most))
    return draw.choice([wording for wording in part if len(wording.gives) == earned])


def _said(pattern: str, draw: random.Random) -> str:
    pattern = re.sub(r"\[([^\[\]]*\|[^\[\]]*)\]", lambda found: draw.choice(found[1].split("|")), pattern)
    return re.sub(r"<(\d+)\.\.(\d+)>", lambda found: str(draw.randint(int(found[1]), int(found[2]))), pattern)


def _copied(original: _Written, draw: random.Random) -> _Written:
    match draw.randrange(4):
        case 0:
            text = f"  {original.text}\n"
        case 1:
            text = original.text.replace("because", "since").replace("so that", "such that").replace("while", "whereas")
        case 2:
            text = original.text.lower()
        case _:
            text = original.text
    return _Written(text, original.given)


def _misspelt(text: str, draw: random.Random) -> str:
    words = text.split(" ")
    return " ".join(_slip(word, draw) if _may_slip(word) and draw.random() < SLIPS else word for word in words)


def _may_slip(word: str) -> bool:
    return word.isalpha() and len(word) > 4


def _slip(word: str, draw: random.Random) -> str:
    place = draw.randrange(1, len(word) - 2)
    match draw.randrange(3):
        case 0:  # two letters change places
            return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
        case 1:
            return word[:place] + word[place + 1 :]
        case _:
            return word[: place + 1] + word[place:]


@cache
def _parts(question: str) -> list[list[Wording]]:
    parts = _data("class_in_words_1", "class_in_words_2")[question].values()
    return [
        [Wording(frozenset(claim["gives"]), line) for claim in claims for line in _lines(claim["says"])]
        for claims in parts
    ]


@cache
def _data(*names: str) -> dict[str, Any]:
    data: dict[str, Any] = {}
    for name in names:
        data |= tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))
    return data


def _lines(text: str) -> list[str]:
    return text.strip().splitlines()
