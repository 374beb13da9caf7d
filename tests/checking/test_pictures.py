"""Pictures that checks attach: small, finite, never a hidden input, whatever a submission answers, and drawn as SVG."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import msgspec
import numpy as np
import pytest

from autograder.checking.pictures import (
    GREATEST,
    MOST_CELLS,
    MOST_EPOCHS,
    attention_picture,
    curve_picture,
    patch_picture,
)
from autograder.checking.remote import MOST_PICTURES, Student
from autograder.course.assignment import Task
from autograder.course.submission import Snapshot
from autograder.feedback.drawings import draw
from autograder.feedback.svg import Figure
from autograder.grading.grader import Grader
from autograder.results import (
    AttentionPicture,
    CheckResult,
    CurvePicture,
    PatchPicture,
    Picture,
    from_json,
    to_json,
)
from tests.feedback_example import HISTORY, attention, example_result, patches, softmax
from tests.hidden_checks import run_checks
from tests.tiny import TinyCourse, tiny_result

SCORES = np.random.default_rng(0).normal(size=(2, 5, 7))
RIGHT = softmax(SCORES, -1)
PATCHES = np.random.default_rng(0).normal(size=(2, 9, 48)).astype(np.float32)
NOTHING: list[Any] = [
    None, "x", 3.0, (), [[1.0]], {"a": 1}, np.array(["a"]), np.array([[True]]), np.zeros(3), np.zeros((0, 7)),
    np.array([[1j]]), np.zeros((2, 5, 7)), np.zeros((2, 9, 48)),
]  # fmt: skip


def names_of_dicts(value: Any) -> set[str]:
    """All keys of a table within tables."""
    if isinstance(value, dict):
        return set(value) | {name for item in value.values() for name in names_of_dicts(item)}
    return {name for item in value for name in names_of_dicts(item)} if isinstance(value, list) else set()


# --- what is kept ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("got", NOTHING, ids=repr)
def test_what_cannot_be_drawn_gives_nothing(got: Any) -> None:
    assert attention_picture(got, RIGHT) is None
    assert patch_picture(got, PATCHES, 3) is None
    assert curve_picture(got, ("loss",)) is None


def test_the_worst_of_the_batch_is_shown() -> None:
    got = RIGHT.copy()
    got[0, 0, 0] += 0.1
    got[1, 2, 3] += 0.5
    picture = attention_picture(got, RIGHT)
    assert picture is not None
    assert picture.right == tuple(tuple(round(float(weight), 4) for weight in row) for row in RIGHT[1])
    assert picture.got[2][3] == pytest.approx(RIGHT[1, 2, 3] + 0.5, abs=1e-4)


def test_right_answers_have_no_picture() -> None:
    assert attention_picture(RIGHT + 1e-5, RIGHT) is None
    assert patch_picture(PATCHES.astype(np.float64), PATCHES, 3) is None


def test_numbers_are_finite_and_bounded() -> None:
    got = RIGHT.copy()
    got[0, 0, :4] = (np.nan, np.inf, -np.inf, 1e30)
    picture = attention_picture(got, RIGHT)
    assert picture is not None
    assert picture.got[0][:4] == (None, None, None, GREATEST)


@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (4, 2, 5, 7), (200, 300)])
def test_pictures_of_other_shapes_are_bounded(shape: tuple[int, ...]) -> None:
    picture = attention_picture(np.full(shape, 2.0), RIGHT)
    assert picture is not None
    assert len(picture.got) == min(shape[-2], MOST_CELLS)
    assert {len(row) for row in picture.got} == {min(shape[-1], MOST_CELLS)}


def test_patches_say_whose_pixels_they_hold() -> None:
    assert patches() == PatchPicture(
        columns=3,
        wrong=(False, True, True, True, True, True, True, True, True),
        origins=(0, 3, 6, 1, 4, 7, 2, 5, None),
    )


def test_the_first_wrong_image_is_shown() -> None:
    got = PATCHES.copy()
    got[1, 0], got[1, 1] = PATCHES[1, 1], PATCHES[1, 0]
    picture = patch_picture(got, PATCHES, 3)
    assert picture is not None
    assert picture.origins[:3] == (1, 0, 2)


def test_only_known_curves_are_kept_and_not_too_much_of_them() -> None:
    history = {"loss": (1.0, float("nan"), "x", *[0.5] * 500), "<script>": (1.0,), "accuracy": 3, "val_loss": ("y",)}
    picture = curve_picture(history, tuple(HISTORY))
    assert picture is not None
    assert list(picture.curves) == ["loss"]
    assert picture.curves["loss"][:3] == (1.0, None, None)
    assert len(picture.curves["loss"]) == MOST_EPOCHS


def test_pictures_survive_json_and_results_without_them_are_read() -> None:
    result = example_result()
    assert from_json(to_json(result)) == result
    table = msgspec.json.decode(to_json(tiny_result()))
    for task in table["tasks"]:
        for check in task["checks"]:
            del check["pictures"]
    assert from_json(msgspec.json.encode(table)) == tiny_result()
    assert table["schema"] == 1


# --- how checks attach them -----------------------------------------------------------------------------------


def made_student() -> Student:
    return Student(lambda question, seconds: None, lambda variables: None, 1.0)


def test_a_student_hands_out_what_was_shown_once() -> None:
    student, picture = made_student(), attention()
    student.show(None)
    for _ in range(MOST_PICTURES + 3):
        student.show(picture)
    assert student.take_pictures() == (picture,) * MOST_PICTURES
    assert student.take_pictures() == ()


IMPORT = "from autograder.checking.pictures import attention_picture\n"
SHOWING = """
import numpy as np
import pytest

