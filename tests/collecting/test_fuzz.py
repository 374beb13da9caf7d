"""Downloads drawn at random, of hostile and broken hand-ins: bounded, nothing outside, and each file is named."""

from __future__ import annotations

import io
import random
import shutil
import stat
import tracemalloc
import warnings
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autograder.collecting.collect import CollectRequest, collect
from autograder.collecting.hand_ins import Download, HandIn
from autograder.collecting.platforms import PLATFORMS
from autograder.collecting.records import Collected
from autograder.collecting.source import opened_source
from autograder.collecting.work import SHARE, find_work
from autograder.config import Settings
from autograder.course.archives import LeftOut, MemberUnreadable
from autograder.errors import ArchiveUnreadable, UsageError
from tests.collecting.students import STUDENTS, module_of, notebook_of, zipped
from tests.tiny import TinyCourse

PARTS = (
    "tiny.ipynb", "TINY.ipynb", "tiny (1).ipynb", "utilities.py", "utilities-2.py", "a", "a/b", "..", "../../evil",
    "/etc/x", "C:\\x", "\\\\host\\x", "utilities.py/x", "tiny.ipynb/tiny.ipynb", "u\u0308bung.py", "übung.py",
    "\u202eevil.py", "a\nb", "x" * 300, "con", ".git/config", "__MACOSX/._x", ".hidden", "timestamp.txt",
    "submission_secret.txt", "*", "?", "~", " ", "hand_ins.json", "others/000-x", "submission_metadata.yml",
    "a_1_assignsubmission_file", "a_1_2_b",
)  # fmt: skip
MODES = (stat.S_IFREG | 0o644, stat.S_IFLNK | 0o777, stat.S_IFIFO, stat.S_IFDIR | 0o755, stat.S_ISUID | 0o777, 0)
ROUNDS = 25
SMALL_MIB = 1


def content(draw: random.Random, depth: int) -> bytes:
    kind = draw.randrange(6)
    if kind == 0:
        return bytes(3 << 20)  # unpacks to three times what is allowed
    if kind == 1 and depth < 5:
        return archive(draw, depth + 1)
    if kind == 2:
        return draw.randbytes(40)
    return draw.choice((notebook_of(STUDENTS[0]), module_of(STUDENTS[0]), b"", b"PK\3\4", b"\0" * 9))


def archive(draw: random.Random, depth: int = 0) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as made:
        for _ in range(draw.randint(0, 7)):
            info = zipfile.ZipInfo("/".join(draw.choice(PARTS) for _ in range(draw.randint(1, 3))))
            info.external_attr = draw.choice(MODES) << 16
            if draw.random() < 0.1:
                info.filename = info.filename + ".zip"
            made.writestr(info, content(draw, depth), zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def hostile_download(draw: random.Random, path: Path) -> Path:
    """A platform's zip file with two hand-ins of this kind and an honest one."""
    one, other, honest = STUDENTS[:3]
    files: list[tuple[str, bytes]] = []
    for student in (one, other):
        for _ in range(draw.randint(1, 4)):
            name = draw.choice([*PARTS, "work.zip", "more.zip"])
            body = archive(draw) if name.endswith(".zip") else content(draw, 0)
            files.append((f"{student.first}_{student.moodle}_assignsubmission_file/{name}", body))
    right = zipped({"tiny.ipynb": notebook_of(honest), "utilities.py": module_of(honest)})
    files.append((f"{honest.first}_{honest.moodle}_assignsubmission_file/work.zip", right))
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, body in files:
            made.writestr(name, body)
    return path


def test_hostile_hand_ins_reach_nothing_and_cost_nobody_else_anything(tiny_course: TinyCourse, tmp_path: Path) -> None:
    small = replace(tiny_course.course, settings=replace(tiny_course.course.settings, max_submission_mib=SMALL_MIB))
    rows = "".join(f"{s.id},{s.moodle}\n" for s in STUDENTS[:3])
    (tiny_course.root / "roster.csv").write_text(f"student,moodle\n{rows}")
    submitted, kept = tiny_course.root / "submitted", tiny_course.root / ".autograder"
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(kept)}
    draw, honest = random.Random(2500), STUDENTS[2]  # noqa: S311 (no secret)
    tracemalloc.start()
    for _ in range(ROUNDS):
        with warnings.catch_warnings(action="ignore"):
            source = hostile_download(draw, tmp_path / "m.zip")
        collected = collect(small, tiny_course.assignment, submitted, CollectRequest(source, "moodle"))
        after = {path for path in tmp_path.rglob("*") if not path.is_relative_to(kept)} - {source}
        assert all(path.is_relative_to(submitted) for path in after - before)
        assert all(path.is_file() or path.is_dir() for path in after)
        assert not [path for path in after if path.is_symlink()]
        assert sum(path.stat().st_size for path in submitted.rglob("*") if path.is_file()) <= 3 * 2 * SMALL_MIB << 20
        assert (submitted / honest.id / "tiny/tiny.ipynb").read_bytes() == notebook_of(honest)
        hold_all_named(source, collected)
        for path in (submitted, kept / "collected"):
            shutil.rmtree(path, ignore_errors=True)
    assert tracemalloc.get_traced_memory()[1] < 60 << 20
    tracemalloc.stop()


