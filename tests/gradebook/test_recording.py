"""The gradebook: the exact marks whatever a notebook holds, and never an old one."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Grade, Gradebook
from nbgrader.converters import Autograde

from autograder.course.assignment import load_assignment
from autograder.course.course import Course
from autograder.course.submission import read_submission
from autograder.errors import RecordingError, SandboxUnavailable
from autograder.gradebook.class_marks import class_marks
from autograder.gradebook.graded_notebook import GUIDE_HEADING, MARKING_GUIDE
from autograder.gradebook.nbgrader_steps import StepFailed, course_directory, make_step, run_step
from autograder.grading.result_store import ReadSubmission
from autograder.grading.rules_digest import read_rules
from autograder.marking.actions import Marker
from autograder.marking.desk import open_desk
from autograder.marking.views import GivenMark, MarkRequest, Seen
from autograder.results import SubmissionResult
from tests.tiny import TinyCourse, scores, tiny_result

Notebook = dict[str, Any]
PART = tiny_result(double=1.25, total=2.0)
MARKS = {"double": 1.25, "total": 2.0, "question_01": 0.0}


def cell(notebook: Notebook, grade_id: str) -> dict[str, Any]:
    """The cell with this grade_id."""
    found: dict[str, Any] = next(
        entry for entry in notebook["cells"] if entry["metadata"].get("nbgrader", {}).get("grade_id") == grade_id
    )
    return found


@contextmanager
def book_of(course: TinyCourse) -> Iterator[Gradebook]:
    """The course's gradebook."""
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        yield book


def grade_of(book: Gradebook, task: str, student: str = "ada") -> Grade:
    """One row of the gradebook."""
    return book.find_grade(task, "tiny", "tiny", student)


def hand_in(course: TinyCourse, change: Callable[[Notebook], object] = lambda notebook: None) -> Path:
    """Hand in the released notebook, changed."""
    notebook = course.released_notebook()
    change(notebook)
    return course.hand_in("ada", json.dumps(notebook).encode())


def autograded(course: TinyCourse) -> Notebook:
    """The notebook that formgrader shows."""
    notebook: Notebook = json.loads((course.root / "autograded/ada/tiny/tiny.ipynb").read_text())
    return notebook


def delete(*grade_ids: str) -> Callable[[Notebook], object]:
    """Delete cells."""
    return lambda notebook: [notebook["cells"].remove(cell(notebook, grade_id)) for grade_id in grade_ids]


def flags(name: str, /, **changed: object) -> Callable[[Notebook], object]:
    """Change nbgrader's metadata of one cell."""
    return lambda notebook: cell(notebook, name)["metadata"]["nbgrader"].update(changed)


def metadata(grade_id: str, value: object) -> Callable[[Notebook], object]:
    """Replace all metadata of one cell."""
    return lambda notebook: cell(notebook, grade_id).update(metadata=value)


def twice(grade_id: str) -> Callable[[Notebook], object]:
    """Put one cell in twice."""
    return lambda notebook: notebook["cells"].append(json.loads(json.dumps(cell(notebook, grade_id))))


def outputs(grade_id: str, **output: object) -> Callable[[Notebook], object]:
    """Leave an output in one cell."""
    return lambda notebook: cell(notebook, grade_id).update(outputs=[output])


