"""Who is who: the course's students and what platforms call them.

`roster.csv` in the course folder has a column `student`, the id in the gradebook, and any of those below. Lists that
platforms give out are read as they are: Moodle's grading worksheet, Canvas' gradebook and group sets, Gradescope's
roster, GitHub Classroom's and Classroom 50's. A name that fits nobody, or two people, is refused and never guessed.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from autograder.collecting.hand_ins import Owner
from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.rendering.tables import TextTable, read_table

HEADINGS = {
    "student": ("student", "student id", "roster identifier"),
    "name": ("name", "full name", "vollständiger name", "nom complet", "nombre completo", "nome completo"),
    "first": ("first name", "firstname", "given name", "vorname", "prénom", "nombre", "nome", "voornaam"),
    "last": ("last name", "lastname", "surname", "family name", "nachname", "nom", "apellido(s)", "cognome"),
    "email": ("email", "e-mail", "mail", "email address", "e-mail-adresse", "adresse de courriel", "e-mailadres"),
    "login": ("login", "login id", "username", "sis login id", "anmeldename", "nom d'utilisateur", "nombre de usuario"),
    "gradescope": ("gradescope", "sid", "sis user id", "id number", "id-nummer", "matrikelnummer"),
    "moodle": ("moodle", "identifier", "participant", "identifiant", "identificador", "identificatie"),
    "canvas": ("canvas", "canvas id", "canvas user id", "lms user id"),
    "canvas_anonymous": ("canvas anonymous", "anonymous id"),
    "github": ("github", "github username"),
    "repository": ("repo", "student repository name"),
    "group": ("group", "groups", "group name", "team", "gruppe", "groupe", "grupo", "gruppo", "groep"),
}
"""What a column holds, and its headings, in small letters; spaces and underscores are the same."""
ROSTER = "roster.csv"
"""The roster in the course folder."""
IDS = ("student", "email", "login", "gradescope", "moodle", "canvas", "canvas_anonymous", "github")
"""Columns that each name one person."""
_ANONYMOUS = frozenset(
    "participant teilnehmer/in teilnehmer participante partecipante deelnemer deltagare deltager uczestnik".split()
)
"""What Moodle calls everybody where names are hidden."""


@dataclass(frozen=True)
class RosterEntry:
    """One student of the roster.

    Attributes:
        student: The id in the gradebook.
        ids: Column to id, for those of `IDS` that are known.
        names: The full name, in every form that the roster has.
        group: What a download calls the group that the student hands in with, on GitHub its repository; empty where the
            roster tells none.
    """

    student: str
    ids: Mapping[str, str]
    names: tuple[str, ...] = ()
    group: str = ""

    def is_called(self, name: str) -> bool:
        """Whether a platform's name may be this student's, whatever it has dropped: order, case, signs, spaces."""
        wanted = _words(name)
        return bool(wanted) and any(_same(_words(known), wanted) for known in self.names)


class Nobody(Exception):
    """An owner who cannot be found; the message says why."""


class OtherName(Nobody):
    """An owner with the id of a student and the name of somebody else, or of a group."""


@dataclass(frozen=True)
class Roster:
    """The students of a course.

    Attributes:
        people: All of them.
        where: The file, for messages; None where there is none, and whoever hands in is a student.
    """

    people: tuple[RosterEntry, ...] = ()
    where: Path | None = None
    _by_id: dict[tuple[str, str], list[RosterEntry]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for person in self.people:
            for kind, value in person.ids.items():
                self._by_id.setdefault((kind, folded(value)), []).append(person)

    def find(self, owner: Owner) -> RosterEntry:
        """Return the person whom a platform names.

        Raises:
            Nobody: If it is nobody, or may be more than one.
        """
        by_id = self._by_ids(owner)
        if len(by_id) > 1:
            raise Nobody(f"its ids belong to {_list(by_id)}")
        if by_id:
            return self._checked(owner, by_id[0])
        by_name = _unique(person for person in self.people if person.is_called(owner.name))
        if len(by_name) > 1:
            raise Nobody(f"this is the name of {_list(by_name)}: an id has to tell them apart")
        if not by_name:
            raise Nobody("matches nobody")
        known = {kind: by_name[0].ids[kind] for kind in owner.ids if kind in by_name[0].ids and kind != "student"}
        if known:
            kind, value = next(iter(known.items()))
            raise Nobody(f"has the name of {by_name[0].student}, who has another {kind} id: {value}")
        return by_name[0]

    def members(self, owner: Owner) -> tuple[RosterEntry, ...]:
        """Return the members of the group whose hand-in this is; nobody if it is a single student's."""
        by_id = self._by_ids(owner)
        wanted = _squeezed(owner.name or owner.shown)
        named = tuple(person for person in self.people if person.group and _squeezed(person.group) == wanted)
        if "canvas" in owner.ids:  # the number is that of a member, and a group's name may have no letters
            return tuple(person for person in named if any(person.group == member.group for member in by_id))
        if not wanted or any(person.is_called(owner.name) for person in by_id):
            return ()
        return named

    def _by_ids(self, owner: Owner) -> list[RosterEntry]:
        """Return everyone who has one of the owner's ids."""
        ids = [*owner.ids.items(), *(("github", account) for account in owner.accounts)]
        kinds = {"student": ("student", "email", "login")}
        wanted = ((known, folded(value)) for kind, value in ids for known in kinds.get(kind, (kind,)))
        return _unique(person for key in wanted for person in self._by_id.get(key, ()))

    def _checked(self, owner: Owner, person: RosterEntry) -> RosterEntry:
        """Return a person found by an id, unless the platform's name is that of somebody else."""
        if not owner.name or "student" in owner.ids or folded(owner.name) in _ANONYMOUS or not person.names:
            return person
        if person.is_called(owner.name):
            return person
        if any(somebody.is_called(owner.name) for somebody in self.people) or not _shares_a_word(person, owner.name):
            raise OtherName(f"has the id of {person.student} and another name")
        return person


