"""A second set of made downloads, written from the platforms' sources alone: names as their own code makes them.

Moodle: `mod/assign/classes/downloader.php` and `clean_param`; Canvas: `lib/content_zipper.rb`; Gradescope's export has
`submission_metadata.yml`. Nothing here, nor in `other_readers`, knows how `collect` and `export` work.
"""

from __future__ import annotations

import csv
import json
import re
import unicodedata
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tests.collecting.students import zipped

MODULE = "utilities.py"
FULL_NAMES = (
    "Zoë Müller", "Seán O'Neil", "Jan van der Berg", "李 小龙", "Ann_Marie Smith", "Kim Lee", "Kim Lee", "Madonna",
    "R2 D2 7", "Ana María de la Cruz", "Jean-Luc D’Arcy", "St. John Smythe", "Anna Late", "محمد علي", "Link Text",
    "Nguyễn Thị Ánh", "Åsa Öberg", "Łukasz Żak", "Bo", "Participant Jones", "anon Ymous", "Max Mustermann Jr.",
    "Élodie  Durand", "İpek Şahin", "Ødegård Sørensen", "A B C D E F", "Chloë & Co", "Ivan: the Third", "Ye", "Tà Mù",
)  # fmt: skip
START = datetime(2030, 5, 1, 17, 30, tzinfo=UTC)


@dataclass(frozen=True)
class Learner:
    """One student as a platform knows one."""

    number: int
    full_name: str

    @property
    def id(self) -> str:
        """The id in the gradebook."""
        return f"learner{self.number:02}"

    @property
    def email(self) -> str:
        """The address."""
        return f"{self.id}@example.edu"

    @property
    def moodle(self) -> int:
        """Moodle's participant number."""
        return 7000 + 13 * self.number

    @property
    def canvas(self) -> int:
        """Canvas' user id."""
        return 410_000 + 7 * self.number

    @property
    def anonymous(self) -> str:
        """Canvas' anonymous id."""
        return f"aB{self.number:02}x"

    @property
    def sortable(self) -> str:
        """The name as Canvas sorts it."""
        first, _, last = self.full_name.rpartition(" ")
        return f"{last}, {first}" if first else last

    @property
    def team(self) -> str:
        """The group in Moodle; the last six are in none."""
        return f"Team_{self.number % 8:02}: Räte & Co" if self.number < 24 else ""

    @property
    def handed_in(self) -> datetime:
        """When."""
        return START + timedelta(minutes=11 * self.number)

    def files(self, notebook: bytes, assignment: str) -> dict[str, bytes]:
        """What this student meant to hand in."""
        return {MODULE: f"# work of {self.number}\n".encode(), f"{assignment}.ipynb": notebook}


LEARNERS = tuple(Learner(number, name) for number, name in enumerate(FULL_NAMES))