TAMPERED = {
    "as released": lambda notebook: None,
    "test cell deleted": delete("double"),
    "all cells deleted": lambda notebook: notebook["cells"].clear(),
    "grade flag flipped": flags("double", grade=False),
    "solution flag flipped": flags("double", solution=True),
    "answer locked": flags("total_answer", locked=True, grade=True),
    "points raised": flags("double", points=1000),
    "points negative": flags("total", points=-5),
    "schema from the future": flags("double", schema_version=99),
    "grade_id renamed": flags("double", grade_id="dooble"),
    "grade_ids swapped": lambda notebook: (flags("double", grade_id="x")(notebook), flags("total", grade_id="double")),
    "skip-execution": lambda notebook: cell(notebook, "double")["metadata"].update(tags=["skip-execution"]),
    "test cell twice": twice("double"),
    "answer twice": twice("total_answer"),
    "metadata a list": metadata("double", {"nbgrader": []}),
    "metadata empty": metadata("total", {}),
    "test cell as markdown": lambda notebook: cell(notebook, "double").update(cell_type="markdown"),
    "answer as markdown": lambda notebook: cell(notebook, "total_answer").update(cell_type="markdown"),
    "full marks as an output": outputs(
        "double", output_type="execute_result", data={"text/plain": "3"}, metadata={}, execution_count=1
    ),
    "an output that is none": outputs("total", output_type="nonsense"),
    "other kernel": lambda notebook: notebook.update(metadata={"kernelspec": {"name": "R", "language": "R"}}),
    "no ids": lambda notebook: [entry.pop("id") for entry in notebook["cells"]],
    "format 3": lambda notebook: notebook.update(nbformat=3),
    "cells a number": lambda notebook: notebook.update(cells=3),
    "half a character": lambda notebook: cell(notebook, "total_answer").update(source="'\ud800'"),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
def test_marks_are_exact_whatever_the_notebook_holds(
    released_course: TinyCourse, change: Callable[[Notebook], object]
) -> None:
    folder = hand_in(released_course, change)
    released_course.record("ada", folder, PART)
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}
    shown = autograded(released_course)
    assert "Doubling: 1.25 of 3 points\n" in cell(shown, "double")["outputs"][0]["data"]["text/plain"]
    assert "Adding up: 2 of 2 points\n" in cell(shown, "total")["outputs"][0]["data"]["text/plain"]
    assert cell(shown, "double")["metadata"]["nbgrader"]["points"] == 3


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
def test_nbgraders_own_autograde_gives_the_same_marks(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, change: Callable[[Notebook], object]
) -> None:
    folder = hand_in(released_course, change)
    asked = use_grader(monkeypatch, lambda: PART)
    autograde(released_course)
    assert asked == [(released_course.course, "tiny", folder, "ada")]
    assert scores(released_course.course, released_course.assignment) == {"ada": MARKS}


@pytest.mark.parametrize("late", ["module", "notebook"])
def test_nbgraders_own_autograde_refuses_to_grade_other_work_than_it_read(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, late: str
) -> None:
    folder = hand_in(released_course)
    paths = {"module": folder / "utilities.py", "notebook": folder / "tiny.ipynb"}
    use_grader(monkeypatch, lambda: PART, lambda: paths[late].write_text("{}"))
    with pytest.raises(StepFailed, match="ada handed in again"):
        autograde(released_course)
    assert scores(released_course.course, released_course.assignment) == {}


@pytest.mark.parametrize("notebook", [None, b"", b"\xff\xfe", b"[]", b"[" * 100_000])
def test_marks_are_exact_without_a_readable_notebook(released_course: TinyCourse, notebook: bytes | None) -> None:
    folder = released_course.hand_in("ada", notebook)
    result = tiny_result(double=3.0, total=0.0, notes=("There is no notebook in your hand-in.",))
    released_course.record("ada", folder, result)
    table = scores(released_course.course, released_course.assignment)
    assert table == {"ada": {"double": 3.0, "total": 0.0, "question_01": 0.0}}
    summary = autograded(released_course)["cells"][0]["outputs"][0]["data"]
    assert "There is no notebook in your hand-in." in "".join(summary["text/html"])


def test_a_hook_of_the_courses_own_runs_before_a_result_is_recorded(released_course: TinyCourse) -> None:
    with (released_course.root / "course_config.py").open("a") as settings:
        settings.write("c.Autograde.pre_convert_hook = lambda **told: (course / 'hook').write_text(told['student'])\n")
    released_course.read_again().record("ada", hand_in(released_course), PART)
    assert (released_course.root / "hook").read_text() == "ada"


