"""Marks, notes and moves: what is written, what is refused, and what can be taken back."""

from __future__ import annotations

import base64
import html
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from nbgrader.api import Gradebook

from autograder.cli.main import main
from autograder.errors import RecordingError, UsageError
from autograder.gradebook.database import transaction
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.gradebook.transactions import GradebookWriter
from autograder.ledger import connections
from autograder.ledger.entries import SubmissionKey, changes
from autograder.ledger.markings import actions_of
from autograder.marking.actions import Marker, MarksDiffer
from autograder.marking.desk import Desk
from autograder.marking.second_reading import next_to_read, read_second
from autograder.marking.views import GivenMark, MarkRequest, MoveRequest, NoteRequest, SecondRequest, Seen
from tests.marking.class_course import desk_of, hand_in

Q = "question_04"
PICTURE = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
STUDENTS = ("ada", "bob", "cem", "dana", "eve")
RIGHT = "All tokens at once in matrix products, no N steps one after the other, and any two tokens are one step apart."


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    answers = {student: {Q: RIGHT} for student in STUDENTS} | {"fay": {}}
    return desk_of(tmp_path / "course", answers)


def marker(desk: Desk, who: str = "Kim") -> Marker:
    return Marker(desk, desk.question(Q), who)


def seen(desk: Desk, *students: str) -> dict[str, Seen]:
    papers = desk.papers(Q)
    rows = [desk.answer_row(papers[student], named=False) for student in students]
    return {row.id: Seen(row.digest, row.points, row.comment) for row in rows}


def request(shown: dict[str, Seen], *items: str, **other: Any) -> MarkRequest:
    means, replaced = other.pop("means", "group"), other.pop("replaced", ())
    return MarkRequest(Q, shown, GivenMark(items, **other), means, replaced)


def points(desk: Desk) -> dict[str, float | None]:
    return {student: paper.points for student, paper in desk.papers(Q).items()}


def states(desk: Desk) -> dict[str, str]:
    return {student: paper.state for student, paper in desk.papers(Q).items()}


def mark_elsewhere(desk: Desk, student: str, score: float, comment: str) -> None:
    """Do what formgrader does when a marker types points and a comment."""
    with Gradebook(desk.coursedir.db_url) as book:
        grade = book.find_grade(Q, "vit", "vit", student)
        grade.manual_score, grade.needs_manual_grade = score, False
        book.find_comment(Q, "vit", "vit", student).manual_comment = comment
        book.db.commit()


def history(desk: Desk, student: str) -> list[Any]:
    writer = GradebookWriter(desk.course, course_directory(desk.course, "vit"), "history")
    return writer.history(SubmissionKey("vit", student))


def test_a_group_is_marked_in_nbgraders_gradebook(desk: Desk) -> None:
    steps = marker(desk).mark(request(seen(desk, *STUDENTS), "parallel", comment=" Say why. "))
    assert {step.student for step in steps} == set(STUDENTS)
    with Gradebook(desk.coursedir.db_url) as book:
        for student in STUDENTS:
            grade = book.find_grade(Q, "vit", "vit", student)
            assert (grade.manual_score, grade.needs_manual_grade, grade.score) == (1.0, False, 1.0)
            assert book.find_comment(Q, "vit", "vit", student).comment == "Say why."
        assert book.find_grade(Q, "vit", "vit", "fay").manual_score is None
    assert states(desk) == dict.fromkeys(STUDENTS, "marked") | {"fay": "untouched"}
    row = next(row for row in desk.rows() if row.id == Q)
    assert (row.answers, row.open) == (6, 0)


