"""A check that ends in an internal error earns nothing, and its task is held: seen everywhere, until it is settled."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde

from autograder.cli.main import main
from autograder.feedback.exporter import write_feedback
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.grading import result_store as store
from autograder.marks import StudentMarks
from autograder.rendering.result_views import HELD
from autograder.results import CheckResult, TaskResult, from_json, task_score, to_json
from tests.page_text import Page
from tests.tiny import TINY_DOUBLE, TinyCourse, tiny_result

BUG = "    require(float(np.squeeze(doubled)) == 1234567.0"
PLANTED = TINY_DOUBLE.replace(BUG, f"    student.no_such_question()\n{BUG}")
"""The checks of `double` with a bug in the second, which is worth 1 of its 3 points."""
RIGHT = "def double(x):\n    return 2.0 * x\n"


def checked(*outcomes: str) -> TaskResult:
    """A task of 3 points with checks of these outcomes, the first of weight 2."""
    checks: Any = tuple(
        CheckResult(id=f"double::{place}", outcome=outcome, weight=1 if place else 2)  # type: ignore[arg-type]
        for place, outcome in enumerate(outcomes)
    )
    return TaskResult(id="double", score=task_score(checks, 3.0), max_score=3.0, checks=checks)


@pytest.mark.parametrize(
    ("outcomes", "score", "held"),
    [
        (("passed", "error"), 2.0, True),
        (("error", "passed"), 1.0, True),
        (("error", "error"), 0.0, True),
        (("passed", "skipped"), 2.0, False),
        (("skipped", "skipped"), 0.0, False),
        (("passed", "failed"), 2.0, False),
        ((), 0.0, False),
    ],
)
def test_points_come_from_what_passed_alone(outcomes: tuple[str, ...], score: float, held: bool) -> None:
    assert (checked(*outcomes).score, bool(checked(*outcomes).held)) == (score, held)


def test_the_json_says_held_only_where_a_task_is() -> None:
    result = tiny_result(double=0.0, outcome="error")
    double, total = json.loads(to_json(result))["tasks"]
    assert double["held"] is True
    assert "held" not in total
    assert from_json(to_json(result)) == result


class Class:
    """The tiny course with one student's right work, and its commands."""

    def __init__(self, course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> None:
        self.course = course
        self._capsys = capsys
        notebook = course.released_notebook()
        for cell in notebook["cells"]:
            if cell["metadata"].get("nbgrader", {}).get("grade_id") == "total_answer":
                cell["source"] = "total = sum(range(size))"
        course.hand_in("ada", json.dumps(notebook).encode(), RIGHT)

    def write_checks(self, text: str) -> None:
        """Replace the checks of `double`; what this process knows of the old ones goes, as at a command's end."""
        store.grader_for(self.course.course, "tiny").close()
        store.grader_for.cache_clear()
        sys.modules.pop("test_double", None)
        (self.course.root / "autograder/checks/tiny/test_double.py").write_text(text)

    def run(self, *words: str) -> tuple[int, str]:
        """Run a command; return its exit status and all that it prints."""
        status = main([*words, "--course", str(self.course.root), "--assignment", "tiny"])
        printed = self._capsys.readouterr()
        return status, printed.out + printed.err

    def book(self) -> Gradebook:
        """The gradebook, open."""
        return Gradebook(f"sqlite:///{self.course.root / 'gradebook.db'}")

    def marks(self) -> StudentMarks:
        """What the gradebook says of ada."""
        (ada,) = class_marks(self.course.course, self.course.assignment).students
        return ada

    def waits_in_formgrader(self) -> bool:
        """Whether formgrader lists the task `double` among those that need a person."""
        with self.book() as book:
            return bool(book.find_grade("double", "tiny", "tiny", "ada").needs_manual_grade)

    def export(self, kind: str, folder: Path) -> str:
        """Return the one file of an export, after what was printed."""
        status, printed = self.run("export", kind, "--so-far", "--to", str(folder / kind))
        assert status == 0
        (path,) = [path for path in (folder / kind).rglob("*") if path.is_file()]
        return printed + path.read_text()


@pytest.fixture
def planted(released_course: TinyCourse, capsys: pytest.CaptureFixture[str]) -> Class:
    """A class whose checks of `double` have a bug."""
    made = Class(released_course, capsys)
    made.write_checks(PLANTED)
    return made


def test_a_planted_bug_holds_the_task_everywhere_and_a_rerun_settles_it(planted: Class, tmp_path: Path) -> None:
    status, printed = planted.run("grade")
    assert status == 1
    assert "2!" in printed
    assert "! held: a check ended in an internal error" in printed
    assert "ada: held: Doubling. A check ended in an internal error" in printed

    ada = planted.marks()
    assert (ada.scores["double"], ada.scores["total"]) == (2.0, 2.0)
    (mark,) = ada.held
    assert mark.open is not None
    assert "doubles_a_known_number: AttributeError" in mark.open.why
    assert mark.open.digest.startswith("sha256:")
    with planted.book() as book:
        assert book.find_submission("tiny", "ada").needs_manual_grade
    assert planted.waits_in_formgrader()

    assert planted.run("report", "--to", str(tmp_path))[0] == 0
    attention = Page((tmp_path / "report.html").read_text()).text.split("Held: internal errors")[1]
    assert "ada, Doubling: held since" in attention
    assert ",held" in (tmp_path / "report.csv").read_text(encoding="utf-8-sig").replace('"', "")

    for kind in ("csv", "canvas", "moodle"):
        assert "ada: held: Doubling." in planted.export(kind, tmp_path)
    assert HELD in planted.export("gradescope", tmp_path)
    assert "2 held" in planted.export("markdown", tmp_path)
    assert "::error title=ada%3A held" in planted.export("annotations", tmp_path)
    suite = planted.export("junit", tmp_path)
    assert suite.count('<error message="doubles_a_known_number: AttributeError') == 1
    assert '<property name="held" value="double" />' in suite

    (page,) = write_feedback(planted.course.course, planted.course.assignment)
    said = Page(page.read_text()).text
    assert HELD in said
    assert "no_such_question" not in said

    planted.write_checks(TINY_DOUBLE)
    assert planted.run("grade")[0] == 0
    assert (planted.marks().scores["double"], planted.marks().held) == (3.0, ())
    assert not planted.waits_in_formgrader()


def test_a_mark_by_hand_settles_a_held_task_and_is_kept_by_the_rerun(planted: Class) -> None:
    planted.run("grade")
    with planted.book() as book:  # what formgrader does
        grade = book.find_grade("double", "tiny", "tiny", "ada")
        grade.manual_score, grade.needs_manual_grade = 2.5, False
        book.db.commit()
    assert (planted.marks().scores["double"], planted.marks().held) == (2.5, ())
    (page,) = write_feedback(planted.course.course, planted.course.assignment)
    assert HELD not in Page(page.read_text()).text
    planted.write_checks(TINY_DOUBLE)
    assert planted.run("grade")[0] == 0
    with planted.book() as book:
        grade = book.find_grade("double", "tiny", "tiny", "ada")
        assert (grade.auto_score, grade.manual_score) == (3.0, 2.5)


def test_what_else_clears_nbgraders_flag_settles_nothing(planted: Class) -> None:
    planted.run("grade")
    before = planted.marks().held
    with planted.book() as book:  # extra credit given in formgrader
        grade = book.find_grade("double", "tiny", "tiny", "ada")
        grade.extra_credit, grade.needs_manual_grade = 0.5, False
        book.db.commit()
    assert planted.marks().held[0].open == before[0].open
    assert planted.marks().waiting == ("double",)
    assert planted.run("grade")[0] == 1
    assert planted.waits_in_formgrader()
    (mark,) = planted.marks().held
    assert mark.open is not None
    assert mark.open.since == before[0].open.since  # type: ignore[union-attr]


def test_nbgraders_own_autograde_holds_the_task_too(planted: Class) -> None:
    tiny = planted.course
    run_step(make_step(Autograde, tiny.course, course_directory(tiny.course, "tiny")))
    assert [mark.id for mark in planted.marks().held] == ["double"]
    assert planted.waits_in_formgrader()
    planted.write_checks(TINY_DOUBLE)
    run_step(make_step(Autograde, tiny.course, course_directory(tiny.course, "tiny")))
    assert (planted.marks().scores["double"], planted.marks().held) == (3.0, ())
    assert not planted.waits_in_formgrader()


def test_check_says_held(planted: Class) -> None:
    status, printed = planted.run("check", str(planted.course.root / "submitted/ada/tiny"))
    assert status == 1
    assert "tiny: 4 of 5 points\n  held, since a check ended in an internal error: Doubling\n" in printed
    assert HELD in printed


def test_a_gradebook_of_an_older_version_tells_by_nbgraders_flag(released_course: TinyCourse) -> None:
    released_course.record("ada", released_course.hand_in("ada", None), tiny_result())
    with Gradebook(f"sqlite:///{released_course.root / 'gradebook.db'}") as book:
        book.find_grade("double", "tiny", "tiny", "ada").needs_manual_grade = True
        book.db.connection().exec_driver_sql("DROP TABLE autograder_open_marks")
        book.db.commit()
    (ada,) = class_marks(released_course.course, released_course.assignment).students
    assert [mark.id for mark in ada.held] == ["double"]
    released_course.record("ada", released_course.hand_in("ada", None, "# new"), tiny_result(double=2.0))
    (ada,) = class_marks(released_course.course, released_course.assignment).students
    assert (ada.held, ada.scores["double"]) == ((), 2.0)
