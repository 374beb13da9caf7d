"""Times of platforms: read as all others, and unknown where they are not sure."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from autograder.collecting.lists import known_time

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "Friday, 3 May 2030, 7:30 PM",
        "Friday, 3 May 2030, 7:30\u202fPM",
        "3 May 2030 19:30",
        "2030-05-03 19:30 CEST",
        "2030-05-03 19:30 Europe/Berlin",
        "2030-05-03 17:30:00 UTC",
        "2030-05-03T17:30:00.000Z",
    ],
)
def test_times_are_read_as_platforms_and_people_write_them(text: str) -> None:
    assert known_time(text, BERLIN) == datetime(2030, 5, 3, 17, 30)


@pytest.mark.parametrize("text", ["", "-", "2030-05-03", "03/05/2030 19:30", "yesterday"])
def test_a_time_that_is_not_sure_is_not_known(text: str) -> None:
    assert known_time(text, BERLIN) is None