def test_the_history_says_who_marked_and_by_which_action_and_replays_every_mark(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    marker(desk).mark(request(seen(desk, "ada", "bob"), "parallel"))
    marker(desk, "Lee").mark(request(seen(desk, "ada"), "parallel", "second", means="one"))
    marker(desk, "Lee").take_back(redo=False, force=False)
    told = history(desk, "ada")
    entries = [recorded.entry for recorded in told[1:]]
    assert [(entry.command, entry.who) for entry in entries] == [("mark", "Kim"), ("mark", "Lee"), ("mark", "Lee")]
    assert [entry.note.split(":")[0] for entry in entries] == ["Action 1", "Action 2", "Action 3"]
    book = told[0].entry.book
    for entry in entries:  # each entry's changes lead from what was before to what was afterwards
        assert entry.book.marks == book.marks | {change.task: change.after for change in changes(book, entry)}
        book = entry.book
    assert book.marks[Q].by_hand == points(desk)["ada"] == 1.0
    assert main(["history", "ada", Q, "--course", str(desk.course.root)]) == 0
    printed = capsys.readouterr().out
    assert "mark by Lee" in printed and "1 → 2" in printed and "2 → 1" in printed


def test_what_changed_meanwhile_is_named_and_nothing_is_saved(desk: Desk) -> None:
    shown = seen(desk, "ada", "bob", "cem")
    mark_elsewhere(desk, "bob", 1.5, "by formgrader")
    with pytest.raises(MarksDiffer) as caught:
        marker(desk).mark(request(shown, "parallel"))
    (paper,) = caught.value.papers.values()
    assert (paper.student, paper.points, paper.standing.book.comment) == ("bob", 1.5, "by formgrader")
    assert points(desk) == dict.fromkeys(STUDENTS, None) | {"bob": 1.5, "fay": 0.0}
    assert states(desk)["bob"] == "elsewhere"
    hand_in(desk.course.root, "ada", {Q: "Another answer."})
    with pytest.raises(MarksDiffer) as caught:
        marker(desk).mark(request({name: row for name, row in shown.items() if name in seen(desk, "ada")}, "parallel"))
    assert set(caught.value.papers) == {"ada"}


def test_a_mark_of_one_answer_wins_over_its_groups(desk: Desk) -> None:
    marker(desk).mark(request(seen(desk, "ada"), "parallel", "second", means="one"))
    mark_elsewhere(desk, "bob", 0.5, "")
    marker(desk).mark(request(seen(desk, *STUDENTS), "parallel"))
    assert points(desk) == dict.fromkeys(STUDENTS, 1.0) | {"ada": 2.0, "bob": 0.5, "fay": 0.0}
    marker(desk).mark(request(seen(desk, "bob"), means="one"))
    assert points(desk)["bob"] == 0.0


def test_a_comment_that_was_written_elsewhere_stays(desk: Desk) -> None:
    with Gradebook(desk.coursedir.db_url) as book:
        book.find_comment(Q, "vit", "vit", "ada").manual_comment = "From formgrader."
        book.db.commit()
    marker(desk).mark(request(seen(desk, "ada", "bob"), "parallel"))
    assert desk.papers(Q)["ada"].standing.book.comment == "From formgrader."
    marker(desk).take_back(redo=False, force=False)
    marker(desk).mark(request(seen(desk, "ada", "bob"), "parallel", comment="Why?"))
    assert desk.papers(Q)["ada"].standing.book.comment == "From formgrader.\nWhy?"


def test_a_comment_that_is_corrected_elsewhere_leaves_the_mark_and_its_items(desk: Desk) -> None:
    marker(desk).mark(request(seen(desk, "ada", "bob"), "parallel", comment="Wy?"))
    mark_elsewhere(desk, "ada", 1.0, "Why?")
    ada = desk.papers(Q)["ada"]
    assert (ada.state, ada.standing.marking.items, ada.standing.marking.who) == ("marked", ("parallel",), "Kim")
    marker(desk).mark(request(seen(desk, "ada", "bob"), "second", comment="No."))
    papers = desk.papers(Q)
    assert [papers[name].standing.book.comment for name in ("ada", "bob")] == ["Why?", "No."]
    mark_elsewhere(desk, "ada", 0.5, "Why?")
    assert desk.papers(Q)["ada"].state == "elsewhere"


def test_a_note_for_several_answers_takes_the_place_of_the_one_that_was_shown(desk: Desk) -> None:
    ada, bob, cem = (name for student in ("ada", "bob", "cem") for name in seen(desk, student))
    marker(desk).note(NoteRequest(Q, (ada,), "copied?"))
    marker(desk).note(NoteRequest(Q, (bob,), "ask Lee"))
    marker(desk).note(NoteRequest(Q, (ada, bob, cem), "too short"))
    assert notes(desk) == {"ada": "copied?\ntoo short", "bob": "ask Lee\ntoo short", "cem": "too short"}
    marker(desk).note(NoteRequest(Q, (ada, cem), "", shown="too short"))
    assert notes(desk) == {"ada": "copied?\ntoo short", "bob": "ask Lee\ntoo short"}


def notes(desk: Desk) -> dict[str, str]:
    found = {student: paper.standing.marking.note for student, paper in desk.papers(Q).items()}
    return {student: note for student, note in found.items() if note}


def test_everything_can_be_taken_back_and_done_again(desk: Desk) -> None:
    kim = marker(desk)
    mark_elsewhere(desk, "eve", 0.25, "theirs")
    before = desk.papers(Q)
    kim.mark(request(seen(desk, "ada", "bob"), "parallel"))
    kim.mark(request(seen(desk, "ada", "eve"), "second", comment="No.", means="one"))
    (bob,) = seen(desk, "bob")
    kim.move(MoveRequest(Q, seen(desk, "bob")))
    kim.note(NoteRequest(Q, (bob,), "unsure", True))
    done = desk.papers(Q)
    assert done["bob"].standing.marking.note == "unsure"
    for _ in range(4):
        kim.take_back(redo=False, force=False)
    assert desk.papers(Q) == before
    with pytest.raises(UsageError, match="nothing to take back"):
        kim.take_back(redo=False, force=False)
    for _ in range(4):
        kim.take_back(redo=True, force=False)
    assert desk.papers(Q) == done
    with transaction(desk.coursedir) as connection:
        assert actions_of(connection, desk.assignment, Q, kim.who)[0].said == "doing again: the note on 1 answer"
    with pytest.raises(UsageError, match="Nothing was taken back"):
        kim.take_back(redo=True, force=False)
    kim.take_back(redo=False, force=False)
    kim.mark(request(seen(desk, "cem"), "second"))
    with pytest.raises(UsageError, match="Nothing was taken back"):  # something else was done since then
        kim.take_back(redo=True, force=False)


def test_an_answer_that_is_moved_may_get_the_groups_mark_in_one_action(desk: Desk) -> None:
    kim, shown = marker(desk), seen(desk, "cem")
    kim.mark(request(seen(desk, "ada"), "parallel", comment="Why?"))
    key = desk.papers(Q)["ada"].answer.digest
    kim.move(MoveRequest(Q, shown, key, mark=GivenMark(("parallel",), "Why?")))
    cem = desk.papers(Q)["cem"].standing
    assert (cem.book.points, cem.book.comment, cem.marking.group, cem.marking.means) == (1.0, "Why?", key, "group")
    with pytest.raises(MarksDiffer):
        kim.move(MoveRequest(Q, shown, key))
    kim.take_back(redo=False, force=False)
    assert (states(desk)["cem"], desk.papers(Q)["cem"].standing.marking.group) == ("unmarked", "")


def test_taking_back_leaves_what_others_did(desk: Desk) -> None:
    kim, lee = marker(desk), marker(desk, "Lee")
    kim.mark(request(seen(desk, "ada", "bob"), "parallel"))
    lee.mark(request(seen(desk, "ada"), "second", comment="Lee's", means="one"))
    (bob,) = seen(desk, "bob")
    lee.note(NoteRequest(Q, (bob,), "Lee's note"))
    with pytest.raises(MarksDiffer) as caught:
        kim.take_back(redo=False, force=False)
    assert set(caught.value.papers) == {"ada"}
    assert points(desk)["bob"] == 1.0
    lee.take_back(redo=False, force=False)
    lee.take_back(redo=False, force=False)
    lee.note(NoteRequest(Q, (bob,), "once more"))
    kim.take_back(redo=False, force=False)
    papers = desk.papers(Q)
    assert (papers["bob"].points, papers["bob"].standing.marking.note) == (None, "once more")


def test_a_changed_answer_is_unmarked_again_and_its_old_mark_counts_on(desk: Desk) -> None:
    kim = marker(desk)
    kim.mark(request(seen(desk, "ada", "bob"), "parallel"))
    hand_in(desk.course.root, "ada", {Q: f"{RIGHT} And more."})
    hand_in(desk.course.root, "bob", {Q: f"{RIGHT}\n", "question_05": "New."})
    papers = desk.papers(Q)
    assert (papers["ada"].state, papers["ada"].points, papers["bob"].state) == ("changed", 1.0, "marked")
    kim.mark(request(seen(desk, "ada"), "parallel", "second"))
    assert (states(desk)["ada"], points(desk)["ada"]) == ("marked", 2.0)
    kim.take_back(redo=False, force=False)
    assert (states(desk)["ada"], points(desk)["ada"]) == ("changed", 1.0)


@pytest.mark.parametrize(
    "items, chosen", [(("parallel", "parallel"), None), (("no_such",), None), ((), 2.5), ((), -0.5), ((), float("nan"))]
)
def test_points_that_the_question_does_not_give_are_refused(
    desk: Desk, items: tuple[str, ...], chosen: float | None
) -> None:
    with pytest.raises(UsageError):
        marker(desk).mark(request(seen(desk, "ada"), *items, points=chosen))
    with pytest.raises(UsageError, match="not known here"):
        marker(desk).mark(request({"0" * 16: Seen("", None, "")}, "parallel"))
    assert points(desk)["ada"] is None


def test_other_points_than_the_items_may_be_chosen(desk: Desk) -> None:
    marker(desk).mark(request(seen(desk, "ada"), "parallel", points=1.25))
    assert points(desk)["ada"] == 1.25


def test_answers_without_names_say_nothing_of_who_wrote_them(tmp_path: Path) -> None:
    said = "I am ada-77, Given0 Family0 (ada-77@example.org). Given names are fine."
    desk = desk_of(tmp_path / "course", {"ada-77": {Q: said}})
    paper = desk.papers(Q)["ada-77"]
    shown = f"{desk.answer_row(paper, named=False)} {desk.answer_html(Q, 'ada-77', named=False)}"
    assert "ada-77" not in shown and "Family0" not in shown and "Given names are fine" in shown
    assert "ada-77" in desk.answer_html(Q, "ada-77", named=True)
    assert desk.answer_row(paper, named=True).name == "Family0, Given0 (ada-77)"


def test_a_second_person_reads_a_tenth_and_changes_no_mark(tmp_path: Path) -> None:
    students = [f"student-{number:02}" for number in range(30)]
    desk = desk_of(tmp_path / "course", {student: {Q: f"{RIGHT} {student}"} for student in students})
    kim, lee = marker(desk), marker(desk, "Lee")
    assert next_to_read(desk, lee.question, "Lee", named=False).id == ""
    kim.mark(request(seen(desk, *students), "parallel", "second"))
    assert next_to_read(desk, kim.question, "Kim", named=False).id == ""  # Kim gave the marks
    read: list[str] = []
    while (page := next_to_read(desk, lee.question, "Lee", named=False)).id:
        assert (page.done, page.left) == (len(read), 3 - len(read))
        read_second(desk, lee.question, "Lee", SecondRequest(Q, page.id, page.digest, GivenMark(("parallel",))))
        read.append(page.id)
    assert len(set(read)) == 3
    assert set(points(desk).values()) == {2.0}
    assert sum(paper.differs for paper in desk.papers(Q).values()) == 3
    assert next(row for row in desk.rows() if row.id == Q).differ == 3
    with pytest.raises(UsageError, match="yourself"):
        read_second(
            desk, kim.question, "Kim", SecondRequest(Q, read[0], seen(desk, *students)[read[0]].digest, GivenMark(()))
        )
    with pytest.raises(UsageError, match="handed in again"):
        read_second(desk, lee.question, "Lee", SecondRequest(Q, read[0], "another digest", GivenMark(())))


def test_a_mark_of_its_own_is_replaced_where_a_person_says_so(desk: Desk) -> None:
    kim = marker(desk)
    mark_elsewhere(desk, "bob", 1.5, "by formgrader")
    marker(desk, "Lee").mark(request(seen(desk, "cem"), "second", means="one", points=0.5))
    (bob,) = seen(desk, "bob")
    kim.mark(request(seen(desk, *STUDENTS), "parallel", replaced=(bob,)))
    assert points(desk) == dict.fromkeys(STUDENTS, 1.0) | {"cem": 0.5, "fay": 0.0}
    kim.take_back(redo=False, force=False)
    assert points(desk) == dict.fromkeys(STUDENTS) | {"bob": 1.5, "cem": 0.5, "fay": 0.0}
    assert desk.papers(Q)["bob"].standing.book.comment == "by formgrader"


def test_an_answer_that_somebody_moved_out_meanwhile_gets_no_mark_of_its_old_group(desk: Desk) -> None:
    shown = seen(desk, *STUDENTS)
    marker(desk, "Lee").move(MoveRequest(Q, seen(desk, "bob")))
    with pytest.raises(MarksDiffer) as caught:
        marker(desk).mark(request(shown, "parallel"))
    assert set(caught.value.papers) == {"bob"}
    with pytest.raises(MarksDiffer):
        marker(desk).move(MoveRequest(Q, shown, seen(desk, "ada")[next(iter(seen(desk, "ada")))].digest))
    assert points(desk)["bob"] is None


def test_a_locked_gradebook_is_named_and_nothing_is_saved(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "BUSY_SECONDS", 0.1)
    shown = seen(desk, "ada")
    path = course_directory(desk.course, "vit").db_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RecordingError, match="locked"):
            marker(desk).mark(request(shown, "parallel"))
        assert points(desk)["ada"] is None  # who only reads need not wait
        other.execute("ROLLBACK")
    marker(desk).mark(request(shown, "parallel"))
    assert points(desk)["ada"] == 1.0


