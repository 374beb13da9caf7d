"""No mark vanishes, and every change is told: any sequence of events, kills, what a preview says, and the history."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde

from autograder.batch import local_workers
from autograder.cli.main import main
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot, read_submission
from autograder.errors import AutograderError
from autograder.feedback.exporter import write_feedback
from autograder.gradebook.database import transaction
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.gradebook.transactions import GradebookWriter, Recorded
from autograder.grading import result_store as store
from autograder.grading.rules_digest import read_rules
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.outside import current_state
from autograder.marks import EARLIER_STATES
from autograder.results import Submission, SubmissionResult
from tests.page_text import Page
from tests.postgresql import binaries, server
from tests.recording_kills import kill_often
from tests.recording_kills import make_course as make_course_to_kill
from tests.tiny import TINY_DOUBLE, TINY_TOTAL, TinyCourse, tiny_result

CHECKS = {"double": TINY_DOUBLE, "total": TINY_TOTAL}
WORTH = {"double": 3.0, "total": 2.0}
STUDENTS = ("ada", "bob")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def made_result(course: TinyCourse, snapshot: Snapshot) -> SubmissionResult:
    """A made result: a module `# points N` earns N quarters of each task, less one for each version of its checks."""
    quarters = int((snapshot.module_bytes or b"# points 0").split()[-1])
    earned: dict[str, float] = {}
    for task, worth in WORTH.items():
        version = (course.root / f"autograder/checks/tiny/test_{task}.py").read_text().count("# stricter")
        earned[task] = worth * max(0, quarters - version) / 4
    result = tiny_result(double=earned["double"], total=earned["total"])
    return msgspec.structs.replace(result, submission=Submission(digest=snapshot.digest))


def hand_in(course: TinyCourse, student: str, quarters: int) -> Path:
    return course.hand_in(student, json.dumps(course.released_notebook()).encode(), f"# points {quarters}")


def make_stricter(course: TinyCourse, task: str) -> None:
    """Edit the checks of a task."""
    path = course.root / f"autograder/checks/tiny/test_{task}.py"
    path.write_text(path.read_text() + "# stricter\n")


def writer_of(course: TinyCourse) -> GradebookWriter:
    return GradebookWriter(course.course, course_directory(course.course, "tiny"), "test")


def record(course: TinyCourse, student: str) -> None:
    """Record what is handed in."""
    folder = course.root / "submitted" / student / "tiny"
    course.record(student, folder, made_result(course, read_submission(folder, "tiny", course.course.settings)))


class MadeGrader:
    """Stands in for nbgrader's way to grade."""

    def __init__(self, course: TinyCourse) -> None:
        self._course = course
        self.rules = read_rules(course.course, course.assignment)

    def look_up(self, folder: Path, student: str) -> store.ReadSubmission:
        """Return the made result of what is handed in."""
        snapshot = read_submission(folder, "tiny", self._course.course.settings)
        return store.ReadSubmission(snapshot, made_result(self._course, snapshot))


def autograde(course: TinyCourse, student: str) -> None:
    """Run nbgrader's own `autograde` for one student."""
    with patch("autograder.grading.result_store.grader_for", lambda *args: MadeGrader(course)):
        run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny", student_id=student)))