def read_roster(path: Path) -> Roster:
    """Read a `roster.csv`, or a platform's list of students.

    Raises:
        UsageError: If it cannot be read, names nobody, or names one person twice.
    """
    table = read_table(path)
    columns = person_columns(table)
    people = [_person(columns, row) for row in table.rows]
    found = tuple(person for person in people if person is not None)
    if not found:
        raise UsageError(
            f"{path} names no students.", "It needs a column student, email, username or another id of theirs."
        )
    _check_unique(path, found)
    return Roster(found, path)


def course_roster(course: Course, named: Path | None = None) -> Roster:
    """Return who is who: by the roster that is named, or by the course's own, if there is one.

    Raises:
        UsageError: If it cannot be read.
    """
    path = named or course.root / ROSTER
    return read_roster(path) if named or path.is_file() else Roster()


def folded(text: str) -> str:
    """Return a text as it is compared: two Unicode forms, or two cases, of one name are the same."""
    return unicodedata.normalize("NFC", " ".join(text.split())).casefold()


def person_columns(table: TextTable) -> dict[str, Callable[[list[str]], str]]:
    """Return what reads each kind of column."""
    headings = [folded(heading.replace("_", " ")) for heading in table.heading]
    known = {name.replace("_", " "): kind for kind, names in HEADINGS.items() for name in names}
    kinds = [known.get(heading, "") for heading in headings]
    if "id" in headings and ("section" in headings or "sis login id" in headings):  # Canvas' gradebook
        kinds[headings.index("id")] = "canvas"
        kinds = ["name" if kind == "student" else kind for kind in kinds]
    elif {"github id", "submission tag"} & {*headings}:  # Classroom 50's name people by their accounts
        names = {"identifier": "student", "username": "github", "github username": "github"}
        kinds = [names.get(heading, kind) for heading, kind in zip(headings, kinds, strict=True)]
    elif "moodle" not in kinds and kinds[:1] == [""] and _holds_participants(table):
        kinds[0] = "moodle"
    if "moodle" in kinds and "email" not in kinds:  # the heading of addresses in a language that is not known here
        addresses = [place for place, kind in enumerate(kinds) if not kind and _holds_addresses(table, place)]
        kinds = ["email" if place in addresses[:1] else kind for place, kind in enumerate(kinds)]
    return {kind: _reader(place, kind) for place, kind in reversed(list(enumerate(kinds))) if kind}


