"""Marking a made class with groups takes at most 40 % of the actions of marking one by one, at no wrong mark."""

from __future__ import annotations

from autograder.marking.groups import THRESHOLD
from benchmarks.marking_actions import FIXED_ON, OTHERS, counts
from tests.marking.made_answers import EMPTY, SENTENCES, made_answers

MOST = 0.4


def test_groups_save_three_actions_of_five() -> None:
    made = made_answers(200)
    for questions in (FIXED_ON, OTHERS):
        found = counts(made, questions, THRESHOLD)  # raises where a mark is wrong
        assert sum(count.actions for count in found) <= MOST * sum(count.one_by_one for count in found)
    looser = counts(made, FIXED_ON, THRESHOLD + 0.05)
    assert sum(count.actions for count in looser) > MOST * sum(count.one_by_one for count in looser)


def test_the_made_class_is_the_same_at_every_call_and_has_all_kinds() -> None:
    made = made_answers(200)
    assert made == made_answers(200)
    assert set(FIXED_ON) | set(OTHERS) == set(SENTENCES) and not set(FIXED_ON) & set(OTHERS)
    for question, items in SENTENCES.items():
        answers = [answer for answer in made if answer.question == question]
        earned = [len(answer.given) for answer in answers]
        assert 0.1 < earned.count(0) / 200 < 0.3 and 0.2 < earned.count(len(items)) / 200 < 0.6
        texts = [answer.text for answer in answers]
        assert any(text in EMPTY for text in texts) and len(set(texts)) < len(texts)
