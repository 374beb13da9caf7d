"""A third set of downloads, by commands alone: clones, a plain folder and Canvas' groups, there and back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from autograder.cli.main import main
from autograder.reports.similarity import submissions_to_compare
from tests.collecting import independent_makers as makers
from tests.collecting import independent_reader as reader
from tests.collecting.independent_people import BY_ID, STUDENTS, Download, Work, points
from tests.collecting.students import zipped
from tests.page_text import Page
from tests.tiny import TinyCourse, tiny_result

COLUMN = "tiny (5511)"


class Desk:
    """A course, and what its commands say."""

    def __init__(self, course: TinyCourse, folder: Path) -> None:
        self.course, self.folder = course, folder
        self.work = Work(course.released_notebook())
        self.submitted = course.root / "submitted"

    def run(self, *words: str | Path) -> int:
        """Run a command."""
        return main([*map(str, words), "--course", str(self.course.root), "--assignment", "tiny"])

    def collect(self, source: Path, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """Collect a download; return the exit status and what became of every file."""
        told = self.folder / "told.json"
        status = self.run("collect", source, "--json", told, *words)
        record: dict[str, Any] = json.loads(told.read_text())
        return status, record

    def check_laid_out(self, download: Download) -> None:
        """Everyone has what is theirs, and nobody else has anything."""
        assert {path.name for path in self.submitted.iterdir()} == {*download.theirs}
        for student, files in download.theirs.items():
            for name, content in files.items():
                assert (self.submitted / student / "tiny" / name).read_bytes() == content, (student, name)

    def times(self) -> dict[str, str]:
        """The time beside each student's work."""
        return {
            path.parent.parent.name: path.read_text().strip() for path in self.submitted.glob("*/tiny/timestamp.txt")
        }


@pytest.fixture
def desk(released_course: TinyCourse, tmp_path: Path) -> Desk:
    """A released course without a roster."""
    return Desk(released_course, tmp_path)


def check_all_told(download: Download, record: dict[str, Any]) -> None:
    """Every file of the download is accounted for, alone or with the folder that it lies in."""
    told = {fate["original"].partition("!")[0] for row in record["hand_ins"] for fate in row["fates"]}
    told |= {*record["others"]}
    folders = tuple(name for name in told if name.endswith("/"))
    lost = [name for name in download.files if name not in told and not name.startswith(folders)]
    assert not lost
    needs_person = {row["owner"] for row in record["hand_ins"] if row["state"] in ("refused", "nothing to grade")}
    named = needs_person | {name.split("/")[0] for name in record["others"]}
    assert {*download.nobodys} <= named


def test_clones_of_github_classroom(desk: Desk) -> None:
    download = makers.gh_classroom(desk.folder, desk.work)
    words = ("--roster", download.sidecars["roster"], "--times", download.sidecars["times"])
    status, record = desk.collect(download.source, *words)
    assert (status, record["platform"]) == (1, "github")
    desk.check_laid_out(download)
    check_all_told(download, record)
    assert desk.times() == dict.fromkeys(download.theirs, "2026-05-01 10:00:00 UTC")
    assert {row["owner"] for row in record["hand_ins"] if row["state"] == "nothing to grade"} == {"tiny-zoe"}
    _, again = desk.collect(download.source, *words)
    assert {row["state"] for row in again["hand_ins"] if row["student"] in download.theirs} == {"unchanged"}


@pytest.mark.parametrize("name", ["tiny-submissions.zip", "tiny-submissions (1).zip"])
def test_clones_in_a_zip(desk: Desk, name: str) -> None:
    made = {}
    for student in STUDENTS[:4]:
        for path, content in desk.work.files(student).items():
            made[f"tiny-submissions/tiny-{student.login}/{path}"] = content
    roster = makers.gh_classroom(desk.folder, desk.work).sidecars["roster"]
    (desk.folder / name).write_bytes(zipped(made))
    status, record = desk.collect(desk.folder / name, "--roster", roster)
    assert (status, record["platform"]) == (0, "github")
    assert {row["student"] for row in record["hand_ins"]} == {student.id for student in STUDENTS[:4]}


