"""What nobody wrote on purpose: mutated frames; `python -m tests.fuzz` tries more of them."""

from __future__ import annotations

from autograder import wire
from tests.frames import MESSAGES, feed, fuzz_frames


def test_every_message_is_taken_as_it_is() -> None:
    assert {feed(wire.encode_frame(message)) for message in MESSAGES} == {"valid"}


def test_mutated_frames_are_values_or_the_one_error() -> None:
    outcomes = fuzz_frames(20_000, seed=20)
    assert set(outcomes) == {"valid", "refused", "too large", "ended early"}