def uploaded(learner: Learner, files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return what the student really gave the platform: each tenth in its own odd way."""
    module, notebook = files[MODULE], next(data for name, data in files.items() if name != MODULE)
    name = next(name for name in files if name != MODULE)
    odd: dict[int, dict[str, bytes]] = {
        0: {"My work.zip": zipped(files)},
        1: {"utilities (1).py": module, name: notebook, "._utilities.py": b"\0"},
        2: {MODULE: module, name.replace(".ipynb", " (2).ipynb"): notebook, "notes.txt": b"hello"},
        3: {"hand-in.zip": zipped({f"Lab/{key}": data for key, data in files.items()} | {"__MACOSX/._x": b"\0"})},
        4: {"Utilities.py": module, name.upper(): notebook, "timestamp.txt": b"1999-01-01 00:00 UTC"},
        5: {"outer.zip": zipped({"inner.zip": zipped(files)})},
        6: {MODULE: module, name: notebook, "plot ä.png": b"\x89PNG\r\n\x1a\n"},
    }
    return odd.get(learner.number % 10, dict(files))


def _clean_file(name: str) -> str:
    """Moodle's clean_filename, which is clean_param with PARAM_FILE."""
    name = re.sub(r"[\x00-\x1f\x7f&<>\"`|':\\/]", "", name)
    return re.sub(r"\.\.+", "", name)


def _clean_path(path: str) -> str:
    """Moodle's clean_param with PARAM_PATH."""
    return re.sub(r"[\x00-\x1f\x7f&<>\"`|':]", "", path.replace("\\", "/"))


def moodle_prefix(learner: Learner, *, blind: bool = False) -> str:
    """The beginning of a name in Moodle's download: name and participant number."""
    name = "Participant" if blind else learner.full_name
    return _clean_file(f"{name.replace('_', ' ')}_{learner.moodle}")


def moodle_download(
    path: Path, assignment: str, notebook: bytes, *, folders: bool = True, blind: bool = False, decomposed: bool = False
) -> None:
    """Write what "Download all submissions" gives."""
    with zipfile.ZipFile(path, "w") as archive:
        for learner in LEARNERS:
            start = f"{moodle_prefix(learner, blind=blind)}_assignsubmission_file"
            for name, data in uploaded(learner, learner.files(notebook, assignment)).items():
                place = _clean_path(f"{start}/{name}") if folders else _clean_file(f"{start}_{name}")
                archive.writestr(unicodedata.normalize("NFD", place) if decomposed else place, data)
            if learner.number == 8:
                text = f"{moodle_prefix(learner, blind=blind)}_assignsubmission_onlinetext"
                archive.writestr(
                    f"{text}/onlinetext.html" if folders else f"{text}_onlinetext.html", "<p>See file.</p>"
                )


def moodle_team_download(path: Path, assignment: str, notebook: bytes) -> dict[str, Learner]:
    """Write a download of group hand-ins; returns who handed in for each group."""
    first: dict[str, Learner] = {}
    for learner in LEARNERS:
        first.setdefault(learner.team, learner)
    with zipfile.ZipFile(path, "w") as archive:
        for number, (team, learner) in enumerate(first.items()):
            prefix = _clean_file(f"{team.replace('_', ' ')}_{300 + number}" if team else "Default group")
            for name, data in learner.files(notebook, assignment).items():
                archive.writestr(_clean_path(f"{prefix}_assignsubmission_file/{name}"), data)
    return first


def moodle_worksheet(path: Path, *, teams: bool = False, blind: bool = False) -> None:
    """Write the grading worksheet."""
    heading = [
        "Identifier",
        *([] if blind else ["Full name", "Email address"]),
        "Status",
        *(["Group"] if teams else []),
    ]
    heading += ["Grade", "Maximum Grade", "Grade can be changed", "Last modified (submission)", "Last modified (grade)"]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        rows = csv.writer(file)
        rows.writerow([*heading, "Feedback comments"])
        for learner in LEARNERS:
            known = [f"Participant {learner.moodle}", *([] if blind else [learner.full_name, learner.email])]
            team = [learner.team or "Default group"] if teams else []
            when = f"{learner.handed_in:%A, {learner.handed_in.day} %B %Y, %I:%M %p}"
            rows.writerow([*known, "Submitted for grading", *team, "", "100.00", "Yes", when, "-", ""])


def canvas_prefix(learner: Learner, *, anonymous: bool = False) -> str:
    """The beginning of a name in Canvas' download."""
    if anonymous:
        parts = [f"anon_{learner.anonymous}"]
    else:
        name = re.sub(r"_(\d+)_", r"\1", learner.sortable).lower()
        parts = [name, *(["LATE"] if learner.number % 9 == 4 else []), str(learner.canvas)]
    # Ruby's [[:word:]]: letters, marks, decimal digits and connectors
    joined = "_".join(parts)
    return "".join(
        letter for letter in joined if unicodedata.category(letter)[0] in "LM" or letter.isdecimal() or letter == "_"
    )


def canvas_names(learner: Learner, names: Iterable[str], *, anonymous: bool = False) -> dict[str, str]:
    """The name of each upload in Canvas' download."""
    start = canvas_prefix(learner, anonymous=anonymous)
    shown = {name: re.sub(r'[\x00/\\:*?"<>|]+', "_", name) for name in names}
    return {name: f"{start}_{90_000 + 10 * learner.number + at}_{shown[name]}" for at, name in enumerate(shown)}


def canvas_download(path: Path, assignment: str, notebook: bytes, *, anonymous: bool = False) -> None:
    """Write what "Download Submissions" gives."""
    with zipfile.ZipFile(path, "w") as archive:
        for learner in LEARNERS:
            files = uploaded(learner, learner.files(notebook, assignment))
            for name, place in canvas_names(learner, files, anonymous=anonymous).items():
                archive.writestr(place, files[name])


def canvas_gradebook(path: Path, column: str) -> None:
    """Write the gradebook's export."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["Student", "ID", "SIS User ID", "SIS Login ID", "Section", column, "Current Score"])
        rows.writerow(["    Points Possible", "", "", "", "", "7.0", "(read only)"])
        for learner in LEARNERS:
            rows.writerow([learner.sortable, learner.canvas, f"S{learner.number}", learner.id, "One", "", ""])
        rows.writerow(["Student, Test", 1, "", "ab12", "One", "", ""])


def gradescope_download(path: Path, assignment: str, notebook: bytes) -> None:
    """Write what "Export Submissions" gives: one folder a submission, and a file that says whose it is."""
    lines = ["---"]
    with zipfile.ZipFile(path, "w") as archive:
        for learner in LEARNERS:
            folder = f"submission_{50_000 + learner.number}"
            lines += [
                f"{folder}:", "  :submitters:", f"  - :name: {json.dumps(learner.full_name)}",
                f"    :sid: 'S{learner.number}'", f"    :email: {learner.email}",
                f"  :created_at: {learner.handed_in:%Y-%m-%d %H:%M:%S.%f}000 Z", "  :score: 0.0",
            ]  # fmt: skip
            for name, data in uploaded(learner, learner.files(notebook, assignment)).items():
                archive.writestr(f"assignment_777_export/{folder}/{name}", data)
        archive.writestr("assignment_777_export/submission_metadata.yml", "\n".join(lines) + "\n")


def roster(path: Path, *, teams: bool = False) -> None:
    """Write the course's own list."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(
            ["student", "name", "email", "moodle", "canvas", "canvas anonymous", *(["group"] if teams else [])]
        )
        for learner in LEARNERS:
            known = [learner.id, learner.full_name, learner.email, learner.moodle, learner.canvas, learner.anonymous]
            rows.writerow([*known, *([learner.team or "Default group"] if teams else [])])
