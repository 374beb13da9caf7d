"""Count what marking a made class takes, with groups and one by one: `python -m benchmarks.marking_actions`.

The threshold was fixed on five questions of one class: the strictest, in steps of 0.05, at which they take at most a
third of the actions. It is reported on the other nine questions of another class, which was written by somebody who
had not seen the grouping.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from autograder.marking.groups import THRESHOLD
from tests.marking.class_in_words import answers_in_words
from tests.marking.made_answers import SENTENCES, MadeAnswer, made_answers
from tests.marking.scripted_marker import Count, count_actions

FIXED_ON = ("question_01", "question_03", "question_07", "question_10", "question_12")
OTHERS = tuple(question for question in SENTENCES if question not in FIXED_ON)
HEAD = "| | actions | groups | moved out |\n|---|---|---|---|"
THRESHOLDS = tuple(number / 20 for number in range(4, 21))


def counts(made: Sequence[MadeAnswer], questions: Sequence[str], threshold: float) -> list[Count]:
    """Return what some questions take at a threshold.

    Raises:
        RuntimeError: If an answer got a wrong mark.
    """
    found = []
    for question in questions:
        answers = [answer for answer in made if answer.question == question]
        count = count_actions(question, answers, threshold)
        if any(count.marks[answer.student] != answer.given for answer in answers):
            raise RuntimeError(f"{question}: an answer got a wrong mark.")
        found.append(count)
    return found


def line(name: str, found: Sequence[Count], students: int) -> str:
    """Return a row of a table in Markdown."""
    size = len(found)
    share = sum(count.actions for count in found) / sum(count.one_by_one for count in found)
    groups = sum(count.groups for count in found) / size
    moved = sum(count.moved for count in found) / size / students
    return f"| {name} | {share:.1%} | {groups:.0f} | {moved:.0%} |"


def main() -> int:
    """Print the curves, and the questions one by one at the threshold."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.marking_actions", description=__doc__)
    parser.add_argument("--students", type=int, default=200)
    options = parser.parse_args()
    first, second = made_answers(options.students), answers_in_words(options.students)
    curves = {
        "The five questions of the first class, on which the threshold was fixed": (first, FIXED_ON),
        "The other nine questions of the second class": (second, OTHERS),
    }
    for title, (made, questions) in curves.items():
        rows = [line(f"{alike:.2f}", counts(made, questions, alike), options.students) for alike in THRESHOLDS]
        sys.stdout.write("\n".join((title, "", HEAD, *rows, "", "")))
    rows = [line(name, counts(second, [name], THRESHOLD), options.students) for name in SENTENCES]
    sys.stdout.write("\n".join((f"Each question of the second class at {THRESHOLD:.2f}", "", HEAD, *rows, "")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
