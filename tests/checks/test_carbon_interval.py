"""When a training begins and ends under a carbon tracker, as the events of a process tell."""

from __future__ import annotations

import pytest

from autograder.errors import CheckFailed
from tests.hidden_checks import load_checks

CARBON = load_checks("carbon")


@pytest.mark.parametrize(
    ("fits", "interval"),
    [
        ((), (1, 2)),  # a loop of one's own
        (("fit begins", "fit ends"), (2, 3)),
        (("fit begins", "fit ends") * 3, (2, 7)),  # epoch by epoch
    ],
)
def test_a_training_lasts_from_its_first_fit_to_its_last(fits: tuple[str, ...], interval: tuple[int, int]) -> None:
    events = ("epoch_start ends", "run_experiment begins", *fits, "run_experiment ends", "epoch_end begins")
    assert CARBON.interval_of_training(events) == interval


def test_where_nothing_begins_nothing_was_trained() -> None:
    with pytest.raises(CheckFailed, match="Nothing was trained"):
        CARBON.interval_of_training(("epoch_start ends", "epoch_end begins"))
