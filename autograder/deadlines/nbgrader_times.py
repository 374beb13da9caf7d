"""Let nbgrader read times as `times` does, and due dates as `extensions`: in our commands, its own, and formgrader.

nbgrader reads a due date as UTC where it names no zone; here it is the course's zone.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from functools import cache, wraps
from pathlib import Path
from typing import Any

import nbgrader.apps.api
import nbgrader.apps.zipcollectapp
import nbgrader.coursedir
import nbgrader.exchange.default.collect
import nbgrader.server_extensions.formgrader.handlers
import nbgrader.utils
from nbgrader.api import Gradebook, SubmittedAssignment
from nbgrader.coursedir import CourseDirectory

from autograder.config import find_zone
from autograder.deadlines.extensions import due_of
from autograder.deadlines.times import TIMESTAMP_FILE, UnreadableTime, read_time, read_timestamp

_READERS = (
    nbgrader.utils,
    nbgrader.coursedir,
    nbgrader.apps.api,
    nbgrader.apps.zipcollectapp,
    nbgrader.exchange.default.collect,
)
"""Modules of nbgrader that read times."""
_WRITERS = (nbgrader.utils, nbgrader.apps.api, nbgrader.server_extensions.formgrader.handlers)
"""Those that name the zone of a due date in formgrader's form."""
_due_zone: tzinfo = UTC


def set_due_zone(zone: tzinfo) -> None:
    """Set the zone of due dates that name none, for all that nbgrader reads in this process."""
    global _due_zone
    _due_zone = zone


def _parse_utc(time: datetime | str | None) -> datetime | None:
    """Stand in for nbgrader's reader."""
    if time is None or isinstance(time, str):
        return None if time is None else read_time(time)
    return time.astimezone(UTC).replace(tzinfo=None) if time.tzinfo is not None else time


def _existing_timestamp(self: CourseDirectory, folder: str) -> datetime | None:
    path = Path(folder, TIMESTAMP_FILE)
    return read_timestamp(path.read_bytes(), str(path)) if path.exists() else None


def _submitted_timestamp(self: nbgrader.apps.api.NbGraderAPI, assignment: str, student: str) -> datetime | None:
    """Return the time for formgrader's list; one that cannot be read, which grading names, must not cost the list."""
    directory = self.coursedir
    folder = directory.format_path(directory.submitted_directory, student, assignment)
    with suppress(UnreadableTime):
        return _existing_timestamp(directory, folder)
    return None


def _as_timezone(time: datetime, zone: str) -> datetime:
    """Stand in for nbgrader's, which is an hour off near a change of clocks: it takes the time for a local one."""
    found = find_zone(zone) if zone else None
    return time if found is None else time.replace(tzinfo=UTC).astimezone(found)


def _with_due_zone(write: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of the gradebook's methods, made to read a due date that names no zone in the course's zone."""

    @wraps(write)
    def written(self: Gradebook, name: str, **values: Any) -> Any:  # noqa: ANN401 - nbgrader's
        if isinstance(values.get("duedate"), str):
            values["duedate"] = read_time(values["duedate"], _due_zone)
        return write(self, name, **values)

    return written


@cache  # a second call must not wrap the gradebook's methods again
def adapt_times() -> None:
    """Put our readers in the place of nbgrader's, for all that it reads in this process."""
    for module in _READERS:
        module.parse_utc = _parse_utc
    for module in _WRITERS:  # an offset of today is wrong for a date on the other side of a change of clocks
        module.to_numeric_tz = lambda zone: zone
    for module in (nbgrader.utils, nbgrader.apps.api):
        module.as_timezone = _as_timezone
    CourseDirectory.get_existing_timestamp = _existing_timestamp
    nbgrader.apps.api.NbGraderAPI.get_submitted_timestamp = _submitted_timestamp
    SubmittedAssignment.duedate = property(due_of)  # nbgrader's fails for an extension without a due date
    for method in ("add_assignment", "update_or_create_assignment"):
        setattr(Gradebook, method, _with_due_zone(getattr(Gradebook, method)))