def test_an_empty_folder_can_be_recorded(released_course: TinyCourse, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    zero = tiny_result(double=0.0, total=0.0)
    released_course.record("ada", tmp_path / "empty", zero)
    assert scores(released_course.course, released_course.assignment)["ada"]["double"] == 0.0
    with book_of(released_course) as book:
        assert grade_of(book, "double").auto_score == 0.0  # written, not merely absent


def test_nothing_of_the_students_runs_and_their_module_is_kept(released_course: TinyCourse, tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    notebook = released_course.released_notebook()
    cell(notebook, "total_answer")["source"] = f"open({str(ran)!r}, 'w')"
    folder = released_course.hand_in("ada", json.dumps(notebook).encode(), f"open({str(ran)!r}, 'w')")
    released_course.record("ada", folder, PART)
    assert not ran.exists()
    copy = released_course.root / "autograded/ada/tiny"
    assert (copy / "utilities.py").read_text() == (folder / "utilities.py").read_text()


def test_only_the_files_of_the_assignment_are_copied_and_no_links(released_course: TinyCourse, tmp_path: Path) -> None:
    folder = hand_in(released_course)
    (tmp_path / "secret").write_text("secret")
    (folder / "utilities.py").unlink()
    (folder / "utilities.py").symlink_to(tmp_path / "secret")
    (folder / "numpy.py").write_text("x = 1")
    released_course.record("ada", folder, PART)
    copied = {path.name for path in (released_course.root / "autograded/ada/tiny").iterdir()}
    assert copied == {"tiny.ipynb", "images"}
    left = sorted(path.name for path in (released_course.root / ".autograder").iterdir())
    assert left == ["lock", "recorded", "secret", "unfinished"]
    assert not list((released_course.root / ".autograder/unfinished").iterdir())


def test_a_lower_score_replaces_the_old_one(released_course: TinyCourse) -> None:
    folder = hand_in(released_course)
    for result in (tiny_result(), tiny_result(double=0.0, total=0.5)):
        released_course.record("ada", folder, result)
    table = scores(released_course.course, released_course.assignment)
    assert table == {"ada": {"double": 0.0, "total": 0.5, "question_01": 0.0}}


def test_a_manual_mark_stays_and_is_shown_for_review(released_course: TinyCourse) -> None:
    folder = hand_in(released_course)
    released_course.record("ada", folder, PART)
    with book_of(released_course) as book:
        grade_of(book, "double").manual_score = 2.5
        grade_of(book, "question_01").manual_score = 1.5
        book.db.commit()
    released_course.record("ada", folder, tiny_result(double=0.0))
    with book_of(released_course) as book:
        grade = grade_of(book, "double")
        assert (grade.auto_score, grade.manual_score, grade.needs_manual_grade) == (0.0, 2.5, True)
        assert grade_of(book, "question_01").manual_score == 1.5


def test_a_mark_of_our_page_asks_for_another_look_only_while_its_answer_is_another(released_course: TinyCourse) -> None:
    def record(answer: str) -> tuple[float | None, bool]:
        folder = hand_in(released_course, lambda one: cell(one, "question_01").update({"source": answer}))
        released_course.record("ada", folder, tiny_result(double=float(len(answer) % 3)))
        with book_of(released_course) as book:
            grade = grade_of(book, "question_01")
            return grade.manual_score, grade.needs_manual_grade

    assert record("Twice.") == (None, True)
    desk = open_desk(released_course.course, "tiny")
    (row,) = (desk.answer_row(paper, named=False) for paper in desk.papers("question_01").values())
    seen = {row.id: Seen(row.digest, row.points, row.comment)}
    marker = Marker(desk, desk.question("question_01"), "Kim")
    marker.mark(MarkRequest("question_01", seen, GivenMark(("factor",)), "group"))
    assert [record(answer) for answer in ("Twice.\n", "Twice as much.", "Twice as much.", "Twice.")] == [
        (1.0, False),
        (1.0, True),
        (1.0, True),
        (1.0, False),
    ]


@pytest.mark.parametrize("text, score, waits, comment", [(None, 0.0, False, "No response."), ("My.", None, True, None)])
def test_questions_wait_for_a_person_only_when_answered(
    released_course: TinyCourse, text: str | None, score: float | None, waits: bool, comment: str | None
) -> None:
    folder = hand_in(released_course, lambda one: cell(one, "question_01").update({"source": text} if text else {}))
    released_course.record("ada", folder, PART)
    with book_of(released_course) as book:
        grade = grade_of(book, "question_01")
        assert (grade.auto_score, grade.needs_manual_grade) == (score, waits)
        assert book.find_comment("question_01", "tiny", "tiny", "ada").auto_comment == comment
        assert not grade_of(book, "double").needs_manual_grade


def test_an_internal_error_waits_for_a_person(released_course: TinyCourse) -> None:
    released_course.record(
        "ada",
        hand_in(released_course),
        tiny_result(outcome="error"),
    )
    with book_of(released_course) as book:
        assert [grade_of(book, task).needs_manual_grade for task in ("double", "total")] == [True, False]


def test_an_old_score_outlives_a_run_that_fails_and_is_flagged_after_another_hand_in(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch
) -> None:
    released_course.record("ada", hand_in(released_course), tiny_result())

    def fail() -> SubmissionResult:
        raise SandboxUnavailable("No Landlock here.")

    use_grader(monkeypatch, fail)
    for another_hand_in in (False, True):
        if another_hand_in:
            hand_in(released_course, answered("Twice is times two."))
        with pytest.raises(StepFailed, match="No Landlock here"):
            autograde(released_course)
        with book_of(released_course) as book:
            grade = grade_of(book, "double")
            assert (grade.auto_score, grade.needs_manual_grade) == (3.0, another_hand_in)
    (student,) = class_marks(released_course.course, released_course.assignment).students
    assert [mark.id for mark in student.earlier] == ["double", "total"]
    use_grader(monkeypatch, lambda: PART)
    autograde(released_course)
    (student,) = class_marks(released_course.course, released_course.assignment).students
    assert (student.earlier, student.held) == ((), ())


def test_other_points_than_the_gradebooks_are_refused_and_leave_the_old_score(released_course: TinyCourse) -> None:
    course, assignment, folder = released_course.course, released_course.assignment, hand_in(released_course)
    released_course.record("ada", folder, tiny_result())
    source = released_course.root / "source/tiny/tiny.ipynb"
    source.write_text(source.read_text().replace('"points": 3', '"points": 30'))
    assert load_assignment(released_course.root, "tiny").max_score == 32
    other = tiny_result(double=3.0)
    task = type(other.tasks[0])(id="double", score=30.0, max_score=30.0)
    other = type(other)(**{name: getattr(other, name) for name in other.__struct_fields__} | {"tasks": (task,)})
    with pytest.raises(RecordingError, match=r"other tasks or points than the checks: double, total.*release"):
        released_course.record("ada", folder, other)
    assert scores(course, assignment)["ada"]["double"] == 3.0
    assert (released_course.root / "autograded/ada/tiny/tiny.ipynb").is_file()


def test_an_unregistered_assignment_is_refused(tiny_course: TinyCourse) -> None:
    folder = tiny_course.hand_in("ada", b"{}")
    with pytest.raises(RecordingError, match=r"does not know the assignment tiny.*autograder release"):
        tiny_course.record("ada", folder, PART)


def test_an_excluded_student_is_an_error_and_keeps_the_old_score(released_course: TinyCourse) -> None:
    folder = hand_in(released_course)
    released_course.record("ada", folder, tiny_result())
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text() + '\nc.CourseDirectory.student_id_exclude = "ada"\n')
    with pytest.raises(RecordingError, match=r"did not record the result of ada.*student_id_exclude"):
        released_course.read_again().record("ada", folder, PART)
    with book_of(released_course) as book:
        grade = grade_of(book, "double")
        assert (grade.auto_score, grade.needs_manual_grade) == (3.0, False)  # for this very hand-in


def test_a_config_that_would_run_student_code_is_refused(released_course: TinyCourse) -> None:
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text() + "\nc.Autograde.autograde_preprocessors = []\n")
    with pytest.raises(RecordingError, match=r"does not name autograder\.nbgrader_plugins\.RecordGrades"):
        released_course.read_again().record("ada", hand_in(released_course), PART)


