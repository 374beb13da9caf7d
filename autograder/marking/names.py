"""Names that are hidden while people mark: answers have names of their own, and do not say whose they are."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from autograder.course.cells import Bundle
from autograder.marks import Person

HIDDEN = "▮▮▮"
_SHORTEST = 4
"""Letters of an id that is taken for a name wherever it stands; a shorter one may be a word."""
_WORD = re.compile(r"[^\W_]+")
_WORD_OF_HTML = re.compile(r"<[^<>]*>|&#?\w+;|([^\W_]+)")  # tags and entities are passed over
_UNKNOWN_FILE = re.compile(r"""attachment:(?!picture-\d+\b)[^\s)"'>]+""")
_WIDEST_GAP = 3
"""Characters between two words of a name: `student_1`, `Family, Given`."""
_Words = tuple[str, ...]


class HiddenNames:
    """Gives each student a name that says nothing, another one each time the page is served."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        self._students: dict[str, str] = {}

    def hidden(self, student: str) -> str:
        """Return the name that stands for a student's id."""
        name = hmac.new(self._secret, student.encode("utf-8", "replace"), hashlib.sha256).hexdigest()[:16]
        self._students[name] = student
        return name

    def student(self, name: str) -> str | None:
        """Return whom a name stands for; None if nobody was given it."""
        return self._students.get(name)


@dataclass(frozen=True)
class _Word:
    start: int
    end: int
    text: str


class ClassNames:
    """Knows by which words an answer says who wrote it, or who in the class it was copied from.

    Hidden are everyone's ids, addresses and full names, however they are spaced, joined or set in bold; of whoever
    wrote the answer also the first and the last name alone, where they are spelt as in the gradebook. Of others these
    stay: too many are words.
    """

    def __init__(self, people: Iterable[Person]) -> None:
        """Take the words of all names apart, once for the class."""
        self._phrases: dict[str, set[_Words]] = {}
        for person in people:
            for words in _telling(person):
                self._phrases.setdefault(words[0], set()).add(words)

    def hide(self, text: str, person: Person, *, html: bool = False) -> str:
        """Return an answer without names.

        Args:
            text: Of the answer.
            person: Who wrote it.
            html: Whether the text is HTML, of which no tag is touched.
        """
        text = unicodedata.normalize("NFC", text)
        words = list(_words_of(text, html=html))
        own = {name for name in (person.first_name, person.last_name) if len(name) > 2}
        alone = {unicodedata.normalize("NFC", name) for name in own}
        mine = {person.id.casefold()} if _is_telling(person.id) else set()
        hidden = {place for place, word in enumerate(words) if word.text in alone or word.text.casefold() in mine}
        folded = [_folded(word.text) for word in words]
        for place, first in enumerate(folded):
            for phrase in self._phrases.get(first, ()):
                places = range(place, place + len(phrase))
                if tuple(folded[place : place + len(phrase)]) == phrase and _are_together(text, words, places, html):
                    hidden.update(places)
        for place in sorted(hidden, reverse=True):
            text = f"{text[: words[place].start]}{HIDDEN}{text[words[place].end :]}"
        return text


def without_file_names(text: str, pictures: dict[str, Bundle]) -> tuple[str, dict[str, Bundle]]:
    """Return an answer and its pasted pictures under names that say nothing: files may be called after people."""
    renamed = {}
    for number, (name, bundle) in enumerate(pictures.items(), 1):
        for written in sorted({name, quote(name)}, key=len, reverse=True):
            text = text.replace(f"attachment:{written}", f"attachment:picture-{number}")
        renamed[f"picture-{number}"] = bundle
    return _UNKNOWN_FILE.sub("attachment:missing", text), renamed


def _telling(person: Person) -> Iterator[_Words]:
    """Yield the words of everything that names somebody, wherever it stands."""
    names = [person.email, f"{person.first_name} {person.last_name}", f"{person.last_name} {person.first_name}"]
    names += [name for name in (person.id, person.lms_user_id) if _is_telling(name)]
    for name in names:
        words = tuple(_folded(word.text) for word in _words_of(unicodedata.normalize("NFC", name), html=False))
        if len(words) > 1 or (words and any(character.isdigit() for character in words[0])):
            yield words


def _is_telling(name: str) -> bool:
    return len(name) >= _SHORTEST or (name.isalnum() and not name.isdigit() and not name.isalpha())


def _words_of(text: str, *, html: bool) -> Iterator[_Word]:
    for found in (_WORD_OF_HTML if html else _WORD).finditer(text):
        group = 1 if html else 0
        if found[group]:
            yield _Word(found.start(group), found.end(group), found[group])


def _are_together(text: str, words: list[_Word], places: range, html: bool) -> bool:
    """Return whether nothing but a few signs stands between words."""
    gaps = [text[words[place].end : words[place + 1].start] for place in places[:-1]]
    if html:
        gaps = [re.sub(r"<[^<>]*>", "", gap).replace("&nbsp;", " ") for gap in gaps]
    return all(len(gap.strip("*_ ")) <= _WIDEST_GAP for gap in gaps)


def _folded(word: str) -> str:
    """Return a word without case and accents, which people leave out of names."""
    apart = unicodedata.normalize("NFKD", word.casefold())
    return "".join(character for character in apart if not unicodedata.combining(character))
