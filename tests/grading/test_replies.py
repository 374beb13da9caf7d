"""Hidden checks hear replies in which one field is changed; `python -m tests.fuzz replies` tries more of them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.replies import Replay, replays

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def replay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with replays(tmp_path_factory.mktemp("course")) as replay:
        yield replay


def test_right_replies_pass_every_check(replay: Replay) -> None:
    checks = [check for checks in replay.honest.values() for check in checks]
    assert {check.outcome for check in checks} == {"passed"}
    assert {name for lie in replay.lies for name in lie.checks} == {check.id for check in checks}


@settings(max_examples=200, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck),
          phases=[Phase.generate])  # fmt: skip
@given(seed=st.integers(0, 1 << 62))
def test_no_field_of_a_reply_makes_a_check_raise_or_pass(replay: Replay, seed: int) -> None:
    """Neither memory nor time of the grader is taken, and no other testimony makes up for wrong arrays."""
    replay.try_lie(random.Random(seed))  # noqa: S311 - reproducible, not secret