def test_a_file_that_cannot_be_opened_costs_nobody_the_page(desk: Desk) -> None:
    notebook = desk.course.root / "autograded" / "bob" / "vit" / "vit.ipynb"
    notebook.unlink()
    notebook.mkdir()
    papers = desk.papers(Q)
    assert (papers["bob"].answer.digest, papers["ada"].answer.text) == ("", RIGHT)
    notebook.rmdir()
    hand_in(desk.course.root, "bob", {Q: RIGHT})
    assert desk.papers(Q)["bob"].answer.text == RIGHT


def test_a_picture_that_cannot_be_read_costs_nobody_their_words(desk: Desk) -> None:
    notebook = desk.course.root / "autograded" / "bob" / "vit" / "vit.ipynb"
    nb = json.loads(notebook.read_text())
    for cell in nb["cells"]:
        cell["attachments"] = {"sketch.png": {"image/png": ["a", "list"]}}
    notebook.write_text(json.dumps(nb))
    assert desk.papers(Q)["bob"].answer.text == RIGHT


@pytest.mark.parametrize(
    "said",
    [
        "_ada-77_ wrote this",
        "by ADA-77.",
        "Zoë\nFamilia, or Familia,  Zoe",
        "**Zoë** <b>Familia</b>",
        "zoe_familia and zoe.familia@example.org",
        "So says Zoë.",
        "Zo&euml; Famili&#97;",
        "copied from bob-78, that is Robert Tables (Tables, Robert)",
        "![Zoë Familia.png](attachment:Zo%C3%AB%20Familia.png)",
        "<!-- ada-77 --> <span title='Zoë Familia'>me</span>",
    ],
)
def test_no_spelling_of_a_name_is_shown(tmp_path: Path, said: str) -> None:
    desk = desk_of(tmp_path / "course", {"ada-77": {Q: said}, "bob-78": {}})
    with Gradebook(desk.coursedir.db_url) as book:
        book.update_or_create_student("ada-77", first_name="Zoë", last_name="Familia", email="zoe.familia@example.org")
        book.update_or_create_student("bob-78", first_name="Robert", last_name="Tables")
    desk.people = {}
    paper = desk.papers(Q)["ada-77"]
    text = f"{desk.answer_row(paper, named=False).text} {desk.answer_html(Q, 'ada-77', named=False)}"
    shown = html.unescape(text).casefold()
    assert not [name for name in ("ada", "77", "zoë", "zoe", "famili", "bob", "tables") if name in shown]


