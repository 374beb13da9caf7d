"""What platforms give an instructor to download for these students, each after the platform's own source.

Moodle: `mod/assign/classes/downloader.php` (names), `gradingtable.php` (worksheet). Canvas: `lib/content_zipper.rb`,
`lib/gradebook_exporter.rb`. Gradescope: exports as its users' programs read them. GitHub: `gh classroom clone
student-repos`, and Classroom 50's `roster.csv`.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import yaml

from tests.collecting.students import ROSTER, STUDENTS, Student, notebook_of, upload_of

DUE = datetime(2030, 5, 1, 18, tzinfo=UTC)
FOLDERS, OLD_FOLDERS, FLAT = "/", "_/", "_"
"""What follows `assignsubmission_file`: since 4.1, before, and with "download in folders" switched off."""


def handed_in(student: Student, assignment: str) -> datetime:
    """When the platform took the hand-in; to the minute, as Moodle's worksheet tells it."""
    hours = 3 if upload_of(student, assignment).late else -5
    return DUE + timedelta(hours=hours, minutes=student.place)


def table(rows: Iterable[Iterable[object]], delimiter: str = ",", bom: bool = False) -> bytes:
    """A CSV file as platforms write it."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return (b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode()


def written_zip(path: Path, files: Iterable[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return path


# --- Moodle -------------------------------------------------------------------------------------------------


def moodle_clean(name: str) -> str:
    """What `clean_filename` leaves of a name."""
    return re.sub(r"\.\.+", "", re.sub(r"[\x00-\x1f&<>\"`|':\\/]", "", name))


def moodle_zip(
    path: Path, assignment: str, layout: str = FOLDERS, anonymous: bool = False, form: Literal["NFC", "NFD"] = "NFC"
) -> Path:
    """`Course-Assignment-12345.zip`, its names in one of the two forms of Unicode."""
    files = []
    for student in STUDENTS:
        shown = "Participant" if anonymous else f"{student.first} {student.last}"
        prefix = moodle_clean(f"{shown.replace('_', ' ')}_{student.moodle}")
        for name, content in upload_of(student, assignment).files:
            full = f"{prefix}_assignsubmission_file{layout}{name}"
            files.append((unicodedata.normalize(form, full), content))
    text = f"{moodle_clean('Ada O Brien')}_{STUDENTS[0].moodle}_assignsubmission_onlinetext"
    files.append((f"{text}{layout}onlinetext.html", b"<p>see my files</p>"))
    return written_zip(path, files)


ENGLISH = (
    "Identifier|Full name|Email address|Username|Status|Grade|Maximum Grade|Grade can be changed|"
    "Last modified (submission)|Last modified (grade)|Feedback comments"
).split("|")
GERMAN = (
    "ID|Vollständiger Name|E-Mail-Adresse|Anmeldename|Status|Bewertung|Bestwertung|Bewertung kann geändert werden|"
    "Zuletzt geändert (Abgabe)|Zuletzt geändert (Bewertung)|Feedback als Kommentar"
).split("|")
PARTICIPANT = {"en": "Participant ", "de": "Teilnehmer/in"}


def moodle_worksheet(
    assignment: str, points: float, language: str = "en", delimiter: str = ",", anonymous: bool = False
) -> bytes:
    """The assignment's grading worksheet, of everyone on the roster."""
    heading = list(GERMAN if language == "de" else ENGLISH)
    rows = []
    for student in ROSTER:
        time = handed_in(student, assignment)
        hour = f"{time.hour % 12 or 12}:{time.minute:02} {'AM' if time.hour < 12 else 'PM'}"
        row = [f"{PARTICIPANT[language]}{student.moodle}", f"{student.first} {student.last}", student.email, student.id]
        row += ["Submitted for grading", "", f"{points:.2f}" if language == "en" else f"{points:.2f}".replace(".", ",")]
        row += ["Yes", f"{time:%A}, {time.day} {time:%B %Y}, {hour}", "-", ""]
        rows.append(row)
    if anonymous:
        heading, rows = heading[:1] + heading[4:], [row[:1] + row[4:] for row in rows]
    return table([heading, *rows], delimiter, bom=True)


# --- Canvas -------------------------------------------------------------------------------------------------


def canvas_prefix(student: Student, late: bool, anonymous: bool) -> str:
    """`lastfirst_LATE_4711`, or `LATE_anon_x1Y2z`."""
    sortable = re.sub(r"_(\d+)_", r"\1", f"{student.last}, {student.first}").lower()
    parts = ["LATE"] if late else []
    if anonymous:
        parts += [f"anon_{canvas_anonymous(student)}"]
    else:
        parts = [re.sub(r"[^\w]", "", sortable), *parts, str(student.canvas)]
    return "_".join(parts)


def canvas_anonymous(student: Student) -> str:
    """Canvas' anonymous id: five letters and digits."""
    return f"x{student.place:02}Yz"


def canvas_attachment(student: Student, number: int) -> int:
    return 90_000 + 100 * student.place + number


