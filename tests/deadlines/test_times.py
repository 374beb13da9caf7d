"""Times are read rightly or refused: nobody is late, or in time, by a guess."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from autograder.deadlines.times import UnreadableTime, decode_time, nbgrader_text, read_time, read_zone
from autograder.text import show_time

BERLIN = ZoneInfo("Europe/Berlin")
EVENING = datetime(2030, 5, 3, 17, 30)
"""Half past seven in Berlin, in UTC as nbgrader stores it."""


@pytest.mark.parametrize(
    "text",
    [
        "2030-05-03 19:30 CEST", "2030-05-03 19:30 +0200", "2030-05-03 19:30 +02:00", "2030-05-03 19:30 +2",
        "2030-05-03T19:30+0200", "2030-05-03T17:30:00Z", "2030-05-03 17:30:00 UTC", "2030-05-03 18:30 CET",
        "2030-05-03 19:30 Europe/Berlin", "20300503 19:30 CEST", "2030/5/3 19:30 CEST", "3 May 2030 19:30 CEST",
        "Fri, 3 May 2030 19:30:00 +0200", "May 3, 2030, 7:30 pm CEST", "3. May 2030 19:30 MESZ",
        "2030-05-03 10:30 -0700", "2030-05-03 13:30 EDT", "  2030-05-03\t19:30   CEST\r\n",
    ],
)  # fmt: skip
def test_a_time_with_its_zone_is_read_as_it_is_meant(text: str) -> None:
    assert read_time(text) == EVENING
    assert read_time(text, BERLIN) == EVENING


@pytest.mark.parametrize("hour", ["10:00", "10:00 ", "10:00 am ", "10:00:00am "])
def test_a_zone_that_begins_like_am_is_no_half_of_the_day(hour: str) -> None:
    assert read_time(f"2030-05-03 {hour}America/New_York") == datetime(2030, 5, 3, 14)


def test_a_time_without_a_zone_is_that_of_the_place() -> None:
    assert read_time("2030-05-03 19:30") == datetime(2030, 5, 3, 19, 30)
    assert read_time("2030-05-03 19:30", BERLIN) == EVENING
    assert read_time("2030-01-03 19:30", BERLIN) == datetime(2030, 1, 3, 18, 30)


def test_the_short_name_of_the_courses_own_zone_is_known() -> None:
    assert read_time("2030-05-03 18:30 BST", ZoneInfo("Europe/London")) == EVENING
    assert read_time("2030-05-03 23:00 IST", ZoneInfo("Asia/Kolkata")) == EVENING


@pytest.mark.parametrize("text", ["25.12.2030 08:00", "12/25/2030 8:00 AM", "25-12-2030 08:00 UTC"])
def test_a_day_that_can_be_no_month_is_the_day(text: str) -> None:
    assert read_time(text) == datetime(2030, 12, 25, 8)


@pytest.mark.parametrize("text", ["03.05.2030 19:30", "03/05/2030 19:30 UTC", "3-5-2030 19:30"])
def test_an_ambiguous_day_is_refused_with_both_readings(text: str) -> None:
    with pytest.raises(UnreadableTime, match="2030-05-03 or 2030-03-05"):
        read_time(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("soon", "cannot be read as a time"), ("", "cannot be read as a time"), ("2030-05-03", "no time of the day"),
        ("2030-05-03 19:30 BST", "'BST' is unknown"), ("2030-05-03 19:30 Europe/Berlim", "no time zone"),
        ("2030-02-30 19:30", "day is out of range"), ("2030-05-03 25:30", "hour must be in"),
        ("2030-05-03 13:30 pm", "no such hour"), ("2030-05-03 19:30 +0275", "from UTC"), ("30-05-03 19:30", "be read"),
        ("1" * 5000, "be read"), ("0000-05-03 19:30", "year 0 is out of range"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(UnreadableTime, match=why):
        read_time(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2030-03-31 02:30", "that hour never comes"),
        ("2030-10-27 02:30", r"comes twice. Say which: 02:30 \+02:00 \(CEST\) or 02:30 \+01:00 \(CET\)"),
    ],
)
def test_an_hour_that_the_clock_shows_never_or_twice_is_refused(text: str, why: str) -> None:
    with pytest.raises(UnreadableTime, match=why):
        read_time(text, BERLIN)


@pytest.mark.parametrize("zone", ["CEST", "+02:00", "+0200"])
def test_of_an_hour_that_comes_twice_one_can_be_named(zone: str) -> None:
    assert read_time(f"2030-10-27 02:30 {zone}", BERLIN) == datetime(2030, 10, 27, 0, 30)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_any_editors_way_to_save_a_time_is_read(encoding: str) -> None:
    assert read_time(decode_time("2030-05-03 19:30 CEST\r\n".encode(encoding))) == EVENING


def test_bytes_that_are_no_text_are_refused() -> None:
    with pytest.raises(UnreadableTime, match="not written as text"):
        decode_time(b"2030-05-03 \xff 19:30")


def test_times_are_shown_in_the_courses_zone() -> None:
    assert show_time(EVENING, BERLIN) == "2030-05-03 19:30 CEST"
    assert show_time(EVENING, UTC) == "2030-05-03 17:30 UTC"
    assert show_time(datetime(9999, 12, 31, 23, 59), BERLIN) == "9999-12-31 23:59 UTC"  # Berlin is in the year 10000
    assert nbgrader_text(EVENING) == "2030-05-03 17:30:00 UTC"
    with pytest.raises(UnreadableTime, match="no time zone"):
        read_zone("Mars/Olympus")
