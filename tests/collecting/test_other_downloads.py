"""The second set of downloads, by commands alone: everyone's work reaches them, and what goes back reaches them too."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from autograder.cli.main import main
from tests.collecting import other_downloads as downloads
from tests.collecting.other_downloads import LEARNERS, Learner
from tests.exports import other_readers as readers
from tests.page_text import Page
from tests.tiny import TinyCourse, tiny_result

COLUMN = "Doubling (1234)"
SOME = (LEARNERS[0], LEARNERS[5], LEARNERS[6], LEARNERS[12])
"""Whose marks are recorded: an odd upload, two of one name, and somebody called Late."""
NAMED_TWICE = {LEARNERS[5], LEARNERS[6]}


class Desk:
    """A course, and what its commands say."""

    def __init__(self, course: TinyCourse, folder: Path) -> None:
        self.course, self.folder = course, folder
        self.notebook = json.dumps(course.released_notebook()).encode()

    def run(self, *words: str) -> int:
        """Run a command."""
        return main([*words, "--course", str(self.course.root), "--assignment", "tiny"])

    def collect(self, source: Path, *words: str) -> tuple[int, list[dict[str, object]]]:
        """Collect a download; return the exit status and a row for each hand-in."""
        told = self.folder / "told.json"
        status = self.run("collect", str(source), "--json", str(told), *words)
        rows: list[dict[str, object]] = json.loads(told.read_text())["hand_ins"]
        return status, rows

    def check_laid_out(self, learners: tuple[Learner, ...] = LEARNERS) -> None:
        """Everyone's own work, and nobody else's, stands where it is graded."""
        submitted = self.course.root / "submitted"
        assert {path.name for path in submitted.iterdir()} == {learner.id for learner in learners}
        for learner in learners:
            for name, content in learner.files(self.notebook, "tiny").items():
                assert (submitted / learner.id / "tiny" / name).read_bytes() == content, (learner, name)

    def time_of(self, learner: Learner) -> str:
        """The time beside somebody's work; empty if there is none."""
        path = self.course.root / "submitted" / learner.id / "tiny/timestamp.txt"
        return path.read_text().strip() if path.exists() else ""

    def record(self, learners: tuple[Learner, ...] = SOME) -> None:
        """Give points that nobody else has, and write feedback."""
        for learner in learners:
            folder = self.course.root / "submitted" / learner.id / "tiny"
            self.course.record(learner.id, folder, tiny_result(double=points_of(learner), total=0.0))
        assert self.run("feedback") == 0


def points_of(learner: Learner) -> float:
    return round(0.05 * (learner.number + 1), 2)


@pytest.fixture
def desk(released_course: TinyCourse, tmp_path: Path) -> Desk:
    """A course with the roster of the second set."""
    downloads.roster(released_course.root / "roster.csv")
    return Desk(released_course, tmp_path)


def check_page(page: bytes, learner: Learner) -> None:
    """It is the learner's own, with the learner's points."""
    text = Page(page.decode()).text
    assert f"For {learner.id}." in text
    assert f"{points_of(learner):g} of 3 points" in text


@pytest.mark.parametrize(
    ("folders", "blind", "decomposed"), [(True, False, True), (False, False, False), (True, True, False)]
)
def test_moodle_there_and_back(desk: Desk, folders: bool, blind: bool, decomposed: bool) -> None:
    source, sheet = desk.folder / "CS-Lab tiny-99.zip", desk.folder / "Grades.csv"
    downloads.moodle_download(source, "tiny", desk.notebook, folders=folders, blind=blind, decomposed=decomposed)
    downloads.moodle_worksheet(sheet, blind=blind)
    status, rows = desk.collect(source)
    assert (status, len(rows)) == (0, len(LEARNERS))
    desk.check_laid_out()
    assert not any(map(desk.time_of, LEARNERS))  # Moodle's download tells none, and a student's own decides nothing
    if not folders:
        return
    desk.record()
    assert desk.run("export", "feedback", "--for", "moodle") == 0
    given = readers.moodle_feedback(
        desk.course.root / "exports/tiny/feedback-moodle.zip", {learner.moodle for learner in LEARNERS}
    )
    assert set(given) == {learner.moodle for learner in SOME}
    for learner in SOME:
        check_page(given[learner.moodle]["tiny.html"], learner)
    sheet.write_bytes(sheet.read_bytes().replace(b"100.00", b"7.00"))
    assert desk.run("export", "moodle", "--fill", str(sheet), "--so-far") == 0
    marks = readers.moodle_marks((desk.course.root / "exports/tiny/moodle.csv").read_bytes())
    assert {learner: float(marks[learner.moodle]) for learner in SOME} == {
        learner: points_of(learner) for learner in SOME
    }
    assert not any(marks[learner.moodle] for learner in LEARNERS if learner not in SOME)


def test_moodles_worksheet_alone_says_who_is_who_and_when(desk: Desk) -> None:
    (desk.course.root / "roster.csv").unlink()
    source, sheet = desk.folder / "m.zip", desk.folder / "Grades.csv"
    downloads.moodle_download(source, "tiny", desk.notebook)
    downloads.moodle_worksheet(sheet)
    status, rows = desk.collect(source, "--roster", str(sheet))
    assert (status, len(rows)) == (0, len(LEARNERS))
    for learner in LEARNERS:
        folder = desk.course.root / "submitted" / learner.email / "tiny"
        assert (folder / "utilities.py").read_bytes() == f"# work of {learner.number}\n".encode()
        assert (folder / "timestamp.txt").read_text().startswith(f"{learner.handed_in:%Y-%m-%d %H:%M}")