from autograder.checking.comparisons import fail
from autograder.checking.pictures import attention_picture


@pytest.mark.check("It shows.")
def test_shows(student, rng):
    student.show(attention_picture(np.ones((2, 2)), np.eye(2)))
    fail("Wrong.")


@pytest.mark.check("It shows nothing.")
def test_shows_nothing(student):
    pass
"""


def test_a_check_keeps_its_picture(tmp_path: Path) -> None:
    checks = tmp_path / "showing" / "test_showing.py"
    checks.parent.mkdir()
    checks.write_text(SHOWING)
    task = Task(id="showing", title="showing", points=3.0, provides=(), answers=(), builds_on=(), checks=checks)
    first, second = run_checks(task, made_student(), b"seed")
    assert first.pictures == (AttentionPicture(got=((1.0, 1.0), (1.0, 1.0)), right=((1.0, 0.0), (0.0, 1.0))),)
    assert first.message == "Wrong."
    assert second.pictures == ()


@pytest.mark.slow
def test_real_grading_attaches_what_the_submission_answered(tiny_course: TinyCourse) -> None:
    task = tiny_course.assignment.task("double")
    text = task.checks.read_text().replace(
        '    require(close(doubled, numbers + numbers), "Some',
        "    student.show(attention_picture(doubled, numbers + numbers))\n"
        '    require(close(doubled, numbers + numbers), "Some',
    )
    task.checks.write_text(text.replace("import pytest\n", f"import pytest\n{IMPORT}", 1))
    module = b"def double(x): return 3 * x\n"
    with Grader(tiny_course.course, tiny_course.assignment, threads=1) as grader:
        result = grader.grade(Snapshot({"utilities.py": module}, "tiny.ipynb"))
    assert not result.has_error
    (picture,) = result.tasks[0].checks[0].pictures
    assert isinstance(picture, AttentionPicture)
    assert np.allclose(np.array(picture.got, float) / 3, np.array(picture.right, float) / 2, atol=1e-3)
    assert result.tasks[0].checks[1].pictures == ()


# --- how they are drawn ---------------------------------------------------------------------------------------

ODD: list[Picture] = [
    AttentionPicture(got=(), right=()),
    AttentionPicture(got=((None, -3.0), (1e6, 0.5)), right=((0.5, 0.5),)),
    PatchPicture(columns=0, wrong=(True,), origins=(None,)),
    PatchPicture(columns=4, wrong=(), origins=()),
    CurvePicture(curves={}),
    CurvePicture(curves={"loss": (None, None)}),
    CurvePicture(curves={"loss": (1e6,), "val_loss": (-1e6, 0.0), "<b>": (1.0,)}),
    CurvePicture(curves={"accuracy": (0.0, 0.0)}),
    CurvePicture(curves={"loss": tuple(float(n) for n in range(100)), "val_loss": (None, 2.0, None, 1.0)}),
]


@pytest.mark.parametrize("picture", ODD, ids=repr)
def test_odd_pictures_are_drawn(picture: Picture) -> None:
    shown = draw(picture)
    for _, svg in shown.drawings:
        element = ET.fromstring(svg)  # noqa: S314 - our own
        assert element.get("role") == "img"
        assert element.get("aria-label")
        values = [text for node in element.iter() for text in (node.text or "", *node.attrib.values())]
        assert not [text for text in values if re.search(r"\b(nan|inf)\b|e\+", text)]
    assert "<b>" not in str(shown)


def words(shown: Figure) -> str:
    return " ".join(shown.words)


def drawn(picture: Picture | None) -> Figure:
    assert picture is not None
    return draw(picture)


def test_attention_is_told_in_words_and_numbers() -> None:
    shown = drawn(attention())
    assert "By the definition each row sums to 1. In yours each column does." in words(shown)
    assert re.search(r"They differ most at query \d and key \d: 0\.\d\d instead of 0\.\d\d\.", words(shown))
    assert [caption for caption, _ in shown.drawings] == ["Yours", "By the definition"]
    table = shown.tables[0]
    assert table.head == ("", *(f"key {number}" for number in range(1, 8)))
    assert [row[0] for row in table.rows] == [f"query {number}" for number in range(1, 6)]
    assert all(number in shown.drawings[0][1] for row in table.rows for number in row[1:])


@pytest.mark.parametrize(
    ("got", "said"),
    [
        (RIGHT * np.arange(1, 6)[:, None], "Yours sum to between 1.00 and 5.00."),
        (softmax(3 * SCORES, -1), "So does each of yours, with other values."),
        (2 * RIGHT, "Yours sum to 2.00."),
        (np.where(RIGHT > 0.3, np.nan, RIGHT), "Some of yours are not finite numbers."),
        (RIGHT[:, :, :3], "Yours have 5 rows and 3 columns, the right ones 5 and 7."),
    ],
)
def test_sums_and_shapes_are_told(got: Any, said: str) -> None:
    assert said in words(drawn(attention_picture(got, RIGHT)))


def test_patches_are_told_by_sign_and_in_words() -> None:
    shown = drawn(patches())
    assert "8 of your 9 are wrong." in words(shown)
    assert words(shown).count("means:") == 3
    assert [row[1] for row in shown.tables[0].rows][3:6] == [
        "the pixels of patch 2",
        "its own pixels, in another order",
        "the pixels of patch 8",
    ]
    yours = re.findall(r"<text[^>]*>([^<]*)</text>", shown.drawings[0][1])
    assert yours == ["1", "4✗", "7✗", "2✗", "5↻", "8✗", "3✗", "6✗", "?"]
    assert shown.drawings[0][1].count('class="wrong"') == 8
    assert 'class="wrong"' not in shown.drawings[1][1]


def test_curves_are_told_apart_by_shape_and_in_words() -> None:
    shown = drawn(curve_picture(HISTORY, tuple(HISTORY)))
    assert shown.words == (
        "Loss by epoch: in training from 2.31 to 0.58, in validation from 2.11 to 0.99.",
        "Accuracy by epoch: in training from 0.12 to 0.84, in validation from 0.19 to 0.68.",
    )
    for _, svg in shown.drawings:
        assert (svg.count("<circle"), svg.count('<rect class="dot')) == (6, 6)
    assert shown.tables[0].rows[0] == ("1", "2.31", "2.11", "0.12", "0.19")
    assert shown.has_legend


def test_a_gap_in_a_curve_stays_a_gap() -> None:
    (_, svg) = draw(CurvePicture(curves={"loss": (3.0, 2.0, None, 1.0, 0.5)})).drawings[0]
    (path,) = re.findall(r'class="curve first" d="([^"]*)"', svg)
    assert re.sub(r"[^ML]", "", path) == "MLML"


def test_a_picture_holds_no_more_than_it_says() -> None:
    """Keys in JSON: nothing of an input, such as q, k, or pixels, has a place there."""
    checks = [check for task in example_result().tasks for check in task.checks]
    kinds = {type(picture) for check in checks for picture in check.pictures}
    assert kinds == {AttentionPicture, PatchPicture, CurvePicture}
    keys = {name for check in checks for name in names_of_dicts(msgspec.to_builtins(list(check.pictures)))}
    assert keys == {"type", "got", "right", "columns", "wrong", "origins", "curves", *HISTORY}
    assert CheckResult(id="x", outcome="passed", weight=1.0).pictures == ()
