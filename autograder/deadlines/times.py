"""Read the times that people and programs write, rightly or not at all.

nbgrader's own reader takes `03.05.2030` for the 5th of March, `+0200` for 200 seconds and an unknown zone for UTC.
Who is late must not depend on a guess: what can be read in two ways is refused, with the two readings.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo

from autograder.config import ZONE_REMEDY, find_zone
from autograder.errors import UsageError

TIMESTAMP_FILE = "timestamp.txt"
"""In a hand-in: says when it was handed in."""
EXAMPLE = "2030-05-03 19:30 UTC"
REMEDY = f"Write it like {EXAMPLE} or 2030-05-03T19:30+02:00."
_LONGEST = 100
_OFFSETS = {
    "UTC": 0, "GMT": 0, "Z": 0, "WET": 0, "WEST": 1, "CET": 1, "CEST": 2, "MEZ": 1, "MESZ": 2, "EET": 2, "EEST": 3,
    "MSK": 3, "EST": -5, "EDT": -4, "CDT": -5, "MDT": -6, "PST": -8, "PDT": -7, "JST": 9, "KST": 9, "AEST": 10,
    "AEDT": 11, "NZST": 12, "NZDT": 13,
}  # fmt: skip
"""Hours of the zones whose short names mean one thing; BST, CST or IST are read only in a course of that zone."""
_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
_DATES = (
    r"(?P<year>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})",
    r"(?P<year>\d{4})/(?P<m>\d{1,2})/(?P<d>\d{1,2})",
    r"(?P<year>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
    r"(?P<first>\d{1,2})(?P<mark>[./-])(?P<second>\d{1,2})(?P=mark)(?P<year>\d{4})",
    rf"{_WEEKDAY}(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\.?[ -]{_MONTH}[ -],?\s*(?P<year>\d{{4}})",
    rf"{_WEEKDAY}{_MONTH} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? (?P<year>\d{{4}})",
)
_SECONDS = r"(?::(?P<seconds>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
_CLOCK = rf"(?P<hour>\d{{1,2}}):(?P<minute>\d{{2}}){_SECONDS}(?:\s*(?P<half>[ap]m)(?![A-Za-z]))?"
_ZONE = r"(?P<offset>[+-]\d{1,2}(?::?\d{2})?)|(?P<zone>[A-Za-z][A-Za-z0-9_+-]*(?:/[A-Za-z0-9_+-]+)*)"
_FORMS = tuple(re.compile(rf"{date}(?:(?:,?\s+|t){_CLOCK}\s*(?:{_ZONE})?)?", re.IGNORECASE) for date in _DATES)


class UnreadableTime(UsageError):
    """A time that cannot be read, or that can be read in two ways."""


def decode_time(content: bytes) -> str:
    """Return the text of a file that holds a time, such as `timestamp.txt`, in whatever way an editor saved it.

    Raises:
        UnreadableTime: If it is no text.
    """
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\0" in content[:2]:  # without its mark; times are ASCII
        encoding = "utf-16-be" if content.startswith(b"\0") else "utf-16-le"
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding).strip()
    except UnicodeDecodeError as error:
        raise UnreadableTime("The time is not written as text.", f"Save it as UTF-8. {REMEDY}") from error
    return text


def read_time(text: str, zone: tzinfo = UTC) -> datetime:
    """Return a time in UTC, without a zone, as nbgrader stores times.

    Args:
        text: Such as `2030-05-03 19:30 CEST`, `3 May 2030 19:30` or `2030-05-03T19:30:00+0200`.
        zone: Where the time is meant if it names no zone.

    Raises:
        UnreadableTime: If it cannot be read, or in more than one way.
    """
    plain = " ".join(text.split())
    form = next((found for form in _FORMS if (found := form.fullmatch(plain))), None)
    if form is None or len(plain) > _LONGEST:
        raise UnreadableTime(f"{plain[:_LONGEST]!r} cannot be read as a time.", REMEDY)
    parts = form.groupdict()
    if parts["hour"] is None:
        raise UnreadableTime(f"{plain!r} names no time of the day.", REMEDY)
    year, month, day = _date(parts, plain)
    try:
        naive = datetime(year, month, day, _hour(parts, plain), int(parts["minute"]), int(parts["seconds"] or 0))
        local = naive + timedelta(microseconds=int((parts["fraction"] or "0").ljust(6, "0")[:6]))
        return _in_utc(local, parts, zone, plain)
    except (ValueError, OverflowError) as error:
        raise UnreadableTime(f"{plain!r} is no time: {error}.", REMEDY) from error


def read_timestamp(content: bytes, where: str) -> datetime | None:
    """Return when work was handed in, from the content of its `timestamp.txt`; None if it is empty.

    A time without a zone is UTC there: nbgrader's exchange wrote it.

    Raises:
        UnreadableTime: If it cannot be read, or in two ways.
    """
    try:
        text = decode_time(content)
        return read_time(text) if text else None
    except UnreadableTime as error:
        raise UnreadableTime(f"{where}: {error.problem}", error.remedy) from error


def read_zone(name: str) -> ZoneInfo:
    """Return the zone of this name.

    Raises:
        UnreadableTime: If there is none.
    """
    zone = find_zone(name)
    if zone is None:
        raise UnreadableTime(f"There is no time zone {name!r}.", ZONE_REMEDY)
    return zone


def nbgrader_text(time: datetime) -> str:
    """Return a time in UTC as `timestamp.txt` holds it."""
    return f"{time:%Y-%m-%d %H:%M:%S} UTC"


def _date(parts: Mapping[str, str | None], plain: str) -> tuple[int, int, int]:
    """Return year, month and day; where day and month may be exchanged, refuse."""
    year = int(parts["year"] or 0)
    if parts.get("first") is None:
        name = parts.get("month")
        month = _MONTHS.index(name.lower()) + 1 if name else int(parts["m"] or 0)
        return year, month, int(parts["d"] or 0)
    first, second = int(parts["first"] or 0), int(parts["second"] or 0)
    if first != second and first <= 12 and second <= 12:
        readings = f"{year}-{second:02}-{first:02} or {year}-{first:02}-{second:02}"
        raise UnreadableTime(f"{plain!r} may mean {readings}.", "Write the year first, then month and day.")
    return (year, second, first) if first > 12 else (year, first, second)


def _hour(parts: Mapping[str, str | None], plain: str) -> int:
    hour, half = int(parts["hour"] or 0), (parts["half"] or "").lower()
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise UnreadableTime(f"{plain!r} has no such hour.", REMEDY)
    return hour % 12 + (12 if half == "pm" else 0)


def _in_utc(local: datetime, parts: Mapping[str, str | None], zone: tzinfo, plain: str) -> datetime:
    if parts["offset"]:
        aware = local.replace(tzinfo=_fixed(parts["offset"]))
    elif parts["zone"]:
        aware = local.replace(tzinfo=_named_zone(parts["zone"], local, zone, plain))
    else:
        aware = local.replace(tzinfo=zone)
    _check_clock_change(aware, plain)
    return aware.astimezone(UTC).replace(tzinfo=None)


def _fixed(offset: str) -> timezone:
    digits = offset[1:].replace(":", "").rjust(2, "0")
    hours, minutes = (int(digits[:2]), int(digits[2:] or 0)) if len(digits) != 3 else (int(digits[0]), int(digits[1:]))
    if minutes >= 60:
        raise ValueError(f"no zone is {offset} from UTC")
    return timezone((-1 if offset[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))


def _named_zone(name: str, local: datetime, course: tzinfo, plain: str) -> tzinfo:
    """Return the zone that a time names: by its short name in the course's zone, by a well-known one, or in full."""
    for fold in (0, 1):  # both names of the hour that comes twice
        meant = local.replace(tzinfo=course, fold=fold)
        if meant.tzname() == name.upper():
            return timezone(meant.utcoffset() or timedelta())
    if name.upper() in _OFFSETS:
        return timezone(timedelta(hours=_OFFSETS[name.upper()]))
    if "/" in name:
        return read_zone(name)
    raise UnreadableTime(f"{plain!r}: the zone {name!r} is unknown, or several zones have that name.", REMEDY)


def _check_clock_change(aware: datetime, plain: str) -> None:
    """Refuse a time that a zone's clocks show twice, or never, when they are changed."""
    if comes_once(aware):
        return
    other = aware.replace(fold=1)
    if (aware.utcoffset() or timedelta()) < (other.utcoffset() or timedelta()):
        problem = f"{plain!r}: clocks are put forward then, so that hour never comes."
        raise UnreadableTime(problem, "Take a time before or after it.")
    names = " or ".join(f"{hour:%H:%M} {_offset_of(hour)} ({hour:%Z})" for hour in (aware, other))
    raise UnreadableTime(f"{plain!r}: clocks are put back then, so that hour comes twice.", f"Say which: {names}.")


def comes_once(aware: datetime) -> bool:
    """Return whether its zone's clocks show a time once: not twice, or never, since they are changed then."""
    return aware.utcoffset() == aware.replace(fold=1 - aware.fold).utcoffset()


def _offset_of(aware: datetime) -> str:
    text = f"{aware:%z}"
    return f"{text[:3]}:{text[3:5]}"
