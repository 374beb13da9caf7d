"""Downloads of thirty students as GitHub, a plain folder and Canvas' groups give them, with every oddity met there.

Written from the platforms' own sources and not from the code that reads them: `gh classroom clone student-repos` and
`gh classroom assignment-grades` (github/gh-classroom), `gh teacher download` (foundation50/classroom50), and Canvas'
`ContentZipper`, `Assignment#representatives` and `GroupCategoriesController#export` (instructure/canvas-lms).
"""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.collecting.independent_people import BY_ID, STUDENTS, Download, Student, Work, decomposed, write
from tests.collecting.students import zipped

CLONE = {
    ".gitignore": b"*.pyc\n",
    ".github/workflows/classroom.yml": b"name: Autograding\non: push\n",
    "README.md": b"# tiny\n",
}
"""What the starter repository holds beside the assignment."""


def _csv(path: Path, rows: list[list[str]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


Files = dict[str, bytes]
ODD_CLONES: dict[str, Callable[[Files], Files]] = {
    # moved into a folder of her own
    "ada": lambda mine: {f"my work/{name}": content for name, content in mine.items()},
    # nbgrader's release layout
    "mary-ann": lambda mine: {f"release/tiny/{name}": content for name, content in mine.items()},
    # an older copy that Jupyter saved
    "jose": lambda mine: {**mine, ".ipynb_checkpoints/tiny-checkpoint.ipynb": b"{}"},
    # an environment and caches in the repository, more files than a hand-in may have
    "sukarno": lambda mine: {
        **{f".venv/lib/{number}/utilities.py": b"x = 1\n" for number in range(600)},
        "__pycache__/utilities.cpython-311.pyc": b"\0",
        **{f"a/{number}.py": b"" for number in range(150)},
        **mine,
    },
    # the other case
    "lina": lambda mine: {"Tiny.ipynb": mine["tiny.ipynb"], "Utilities.py": mine["utilities.py"]},
    # accepted, never pushed
    "zoe": lambda mine: {},
}
"""What students do to their repositories."""


def gh_classroom(folder: Path, work: Work) -> Download:
    """Return what `gh classroom clone student-repos` and `gh classroom assignment-grades` leave behind.

    A clone lies in `<slug>-submissions/<repository>`; the repository is `<slug>-<login>`, with `-1` where that name was
    taken. A group's repository ends with the group's name.
    """
    source = folder / "tiny-submissions"
    files: list[str] = []
    for student in STUDENTS:
        placed = ODD_CLONES.get(student.id, _as_it_is)(work.files(student))
        names = write(source / f"tiny-{student.login}", {**CLONE, **placed})
        _git(source / f"tiny-{student.login}")
        files += [f"tiny-{student.login}/{name}" for name in names]
    theirs = {student.id: work.files(student) for student in STUDENTS if student.id != "zoe"}
    for stranger in ("tiny-team-rocket", "tiny-stranger", "lab2-zoe"):
        names = write(source / stranger, {**CLONE, **work.files(BY_ID["ben-okri"], 1)})
        files += [f"{stranger}/{name}" for name in names]
    header = "assignment_name assignment_url starter_code_url github_username roster_identifier"
    header += " student_repository_name student_repository_url submission_timestamp points_awarded points_available"
    rows = [header.split()]
    for student in STUDENTS:
        repository = f"tiny-{student.login}"
        rows.append(["tiny", "", "", student.login, student.id, repository, "", "2026-05-01 10:00:00 UTC", "1", "1"])
    grades = _csv(folder / "grades.csv", rows)
    roster = [["identifier", "github_username", "github_id", "name"]]
    roster += [[student.id, student.login, str(900 + student.canvas), student.name] for student in STUDENTS]
    sidecars = {"times": grades, "roster": _csv(folder / "classroom_roster.csv", roster)}
    nobodys = ("tiny-team-rocket", "tiny-stranger", "lab2-zoe")
    return Download(source, tuple(files), theirs, nobodys, frozenset({"zoe"}), sidecars)


def classroom50(folder: Path, work: Work) -> Download:
    """Return what `gh teacher download` leaves: lowered names, results beside the work, `scores.csv` at the top."""
    source = folder / "fall-tiny_submissions_2026_05_02_T_10_00_00"
    files = []
    theirs = {}
    for student in STUDENTS:
        clone = f"fall-tiny-{student.login.lower()}"
        results = {"result.json": b'{"schema": "classroom50/result/v1"}', "results.json": b"[]"}
        names = write(source / clone, {**CLONE, **work.files(student), **results})
        files += [f"{clone}/{name}" for name in names]
        theirs[student.id] = work.files(student)
    header = "username first_name last_name email section score max_score datetime submission_tag submitted_by"
    rows = [[*header.split(), "review_url", "late", "override"]]
    for student in STUDENTS:
        who = [student.login, student.first, student.last, f"{student.id}@example.org", "", "1", "1"]
        rows.append([*who, "2026-05-01T10:00:00Z", "submit/1", student.login, "", "false", "false"])
    scores = _csv(source / "scores.csv", rows)
    header = "username first_name last_name email section github_id role"
    roster = [header.split()]
    for student in STUDENTS:
        roster.append([student.login, student.first, student.last, f"{student.id}@example.org", "", "", "student"])
    sidecars = {"times": scores, "roster": _csv(folder / "roster.csv", roster)}
    return Download(source, (*files, "scores.csv"), theirs, (), frozenset(), sidecars)


def _git(clone: Path) -> None:
    """Leave what git leaves, without running it thirty times: a head, a configuration, an object."""
    write(clone / ".git", {"HEAD": b"ref: refs/heads/main\n", "config": b"[core]\n", "objects/ab/cd": b"\0"})


def real_clone(folder: Path, files: dict[str, bytes]) -> Path:
    """Return a repository that git itself made, with one commit whose author chose its date."""
    write(folder, files)
    chosen = {"GIT_AUTHOR_DATE": "2001-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2001-01-01T00:00:00Z"}
    who = ("-c", "user.name=student", "-c", "user.email=student@example.org")
    for command in (("init", "-q"), ("add", "."), (*who, "commit", "-q", "-m", "work")):
        subprocess.run(("git", *command), cwd=folder, check=True, env={**chosen, "HOME": str(folder)})
    return folder


def _as_it_is(mine: Files) -> Files:
    return mine


def _in(folder: str, mine: Files) -> Files:
    return {f"{folder}/{name}": content for name, content in mine.items()}


def _mac_zip(mine: Files) -> bytes:
    return zipped({**_in("tiny", mine), "__MACOSX/tiny/._tiny.ipynb": b"\0", "tiny/.DS_Store": b"\0"})


ODD_FOLDERS: dict[str, Callable[[Files], Files]] = {
    "ada": lambda mine: {**_in("ada", mine), "ada/timestamp.txt": b"2001-01-01 00:00:00 UTC"},  # her own clock
    "ben-okri": lambda mine: {"ben-okri.zip": zipped(mine)},  # one zip in place of a folder
    "mary-ann": lambda mine: _in("mary-ann/hand-in/tiny", mine),  # one folder too many
    "ann": lambda mine: {"ann/tiny.zip": _mac_zip(mine)},
    "kimlee": lambda mine: {"kimlee/all.zip": zipped({"inner.zip": zipped(mine)})},
    "jose": lambda mine: {"jose/tiny (1).ipynb": mine["tiny.ipynb"], "jose/utilities-2.py": mine["utilities.py"]},
    "juergen": lambda mine: {"juergen/TINY.IPYNB": mine["tiny.ipynb"], "juergen/Utilities.PY": mine["utilities.py"]},
    "siobhan": lambda mine: _in("SIOBHAN", mine),
    "jeanluc": lambda mine: _in("jeanluc/tiny", mine),  # as nbgrader lays it out
    "sukarno": lambda mine: {**_in("sukarno", mine), "sukarno/Thumbs.db": b"\0", "sukarno/desktop.ini": b""},
    "lina": lambda mine: _in("李 娜", mine),
    "chloe": lambda mine: _in(decomposed("Chloé Lefèvre"), mine),
    "renee": lambda mine: _in("Lefevre, Renée", mine),
    "zoe": lambda mine: {"zoe.zip": zipped({})},
}
"""What students hand in, and how colleagues name it."""


def plain_folder(folder: Path, work: Work) -> Download:
    """Return a folder of files as colleagues hand it on: a folder or a zip for each student, named by hand."""
    source = folder / "handed in"
    source.mkdir()
    files: list[str] = []
    theirs: dict[str, Files] = {}
    for student in STUDENTS:
        theirs[student.id] = work.files(student)
        if student.id == "olga":  # a file that her notebook reads
            theirs["olga"]["data/numbers.txt"] = b"1 2 3\n"
        odd = ODD_FOLDERS.get(student.id)
        files += write(source, odd(theirs[student.id]) if odd else _in(student.id, theirs[student.id]))
    del theirs["zoe"]
    strangers = {"tiny.ipynb": b"{}", "notes.txt": b"call zoe\n", "nobody/tiny.ipynb": b"{}"}
    files += write(source, {**strangers, ".DS_Store": b"\0"})
    roster = [["student", "name"]] + [[student.id, student.name] for student in STUDENTS]
    sidecars = {"roster": _csv(folder / "who.csv", roster)}
    return Download(source, tuple(files), theirs, ("tiny.ipynb", "notes.txt", "nobody"), frozenset({"zoe"}), sidecars)


GROUPS: dict[str, tuple[str, ...]] = {
    "Project Groups 1": ("ada", "ben-okri", "mary-ann"),
    "Project Groups 12": ("ann", "kimlee"),
    "Group_7": ("kim-lee", "jose", "juergen"),  # ends like a user's number
    "Los Ñandúes!": ("siobhan", "jeanluc", "sukarno", "lina"),
    "Ada Lovelace": ("mali", "olga"),  # called like a student who is not in it
    "LATE": ("ida-late", "tom-1"),
    "42": ("tom", "al-bo", "anon"),
    "🚀": ("ipek", "zoe"),  # no letter is left of it in a file's name
    "A_3_B": ("dave", "eve"),
    "never met": ("nguyen", "bjorn"),
}
"""Who works with whom; the other five work alone, and the last group hands nothing in."""
LATE_GROUPS = frozenset({"Group_7", "Project Groups 12"})


def canvas_prefix(name: str, late: bool, user: str) -> str:
    """Return how Canvas begins a file's name: the group's or student's name, `LATE`, and a user's number."""
    lowered = re.sub(r"^(\d+)$", r"\1", re.sub(r"_(\d+)_", r"\1", name)).lower()
    joined = "_".join(part for part in (lowered, "LATE" if late else None, user) if part is not None)
    return re.sub(r"[^\w]", "", joined)


def representative(members: tuple[str, ...]) -> Student:
    """Return the member after whose number Canvas names a group's files: the first by `Last, First`, not who uploaded.

    Canvas writes the group's submission for every member, so each of them has one.
    """
    return min((BY_ID[member] for member in members), key=lambda student: student.sortable.lower())


def canvas_groups(folder: Path, work: Work, some: tuple[str, ...] = ()) -> Download:
    """Return the zip of a group assignment, of some groups and students alone, and the group set's CSV."""
    entries: dict[str, bytes] = {}
    theirs: dict[str, dict[str, bytes]] = {}
    attachment = 90000
    grouped = {member for members in GROUPS.values() for member in members}
    alone = {student.name: (student.id,) for student in STUDENTS if student.id not in grouped}
    handing_in = {name: members for name, members in {**GROUPS, **alone}.items() if name != "never met"}
    handing_in = {name: members for name, members in handing_in.items() if not some or name in some}
    for name, members in handing_in.items():
        shown = representative(members)
        uploader = BY_ID[members[-1]]  # whoever uploaded it: Canvas does not tell
        mine = work.files(uploader)
        prefix = canvas_prefix(name, name in LATE_GROUPS, str(shown.canvas))
        named = {"Project Groups 12": ("tiny-1.ipynb", "utilities-3.py"), "42": ("tiny_2_3.ipynb", "utilities.py")}
        uploads = zip(named.get(name, ("tiny.ipynb", "utilities.py")), mine.values(), strict=True)
        if name == "A_3_B":
            uploads = zip(("tiny.zip",), (zipped(mine),), strict=True)
        for display, content in uploads:
            attachment += 1
            entries[f"{prefix}_{attachment}_{display}"] = content
        for member in members:
            theirs[member] = mine
    source = folder / "VIT-tiny_submissions.zip"
    source.write_bytes(zipped(entries))
    sidecars = {"groups": group_set(folder), "gradebook": gradebook(folder)}
    return Download(source, tuple(entries), theirs, (), frozenset(GROUPS["never met"]), sidecars)


def group_set(folder: Path, with_sis: bool = False) -> Path:
    """Return Canvas' CSV of a group set: a row for every student of the course, with or without a group."""
    group_of = {member: name for name, members in GROUPS.items() for member in members}
    sis = ["user_id"] if with_sis else []
    rows = [["name", "canvas_user_id", *sis, "login_id", "sections", "group_name", "canvas_group_id"]]
    for student in STUDENTS:
        group = group_of.get(student.id, "")
        number = str(700 + list(GROUPS).index(group)) if group else ""
        sis = [f"S{student.canvas}"] if with_sis else []
        rows.append([student.sortable, str(student.canvas), *sis, student.id, "VIT", group, number])
    return _csv(folder / "Project Groups.csv", rows)


def gradebook(folder: Path) -> Path:
    """Return Canvas' gradebook export: a header, `Points Possible`, a row for every student, the test student."""
    rows = [["Student", "ID", "SIS Login ID", "Section", "tiny (5511)", "Current Score"]]
    rows.append(["    Points Possible", "", "", "", "7.00", "(read only)"])
    for student in STUDENTS:
        quoted = f'="{student.sortable}"' if student.sortable.lstrip().startswith("=") else student.sortable
        rows.append([quoted, str(student.canvas), student.id, "VIT", "", ""])
    rows.append(["Student, Test", "9999", "0123456789abcdef", "VIT", "", ""])
    return _csv(folder / "gradebook.csv", rows)
