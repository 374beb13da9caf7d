"""Groups: what is together, what is apart, and where moved answers are."""

from __future__ import annotations

from collections import Counter

import pytest

from autograder.marking.groups import THRESHOLD, Group, Text, distances, grouped, labels_at
from autograder.marking.likeness import likeness, normalised
from tests.marking.made_answers import EMPTY, made_answers

PARALLEL = "Attention processes all tokens in parallel, while the RNN has to do N steps one after the other."
SERIAL = "Attention does not process all tokens in parallel, while the RNN has to do N steps one after the other."


def texts_of(*answers: str) -> list[Text]:
    return [Text(str(number), f"digest {answer}", answer) for number, answer in enumerate(answers)]


def groups_of(texts: list[Text], threshold: float = THRESHOLD, moved: dict[str, str] | None = None) -> list[Group]:
    return grouped(texts, labels_at(distances(texts), threshold), moved or {})


@pytest.mark.parametrize(
    "one, other",
    [
        ("(a) The cost is $O(N^2)$.", "the  cost is O(N^2)"),
        ("- It doesn't vanish.\n- Kernels", "It does not vanish. kernel"),
        ("**Bold** and `code`", "bold and code"),
        ("we cannot know", "We can't know!"),
    ],
)
def test_what_does_not_matter_is_left_out(one: str, other: str) -> None:
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize("one, other", [("N^2 d", "N d^2"), ("it vanishes", "it does not vanish"), ("a < b", "a > b")])
def test_what_matters_stays(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


def test_a_negated_answer_is_less_alike_than_a_misspelt_one() -> None:
    misspelt = PARALLEL.replace("processes", "proceses")
    alike = likeness([normalised(text) for text in (PARALLEL, misspelt, SERIAL, "Kernels are local.")])
    assert alike[0, 1] > 0.85 > alike[0, 2] > alike[0, 3]
    assert alike == pytest.approx(alike.T)


def test_empty_answers_are_one_group_and_come_first() -> None:
    picture = "![](attachment:sketch.png)"
    texts = texts_of(*EMPTY, PARALLEL, PARALLEL.upper(), picture)
    first, second, third = groups_of(texts)
    assert (first.kind, len(first.members)) == ("empty", len(EMPTY))
    assert len(second.members) == 2
    assert third.members == (str(len(EMPTY) + 2),)


def test_at_threshold_1_identical_answers_are_together_and_no_others() -> None:
    texts = texts_of(PARALLEL, f"(a) {PARALLEL}", SERIAL)
    assert [len(group.members) for group in groups_of(texts, 1.0)] == [2, 1]


def test_any_two_answers_of_a_group_are_as_alike_as_the_threshold_says() -> None:
    made = [answer.text for answer in made_answers(40) if answer.question == "question_04"]
    texts = texts_of(*made)
    compared = distances(texts)
    places = {text: number for number, text in enumerate(compared.texts)}
    for group in groups_of(texts):
        rows = [places[normalised(texts[int(member)].text)] for member in group.members if group.kind == "alike"]
        assert all(compared.alike[row, other] >= THRESHOLD - 1e-6 for row in rows for other in rows)
    counted = Counter(member for group in groups_of(texts) for member in group.members)
    assert counted == Counter(text.id for text in texts)


def test_moved_answers_are_where_they_were_put_at_every_threshold() -> None:
    texts = texts_of(PARALLEL, PARALLEL, SERIAL, "Kernels are local.", "Kernels are local, heads are not.")
    for threshold in (0.2, THRESHOLD, 1.0):
        moved = {"0": texts[3].digest, "2": texts[2].digest}
        members = {frozenset(group.members) for group in groups_of(texts, threshold, moved)}
        assert any({"0", "3"} <= group for group in members)
        assert frozenset("2") in members
    assert len(groups_of(texts, 1.0, {"0": "no such digest"})) == 4


def test_a_group_is_found_again_by_its_key_when_another_member_leaves() -> None:
    texts = texts_of(PARALLEL, f"{PARALLEL} Indeed.", f"{PARALLEL} Yes.")
    (group,) = groups_of(texts)
    moved = {"0": texts[0].digest}
    assert {len(group.members) for group in groups_of(texts, THRESHOLD, moved)} == {1, 2}
    back = {"0": texts[0].digest, "1": texts[0].digest}
    assert sorted(sorted(group.members) for group in groups_of(texts, THRESHOLD, back)) == [["0", "1"], ["2"]]
    assert group.key in {text.digest for text in texts}


def test_a_class_without_answers_has_no_groups_and_one_answer_has_one() -> None:
    assert groups_of([]) == []
    assert len(groups_of(texts_of("One."))) == 1
    assert len(groups_of(texts_of("…!", "?!"))) == 1
