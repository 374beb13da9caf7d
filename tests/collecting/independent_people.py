"""Thirty students with awkward names, and what each hands in, for downloads written from the platforms' own sources."""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Student:
    """One student, under every name that a platform knows."""

    id: str
    first: str
    last: str
    login: str
    canvas: int

    @property
    def sortable(self) -> str:
        """The name as Canvas sorts it: `Last, First`."""
        return f"{self.last}, {self.first}" if self.first else self.last

    @property
    def name(self) -> str:
        """The name as Canvas displays it: `First Last`."""
        return f"{self.first} {self.last}".strip()


_NAMES = (
    ("Ada", "Lovelace", "ada"),
    ("Ben", "Okri", "Ben-Okri"),  # capitals: GitHub keeps them, Classroom 50 lowers them
    ("Mary-Ann", "Smith", "mary-ann"),
    ("Ann", "Smith", "ann"),  # `-ann` is also how `mary-ann` ends
    ("Kim", "Lee", "kimlee"),
    ("Kim", "Lee", "kim-lee"),  # two students with one name
    ("José", "Núñez", "jose"),
    ("Jürgen", "Groß", "juergen"),  # ß: its lower and folded cases differ
    ("Siobhán", "O'Neill", "siobhan"),
    ("Jean-Luc", "de la Tour", "jeanluc"),
    ("", "Sukarno", "sukarno"),  # one name only
    ("娜", "李", "lina"),
    ("محمد", "علي", "mali"),
    ("Ольга", "Иванова", "olga"),
    ("Ida", "Late", "ida-late"),  # Canvas marks late work with the word LATE
    ("Tom", "Text", "tom-1"),  # GitHub Classroom adds `-1` to a name that is taken
    ("Tom", "Textor", "tom"),
    ("Al", "Bo_7_Cu", "al-bo"),  # Canvas drops the underscores around a number in a name
    ("Bo", "Anon", "anon"),  # Canvas' anonymous files begin with `anon_`
    ("İpek", "Yılmaz", "ipek"),  # dotted and dotless i
    ("Zoë", "van 't Hoff", "zoe"),
    ("Dave", "Smith, Jr.", "dave"),  # a comma inside a name
    ("=Eve", "+Plus", "eve"),  # a formula, for a spreadsheet
    ("Nguyễn", "Văn An", "nguyen"),
    ("Bjørn", "Åse", "bjorn"),
    ("Øyvind", "Ærø", "oyvind"),
    ("Łukasz", "Żak", "lukasz"),
    ("Chloé", "Lefèvre", "chloe"),
    ("Renée", "Lefevre", "renee"),
    ("Max", "Mustermann", "max-mustermann-0123456789-0123456789"),  # as long as GitHub allows
)
STUDENTS = tuple(
    Student(login.lower()[:20].rstrip("-"), first, last, login, 4000 + 7 * number)
    for number, (first, last, login) in enumerate(_NAMES)
)
BY_ID = {student.id: student for student in STUDENTS}


@dataclass(frozen=True)
class Download:
    """A platform's download and what must become of it.

    Attributes:
        source: The zip or folder to collect.
        files: Every file in it, as the paths that its maker wrote.
        theirs: The bytes that each student must end up with, by name.
        nobodys: What belongs to no student of the course: parts of a path that the table must name.
        idle: The students who handed nothing in.
        sidecars: Further files that the platform gives: lists, groups, times.
    """

    source: Path
    files: tuple[str, ...]
    theirs: dict[str, dict[str, bytes]]
    nobodys: tuple[str, ...] = ()
    idle: frozenset[str] = frozenset()
    sidecars: dict[str, Path] = field(default_factory=dict)


class Work:
    """What students hand in: a module that doubles rightly or not, a notebook whose sum is right or not."""

    def __init__(self, released: dict[str, Any]) -> None:
        """Take the notebook that students got."""
        self.released = released

    def module(self, student: Student, attempt: int = 2) -> bytes:
        """Return a student's module; the first attempt is always wrong."""
        factor = 2.0 if attempt > 1 and STUDENTS.index(student) % 2 == 0 else 3.0
        text = f'"""Work of {student.id}, attempt {attempt}."""\n\n\ndef double(x):\n    return {factor} * x\n'
        return text.encode()

    def notebook(self, student: Student, attempt: int = 2) -> bytes:
        """Return a student's notebook; the first attempt is always wrong."""
        right = attempt > 1 and STUDENTS.index(student) % 3 == 0
        notebook = json.loads(json.dumps(self.released))
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer":
                sum_of = "size" if right else "size + 1"
                cell["source"] = f"total = sum(range({sum_of}))  # {student.id}, attempt {attempt}"
        return json.dumps(notebook, ensure_ascii=False).encode()

    def files(self, student: Student, attempt: int = 2) -> dict[str, bytes]:
        """Return a whole hand-in under its proper names."""
        return {"tiny.ipynb": self.notebook(student, attempt), "utilities.py": self.module(student, attempt)}


def points(student: Student) -> float:
    """Return the automatic points that a student's last attempt is worth."""
    number = STUDENTS.index(student)
    return (3.0 if number % 2 == 0 else 0.0) + (2.0 if number % 3 == 0 else 0.0)


def decomposed(text: str) -> str:
    """Return the other Unicode form of a name: letters and accents apart, as macOS wrote file names."""
    return unicodedata.normalize("NFD", text)


def write(folder: Path, files: dict[str, bytes]) -> list[str]:
    """Write files below a folder; return their names."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return list(files)
