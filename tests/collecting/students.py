"""Thirty students with names and hand-ins as they are, written from the platforms' sources, before `collect` was.

What each platform makes of these is in `downloads`.
"""

from __future__ import annotations

import io
import json
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

NAMES = (
    ("Ada", "O'Brien"),
    ("Zoë", "Müller"),
    ("José", "García-López"),
    ("明", "李"),
    ("Anne Marie", "van der Berg"),
    ("Sam", "Lee"),
    ("Sam", "Lee"),
    ("Under", "Score_9_Name"),
    ("R2", "D2"),
    ("Lisa", "Late"),
    ("Åsa", "Öberg"),
    ("Jean-Luc", "d'Arc"),
    ("Xu", "Ng"),
    ("Olga", "Иванова"),
    ("Mary & Joe", "Smith"),
    ("Ben", "LATE"),
    ("Vit", "Vitovec"),
    ("Maria", "Participant"),
    ("Anon", "Anon"),
    ("محمد", "علي"),
    ("François", "L’Écuyer"),
    ("Ida", "B. Wells"),
    ("O", "O"),
    ("Christopher Alexander Maximilian", "von und zu Hohenlohe-Langenburg"),
    ("Tim", "Müller"),
    ("Eve", "Ro=ot"),
    ("Nil", "Null"),
    ("Guðrún", "Jónsdóttir"),
    ("Dan", "Brown"),
    ("Uma", "Unknown"),
)
NOBODY = 29
"""The last one is on no roster."""


@dataclass(frozen=True)
class Student:
    """One student as every platform knows them; `place` says what is odd about the hand-in."""

    place: int
    first: str
    last: str

    @property
    def id(self) -> str:
        """The id in the gradebook."""
        return f"s{self.place:02}"

    @property
    def email(self) -> str:
        """The address that every platform has."""
        return f"{self.id}@example.org"

    @property
    def moodle(self) -> int:
        """Moodle's participant number."""
        return 70_000 + 13 * self.place

    @property
    def canvas(self) -> int:
        """Canvas' user id."""
        return 4_000 + 7 * self.place

    @property
    def sis(self) -> str:
        """The number at the registrar's."""
        return f"M{2_000 + self.place}"

    @property
    def login(self) -> str:
        """The account at GitHub; one is the end of another."""
        return {3: "lee", 4: "sam-lee"}.get(self.place, f"git-{self.place}")


STUDENTS = tuple(Student(place, *names) for place, names in enumerate(NAMES))
ROSTER = STUDENTS[:NOBODY]


@dataclass(frozen=True)
class Upload:
    """What one student uploaded.

    Attributes:
        files: Names, with folders, and contents, in the order of uploading.
        expected: What has to be graded, by its name beside the notebook.
        late: Whether it came after the due date.
    """

    files: tuple[tuple[str, bytes], ...]
    expected: dict[str, bytes]
    late: bool = False


def notebook_of(student: Student, remark: str = "") -> bytes:
    """A notebook that is this student's and nobody else's."""
    cell = {"cell_type": "markdown", "id": "who", "metadata": {}, "source": f"{student.id} {remark}"}
    return json.dumps({"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


def module_of(student: Student, remark: str = "") -> bytes:
    return f'"""Work of {student.id} {remark}."""\n\n\ndef double(x):\n    return 2 * x\n'.encode()


def zipped(files: Mapping[str, bytes] | Iterable[tuple[str, bytes]]) -> bytes:
    """A zip file with these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items() if isinstance(files, Mapping) else files:
            archive.writestr(name, content)
    return buffer.getvalue()


def upload_of(student: Student, assignment: str) -> Upload:
    """What a student uploads: each of them has another habit."""
    notebook, module = notebook_of(student), module_of(student)
    nb, mod = f"{assignment}.ipynb", "utilities.py"
    both = {nb: notebook, mod: module}
    odd: dict[int, tuple[list[tuple[str, bytes]], dict[str, bytes]]] = {
        1: ([(f"{assignment}.zip", zipped(both))], both),
        2: ([("all.zip", zipped({"inner.zip": zipped({f"work/{nb}": notebook, f"work/{mod}": module})}))], both),
        3: ([("w.zip", zipped({f"{assignment}/deep/{nb}": notebook, f"{assignment}/deep/{mod}": module}))], both),
        4: ([(f"{assignment.upper()}.IPYNB", notebook), ("Utilities.py", module)], both),
        5: ([(f"{assignment} (1).ipynb", notebook), ("utilities-2.py", module)], both),
        6: (
            [
                (
                    "mac.zip",
                    zipped(
                        {
                            nb: notebook,
                            mod: module,
                            f"__MACOSX/._{nb}": b"\0\5\x16\7",
                            ".DS_Store": b"\0\0\0\1Bud1",
                            f".ipynb_checkpoints/{assignment}-checkpoint.ipynb": notebook_of(student, "old"),
                            "__pycache__/utilities.cpython-311.pyc": b"\xa7\r\r\n",
                        }
                    ),
                )
            ],
            both,
        ),
        9: ([(unicodedata.normalize("NFD", "übung.zip"), zipped(both))], both),
        10: ([(nb, notebook), (mod, module), ("timestamp.txt", b"2000-01-01 00:00:00 UTC\n")], both),
        11: ([(nb, notebook)], {nb: notebook}),
        12: ([(mod, module)], {mod: module}),
        13: (
            [(nb, notebook), (mod, module), ("helpers.py", b"twice = 2\n"), ("photo.png", b"\x89PNG\r\n\x1a\n")],
            {**both, "helpers.py": b"twice = 2\n", "photo.png": b"\x89PNG\r\n\x1a\n"},
        ),
        14: ([("essay.pdf", b"%PDF-1.7\n")], {}),
        15: ([(nb, notebook), (mod, module), ("broken.zip", b"PK\3\4 this is none")], both),
        16: ([("w.zip", zipped([(f"{assignment}/{nb}", notebook), (f"{assignment}/{mod}", module)]))], both),
        17: ([("repo.zip", zipped({f"r/{nb}": notebook, f"r/{mod}": module, "r/.git/HEAD": b"ref: x\n"}))], both),
        18: ([("my work.zip", zipped({f"my work/{nb}": notebook, f"my work/{mod}": module}))], both),
        20: ([("w.zip", zipped({f"a\\{nb}": notebook, f"a\\{mod}": module}))], both),
        21: ([(nb, notebook), ("utilities (2).py", module)], both),
        24: ([("rar.rar", b"Rar!\x1a\7\1\0"), (nb, notebook), (mod, module)], both),
    }
    files, expected = odd.get(student.place, ([(nb, notebook), (mod, module)], both))
    return Upload(tuple(files), expected, late=student.place in (7, 15, 22))