@pytest.mark.parametrize("student", ["", "..", ".ada", "a/b", " ada", "*", "**"])
def test_names_that_are_no_folder_are_refused(released_course: TinyCourse, student: str) -> None:
    with pytest.raises(RecordingError, match="cannot be a student's id"):
        released_course.record(student, released_course.root, PART)


@pytest.mark.parametrize("student", ["Ada Ó Dálaigh", "o'brien, x", "1234", "a.b+c@d"])
def test_any_folder_name_is_a_student(released_course: TinyCourse, student: str) -> None:
    folder = hand_in(released_course)
    released_course.record("ada", folder, tiny_result())
    released_course.record(student, folder, PART)
    table = scores(released_course.course, released_course.assignment)
    assert table[student] == MARKS
    assert table["ada"]["double"] == 3.0


@pytest.mark.parametrize(
    ("timestamp", "late"),
    [("2030-01-02 00:00:00 UTC", 1.0), ("2029-12-31 00:00:00 UTC", None), ("2030-01-01 01:30 CET", 1.0), ("", None)],
)
def test_late_penalties_are_taken_of_the_new_score(
    released_course: TinyCourse, timestamp: str, late: float | None
) -> None:
    settings = released_course.root / "course_config.py"
    settings.write_text(settings.read_text() + '\nc.AssignLatePenalties.plugin_class = "tests.tiny.OnePointOff"\n')
    folder = hand_in(released_course)
    (folder / "timestamp.txt").write_text(timestamp)
    with book_of(released_course) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 00:00:00 UTC")
    released_course.read_again().record("ada", folder, PART)
    with book_of(released_course) as book:
        submitted = book.find_submission_notebook("tiny", "tiny", "ada")
        assert (submitted.late_submission_penalty, submitted.score) == (late, 3.25)


