"""The students' page: what it says and keeps back, that nothing in it runs or loads, and that axe finds no fault."""

from __future__ import annotations

import itertools
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

import msgspec
import nbformat
import pytest
from bs4 import BeautifulSoup
from markupsafe import Markup
from nbgrader.api import Gradebook
from nbgrader.auth import Authenticator
from nbgrader.converters import GenerateFeedback
from nbgrader.exchange.default import ExchangeFetchFeedback, ExchangeReleaseFeedback
from nbgrader.utils import notebook_hash
from playwright.sync_api import Browser, Page

from autograder.cli import main as cli
from autograder.errors import RecordingError
from autograder.feedback import exporter as feedback
from autograder.feedback.exporter import write_feedback
from autograder.feedback.notebook_cells import CellOnPage, notebook_cells
from autograder.feedback.page import UNGRADED, recorded_page, render_page, result_page
from autograder.gradebook.graded_notebook import RESULT, SUMMARY
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.grading import result_store as store
from autograder.marking.actions import Marker
from autograder.marking.desk import open_desk
from autograder.marking.views import GivenMark, MarkRequest, NoteRequest, Seen
from autograder.marks import Mark, Person, StudentMarks
from autograder.rendering.result_views import CARRIED, EARLIER, HELD
from autograder.results import SubmissionResult, TaskResult
from tests.browsers import (
    IN_BROWSER,
    find_no_fault,
    heard,
    opened_file,
    opened_without_alerts,
    serious_faults,
)
from tests.feedback_example import example_page, example_result
from tests.gradebook.test_class_marks import HALF_OFF, configured, record_late
from tests.one_student import HOSTILE
from tests.tiny import TITLES, TinyCourse, tiny_result

GOLDEN = """\
Doubling: your feedback
For ada.
Your notebook with the same remarks is below
Points
3.75 of 7 points so far
automatic tasks, of 5 3.25
questions, of 2; 1 of 2 waits for a person 1
late penalty, 2 h 30 min late −0.5
About what you handed in
There is no notebook.
Where to start
Look at Doubling first. Later tasks build on earlier ones.
Recognised mistakes:
off by one, in Doubling
Overview
task points state
Doubling 1.25 of 3 ◐ some points
Adding up 2 of 2 ✓ full points
Question 1 1 of 1 ✓ full points
1 question – of 1 … waits for a person
Tasks
Doubling
◐ 1.25 of 3 points
✗ not yet: The task double works.
double is <b>wrong</b>, by $1$ & more.
Recognised mistake: off by one.
See Doubling in your notebook
Adding up
✓ 2 of 2 points
✓ passed: The task total works.
See Adding up in your notebook
Questions
Question 1
✓ 1 of 1 points
Well <i>said</i>.
See your answer to Question 1
Not marked yet
A person marks these; until then they count as 0:
Question 2, 1 points
Other comments
Double answer
Short & good.
Your notebook
Doubling : 1.25 of 3 points
checks
Adding up : 2 of 2 points
checks
Question 1 : 1 of 1 points. Your answer
answer
Well <i>said</i>."""


def tiny_marks(result: SubmissionResult, **changes: Any) -> StudentMarks:
    """Marks of a student with one question marked and one not."""
    fields: dict[str, Any] = {
        "person": Person("ada"),
        "tasks": {task.id: Mark(task.id, task.max_score, task.score, by_hand=False) for task in result.tasks},
        "questions": {
            "question_01": Mark("question_01", 1.0, 1.0, by_hand=True, comment="Well <i>said</i>."),
            "question_02": Mark("question_02", 1.0, None, by_hand=True),
        },
        "remarks": {"double_answer": "Short & good."},
        "penalty": 0.5,
        "seconds_late": 9000.0,
    }
    return StudentMarks(**fields | changes)


