"""Marking a made class with groups takes at most 40 % of the actions of marking one by one, at no wrong mark."""

from __future__ import annotations

from collections.abc import Sequence

from autograder.marking.groups import THRESHOLD
from benchmarks.marking_actions import FIXED_ON, OTHERS, counts
from tests.marking.class_in_words import answers_in_words
from tests.marking.made_answers import EMPTY, SENTENCES, MadeAnswer, made_answers

MOST = 0.4


def share(made: list[MadeAnswer], questions: Sequence[str], threshold: float = THRESHOLD) -> float:
    """Return the actions that questions take, of those one by one."""
    found = counts(made, questions, threshold)  # raises where a mark is wrong
    return sum(count.actions for count in found) / sum(count.one_by_one for count in found)


def test_groups_save_three_actions_of_five_on_questions_that_nothing_was_tuned_on() -> None:
    assert share(answers_in_words(200), OTHERS) <= MOST


def test_the_threshold_is_the_strictest_that_takes_a_third_on_five_questions() -> None:
    made = made_answers(200)
    assert share(made, FIXED_ON) <= 1 / 3 < share(made, FIXED_ON, THRESHOLD + 0.05)


def test_the_second_class_is_the_same_at_every_call_and_has_all_kinds() -> None:
    made = answers_in_words(200)
    assert made == answers_in_words(200)
    for question, items in SENTENCES.items():
        answers = [answer for answer in made if answer.question == question]
        earned = [answer.given for answer in answers]
        assert frozenset().union(*earned) == set(items)
        assert 0.1 < earned.count(frozenset()) / 200 < 0.5 and 0.1 < earned.count(frozenset(items)) / 200 < 0.6
        assert any(not answer.text.strip() for answer in answers)
        assert 100 < len({answer.text for answer in answers}) < 200


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