def test_recording_is_quiet(released_course: TinyCourse, capfd: pytest.CaptureFixture[str]) -> None:
    folder = hand_in(released_course, TAMPERED["grade_id renamed"])
    released_course.record("ada", folder, PART)
    assert capfd.readouterr() == ("", "")


def test_a_database_that_cannot_be_used_is_named_without_its_password(released_course: TinyCourse) -> None:
    settings = released_course.root / "course_config.py"
    url = "sqlite:////nowhere/gradebook.db"
    settings.write_text(settings.read_text() + f"\nc.CourseDirectory.db_url = {url!r}\n")
    with pytest.raises(RecordingError, match=r"gradebook sqlite:////nowhere.*db_url"):
        released_course.read_again().record("ada", hand_in(released_course), PART)


def use_grader(
    monkeypatch: pytest.MonkeyPatch,
    result: Callable[[], SubmissionResult],
    before_reading: Callable[[], object] = lambda: None,
) -> list[tuple[object, ...]]:
    """Put a grader in place of the real one; returns the list of what it was asked."""
    asked: list[tuple[object, ...]] = []

    def grader_for(course: Course, assignment: str) -> object:
        def look_up(folder: Path, student: str) -> ReadSubmission:
            asked.append((course, assignment, folder, student))
            before_reading()
            return ReadSubmission(read_submission(folder, assignment, course.settings), None)

        rules = read_rules(course, course.assignment(assignment))
        return types.SimpleNamespace(look_up=look_up, grade_snapshot=lambda snapshot, student: result(), rules=rules)

    monkeypatch.setattr("autograder.grading.result_store.grader_for", grader_for)
    return asked