def lines_of(page: str) -> str:
    """The visible text, a line for each heading, paragraph, cell group or list item."""
    soup = BeautifulSoup(page.replace("<wbr>", ""), "html.parser")
    for gone in soup.find_all(["style", "title", "details"]):
        gone.decompose()
    for gone in soup.find_all(class_="skip"):
        gone.decompose()
    found = [
        " ".join(tag.get_text(" ").split())
        for tag in soup.find_all(["h1", "h2", "h3", "h4", "p", "li", "tr", "div"])
        if not tag.find(["p", "li", "h3", "div", "ul"]) and not (tag.name == "p" and tag.find_parent("tr"))
    ]
    return "\n".join(line for line in found if line)


def words(page: str) -> str:
    """The visible text in one line."""
    return " ".join(lines_of(page).split())


CELLS = (
    CellOnPage("double", "check", Markup("checks")),
    CellOnPage("total", "check", Markup("checks")),
    CellOnPage("question_01", "question", Markup("answer")),
)


def shown(result: SubmissionResult, **changes: Any) -> str:
    return render_page(recorded_page("Doubling", result, tiny_marks(result, **changes), CELLS, TITLES))


def one_task(result: SubmissionResult, **changes: Any) -> SubmissionResult:
    """The result with its first task changed."""
    first: TaskResult = msgspec.structs.replace(result.tasks[0], **changes)
    return msgspec.structs.replace(result, tasks=(first, *result.tasks[1:]))


# --- what it says ---------------------------------------------------------------------------------------------


def test_the_whole_text() -> None:
    assert lines_of(shown(tiny_result(double=1.25, notes=("There is no notebook.",)))) == GOLDEN


def test_it_is_the_same_each_time() -> None:
    assert example_page() == example_page()


def test_without_a_gradebook_it_is_about_the_automatic_tasks_and_leads_nowhere() -> None:
    page = render_page(result_page("Doubling", tiny_result(double=1.25), TITLES))
    assert "3.25 of 5 points in the automatic tasks" in words(page)
    assert "question" not in words(page)
    links = [str(tag["href"]) for tag in BeautifulSoup(page, "html.parser").find_all("a")]
    assert links
    assert not [link for link in links if not link.startswith("#")]


def test_full_points_leave_nothing_to_start_with() -> None:
    assert "There is nothing left to fix in the automatic tasks." in words(shown(tiny_result()))


def test_our_own_error_shows_no_details() -> None:
    page = example_page()
    assert "oracle" not in page
    assert HELD in words(page)
    assert "costs no points" not in words(page)


def test_carried_forward_is_said() -> None:
    assert words(shown(one_task(tiny_result(), carried_forward=True))).count(CARRIED) == 1


def test_points_that_a_person_set_are_said() -> None:
    tasks = {"double": Mark("double", 3.0, 2.5, by_hand=True), "total": Mark("total", 2.0, 2.0, by_hand=True)}
    said = words(shown(tiny_result(double=1.25), tasks=tasks))
    assert "2.5 of 3 points A person set these points; the checks alone give 1.25." in said
    assert said.count("A person set") == 1


def test_what_could_not_be_graded_anew_says_so_and_shows_no_old_reason() -> None:
    tasks = {"double": Mark("double", 3.0, None, by_hand=False), "total": Mark("total", 2.0, 2.0, by_hand=False)}
    said = words(shown(tiny_result(double=1.25), tasks=tasks))
    assert f"3 points, waiting {UNGRADED}" in said
    assert "by $1$" not in said
    assert "off by one" not in said


def test_where_only_points_are_known_they_are_shown() -> None:
    said = words(render_page(recorded_page("Doubling", None, tiny_marks(tiny_result(double=1.25)), CELLS, TITLES)))
    assert "Doubling ◐ 1.25 of 3 points" in said
    assert "Only the points are known here" in said