def mark_by_hand(course: TinyCourse, student: str, task: str, points: float) -> None:
    """Do what formgrader does when a marker types points."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        grade = book.find_grade(task, "tiny", "tiny", student)
        grade.manual_score, grade.needs_manual_grade = points, False
        book.db.commit()


class Killed(BaseException):
    """The process ends here: nothing of ours runs any more."""


BREAKING: dict[str, str] = {
    "the copy of the rows": "autograder.gradebook.isolated_autograde.scratch_book",
    "the notebook": "nbconvert.writers.FilesWriter.write",
    "the folder that waits": "autograder.gradebook.transactions.stage",
    "the scores": "autograder.gradebook.transactions.write_rows",
    "the history": "autograder.gradebook.transactions.append",
    "after the commit": "autograder.gradebook.transactions.finish",
    "the swap": "autograder.ledger.unfinished.shutil.copytree",
    "the end of the swap": "autograder.ledger.unfinished.discard",
}


@contextmanager
def ended_by(error: BaseException, where: str) -> Iterator[None]:
    """End what runs in this context at one place."""

    def end(*args: object, **kwargs: object) -> Any:
        raise error

    with patch(BREAKING[where], end):
        yield


class MarksOverTime(RuleBasedStateMachine):
    """A course of two students, whatever happens to it."""

    template: ClassVar[Path]

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        root = Path(self._folder.name, "course")
        shutil.copytree(self.template, root)
        course = read_course(root)
        self.course = TinyCourse(course, course.assignment("tiny"))
        self.by_hand: dict[tuple[str, str], float] = {}
        self.marked: set[str] = set()

    def teardown(self) -> None:
        """Remove the course."""
        self._folder.cleanup()

    def handed_in(self) -> list[str]:
        """Whose work lies there."""
        return sorted(path.name for path in (self.course.root / "submitted").glob("*"))

    @initialize()
    def begin(self) -> None:
        """One student is graded already."""
        hand_in(self.course, "ada", 3)
        self.grade(0, nbgrader=False)

    @rule(student=st.sampled_from(STUDENTS), quarters=st.integers(0, 4))
    def hand_in(self, student: str, quarters: int) -> None:
        """Hand in, perhaps again."""
        hand_in(self.course, student, quarters)

    @rule(which=st.integers(0, 3), nbgrader=st.booleans())
    def grade(self, which: int, nbgrader: bool) -> None:
        """Grade and record one student, by our command or nbgrader's."""
        names = self.handed_in()
        student = names[which % len(names)]
        (autograde if nbgrader else record)(self.course, student)
        self.marked.add(student)
        folder = self.course.root / "submitted" / student / "tiny"
        expected = made_result(self.course, read_submission(folder, "tiny", self.course.course.settings))
        marks = self.state(student).marks
        assert {task: marks[task].automatic for task in WORTH} == {task.id: task.score for task in expected.tasks}
        assert (self.course.root / "autograded" / student / "tiny/utilities.py").read_bytes() == (
            folder / "utilities.py"
        ).read_bytes()

    @rule(which=st.integers(0, 3), nbgrader=st.booleans(), where=st.sampled_from(sorted(BREAKING)))
    def kill(self, which: int, nbgrader: bool, where: str) -> None:
        """End recording at one place, with nothing after it."""
        names = self.handed_in()
        with suppress(Killed), ended_by(Killed(), where), patch.object(GradebookWriter, "flag"):
            (autograde if nbgrader else record)(self.course, names[which % len(names)])

    @rule(which=st.integers(0, 3), nbgrader=st.booleans(), where=st.sampled_from(sorted(BREAKING)))
    def break_the_disk(self, which: int, nbgrader: bool, where: str) -> None:
        """Fail at one place, and go on as the command would."""
        names = self.handed_in()
        with suppress(StepFailed, Exception), ended_by(FULL, where):
            (autograde if nbgrader else record)(self.course, names[which % len(names)])

    @rule(which=st.integers(0, 3))
    def cannot_grade(self, which: int) -> None:
        """The worker that grades one student dies."""
        names = self.handed_in()
        self.course.record_ungraded(names[which % len(names)], "No memory.")

    @rule(which=st.integers(0, 3), odd=st.sampled_from(["empty", "misnamed", "soon"]))
    def hand_in_oddly(self, which: int, odd: str) -> None:
        """Hand in what must not take the place of marks, try to grade it, and hand in again what was there."""
        names = [student for student in self.handed_in() if student in self.marked]
        if not names:
            return
        student = names[which % len(names)]
        folder, before = self.course.root / "submitted" / student / "tiny", self.state(student)
        kept = folder.rename(folder.with_name("kept"))
        folder.mkdir()
        if odd != "empty":
            shutil.copytree(kept, folder, dirs_exist_ok=True)
        if odd == "misnamed":
            (folder / "utilities.py").rename(folder / "utilities (1).py")
        if odd == "soon":
            (folder / "timestamp.txt").write_text("soon")
        with pytest.raises(AutograderError):
            record(self.course, student)
        after = self.state(student)
        for task, mark in before.marks.items():
            assert (after.marks[task].automatic, after.marks[task].by_hand) == (mark.automatic, mark.by_hand)
            assert task not in WORTH or mark.by_hand is not None or after.marks[task].state in EARLIER_STATES
        shutil.rmtree(folder)
        kept.rename(folder)

    @rule(task=st.sampled_from(sorted(WORTH)))
    def change_a_check(self, task: str) -> None:
        """Edit a check, so that it passes less."""
        make_stricter(self.course, task)

    @precondition(lambda self: self.marked)
    @rule(which=st.integers(0, 3), task=st.sampled_from(["double", "question_01"]), points=st.sampled_from([0.5, 1.5]))
    def mark_by_hand(self, which: int, task: str, points: float) -> None:
        """A marker types points in formgrader."""
        student = sorted(self.marked)[which % len(self.marked)]
        mark_by_hand(self.course, student, task, points)
        self.by_hand[student, task] = points

    @rule(which=st.integers(0, 3), suffix=st.sampled_from(["2", "3"]))
    def rename(self, which: int, suffix: str) -> None:
        """Rename the folder of a hand-in: to nbgrader that is another student, and the old one's marks stay."""
        names = self.handed_in()
        source = self.course.root / "submitted" / names[which % len(names)]
        target = source.with_name(f"{source.name[:3]}-{suffix}")
        if not target.exists():
            source.rename(target)

    @rule()
    def export(self) -> None:
        """Write the marks as CSV."""
        words = ["export", "csv", "--quiet", "--course", str(self.course.root), "--assignment", "tiny"]
        assert main(words) == 0

    def state(self, student: str) -> Any:
        """What the gradebook holds of one student."""
        with transaction(writer_of(self.course).coursedir) as book:
            return current_state(book, "tiny", student)

    @invariant()
    def the_history_replays_to_the_gradebook(self) -> None:
        """The last entry is the gradebook, and each difference between two entries has a reason."""
        writer = writer_of(self.course)
        for student in writer.students():
            told = writer.history(SubmissionKey("tiny", student))
            replayed = told[-1].entry.book
            plain = {task: msgspec.structs.replace(mark, stand_in=False) for task, mark in replayed.marks.items()}
            assert msgspec.structs.replace(replayed, marks=plain) == self.state(student)
            check_every_change_is_told(told)

    @invariant()
    def no_score_is_lost(self) -> None:
        """Whoever had marks and a graded notebook still has."""
        for student in self.marked:
            marks = self.state(student).marks
            assert all(marks[task].automatic is not None for task in WORTH)
            assert (self.course.root / "autograded" / student / "tiny/tiny.ipynb").is_file()

    @invariant()
    def marks_by_hand_never_change(self) -> None:
        """What a marker typed stays."""
        for (student, task), points in self.by_hand.items():
            assert self.state(student).marks[task].by_hand == points