def by_worksheet(desk: Desk) -> tuple[str, ...]:
    """The worksheet says who is in which group; the roster gives ids."""
    sheet = desk.folder / "Grades.csv"
    downloads.moodle_worksheet(sheet, teams=True)
    (desk.course.root / "roster.csv").unlink()
    return ("--roster", str(sheet))


def by_roster(desk: Desk) -> tuple[str, ...]:
    """The roster says all."""
    downloads.roster(desk.course.root / "roster.csv", teams=True)
    return ()


@pytest.mark.parametrize("tell", [by_worksheet, by_roster])
def test_a_group_of_moodles_hands_in_once_and_each_member_gets_it(
    desk: Desk, tell: Callable[[Desk], tuple[str, ...]]
) -> None:
    source = desk.folder / "m.zip"
    first, words = downloads.moodle_team_download(source, "tiny", desk.notebook), tell(desk)
    status, rows = desk.collect(source, *words)
    assert (status, len(rows)) == (0, len(LEARNERS))
    names = {learner: learner.email if words else learner.id for learner in LEARNERS}
    for learner, name in names.items():
        work = (desk.course.root / "submitted" / name / "tiny/utilities.py").read_bytes()
        assert work == f"# work of {first[learner.team].number}\n".encode()
    for learner in SOME:
        folder = desk.course.root / "submitted" / names[learner] / "tiny"
        desk.course.record(names[learner], folder, tiny_result(double=points_of(learner), total=0.0))
    assert desk.run("feedback") == 0
    assert desk.run("export", "feedback", "--for", "moodle", *words) == 0
    given = readers.moodle_feedback(
        desk.course.root / "exports/tiny/feedback-moodle.zip", {learner.moodle for learner in LEARNERS}
    )
    assert set(given) == {learner.moodle for learner in SOME}
    for learner in SOME:
        assert f"{points_of(learner):g} of 3 points" in Page(given[learner.moodle]["tiny.html"].decode()).text


def test_a_group_that_no_list_names_is_refused(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    source = desk.folder / "m.zip"
    first = downloads.moodle_team_download(source, "tiny", desk.notebook)
    status, rows = desk.collect(source)
    assert status == 1
    assert [row["state"] for row in rows] == ["refused"] * len(first)
    assert "Default group" in capsys.readouterr().err


@pytest.mark.parametrize("anonymous", [False, True])
def test_canvas_there_and_back(desk: Desk, anonymous: bool) -> None:
    source, book = desk.folder / "submissions.zip", desk.folder / "Grades-CS.csv"
    downloads.canvas_download(source, "tiny", desk.notebook, anonymous=anonymous)
    downloads.canvas_gradebook(book, COLUMN)
    status, rows = desk.collect(source)
    assert (status, len(rows)) == (0, len(LEARNERS))
    desk.check_laid_out()
    assert not any(map(desk.time_of, LEARNERS))
    desk.record()
    assert desk.run("export", "feedback", "--for", "canvas") == 0
    given = readers.canvas_feedback(desk.course.root / "exports/tiny/feedback-canvas.zip")
    owners = {(learner.anonymous if anonymous else str(learner.canvas)): learner for learner in LEARNERS}
    assert {owners[user] for user, _ in given} == set(SOME)
    for (user, attachment), page in given.items():
        check_page(page, owners[user])
        uploads = downloads.uploaded(owners[user], owners[user].files(desk.notebook, "tiny"))
        assert int(attachment) in range(
            90_000 + 10 * owners[user].number, 90_000 + 10 * owners[user].number + len(uploads)
        )
    assert desk.run("export", "canvas", "--fill", str(book), "--column", COLUMN, "--so-far") == 0
    marks = readers.canvas_marks((desk.course.root / "exports/tiny/canvas.csv").read_bytes(), COLUMN)
    assert {user: float(mark) for user, mark in marks.items()} == {
        learner.canvas: points_of(learner) for learner in SOME
    }


def test_gradescope_there(desk: Desk) -> None:
    source = desk.folder / "submissions.zip"
    downloads.gradescope_download(source, "tiny", desk.notebook)
    status, rows = desk.collect(source)
    assert (status, len(rows)) == (0, len(LEARNERS))
    desk.check_laid_out()
    for learner in LEARNERS:
        assert desk.time_of(learner).startswith(f"{learner.handed_in:%Y-%m-%d %H:%M}")
    status, again = desk.collect(source)
    assert (status, {row["state"] for row in again}) == (0, {"unchanged"})


def test_times_from_a_table_count(desk: Desk) -> None:
    source, times = desk.folder / "submissions.zip", desk.folder / "times.csv"
    downloads.canvas_download(source, "tiny", desk.notebook)
    lines = [f"{learner.id},{learner.handed_in + timedelta(days=1):%Y-%m-%d %H:%M} UTC" for learner in LEARNERS]
    times.write_text("\n".join(["student,time", *lines]))
    assert desk.collect(source, "--times", str(times))[0] == 0
    for learner in LEARNERS:
        assert desk.time_of(learner).startswith(f"{learner.handed_in + timedelta(days=1):%Y-%m-%d %H:%M}")