def test_links_lead_to_the_cells() -> None:
    links = {str(tag["href"]) for tag in BeautifulSoup(example_page(), "html.parser").find_all("a")}
    wanted = ("attention", "question_01", "question_14", "attention_answer")
    assert links >= {"#notebook", "#part-attention", *(f"#cell-{name}" for name in wanted)}
    ids = {str(tag["id"]) for tag in BeautifulSoup(example_page(), "html.parser").find_all(id=True)}
    assert {link[1:] for link in links if link.startswith("#")} <= ids


def test_pictures_stand_with_what_failed_and_curves_always() -> None:
    soup = BeautifulSoup(example_page(), "html.parser")
    titles = [figure.find("h4").get_text() for figure in soup.find_all("figure")]  # type: ignore[union-attr]
    assert titles == [
        "Your attention weights beside those of the definition",
        "Whose pixels stand in each of your patches",
        "How your small model was trained",
    ]
    result = example_result()
    checks = tuple(msgspec.structs.replace(check, outcome="passed") for check in result.tasks[0].checks)
    page = render_page(result_page("vit", one_task(result, checks=checks), {}))
    assert "Your attention weights" not in page
    assert "How your small model" in page


def test_the_notebook_shows_what_the_student_wrote_and_folds_what_was_given() -> None:
    soup = BeautifulSoup(example_page(), "html.parser")
    given = soup.find("details", class_="given")
    assert given is not None and "Vision Transformers" in given.find("summary").get_text()  # type: ignore[union-attr]
    kinds = [str(tag["class"][1]) for tag in soup.find_all(class_="nbcell")]
    assert kinds == ["given", "given", "answer", "check", "question", "question", "added"]
    answer = soup.find(id="cell-attention_answer")
    assert answer is not None
    assert "epoch 1" in answer.get_text() and "\x1b" not in answer.get_text()
    assert answer.find("img", src=re.compile("^data:image/png;base64,")) is not None
    assert "ValueError: <b>no</b>" in answer.get_text()
    assert "Nice use of einsum." in answer.get_text()
    question = soup.find(id="cell-question_01")
    assert question is not None and "Question 1: 2 of 2 points" in " ".join(question.get_text().split())
    check = soup.find(id="cell-attention")
    assert check is not None and check.find("a", href="#part-attention") is not None


def test_formulas_are_laid_out_and_code_stays() -> None:
    nb = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell(r"$$\frac{Q K^T}{\sqrt{d_k}}$$ in `$x$` and $\oddity{}$")]
    )
    (cell,) = notebook_cells(nb, ())
    soup = BeautifulSoup(cell.source, "html.parser")
    (formula,) = soup.find_all("math", display="block")
    assert formula.find("msqrt") is not None
    assert "$x$" in soup.find("code").get_text() and r"$\oddity{}$" in soup.get_text()  # type: ignore[union-attr]


def test_no_style_class_or_id_of_a_cell_reaches_the_page() -> None:
    soup = BeautifulSoup(attacked(), "html.parser")
    notebook = soup.find("section", attrs={"aria-labelledby": "notebook"})
    assert notebook is not None
    assert not notebook.find_all(["script", "style", "iframe", "svg"])
    assert not notebook.find_all(style=True)
    assert len(soup.find_all(id="points")) == 1
    assert not notebook.find_all(class_="total")
    assert not [tag for tag in soup.find_all("img") if not str(tag.get("src", "data:")).startswith("data:")]


# --- that it is safe and well made ----------------------------------------------------------------------------


def hostile_cells() -> list[CellOnPage]:
    """A notebook that attacks in names, text, code and outputs."""
    covers = '<p id="points" class="total" style="position:fixed;inset:0">72</p><style>*{display:none}</style>'
    script = "<script>alert(1)</script><img src=x onerror=alert(1)><iframe src='https://example.org'></iframe>"
    outputs = [
        nbformat.v4.new_output("display_data", data={"text/html": covers + script}),
        nbformat.v4.new_output("display_data", data={"image/png": '"><script>alert(1)</script>'}),
        nbformat.v4.new_output("display_data", data={"image/svg+xml": script, "text/plain": script}),
        nbformat.v4.new_output("stream", text=script + "x" * 60_000),
    ]
    marking = {"nbgrader": {"grade_id": HOSTILE, "solution": True}}
    picture = "![x](https://example.org/x.png)"
    cells = [
        nbformat.v4.new_markdown_cell(f"# {HOSTILE}\n\n{covers}{script}\n\n{picture}"),
        nbformat.v4.new_code_cell(f"x = 1  # {HOSTILE}{script}", metadata=marking, outputs=outputs),
    ]
    return notebook_cells(nbformat.v4.new_notebook(cells=cells), [])


