"""The questions that people mark: each has a model answer and a rubric whose items leave two markers no choice."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autograder.course.cells import grade_id_of, load_cells, text_of
from autograder.course.rubrics import METADATA, rubric_of

ROOT = Path(__file__).parents[2]
SOURCE = (ROOT / "source/vit/vit.ipynb").read_bytes()
RELEASE = (ROOT / "release/vit/vit.ipynb").read_bytes()
RUBRICS = {grade_id_of(cell): rubric_of(cell) for cell in load_cells(SOURCE) if rubric_of(cell)}
QUESTIONS = {f"question_{number:02}": 2.0 for number in range(1, 15)}
MARKED: dict[str, list[dict[str, Any]]] = tomllib.loads((Path(__file__).parent / "marked_answers.toml").read_text())
ANSWERS = MARKED["answer"]
EARNED = {"full": 2.0, "half": 1.0, "none": 0.0}


def test_each_question_has_a_model_answer_and_a_rubric_of_its_points() -> None:
    texts = {grade_id_of(cell): text_of(cell) for cell in load_cells(SOURCE)}
    assert {name: sum(item.points for item in items) for name, items in RUBRICS.items()} == QUESTIONS
    for number, name in enumerate(QUESTIONS, start=1):
        assert f"**Question {number}** (2 points)" in texts[f"{name}_text"]
        assert len(texts[name].split()) > 60


def test_an_item_is_worth_half_a_point_or_one() -> None:
    items = [item for rubric in RUBRICS.values() for item in rubric]
    assert {item.points for item in items} == {0.5, 1.0}
    assert all(len(item.text.split()) > 3 for item in items)


def test_the_release_has_no_rubric() -> None:
    assert not any(METADATA in cell["metadata"] for cell in load_cells(RELEASE))
    released = json.loads(RELEASE)
    for rubric in RUBRICS.values():
        assert not [item for item in rubric if item.text in json.dumps(released, ensure_ascii=False)]


def test_each_question_has_a_made_answer_for_all_half_and_no_points() -> None:
    made = sorted((answer["question"], answer["earns"]) for answer in ANSWERS)
    assert made == sorted((question, earns) for question in QUESTIONS for earns in EARNED)


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: f"{answer['question']}-{answer['earns']}")
def test_a_rubric_gives_a_made_answer_its_points(answer: dict[str, Any]) -> None:
    items = {item.id: item.points for item in RUBRICS[answer["question"]]}
    assert answer["points"] == EARNED[answer["earns"]]
    assert sum(items[name] for name in answer["items"]) == answer["points"]
    assert len(answer["text"].split()) >= 10


def test_a_boundary_has_sentences_on_both_sides_of_one_item() -> None:
    drawn = [(boundary["question"], boundary["item"]) for boundary in MARKED["boundary"]]
    assert len(set(drawn)) == len(drawn)
    for boundary in MARKED["boundary"]:
        (item,) = (item for item in RUBRICS[boundary["question"]] if item.id == boundary["item"])
        assert "nothing" in item.text or "by the same measure" in item.text
        assert boundary["earned"]
        assert boundary["missed"]