def test_what_git_leaves_behind_and_when_it_says_it_was(desk: Desk) -> None:
    ada, ben = STUDENTS[:2]
    for student in (ada, ben):
        makers.real_clone(desk.folder / f"clones/tiny-{student.login}", desk.work.files(student))
    (desk.course.root / "roster.csv").write_text(f"student,github\n{ada.id},{ada.login}\n{ben.id},{ben.login}\n")
    status, record = desk.collect(desk.folder / "clones")
    assert (status, record["platform"]) == (0, "github")
    assert not desk.times()  # commits are dated by whoever makes them


def test_classroom_50(desk: Desk) -> None:
    download = makers.classroom50(desk.folder, desk.work)
    words = ("--roster", download.sidecars["roster"], "--times", download.sidecars["times"])
    status, record = desk.collect(download.source, *words)
    assert (status, record["platform"]) == (0, "github")
    desk.check_laid_out(
        Download(download.source, (), {BY_ID[who].login: files for who, files in download.theirs.items()})
    )
    check_all_told(download, record)
    assert {*desk.times().values()} == {"2026-05-01 10:00:00 UTC"}
    clone = download.source / "fall-tiny-ada"
    (clone / "result.json").write_text('{"schema": "classroom50/result/v1", "score": 1}')
    _, again = desk.collect(download.source, *words)  # what its own tests gave since is no new hand-in
    assert {row["state"] for row in again["hand_ins"]} == {"unchanged"}


def test_a_plain_folder(desk: Desk) -> None:
    download = makers.plain_folder(desk.folder, desk.work)
    status, record = desk.collect(download.source, "--roster", download.sidecars["roster"])
    assert (status, record["platform"]) == (1, "folder")
    desk.check_laid_out(download)
    check_all_told(download, record)
    assert not desk.times()
    assert (desk.course.root / "roster.csv").exists() is False


def test_a_plain_folder_that_was_zipped_under_another_name(desk: Desk) -> None:
    made = {f"class/{s.id}/{name}": content for s in STUDENTS[:3] for name, content in desk.work.files(s).items()}
    source = desk.folder / "download (2).zip"
    source.write_bytes(zipped(made))
    status, record = desk.collect(source)
    assert status == 0
    assert {row["student"] for row in record["hand_ins"]} == {student.id for student in STUDENTS[:3]}


def test_canvas_groups_without_the_list_of_members_are_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    download = makers.canvas_groups(desk.folder, desk.work)
    status, record = desk.collect(download.source, "--roster", download.sidecars["gradebook"])
    assert (status, record["platform"]) == (1, "canvas")
    alone = {student.id for student in STUDENTS[-5:]}
    assert {row["student"] for row in record["hand_ins"]} == {"", *alone}
    assert "--groups" in capsys.readouterr().err


def test_a_group_called_like_its_member_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    ada = BY_ID["ada"]
    named = {f"teamada_{ada.canvas}_1_{name}": content for name, content in desk.work.files(ada).items()}
    (desk.folder / "c.zip").write_bytes(zipped(named))
    status, record = desk.collect(desk.folder / "c.zip", "--roster", makers.gradebook(desk.folder), "--from", "canvas")
    assert (status, record["doubtful"]) == (0, {f"teamada_{ada.canvas}": "ada"})
    assert "its other members get nothing until you say who they are: --groups" in capsys.readouterr().err