def attacked() -> str:
    """A page where every text that students, their code or markers choose attacks it."""
    result = example_result()
    tasks = tuple(
        msgspec.structs.replace(
            task,
            checks=tuple(
                msgspec.structs.replace(check, message=HOSTILE, sentence=HOSTILE, misconception=HOSTILE)
                for check in task.checks
            ),
        )
        for task in result.tasks
    )
    result = msgspec.structs.replace(result, tasks=tasks, notes=(HOSTILE, '"><img src=x onerror=alert(1)>', "\ud800"))
    question = Mark("question_01", 1.0, 0.5, by_hand=True, comment=HOSTILE)
    marks = tiny_marks(result, person=Person(HOSTILE), questions={question.id: question}, remarks={HOSTILE: HOSTILE})
    return render_page(recorded_page(HOSTILE, result, marks, hostile_cells(), {}))


def test_what_students_write_stays_text() -> None:
    page = attacked()
    soup = BeautifulSoup(page, "html.parser")
    assert not soup.find_all(["script", "iframe", "link", "object", "base", "form"])
    assert not [tag for tag in soup.find_all(True) if any(name.startswith("on") for name in tag.attrs)]
    assert not {"\x1b", "\x00", "\ud800"} & set(page)
    assert "<script>alert(1)</script>" in soup.get_text()


def test_nothing_in_it_points_outside() -> None:
    soup = BeautifulSoup(example_page(), "html.parser")
    names = ("href", "src", "srcset", "xlink:href", "action", "data")
    found = [str(tag[name]) for tag in soup.find_all(True) for name in names if tag.has_attr(name)]
    assert found
    assert not [address for address in found if not address.startswith(("#", "data:image/"))]
    policy = soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})
    assert policy is not None
    assert str(policy["content"]).startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert "http" not in example_page().replace("http-equiv", "")


@pytest.mark.parametrize("page", [example_page(), attacked()], ids=["example", "attacked"])
def test_ids_are_used_once_and_every_reference_is_there(page: str) -> None:
    soup = BeautifulSoup(page, "html.parser")
    ids = [tag["id"] for tag in soup.find_all(id=True)]
    assert len(ids) == len(set(ids))
    uses = {str(tag["href"])[1:] for tag in soup.find_all("a") if str(tag["href"]).startswith("#")}
    uses |= {str(tag["aria-labelledby"]) for tag in soup.select("[aria-labelledby]")}
    assert uses <= set(ids)


def test_headings_go_down_one_step_at_a_time() -> None:
    soup = BeautifulSoup(example_page(), "html.parser")
    levels = [int(tag.name[1]) for tag in soup.find_all(["h1", "h2", "h3", "h4"])]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert max(after - before for before, after in itertools.pairwise(levels)) == 1


# --- how it is written ----------------------------------------------------------------------------------------


def put_down(course: TinyCourse, **changes: Any) -> Path:
    """Record a result of ada's and return where her page will be."""
    notebook = json.dumps(course.released_notebook()).encode()
    course.record("ada", course.hand_in("ada", notebook), tiny_result(**changes))
    return course.root / "feedback/ada/tiny/tiny.html"


