"""What nobody wrote on purpose: mutated frames and submissions; `python -m tests.fuzz` tries more of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from autograder import wire
from tests.frames import MESSAGES, feed, fuzz_frames
from tests.mutants import fuzz_submissions


def test_every_message_is_taken_as_it_is() -> None:
    assert {feed(wire.encode_frame(message)) for message in MESSAGES} == {"valid"}


def test_mutated_frames_are_values_or_the_one_error() -> None:
    outcomes = fuzz_frames(20_000, seed=20)
    assert set(outcomes) == {"valid", "refused", "too large", "ended early"}


@pytest.mark.slow
def test_mutated_submissions_end_in_a_mark_or_a_reason(tmp_path: Path) -> None:
    outcomes = fuzz_submissions(tmp_path / "course", 60, 20, lambda outcomes: None)
    assert outcomes.total() == 60
    assert {"full marks", "some marks", "0"} <= set(outcomes)
