"""Each platform's download of thirty students, with all their habits, and what becomes of every file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from autograder.collecting.collect import CollectRequest, collect
from autograder.collecting.records import Collected, HandInRow, Records
from autograder.errors import UsageError
from tests.collecting import downloads
from tests.collecting.students import NOBODY, ROSTER, STUDENTS, Student, module_of, notebook_of, upload_of, zipped
from tests.tiny import TinyCourse

PLATFORMS = ("moodle", "canvas", "gradescope", "github", "folder")
TOGETHER = 5
"""Who handed in with the student before, where students can."""


def download_of(platform: str, folder: Path) -> Path:
    makers = {
        "moodle": lambda: downloads.moodle_zip(folder / "Course-tiny-99.zip", "tiny"),
        "canvas": lambda: downloads.canvas_zip(folder / "submissions.zip", "tiny"),
        "gradescope": lambda: downloads.gradescope_zip(folder / "submissions.zip", "tiny"),
        "github": lambda: downloads.github_folder(folder, "tiny"),
        "folder": lambda: downloads.plain_folder(folder, "tiny"),
    }
    return makers[platform]()


def run(course: TinyCourse, request: CollectRequest) -> Collected:
    return collect(course.course, course.assignment, course.root / "submitted", request)


def files_of(course: TinyCourse, student: Student) -> dict[str, bytes]:
    folder = course.root / "submitted" / student.id / "tiny"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def expected_of(platform: str, student: Student) -> dict[str, bytes]:
    whose = STUDENTS[TOGETHER - 1] if platform == "gradescope" and student.place == TOGETHER else student
    expected = dict(upload_of(whose, "tiny").expected)
    if platform == "canvas" and student.place == 19:
        expected["tiny.ipynb"] = notebook_of(student, "again")
    return expected


def row_of(collected: Collected, student: Student) -> HandInRow:
    (row,) = (row for row in collected.rows if row.student == student.id)
    return row


@pytest.fixture
def course(tiny_course: TinyCourse) -> TinyCourse:
    (tiny_course.root / "roster.csv").write_bytes(downloads.own_roster())
    return tiny_course


@pytest.mark.parametrize("platform", PLATFORMS)
def test_everybody_gets_what_is_theirs_and_every_file_is_accounted_for(
    course: TinyCourse, tmp_path: Path, platform: str
) -> None:
    source = download_of(platform, tmp_path)
    collected = run(course, CollectRequest(source))
    assert collected.platform == platform
    for student in ROSTER:
        found = files_of(course, student)
        found.pop("README.md", None)  # GitHub's
        time = found.pop("timestamp.txt", None)
        assert found == expected_of(platform, student), student
        assert (time is not None) == (platform == "gradescope" and bool(found))
        assert b"2000-01-01" not in (time or b"")
    assert not (course.root / "submitted" / STUDENTS[NOBODY].id).exists()
    problems = {row.owner: row.why for row in collected.problems}
    assert len(problems) == 2, problems
    assert sorted(problems.values()) == ["holds neither tiny.ipynb nor utilities.py", "matches nobody"]
    assert_all_there(source, collected)
    if platform == "gradescope":
        late = row_of(collected, STUDENTS[7])
        assert late.time == downloads.handed_in(STUDENTS[7], "tiny").replace(tzinfo=None)


def assert_all_there(source: Path, collected: Collected) -> None:
    """Hold that each file of a download, and of the zip files in it, is told of."""
    told = {fate.original for row in collected.rows for fate in row.fates} | set(collected.others)
    folders = tuple(name for name in told if name.endswith("/"))
    for name in names_in(source):
        assert name in told or name.startswith(folders), name
    for row in collected.rows:
        assert all(fate.became or fate.why for fate in row.fates)
    unpacked = [name for name in told if "all.zip!inner.zip!work/" in name]
    assert len(unpacked) == 2


def names_in(source: Path) -> list[str]:
    if source.is_dir():
        return [path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()]
    from zipfile import ZipFile

    with ZipFile(source) as archive:
        return archive.namelist()


def test_moodle_in_its_other_layouts_forms_and_with_its_worksheet(tiny_course: TinyCourse, tmp_path: Path) -> None:
    sheet = tmp_path / "worksheet.csv"
    for language, delimiter, anonymous in (("en", ",", False), ("de", ";", False), ("en", ",", True)):
        sheet.write_bytes(downloads.moodle_worksheet("tiny", 7, language, delimiter, anonymous))
        for layout in (downloads.FOLDERS, downloads.OLD_FOLDERS, downloads.FLAT):
            source = downloads.moodle_zip(tmp_path / "m.zip", "tiny", layout, anonymous, "NFD")
            collected = run(tiny_course, CollectRequest(source, roster=sheet, dry_run=True))
            found = {row.owner.rpartition("_")[2]: row.student for row in collected.rows}
            for student in ROSTER:
                assert found[str(student.moodle)] == (f"moodle-{student.moodle}" if anonymous else student.id)
            (zoe,) = (row for row in collected.rows if row.owner.endswith(f"_{STUDENTS[1].moodle}"))
            assert zoe.time == downloads.handed_in(STUDENTS[1], "tiny").replace(tzinfo=None)
    assert not (tiny_course.root / "submitted").exists()


def test_canvas_by_its_gradebook_by_names_and_anonymous(tiny_course: TinyCourse, tmp_path: Path) -> None:
    source = downloads.canvas_zip(tmp_path / "c.zip", "tiny")
    book = tmp_path / "gradebook.csv"
    for delimiter, split in ((",", False), (";", True)):
        book.write_bytes(downloads.canvas_gradebook(7, delimiter, split))
        collected = run(tiny_course, CollectRequest(source, roster=book, dry_run=True))
        assert {row.student for row in collected.rows} == {"", *(student.id for student in ROSTER)}
    names = tmp_path / "names.csv"
    names.write_bytes(downloads.table([["student", "name"], *([s.id, f"{s.first} {s.last}"] for s in ROSTER)]))
    collected = run(tiny_course, CollectRequest(source, roster=names, dry_run=True))
    refused = {row.owner: row.why for row in collected.problems if not row.student}
    namesakes = [why for owner, why in refused.items() if owner.startswith("leesam")]
    assert namesakes == ["this is the name of s05 and s06: an id has to tell them apart"] * 2
    assert len(refused) == 3
    hidden = downloads.canvas_zip(tmp_path / "a.zip", "tiny", anonymous=True)
    rows = [[s.id, downloads.canvas_anonymous(s)] for s in ROSTER]
    names.write_bytes(downloads.table([["student", "anonymous id"], *rows]))
    collected = run(tiny_course, CollectRequest(hidden, roster=names, dry_run=True))
    assert len({row.student for row in collected.rows}) == len(STUDENTS)


def test_github_with_either_classrooms_roster(tiny_course: TinyCourse, tmp_path: Path) -> None:
    source = downloads.github_folder(tmp_path, "tiny")
    roster = tmp_path / "roster-from-github.csv"
    roster.write_bytes(downloads.classroom_roster())
    collected = run(tiny_course, CollectRequest(source, roster=roster, dry_run=True))
    assert {row.student for row in collected.rows} == {"", *(student.id for student in ROSTER)}
    roster.write_bytes(downloads.classroom50_roster())
    collected = run(tiny_course, CollectRequest(source, roster=roster, dry_run=True))
    assert {row.student for row in collected.rows} == {"", *(student.login for student in ROSTER)}
    loose = tmp_path / "clones"
    shutil.copytree(source, loose)
    collected = run(tiny_course, CollectRequest(loose, roster=roster, dry_run=True))
    assert collected.platform == "github"
    owners = {row.owner: row.why for row in collected.problems}
    assert "lab-one-sam-lee" not in owners  # not the account lee's: all others begin with lab-one, too


def test_a_folder_without_a_roster_names_students_itself(tiny_course: TinyCourse, tmp_path: Path) -> None:
    source = downloads.plain_folder(tmp_path, "tiny")
    (source / "ben.zip").write_bytes(zipped(upload_of(STUDENTS[0], "tiny").expected))
    (source / "zoe_tiny.ipynb").write_bytes(b"{}")
    (source / "readme.txt").write_bytes(b"")
    (source / "link").symlink_to("/etc/passwd")
    os.mkfifo(source / "pipe")
    collected = run(tiny_course, CollectRequest(source))
    assert {row.student for row in collected.rows} == {*(student.id for student in STUDENTS), "ben", "zoe"}
    assert collected.others["link"] == "is a link"
    assert set(collected.others) >= {"readme.txt", "pipe"}
    assert (tiny_course.root / "submitted/zoe/tiny/tiny.ipynb").read_bytes() == b"{}"


def test_times_come_from_a_table_where_the_platform_tells_none(course: TinyCourse, tmp_path: Path) -> None:
    source, times = downloads.canvas_zip(tmp_path / "c.zip", "tiny"), tmp_path / "times.csv"
    times.write_bytes(downloads.times_table("tiny"))
    collected = run(course, CollectRequest(source, times=times))
    wanted = downloads.handed_in(STUDENTS[8], "tiny").replace(tzinfo=None)
    assert row_of(collected, STUDENTS[8]).time == wanted
    assert files_of(course, STUDENTS[8])["timestamp.txt"] == f"{wanted} UTC\n".encode()
    times.write_text("student,time\ns08,yesterday\n")
    with pytest.raises(UsageError, match="'yesterday' of s08 cannot be read as a time"):
        run(course, CollectRequest(source, times=times))
    times.write_text("student,when\ns08,2030\n")
    with pytest.raises(UsageError, match="no column of times"):
        run(course, CollectRequest(source, times=times))
    times.write_text("who,time\nada,2030-05-01 17:30\n")
    with pytest.raises(UsageError, match="names no students"):
        run(course, CollectRequest(source, times=times))


def test_repeating_it_changes_nothing(course: TinyCourse, tmp_path: Path) -> None:
    source = downloads.gradescope_zip(tmp_path / "g.zip", "tiny")
    run(course, CollectRequest(source))
    before = tree(course.root)
    again = run(course, CollectRequest(source))
    assert tree(course.root) == before
    assert {row.state for row in again.rows} == {"unchanged", "nothing to grade", "refused"}


def tree(root: Path) -> Mapping[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


def test_the_last_hand_in_counts_and_the_others_are_kept(course: TinyCourse, tmp_path: Path) -> None:
    ada, source = STUDENTS[0], tmp_path / "in"
    versions = {remark: {"tiny.ipynb": notebook_of(ada, remark), "utilities.py": module_of(ada)} for remark in "abc"}
    times = tmp_path / "times.csv"

    def hand_in(remark: str, time: str) -> str:
        shutil.rmtree(source, ignore_errors=True)
        for name, content in versions[remark].items():
            (source / ada.id / name).parent.mkdir(parents=True, exist_ok=True)
            (source / ada.id / name).write_bytes(content)
        times.write_text(f"student,time\n{ada.id},{time}\n" if time else "student,time\n")
        return run(course, CollectRequest(source, times=times)).rows[0].state

    assert hand_in("a", "2030-05-01 10:00 UTC") == "new"
    assert hand_in("b", "2030-05-01 12:00 UTC") == "replaced"
    assert hand_in("a", "2030-05-01 10:00 UTC") == "older"  # an old download again
    assert hand_in("c", "") == "replaced"  # nobody knows when: the one that was collected last
    assert hand_in("b", "") == "older"  # it was there before
    assert files_of(course, ada) == versions["c"]  # and no time: nobody is punctual by mistake
    records = Records(course.course, "tiny")
    assert [record.files["tiny.ipynb"] for record in records.of(ada.id)] == [f"{ada.id}/tiny.ipynb"] * 3
    for remark in "ab":
        digest = next(
            record.digest for record in records.of(ada.id) if kept(records, ada, record.digest, versions[remark])
        )
        assert digest


def kept(records: Records, student: Student, digest: str, files: Mapping[str, bytes]) -> bool:
    folder = records.folder / student.id / digest.removeprefix("sha256:")[:16]
    return all((folder / name).is_file() and (folder / name).read_bytes() == files[name] for name in files)


def test_what_lay_there_by_hand_is_kept(course: TinyCourse, tmp_path: Path) -> None:
    course.hand_in("s00", b"{}", "by_hand = 1\n")
    run(course, CollectRequest(download_of("canvas", tmp_path)))
    found = [path for path in (course.root / ".autograder/collected").rglob("utilities.py") if path.is_file()]
    assert b"by_hand = 1\n" in [path.read_bytes() for path in found]


def test_two_folders_of_one_student_are_refused_unless_times_tell(course: TinyCourse, tmp_path: Path) -> None:
    source = tmp_path / "in"
    for folder in ("s00", "S00", "s01"):
        (source / folder).mkdir(parents=True)
        (source / folder / "utilities.py").write_text(f"x = {folder!r}\n")
    collected = run(course, CollectRequest(source))
    assert {row.owner for row in collected.problems} == {"s00", "S00"}
    assert "nothing says which came last" in collected.problems[0].why


def test_two_readings_are_refused_and_from_decides(tiny_course: TinyCourse, tmp_path: Path) -> None:
    source = downloads.written_zip(
        tmp_path / "x.zip",
        [("a/submission_metadata.yml", b"{}\n"), ("a/Ada_12_assignsubmission_file/tiny.ipynb", b"{}")],
    )
    with pytest.raises(UsageError, match=r"Moodle or Gradescope.*--from moodle\|gradescope"):
        run(tiny_course, CollectRequest(source))
    assert run(tiny_course, CollectRequest(source, platform="moodle", dry_run=True)).platform == "moodle"
    with pytest.raises(UsageError, match="Nothing in x looks like a hand-in from Canvas"):
        run(tiny_course, CollectRequest(source, platform="canvas"))
    with pytest.raises(UsageError, match="There is nothing at"):
        run(tiny_course, CollectRequest(tmp_path / "none.zip"))


def test_without_a_roster_nobody_is_guessed(tiny_course: TinyCourse, tmp_path: Path) -> None:
    collected = run(tiny_course, CollectRequest(download_of("moodle", tmp_path)))
    assert {row.state for row in collected.rows} == {"refused"}
    assert not list((tiny_course.root / "submitted").glob("*"))


def test_an_id_and_a_name_that_disagree_are_refused(course: TinyCourse, tmp_path: Path) -> None:
    """A group's number may be another student's participant number."""
    ada, zoe = STUDENTS[:2]
    wrong = f"{zoe.first} {zoe.last}_{ada.moodle}_assignsubmission_file/utilities.py"
    group = f"Group 3_{zoe.moodle}_assignsubmission_file/utilities.py"
    collected = run(course, CollectRequest(downloads.written_zip(tmp_path / "m.zip", [(wrong, b"x"), (group, b"y")])))
    why = {row.owner.rpartition("_")[0]: row.why for row in collected.problems}
    assert why["Zoë Müller"] == "has the id of s00 and another name"
    assert why["Group 3"] == "has the id of s01 and another name"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("student,moodle\na,1\nb,1\n", "moodle 1 stands there twice, for a and b"),
        ("colour\nred\n", "names no students"),
        ("", "names no students"),
        ('student\n"a', "cannot be read as CSV"),
    ],
)
def test_a_roster_that_says_nothing_or_two_things(
    tiny_course: TinyCourse, tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "roster.csv").write_text(content)
    with pytest.raises(UsageError, match=message):
        run(tiny_course, CollectRequest(download_of("moodle", tmp_path), roster=tmp_path / "roster.csv"))


def test_large_files_are_left_out_and_cost_nothing(course: TinyCourse, tmp_path: Path) -> None:
    small = replace(course.course, settings=replace(course.course.settings, max_submission_mib=1))
    both = upload_of(STUDENTS[0], "tiny").expected
    upload = zipped({"a-checkpoint.h5": bytes(3 << 20), **both})
    source = downloads.written_zip(tmp_path / "c.zip", [("obrienada_4000_9_w.zip", upload)])
    collected = collect(small, course.assignment, course.root / "submitted", CollectRequest(source))
    assert files_of(course, STUDENTS[0]) == both
    lost = {fate.original.rpartition("!")[2]: fate.why for fate in collected.rows[0].fates if not fate.became}
    assert lost["a-checkpoint.h5"] == "is larger than the course allows"


def test_a_file_where_a_folder_has_to_be(course: TinyCourse, tmp_path: Path) -> None:
    first = zipped([("utilities.py", b"x = 1"), ("tiny.ipynb", b"{}"), ("a", b"file")])
    second = zipped([("a/b.txt", b"below")])
    uploads = [("obrienada_4000_9_w.zip", first), ("obrienada_4000_10_v.zip", second)]
    source = downloads.written_zip(tmp_path / "c.zip", uploads)
    collected = run(course, CollectRequest(source))
    assert set(files_of(course, STUDENTS[0])) == {"utilities.py", "tiny.ipynb", "a"}
    assert any(fate.why == "has the name of another file, a/b.txt" for fate in collected.rows[0].fates)


@pytest.mark.parametrize("bound", ["max_submission_files = 3", "max_submission_mib = 1"])
def test_what_lies_in_the_place_of_a_hand_in_is_read_within_bounds(
    course: TinyCourse, tmp_path: Path, bound: str
) -> None:
    ada = ROSTER[0]
    settings = course.root / "course_config.py"
    settings.write_text(settings.read_text() + f"\nc.Autograder.{bound}\n")
    place = course.root / "submitted" / ada.id / "tiny"
    place.mkdir(parents=True)
    for number in range(6):
        (place / f"{number}.txt").write_bytes(b"0" * (1 << 19))
    source = downloads.written_zip(
        tmp_path / "m.zip", [(f"{ada.first} {ada.last}_{ada.moodle}_assignsubmission_file/utilities.py", b"x")]
    )
    (row,) = run(course.read_again(), CollectRequest(source)).rows
    assert (row.student, row.state) == (ada.id, "refused")
    assert "the course allows: move it away, then collect again" in row.why
    assert (place / "0.txt").is_file()


def test_a_folder_that_has_the_name_in_another_form_of_unicode_is_the_students(
    tiny_course: TinyCourse, tmp_path: Path
) -> None:
    (tiny_course.root / "roster.csv").write_text("student,moodle\nJos\u00e9,77\n")
    place = tiny_course.root / "submitted" / "Jose\u0301" / "tiny"
    place.mkdir(parents=True)
    (place / "utilities.py").write_text("old")
    source = downloads.written_zip(tmp_path / "m.zip", [("Jos\u00e9_77_assignsubmission_file/utilities.py", b"new")])
    (row,) = run(tiny_course, CollectRequest(source)).rows
    assert (row.student, row.state) == ("Jos\u00e9", "replaced")
    assert [path.name for path in (tiny_course.root / "submitted").iterdir()] == ["Jose\u0301"]
    assert (place / "utilities.py").read_text() == "new"