def hold_all_named(source: Path, collected: Collected) -> None:
    told = {fate.original for row in collected.rows for fate in row.fates} | set(collected.others)
    folders = tuple(name for name in told if name.endswith("/"))
    with opened_source(source) as opened:
        assert all(name in told or name.startswith(folders) for name in opened.sizes)
        assert all(lost.name in told for lost in opened.left_out)


def test_names_drawn_at_random_are_sorted_or_refused_by_every_platform(tmp_path: Path) -> None:
    draw = random.Random(2501)  # noqa: S311 (no secret)
    words = [
        *PARTS,
        "Ada_70000_assignsubmission_file",
        "ada_LATE_4711_9_tiny.ipynb",
        "anon_x_9_a.py",
        "lab-submissions",
    ]
    for _ in range(300):
        names = ["/".join(draw.choice(words) for _ in range(draw.randint(1, 3))) for _ in range(draw.randint(1, 6))]
        with warnings.catch_warnings(action="ignore"):
            (tmp_path / "x.zip").write_bytes(zipped([(name, b"a: [1") for name in names]))
        try:
            with opened_source(tmp_path / "x.zip") as source:
                download = Download(source, "x", "tiny")
                for contents in PLATFORMS.values():
                    try:
                        sorted_files = contents(download)
                    except UsageError:
                        continue
                    placed = [name for hand_in in sorted_files.hand_ins for name in hand_in.files]
                    assert sorted([*placed, *sorted_files.others]) == sorted(set(download.names))
        except ArchiveUnreadable:
            continue


class BrokenMembers:
    """A download whose files are unpacked until they turn out to be broken."""

    def __init__(self, names: Sequence[str], size: int) -> None:
        self.sizes = dict.fromkeys(names, size)
        self.left_out: list[LeftOut] = []
        self.unpacked = 0

    def read(self, name: str, most_bytes: int) -> bytes:
        """Take a file's size for unpacked."""
        if self.sizes[name] > most_bytes:
            raise MemberUnreadable("is larger than the course allows")
        self.unpacked += self.sizes[name]
        raise MemberUnreadable("is broken in the zip file")


def test_broken_members_are_not_unpacked_without_end() -> None:
    settings = Settings(max_submission_mib=4)
    source = BrokenMembers([f"{number}.bin" for number in range(100)], 1 << 20)
    found = find_work(source, HandIn((), {name: name for name in source.sizes}), "tiny", settings)
    assert len(found.fates) == 100
    assert source.unpacked == SHARE * settings.max_submission_mib << 20
