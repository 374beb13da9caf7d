"""The records of a result."""

from __future__ import annotations

import pytest

from autograder.results import CheckId


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("mlp::output", CheckId("mlp", "output")),
        ("mlp::output[two layers]", CheckId("mlp", "output", "two layers")),
        ("mlp::output[a::b[0]]", CheckId("mlp", "output", "a::b[0]")),
        ("mlp::output[]", CheckId("mlp", "output[]")),
        ("mlp::output[open", CheckId("mlp", "output[open")),
        ("output", CheckId("", "output")),
    ],
)
def test_a_check_id_is_taken_apart_and_put_together(text: str, parsed: CheckId) -> None:
    assert CheckId.parse(text) == parsed
    assert str(parsed) == text


def test_one_check_has_several_cases() -> None:
    assert str(CheckId("mlp", "output", "two layers").without_case) == "mlp::output"
