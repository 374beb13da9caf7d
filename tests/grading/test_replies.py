"""Hidden checks hear replies in which one field is changed; `python -m tests.fuzz replies` tries more of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from autograder import wire
from autograder.course.assignment import load_assignment
from tests.lies import changed_reply, places_in
from tests.replies import ROOT, Lies, Replay, replays

TASKS = [task.id for task in load_assignment(ROOT, "vit").tasks]


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with replays(tmp_path_factory.mktemp("course")) as (replay,):
        yield replay


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_no_field_of_a_reply_makes_a_check_raise_or_pass(replay: Replay, task: str) -> None:
    """Neither memory nor time of the grader is taken, and no other testimony makes up for wrong arrays."""
    assert {check.outcome for check in replay.without_lies(task, spoilt=False)} == {"passed"}
    for spoilt in (False, True):
        found = replay.with_lies(task, Lies(each=1, turn=0, seed=1), spoilt=spoilt)
        assert found.faults == []
        assert found.outcomes.keys() & {"some failed", "all failed", "unnoticed"}


def test_each_field_of_a_reply_can_be_changed() -> None:
    reply = wire.Answer(3, wire.Items([wire.Table({"loss": 0.5}), wire.Array("int8", [2], b"ab"), None]))
    places = places_in(reply, arrays=True)
    assert {place[:3] for place in places} >= {(), ("id",), ("value", "items", 1), ("value", "items", 2)}
    assert ("value", "items", 0, "items", "loss") in places
    assert len(places_in(reply, arrays=False)) == len(places) - 6
    for place in places:
        bodies = {changed_reply(random.Random(seed), reply, place, arrays=True) for seed in range(10)}  # noqa: S311
        assert len(bodies) > 2, place
