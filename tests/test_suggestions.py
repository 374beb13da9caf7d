"""Wrong words are answered with the nearest right one."""

from __future__ import annotations

import pytest

from autograder.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "answer"),
    [
        ("grad", ["release", "grade"], "Did you mean grade?"),
        ("Attention", ["mlp", "attention"], "Did you mean attention?"),
        ("student-11", ["student-1", "Student-12", "else"], "Did you mean student-1?"),
        ("xyz", ["b", "a"], "There are b, a."),
        ("xyz", ["vit"], "There is only vit."),
        ("xyz", [], ""),
        ("xyz", [f"name{n}" for n in range(23)], " and 3 more."),
    ],
)
def test_the_nearest_word_or_all_of_them(word: str, known: list[str], answer: str) -> None:
    assert did_you_mean(word, known).endswith(answer)