def canvas_zip(path: Path, assignment: str, anonymous: bool = False) -> Path:
    """`submissions.zip`: flat, each file under the student's prefix."""
    files = []
    for student in STUDENTS:
        upload = upload_of(student, assignment)
        prefix = canvas_prefix(student, upload.late, anonymous)
        for number, (name, content) in enumerate(upload.files):
            shown = re.sub(r'[\x00/\\:*?"<>|]+', "_", name)
            files.append((f"{prefix}_{canvas_attachment(student, number)}_{shown}", content))
        if student.place == 19:  # handed in twice under the same name, in one attempt
            again = (f"{prefix}_{canvas_attachment(student, 9)}_{assignment}-1.ipynb", notebook_of(student, "again"))
            files.append(again)
        if student.place == 0 and not anonymous:
            files.append((f"{prefix}_text.html", b"<p>see my files</p>"))
    return written_zip(path, files)


def canvas_gradebook(points: float, delimiter: str = ",", split_names: bool = False, title: str = "Work (77)") -> bytes:
    """The gradebook as Canvas exports it."""
    names = ["LastName", "FirstName"] if split_names else ["Student"]
    heading = [*names, "ID", "SIS User ID", "SIS Login ID", "Section", title, "Final Score"]
    empty = [""] * (len(heading) - 3)
    rows: list[list[object]] = [[*heading]]
    rows.append(["", *empty, "Manual Posting", ""])
    worth = f"{points:.2f}".replace(".", "," if delimiter == ";" else ".")
    rows.append(["    Points Possible", *empty[1:], "", worth, "(read only)"])
    for student in ROSTER:
        shown = [student.last, student.first] if split_names else [f"{student.last}, {student.first}"]
        rows.append([*shown, student.canvas, student.sis, student.id, "Lab 1 and Lab 2", "", ""])
    rows.append([*(["Student", "Test"] if split_names else ["Student, Test"]), 99_999, "", "abcdef", "Lab 1", "", ""])
    return table(rows, delimiter, bom=True)


# --- Gradescope ---------------------------------------------------------------------------------------------


def gradescope_zip(path: Path, assignment: str) -> Path:
    """`submissions.zip`: a folder for each submission, and who made it when in `submission_metadata.yml`.

    The fifth and the sixth handed in together, as the fifth's files.
    """
    root, files, metadata = "assignment_4242_export", [], {}
    for student in STUDENTS:
        if student.place == 5:
            continue
        folder = f"submission_{88_000 + student.place}"
        for name, content in upload_of(student, assignment).files:
            files.append((f"{root}/{folder}/{name}", content))
        who = [student, *([STUDENTS[5]] if student.place == 4 else [])]
        metadata[folder] = {
            ":submitters": [
                {":name": f"{student.first} {student.last}", ":sid": student.sis, ":email": student.email}
                for student in who
            ],
            ":created_at": handed_in(student, assignment),
            ":score": 0.0,
            ":status": "processed",
            ":history": [{":id": 1, ":created_at": handed_in(student, assignment) - timedelta(days=9), ":score": 0.0}],
        }
    text = yaml.safe_dump(metadata, allow_unicode=True, sort_keys=False)
    return written_zip(path, [(f"{root}/submission_metadata.yml", text.encode()), *files])


# --- GitHub -------------------------------------------------------------------------------------------------


def github_folder(path: Path, assignment: str, title: str = "lab-one") -> Path:
    """`lab-one-submissions/lab-one-<login>/`, clones with their history."""
    root = path / f"{title}-submissions"
    for student in STUDENTS:
        clone = root / f"{title}-{student.login}"
        repository = {".git/HEAD": b"ref: refs/heads/main\n", "README.md": b"# Lab\n", ".github/x.yml": b"on: push\n"}
        for name, content in [*repository.items(), *upload_of(student, assignment).files]:
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            (clone / name).write_bytes(content)
    return root


def classroom_roster() -> bytes:
    """GitHub Classroom's `classroom_roster.csv`."""
    rows = [[student.id, student.login, 500 + student.place, ""] for student in ROSTER]
    return table([["identifier", "github_username", "github_id", "name"], *rows])


def classroom50_roster() -> bytes:
    """Classroom 50's `roster.csv`."""
    heading = "username,first_name,last_name,email,section,github_id,role".split(",")
    rows = [[s.login, s.first, s.last, s.email, "A", 500 + s.place, "student"] for s in ROSTER]
    return table([heading, *rows])


# --- A folder of files, and our own roster ---------------------------------------------------------------------


def plain_folder(path: Path, assignment: str) -> Path:
    """`hand-ins/<student>/`, as somebody sorts what came by mail."""
    root = path / "hand-ins"
    for student in STUDENTS:
        for name, content in upload_of(student, assignment).files:
            file = root / student.id / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return root


def own_roster(form: Callable[[str], str] = lambda name: name) -> bytes:
    """`roster.csv` with everything that a course may know of its students."""
    heading = ["student", "first_name", "last_name", "email", "moodle", "canvas", "gradescope", "github"]
    rows = [[s.id, form(s.first), form(s.last), s.email, s.moodle, s.canvas, s.sis, s.login] for s in ROSTER]
    return table([heading, *rows])


def times_table(assignment: str) -> bytes:
    """Times that an instructor has from elsewhere, such as Canvas' list of submissions."""
    rows = [[student.id, handed_in(student, assignment).isoformat()] for student in ROSTER]
    return table([["student", "submitted_at"], *rows])