@pytest.mark.parametrize("own_roster", [True, False])
def test_each_member_of_a_canvas_group_gets_the_groups_work(desk: Desk, own_roster: bool) -> None:
    download = makers.canvas_groups(desk.folder, desk.work)
    if own_roster:
        rows = [f"{student.id},{student.canvas}" for student in STUDENTS]
        (desk.course.root / "roster.csv").write_text("\n".join(["student,canvas", *rows]))
    groups = makers.group_set(desk.folder, with_sis=own_roster)
    status, record = desk.collect(download.source, "--groups", groups)
    assert status == 0
    desk.check_laid_out(download)
    check_all_told(download, record)
    late = {row["student"] for row in record["hand_ins"] if row["late"]}
    assert late == {member for name in makers.LATE_GROUPS for member in makers.GROUPS[name]}
    _, again = desk.collect(download.source, "--groups", groups)
    assert {row["state"] for row in again["hand_ins"]} == {"unchanged"}
    folders = {student: desk.submitted / student / "tiny" for student in sorted(download.theirs)}
    compared = submissions_to_compare(desk.course.course, desk.course.assignment, folders, graded=False)
    ungrouped = {
        student for student in download.theirs if not any(student in members for members in makers.GROUPS.values())
    }
    groups_there = [members for name, members in makers.GROUPS.items() if name != "never met"]
    assert {student for student, _ in compared} == ungrouped | {min(members) for members in groups_there}


def test_a_member_whom_nobody_knows_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    download = makers.canvas_groups(desk.folder, desk.work)
    (desk.course.root / "roster.csv").write_text(f"student,canvas\nada,{BY_ID['ada'].canvas}\n")
    assert desk.run("collect", download.source, "--groups", download.sidecars["groups"]) == 2
    assert "ben-okri of the group Project Groups 1 matches nobody" in capsys.readouterr().err
    assert desk.run("collect", download.source, "--groups", download.sidecars["gradebook"]) == 2
    assert "names no group" in capsys.readouterr().err


@pytest.mark.slow
def test_from_canvas_groups_and_back(desk: Desk) -> None:
    groups, alone = ("Project Groups 1", "Group_7", "🚀"), BY_ID["oyvind"]
    download = makers.canvas_groups(desk.folder, desk.work, (*groups, alone.name))
    assert desk.collect(download.source, "--groups", download.sidecars["groups"])[0] == 0
    assert desk.run("grade", "--quiet") == 0
    assert desk.run("feedback", "--quiet") == 0
    assert desk.run("export", "canvas", "--fill", download.sidecars["gradebook"], "--column", COLUMN, "--so-far") == 0
    grades = reader.canvas_grades(desk.course.root / "exports/tiny/canvas.csv", "tiny")
    uploader = {member: BY_ID[members[-1]] for members in makers.GROUPS.values() for member in members}
    expected = {student: points(uploader.get(student, BY_ID[student])) for student in download.theirs}
    assert {student: float(grade) for student, grade in grades.items()} == expected

    assert desk.run("export", "feedback", "--for", "canvas") == 0
    comments, ignored = reader.canvas_comments(
        desk.course.root / "exports/tiny/feedback-canvas.zip", tuple(makers.GROUPS)
    )
    assert not ignored
    members_of = {makers.representative(makers.GROUPS[name]).canvas: makers.GROUPS[name] for name in groups}
    members_of[alone.canvas] = (alone.id,)
    assert sorted(comment.user for comment in comments) == sorted(members_of)
    for comment in comments:
        members = members_of[comment.user]
        text = Page(comment.content.decode()).text
        assert f"For {', '.join(sorted(members))}." in text
        assert f"{expected[members[0]]:g} of " in text
        attached = [name for name in download.files if f"_{comment.user}_{comment.attachment}_" in name]
        assert len(attached) == 1


def test_members_whose_pages_differ_get_theirs_by_hand(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    download = makers.canvas_groups(desk.folder, desk.work)
    desk.collect(download.source, "--groups", download.sidecars["groups"])
    for place, student in enumerate(("dave", "eve")):
        folder = desk.submitted / student / "tiny"
        desk.course.record(student, folder, tiny_result(double=float(place), total=0.0))
    assert desk.run("feedback", "--quiet") == 0
    assert desk.run("export", "feedback", "--for", "canvas") == 1
    assert "the pages of its members differ: dave, eve" in capsys.readouterr().err
    comments, _ = reader.canvas_comments(desk.course.root / "exports/tiny/feedback-canvas.zip", ())
    assert not comments