def test_pasted_pictures_are_shown_whatever_their_files_are_called(tmp_path: Path) -> None:
    desk = desk_of(tmp_path / "course", {"ada-77": {Q: "See ![ada-77.png](attachment:ada-77.png)"}})
    notebook = desk.course.root / "autograded" / "ada-77" / "vit" / "vit.ipynb"
    nb = json.loads(notebook.read_text())
    for cell in nb["cells"]:
        cell["attachments"] = {"ada-77.png": {"image/png": PICTURE}}
    notebook.write_text(json.dumps(nb))
    desk.papers(Q)
    for named in (False, True):
        assert f"data:image/png;base64,{PICTURE}" in desk.answer_html(Q, "ada-77", named=named)
    assert "ada-77" not in desk.answer_html(Q, "ada-77", named=False)


def test_the_first_marker_is_no_second_person_in_other_letters(desk: Desk) -> None:
    kim = marker(desk)
    kim.mark(request(seen(desk, *STUDENTS), "parallel"))
    assert next_to_read(desk, kim.question, "kim", named=False).id == ""
    page = next_to_read(desk, kim.question, "Lee", named=False)
    with pytest.raises(UsageError, match="yourself"):
        read_second(desk, kim.question, "KIM", SecondRequest(Q, page.id, page.digest, GivenMark(())))
    read_second(desk, kim.question, "Lee", SecondRequest(Q, page.id, page.digest, GivenMark(())))
    assert next_to_read(desk, kim.question, "LEE", named=False).id == ""