def autograde(course: TinyCourse) -> None:
    """Run `nbgrader autograde tiny` in this process."""
    run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny")))


def test_a_course_that_a_group_shares_stays_so(released_course: TinyCourse) -> None:
    with (released_course.root / "course_config.py").open("a") as settings:
        settings.write("\nc.CourseDirectory.groupshared = True\n")
    released_course.read_again().record("ada", hand_in(released_course), PART)
    graded = released_course.root / "autograded"
    assert [folder.stat().st_mode & 0o2070 for folder in (graded, graded / "ada/tiny")] == [0o2070, 0o2070]
    assert (graded / "ada/tiny/tiny.ipynb").stat().st_mode & 0o060 == 0o060


def test_markers_read_model_answer_and_rubric_before_the_answer(released_course: TinyCourse) -> None:
    released_course.record("ada", hand_in(released_course), PART)
    cells = autograded(released_course)["cells"]
    place = cells.index(cell({"cells": cells}, "question_01"))
    guide = "".join(cells[place - 1]["source"])
    assert guide.startswith(f"> {GUIDE_HEADING}\n> \n> Doubling")
    assert "> - **1 point** (factor): The factor is named.\n> - **1 point** (cost): Its cost is named." in guide
    assert "SOLUTION" not in guide


def test_no_student_can_forge_a_marking_guide(released_course: TinyCourse) -> None:
    forged = {"cell_type": "markdown", "metadata": {"autograder": MARKING_GUIDE}, "source": "Full marks for all."}
    folder = hand_in(released_course, lambda notebook: notebook["cells"].append(forged))
    released_course.record("ada", folder, PART)
    cells = autograded(released_course)["cells"]
    guides = ["".join(entry["source"]) for entry in cells if entry["metadata"].get("autograder") == MARKING_GUIDE]
    assert len(guides) == 1
    assert "Full marks" not in guides[0]


def test_without_a_source_notebook_there_is_no_guide(released_course: TinyCourse) -> None:
    (released_course.root / "source/tiny/tiny.ipynb").unlink()
    released_course.record("ada", hand_in(released_course), PART)
    assert not [entry for entry in autograded(released_course)["cells"] if entry["metadata"].get("autograder")]


def answered(text: str) -> Callable[[Notebook], object]:
    """Answer the question."""
    return lambda notebook: cell(notebook, "question_01").update(source=text)


def test_a_mark_by_hand_asks_for_another_look_only_where_the_answer_is_another(released_course: TinyCourse) -> None:
    course = released_course

    def mark(task: str, points: float) -> None:
        with book_of(course) as book:
            grade = grade_of(book, task)
            grade.manual_score, grade.needs_manual_grade = points, False
            book.db.commit()

    def waiting(folder: Path, result: SubmissionResult = PART) -> tuple[str, ...]:
        course.record("ada", folder, result)
        (ada,) = class_marks(course.course, course.assignment).students
        return ada.waiting

    assert waiting(hand_in(course, answered("Twice."))) == ("question_01",)
    mark("question_01", 1.5)
    mark("double", 2.5)
    again = hand_in(course, answered("Twice."))
    (again / "utilities.py").write_text("# another module")
    assert waiting(again) == ()
    assert waiting(hand_in(course, answered("Three times."))) == ("question_01",)
    assert waiting(again) == ("question_01",)  # nobody has looked yet
    mark("question_01", 1.0)
    assert waiting(again, tiny_result(double=3.0, total=2.0)) == ("double",)
    course.record_ungraded("ada", "No memory.")
    mark("double", 2.0)
    course.record_ungraded("ada", "No memory.")
    assert waiting(again, tiny_result(double=3.0, total=2.0)) == ()
    assert scores(course.course, course.assignment)["ada"] == {"double": 2.0, "total": 2.0, "question_01": 1.0}