def _reader(place: int, kind: str) -> Callable[[list[str]], str]:
    def read(row: list[str]) -> str:
        cell = row[place].strip()
        if kind == "moodle":  # `Participant 70013`
            digits = re.search(r"\d+$", cell)
            return digits[0] if digits else ""
        return cell

    return read


def _holds_participants(table: TextTable) -> bool:
    """Whether the first column is that of Moodle's worksheet in a language that is not known here."""
    cells = [re.fullmatch(r"(\D+)\d+", row[0]) for row in table.rows]
    return bool(cells) and all(cells) and len({match[1] for match in cells if match}) == 1


def _holds_addresses(table: TextTable, place: int) -> bool:
    cells = [row[place] for row in table.rows]
    return bool(cells) and all(re.fullmatch(r"[^@\s]+@[^@\s]+", cell) for cell in cells)


def _person(columns: Mapping[str, Callable[[list[str]], str]], row: list[str]) -> RosterEntry | None:
    cells = {kind: read(row) for kind, read in columns.items()}
    ids = {kind: cells[kind] for kind in IDS if cells.get(kind)}
    if not ids or (set(ids) == {"canvas"} and not cells["canvas"].isdecimal()):  # a row of Canvas' own
        return None
    minted = (ids.get(kind) for kind in ("student", "login", "github", "email", "gradescope"))
    student = next((value for value in minted if value), None)
    if student is None:
        kind, value = next(iter(ids.items()))
        student = f"{kind}-{value}"
    first, last = cells.get("first", ""), cells.get("last", "")
    names = (cells.get("name", ""), f"{first} {last}".strip())
    named = tuple(name for name in names if name)
    group = cells.get("repository") or cells.get("group", "")
    return RosterEntry(student, {**ids, "student": student}, named, group)


def _check_unique(path: Path, people: Iterable[RosterEntry]) -> None:
    """Refuse a roster in which an id belongs to two people."""
    seen: dict[tuple[str, str], RosterEntry] = {}
    for person in people:
        for kind, value in person.ids.items():
            other = seen.setdefault((kind, folded(value)), person)
            if other is not person:
                raise UsageError(
                    f"{path}: {kind} {value} stands there twice, for {other.student} and {person.student}.",
                    "Each id may belong to one student.",
                )


def _shares_a_word(person: RosterEntry, name: str) -> bool:
    """Whether a platform's name may be a form of a person's: Canvas leaves no spaces, so words are looked for in it."""
    return any(word in "".join(_words(name)) for known in person.names for word in _words(known))


def _same(known: list[str], wanted: list[str]) -> bool:
    if sorted(known) == sorted(wanted):
        return True
    turns = ("".join(known[place:] + known[:place]) for place in range(len(known)))
    return "".join(wanted) in turns  # Canvas leaves no spaces


def _squeezed(name: str) -> str:
    """Return what is left of a group's name where only letters and digits count."""
    return "".join(_words(name))


def _words(name: str) -> list[str]:
    plain = folded(name)
    letters = (letter if letter.isalnum() or unicodedata.category(letter).startswith("M") else " " for letter in plain)
    return "".join(letter for letter, sign in zip(letters, plain, strict=True) if sign not in "'’`´\"&.").split()


def _unique(people: Iterable[RosterEntry]) -> list[RosterEntry]:
    return list({person.student: person for person in people}.values())


def _list(people: Iterable[RosterEntry]) -> str:
    return " and ".join(person.student for person in people)