def test_it_is_the_one_page_and_holds_the_notebook(released_course: TinyCourse) -> None:
    page = put_down(released_course, double=1.25, notes=("A note.",))
    assert write_feedback(released_course.course, released_course.assignment) == [page]
    assert [path.name for path in page.parent.rglob("*.html")] == ["tiny.html"]
    soup = BeautifulSoup(page.read_text(), "html.parser")
    targets = {str(tag["href"]) for tag in soup.find_all("a")}
    assert targets >= {"#cell-double", "#cell-total", "#cell-question_01"}
    for target in targets:
        assert soup.find(id=target[1:])
    assert soup.find("h1").get_text() == "Doubling: your feedback"  # type: ignore[union-attr]
    assert "double is <b>wrong</b>" in words(page.read_text())
    assert "A note." in words(page.read_text())


def test_marks_comments_and_todays_late_penalty_are_in_it(released_course: TinyCourse) -> None:
    course = configured(released_course, HALF_OFF)
    record_late(course)
    with Gradebook(f"sqlite:///{course.root / 'gradebook.db'}") as book:
        grade = book.find_grade("question_01", "tiny", "tiny", "ada")
        grade.manual_score, grade.needs_manual_grade = 1.0, False
        book.find_comment("question_01", "tiny", "tiny", "ada").manual_comment = "Say what it costs."
        book.find_comment("total_answer", "tiny", "tiny", "ada").manual_comment = "Neat."
        book.db.commit()
    write_feedback(course.course, course.assignment)
    said = words((course.root / "feedback/ada/tiny/tiny.html").read_text())
    assert "2.5 of 7 points automatic" in said
    assert "late penalty, 1 d 0 h late −2.5" in said
    assert "1 of 2 points Say what it costs." in said
    assert "Total answer Neat." in said


def test_items_of_the_rubric_are_shown_given_and_missed(released_course: TinyCourse) -> None:
    course = configured(released_course, HALF_OFF)
    record_late(course)
    desk = open_desk(course.course, "tiny")
    rows = [desk.answer_row(paper, named=False) for paper in desk.papers("question_01").values()]
    seen = {row.id: Seen(row.digest, row.points, row.comment) for row in rows}
    marker = Marker(desk, desk.question("question_01"), "Kim")
    marker.mark(MarkRequest("question_01", seen, GivenMark(("factor",), "What does it cost?"), "group"))
    marker.note(NoteRequest("question_01", tuple(seen), "A private note."))
    write_feedback(course.course, course.assignment)
    said = words((course.root / "feedback/ada/tiny/tiny.html").read_text())
    assert "Given, 1 point: The factor is named." in said
    assert "Missed, 1 point: Its cost is named." in said
    assert "What does it cost?" in said
    assert "private" not in said and "Kim" not in said


def test_a_question_that_nobody_marked_waits(released_course: TinyCourse) -> None:
    record_late(released_course)
    write_feedback(released_course.course, released_course.assignment)
    said = words((released_course.root / "feedback/ada/tiny/tiny.html").read_text())
    assert "4 of 7 points so far" in said
    assert "1 of 1 waits for a person" in said


def test_after_grading_failed_the_page_says_that_its_points_are_for_an_earlier_hand_in(
    released_course: TinyCourse,
) -> None:
    page = put_down(released_course, double=1.25)
    released_course.record_ungraded("ada", "No memory.")
    write_feedback(released_course.course, released_course.assignment)
    said = words(page.read_text())
    assert EARLIER in said
    assert "3.25 of 7 points" in said


def test_a_page_that_fails_leaves_the_old_one(released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch) -> None:
    page = put_down(released_course, double=1.25)
    write_feedback(released_course.course, released_course.assignment)
    before = page.read_bytes()
    put_down(released_course)

    def fail(*args: object) -> str:
        raise ValueError("no page today")

    with monkeypatch.context() as patch:
        patch.setattr(feedback, "render_page", fail)
        with pytest.raises(RecordingError, match="no page today"):
            write_feedback(released_course.course, released_course.assignment)
    assert page.read_bytes() == before
    write_feedback(released_course.course, released_course.assignment)
    assert page.read_bytes() != before


