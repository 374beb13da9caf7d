"""Names that are hidden while people mark: answers have names of their own, and do not say whose they are."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from autograder.marks import Person

HIDDEN = "▮▮▮"
_SHORTEST = 4
"""Letters of an id that is taken for a name wherever it stands; a shorter one may be a word."""


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


def without_names(text: str, person: Person) -> str:
    """Return an answer without the id, the address and the full name of whoever wrote it.

    A first or a last name alone stays: too many of them are words.
    """
    lower = text.casefold()
    names = [name for name in _names_of(person) if name.casefold() in lower]
    if not names:
        return text
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    return re.sub(rf"(?<!\w)(?:{pattern})(?!\w)", HIDDEN, text, flags=re.IGNORECASE)


def _names_of(person: Person) -> Iterable[str]:
    if len(person.id) >= _SHORTEST or any(character.isdigit() for character in person.id):
        yield person.id
    yield from filter(None, (person.email, person.lms_user_id if len(person.lms_user_id) >= _SHORTEST else ""))
    if person.first_name and person.last_name:
        first, last = person.first_name, person.last_name
        yield from (f"{first} {last}", f"{last}, {first}", f"{last} {first}")
