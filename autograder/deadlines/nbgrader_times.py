"""Let nbgrader read times as `times` does, and due dates as `extensions`: in our commands, its own, and formgrader.

nbgrader reads a due date as UTC where it names no zone; here it is the course's zone.
"""

from __future__ import annotations

import json
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
from nbgrader.apps.api import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from nbgrader.server_extensions.formgrader.apihandlers import AssignmentHandler

from autograder.config import find_zone
from autograder.deadlines.extensions import due_of
from autograder.deadlines.times import TIMESTAMP_FILE, UnreadableTime, comes_once, read_time, read_timestamp
from autograder.text import in_zone

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


def _submitted_timestamp(self: NbGraderAPI, assignment: str, student: str) -> datetime | None:
    """Return the time for formgrader's list; one that cannot be read, which grading names, must not cost the list."""
    directory = self.coursedir
    folder = directory.format_path(directory.submitted_directory, student, assignment)
    with suppress(UnreadableTime):
        return _existing_timestamp(directory, folder)
    return None


def _as_timezone(time: datetime, zone: str) -> datetime:
    """Stand in for nbgrader's, which is an hour off near a change of clocks: it takes the time for a local one."""
    found = find_zone(zone) if zone else None
    return time if found is None else in_zone(time, found)


def _with_due_zone(write: Callable[..., Any]) -> Callable[..., Any]:
    """Return one of the gradebook's methods, made to read a due date that names no zone in the course's zone."""

    @wraps(write)
    def written(self: Gradebook, name: str, **values: Any) -> Any:  # noqa: ANN401 - nbgrader's
        if isinstance(values.get("duedate"), str):
            values["duedate"] = read_time(values["duedate"], _due_zone)
        return write(self, name, **values)

    return written


def _with_offset_where_needed(read: Callable[..., Any]) -> Callable[..., Any]:
    """Return `get_assignment`, made to name the offset of a due date whose hour comes twice when clocks are changed.

    Formgrader's form has a field for the day and the hour and one for the zone. With the zone's name a form that is
    saved unchanged would not say which of both hours is meant.
    """

    @wraps(read)
    def told(self: NbGraderAPI, *words: Any, **values: Any) -> Any:  # noqa: ANN401 - nbgrader's
        found = read(self, *words, **values)
        zone = find_zone(self.timezone) if found and found["duedate_notimezone"] else None
        if zone is not None:
            due = in_zone(datetime.fromisoformat(found["duedate"]), zone)
            if not comes_once(due):
                found["duedate_timezone"] = f"{due:%z}"
        return found

    return told


def _with_refusal_shown(put: Callable[..., Any]) -> Callable[..., Any]:
    """Return the saving of formgrader's form, made to say in the assignment's row why a due date was not saved.

    For an error the page has no words: its button says `Saving...` for ever.
    """

    @wraps(put)
    def told(self: AssignmentHandler, assignment: str) -> None:
        try:
            put(self, assignment)
        except UnreadableTime as error:
            shown = self.api.get_assignment(assignment.strip()) or {"name": assignment, "source_path": ""}
            self.write(json.dumps(shown | {"duedate": "", "display_duedate": f"Not saved. {error}"}))

    return told


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
    NbGraderAPI.get_submitted_timestamp = _submitted_timestamp
    NbGraderAPI.get_assignment = _with_offset_where_needed(NbGraderAPI.get_assignment)
    AssignmentHandler.put = _with_refusal_shown(AssignmentHandler.put)
    SubmittedAssignment.duedate = property(due_of)  # nbgrader's fails for an extension without a due date
    for method in ("add_assignment", "update_or_create_assignment"):
        setattr(Gradebook, method, _with_due_zone(getattr(Gradebook, method)))