def test_nbgraders_own_command_and_formgraders_button_write_it_too(released_course: TinyCourse) -> None:
    page = put_down(released_course, double=1.25)
    write_feedback(released_course.course, released_course.assignment)
    ours = page.read_bytes()
    page.unlink()
    coursedir = course_directory(released_course.course, "tiny", student_id="ada")
    run_step(make_step(GenerateFeedback, released_course.course, coursedir))
    assert page.read_bytes() == ours


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # nbgrader's
def test_the_exchange_hands_out_the_whole_page(released_course: TinyCourse, tmp_path: Path) -> None:
    course, secret = released_course, "0a" * 64
    folder = course.hand_in("ada", json.dumps(course.released_notebook()).encode())
    for name, text in (("timestamp.txt", "2030-01-02 00:00:00 UTC"), ("submission_secret.txt", secret)):
        (folder / name).write_text(text)
    course.record("ada", folder, tiny_result(double=1.25))
    write_feedback(course.course, course.assignment)
    (tmp_path / "exchange").mkdir(mode=0o777)
    (tmp_path / "exchange").chmod(0o777)
    shutil.copytree(folder, tmp_path / "cache" / "x" / "ada+tiny+2030")
    paths = {"root": str(tmp_path / "exchange"), "cache": str(tmp_path / "cache"), "assignment_dir": str(tmp_path)}
    coursedir = course_directory(course.course, "tiny", student_id="ada", course_id="x")
    for kind in (ExchangeReleaseFeedback, ExchangeFetchFeedback):
        kind(coursedir=coursedir, authenticator=Authenticator(), log=logging.Logger("quiet", 99), **paths).start()
    released = {path.name for path in (tmp_path / "exchange/x/feedback").iterdir()}
    assert released == {f"{notebook_hash(secret=secret, notebook_id='tiny')}.html"}
    fetched = list((tmp_path / "tiny/feedback").rglob("*.html"))
    assert [path.name for path in fetched] == ["tiny.html"]
    assert fetched[0].read_bytes() == (course.root / "feedback/ada/tiny/tiny.html").read_bytes()
    assert "1.25 of 3 points" in words(fetched[0].read_text())


def test_a_cell_of_the_students_cannot_pose_as_the_result(released_course: TinyCourse) -> None:
    course = released_course
    forged = json.dumps(msgspec.to_builtins(tiny_result(notes=("I am the best.",))))
    cell = {"cell_type": "code", "id": SUMMARY, "metadata": {RESULT: forged}, "source": "", "outputs": []}
    notebook = course.released_notebook()
    notebook["cells"].insert(0, cell | {"execution_count": None})
    folder = course.hand_in("ada", json.dumps(notebook).encode())
    course.record("ada", folder, tiny_result(double=1.25))
    write_feedback(course.course, course.assignment)
    said = words((course.root / "feedback/ada/tiny/tiny.html").read_text())
    assert "1.25 of 3 points" in said
    assert "I am the best." not in said


def test_a_notebook_that_an_older_version_graded_has_a_page(released_course: TinyCourse) -> None:
    page = put_down(released_course, double=1.25)
    graded = released_course.root / "autograded/ada/tiny/tiny.ipynb"
    notebook = json.loads(graded.read_text())
    assert notebook["cells"][0]["metadata"].pop(RESULT)
    graded.chmod(0o644)
    graded.write_text(json.dumps(notebook))
    write_feedback(released_course.course, released_course.assignment)
    assert "Only the points are known here" in words(page.read_text())
    assert "1.25 of 3 points" in words(page.read_text())


def test_a_recorded_result_does_not_depend_on_the_time_it_took(released_course: TinyCourse) -> None:
    graded = released_course.root / "autograded/ada/tiny/tiny.ipynb"
    found = []
    for seconds in (0.1, 7.0):
        result = tiny_result(double=1.25)
        checks = tuple(msgspec.structs.replace(check, duration=seconds) for check in result.tasks[0].checks)
        folder = released_course.hand_in("ada", None)
        released_course.record("ada", folder, one_task(result, checks=checks))
        found.append(graded.read_bytes())
    assert found[0] == found[1]