def check_every_change_is_told(told: list[Recorded]) -> None:
    """Each difference between two entries has its reason, and no other mark has one."""
    for recorded in told:
        if recorded.before.marks:
            before, after = recorded.before.marks, recorded.entry.book.marks
            changed = {
                task
                for task in {**before, **after}
                if msgspec.structs.replace(before[task], stand_in=after[task].stand_in) != after[task]
            }
            assert changed == set(recorded.entry.why), recorded


def test_any_sequence_of_events(released_course: TinyCourse) -> None:
    MarksOverTime.template = released_course.root
    run_state_machine_as_test(
        MarksOverTime,
        settings=settings(
            max_examples=int(os.environ.get("MARKS_EXAMPLES", "4")),
            stateful_step_count=12,
            deadline=None,
            derandomize="MARKS_EXAMPLES" not in os.environ,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_kills_leave_the_old_state_or_the_new(tmp_path: Path) -> None:
    found = kill_often(make_course_to_kill(tmp_path / "course"), kills=4, seed=7)
    assert [done.wrong for done in found] == [""] * 4


@pytest.mark.skipif(binaries() is None, reason="no PostgreSQL server is installed (apt-get install postgresql)")
def test_kills_leave_the_old_state_or_the_new_in_postgresql(tmp_path: Path) -> None:
    with server() as url:
        found = kill_often(make_course_to_kill(tmp_path / "course", url), kills=3, seed=8)
    assert [done.wrong for done in found] == [""] * 3


@pytest.fixture
def made_grading(released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Grading gives made results; returns what forgets the rules, as the end of a command does."""

    def grade_here(course: Course, name: str, student: str, snapshot: Snapshot, **kwargs: object) -> SubmissionResult:
        return made_result(released_course, snapshot)

    monkeypatch.setattr(local_workers, "grade_here", grade_here)
    store.grader_for.cache_clear()
    return store.grader_for.cache_clear


def run(course: TinyCourse, *words: str) -> int:
    return main([*words, "--course", str(course.root), "--assignment", "tiny"])


def test_a_preview_and_the_grade_after_it_tell_the_same_changes(
    released_course: TinyCourse,
    made_grading: Callable[[], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    course, writer = released_course, writer_of(released_course)
    students = [f"student-{number:02}" for number in range(30)]
    for number, student in enumerate(students):
        hand_in(course, student, number % 5)
    assert run(course, "grade", "--quiet", "--jobs", "1") == 0
    mark_by_hand(course, "student-04", "double", 1.5)
    for task in ("double", "double", "total"):  # three checks are edited
        make_stricter(course, task)
    hand_in(course, "student-07", 4)
    made_grading()
    book, files = (course.root / "gradebook.db").read_bytes(), written(course)
    assert run(course, "grade", "--preview", "--json", str(tmp_path), "--jobs", "1") == 0
    assert ((course.root / "gradebook.db").read_bytes(), written(course)) == (book, files)
    said = capsys.readouterr().out
    assert "Nothing was recorded." in said
    assert "student-01: Doubling 0.75 → 0 (changed check); Adding up 0.5 → 0 (changed check)" in said
    preview = json.loads((tmp_path / "preview/changes.json").read_text())
    assert {path.stem for path in tmp_path.glob("*.json")} == set(students)
    foretold = {student["student"]: student["changes"] for student in preview["students"]}
    assert run(course, "grade", "--quiet", "--jobs", "1") == 0
    told = {}
    for student in students:
        last = writer.history(SubmissionKey("tiny", student))[-1]
        changes = [change for change in last.changes if change.counts and last.entry.command == "grade"]
        told[student] = [
            {"task": change.task, "before": change.before.points, "after": change.after.points, "why": change.why}
            for change in changes
        ]
    assert foretold == {student: changes for student, changes in told.items() if changes}
    assert preview["totals"]["changed"] == len(foretold) == 24
    assert {change["why"] for changes in foretold.values() for change in changes} == {"changed check", "new hand-in"}
    assert [change["task"] for change in foretold["student-04"]] == ["total"]  # the mark by hand stays
    net = sum(change["after"] - change["before"] for changes in foretold.values() for change in changes)
    assert preview["totals"]["points"] == pytest.approx(net)


def written(course: TinyCourse) -> dict[str, int]:
    """When each graded notebook was written."""
    return {str(path): path.stat().st_mtime_ns for path in (course.root / "autograded").rglob("*")}


def test_the_history_tells_each_reason(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
    course = released_course
    hand_in(course, "ada", 4)
    record(course, "ada")
    make_stricter(course, "double")
    record(course, "ada")
    mark_by_hand(course, "ada", "question_01", 1.5)
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        book.find_grade("total", "tiny", "tiny", "ada").auto_score = 0.25
        book.db.commit()
    hand_in(course, "ada", 3)
    autograde(course, "ada")
    course.record_ungraded("ada", "No memory.")
    assert run(course, "history", "ada") == 0
    said = capsys.readouterr().out
    lines = [line.strip() for line in said.splitlines()]
    for line in (
        "Doubling: – → 3 (new hand-in)",
        "Doubling: 3 → 2.25 (changed check)",
        "Question 1: 0 → 1.5 (marked by hand)",
        "Adding up: 2 → 0.25 (outside)",
        "Doubling: 2.25 → 1.5 (new hand-in)",
        "Adding up: 0.25 → 1.5 (new hand-in)",
        "Doubling: 1.5 → 1.5, for an earlier hand-in (not graded)",
        "No memory.",
    ):
        assert line in lines, said
    assert "nbgrader autograde by " in said
    assert run(course, "history", "ada", "double", "--json", "-") == 0
    entries = json.loads(capsys.readouterr().out)["entries"]
    assert [entry["command"] for entry in entries] == ["grade", "grade", "outside", "nbgrader autograde", "grade"]
    assert [[change["why"] for change in entry["changes"]] for entry in entries] == [
        ["new hand-in"],
        ["changed check"],
        [],
        ["new hand-in"],
        ["not graded"],
    ]
    assert run(course, "history", "adda") == 2
    assert "ada" in capsys.readouterr().err
    assert run(course, "history", "ada", "dobule") == 2
    assert "double" in capsys.readouterr().err


def test_feedback_says_what_changed_and_why(released_course: TinyCourse) -> None:
    course = released_course
    hand_in(course, "ada", 4)
    record(course, "ada")
    (page,) = write_feedback(course.course, course.assignment)
    assert "Changed since" not in Page(page.read_text()).text
    make_stricter(course, "double")
    record(course, "ada")
    mark_by_hand(course, "ada", "question_01", 1.5)
    write_feedback(course.course, course.assignment)
    said = Page(page.read_text()).text
    assert said.count("Changed since") == 2
    assert "(3 then), because a check of this task was changed." in said
    assert "(0 then), because a person marked it." in said


def test_a_changed_setting_and_a_stand_in_are_told(released_course: TinyCourse) -> None:
    course = released_course
    folder = hand_in(course, "ada", 4)
    course.record("ada", folder, tiny_result())
    with (course.root / "course_config.py").open("a") as config:
        config.write("\nc.Autograder.request_seconds = 5.0\n")
    course = course.read_again()
    course.record("ada", folder, tiny_result(double=1.0))
    result = tiny_result(double=0.5)
    tasks = (msgspec.structs.replace(result.tasks[0], carried_forward=True), result.tasks[1])
    course.record("ada", folder, msgspec.structs.replace(result, tasks=tasks))
    course.record("ada", folder, tiny_result(double=2.0))
    why = [recorded.entry.why.get("double") for recorded in writer_of(course).history(SubmissionKey("tiny", "ada"))]
    assert why == ["new hand-in", "changed setting", "stand-in", "stand-in"]


def test_marks_of_an_older_gradebook_begin_the_history(released_course: TinyCourse) -> None:
    course = released_course
    folder = hand_in(course, "ada", 4)
    record(course, "ada")
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        book.db.connection().exec_driver_sql("DROP TABLE autograder_history")
        book.db.commit()
    course.record("ada", folder, tiny_result(double=0.0))
    first, second = writer_of(course).history(SubmissionKey("tiny", "ada"))
    assert (first.entry.command, first.entry.why, first.entry.book.marks["double"].points) == ("outside", {}, 3.0)
    assert second.entry.why == {"double": "graded again"}