def test_check_writes_a_page(
    released_course: TinyCourse, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    course = released_course

    class Known:
        """Stands in for a grader."""

        def grade_snapshot(self, snapshot: object) -> SubmissionResult:
            """Return a known result."""
            return tiny_result(double=1.25)

        def close(self) -> None:
            """Do nothing."""

    monkeypatch.setattr(store, "grader_for", lambda *_: Known())
    file = course.root / "page.html"
    line = ["check", str(course.hand_in("ada", None)), "--course", str(course.root), "--assignment", "tiny"]
    assert cli.main([*line, "--html", str(file)]) == 0
    assert "3.25 of 5 points in the automatic tasks" in words(file.read_text())
    assert "3.25 of 5 points" in capsys.readouterr().out


# --- in a browser ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A page with all that a page can show."""
    path = tmp_path_factory.mktemp("page") / "vit.html"
    path.write_text(example_page())
    return path


def opened(browser: Browser, file: Path, scheme: str = "light", width: int = 1280) -> Page:
    """Open the page with everything unfolded."""
    page = opened_file(browser, file, scheme, width)
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")
    return page


@IN_BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser: Browser, file: Path, scheme: str, width: int) -> None:
    page = opened(browser, file, scheme, width)
    find_no_fault(page, width, least_passes=25)


@IN_BROWSER
@pytest.mark.slow
def test_axe_would_find_a_fault(browser: Browser, file: Path) -> None:
    page = opened(browser, file)
    page.evaluate("document.querySelector('main').style.color = '#bbb'")
    page.evaluate("document.querySelector('svg[role]').removeAttribute('aria-label')")
    assert serious_faults(page) >= {"color-contrast", "svg-img-alt"}


CONTRASTS = """() => {
  const light = text => { const [r, g, b] = text.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const mixed = (over, under, share) => { const [a, b] = [over, under].map(one => one.match(/[\\d.]+/g).map(Number));
    return `rgb(${[0, 1, 2].map(n => share * a[n] + (1 - share) * b[n])})`; };
  return [...document.querySelectorAll('svg .heat')].map(square => {
    const style = getComputedStyle(square), under = getComputedStyle(square.previousElementSibling).fill;
    const ground = light(mixed(style.fill, under, Number(style.fillOpacity)));
    const ink = light(getComputedStyle(square.nextElementSibling).fill);
    return (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
  });
}"""


@IN_BROWSER
@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_in_the_heatmap_can_be_read_on_every_shade(browser: Browser, file: Path, scheme: str) -> None:
    """Axe does not look at text in drawings."""
    page = opened(browser, file, scheme)
    page.evaluate(
        "document.querySelectorAll('svg .heat').forEach((one, n) => one.setAttribute('fill-opacity', n / 69))"
    )
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) == 70
    assert min(contrasts) >= 4.5


@IN_BROWSER
@pytest.mark.slow
def test_the_browser_asks_for_nothing_else_and_refuses_nothing(browser: Browser, file: Path) -> None:
    asked, said = heard(browser, file)
    assert asked == [file.as_uri()]
    assert said == []


@IN_BROWSER
@pytest.mark.slow
def test_a_hostile_page_runs_nothing(browser: Browser, tmp_path: Path) -> None:
    (tmp_path / "vit.html").write_text(attacked())
    page = opened_without_alerts(browser, tmp_path / "vit.html")
    assert page.locator("article").count() == 13


@IN_BROWSER
@pytest.mark.slow
def test_print_is_dark_on_light_and_unfolds_no_tables(browser: Browser, file: Path) -> None:
    page = opened(browser, file, "dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("details").first.is_visible()
    assert page.locator("svg[role=img]").first.is_visible()
    assert page.pdf().startswith(b"%PDF")
