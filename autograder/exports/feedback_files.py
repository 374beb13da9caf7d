"""Feedback pages under the names by which a platform finds their students again, in one zip file to upload there.

Reference:
    Moodle, `mod/assign/feedback/file/importziplib.php`; Canvas, `infer_comment_context_from_filename`.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from markupsafe import escape

from autograder.collecting.hand_ins import Owner
from autograder.collecting.records import Record, Records
from autograder.collecting.roster import Nobody, Roster, RosterEntry, course_roster
from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.exports.spreadsheets import Export
from autograder.suggestions import did_you_mean

PARTICIPANT = "Participant"
"""What Moodle calls somebody whose name is hidden: it reads the number alone."""


def feedback_zip(
    course: Course, assignment: str, pages: Mapping[str, Path], platform: str, roster: Path | None
) -> Export:
    """Return a zip file with everyone's feedback page.

    Args:
        course: The course.
        assignment: Name of the assignment.
        pages: Student to page.
        platform: A key of `FEEDBACK_PLATFORMS`.
        roster: Who is who, such as Moodle's worksheet; None takes the course's own, if there is one.

    Raises:
        UsageError: If there is no such platform, no page, or the roster cannot be read.
    """
    if platform not in FEEDBACK_PLATFORMS:
        raise UsageError(f"No way to hand out feedback for {platform!r}.", did_you_mean(platform, FEEDBACK_PLATFORMS))
    if not pages:
        raise UsageError(f"There is no feedback for {assignment} yet.", "Run: python -m autograder feedback")
    people, records = course_roster(course, roster), Records(course, assignment).last(platform)
    students_of: dict[str, list[str]] = {}
    for student in sorted(pages):
        name = FEEDBACK_PLATFORMS[platform](_person(people, student), records.get(student), f"{assignment}.html")
        students_of.setdefault(name, []).append(student)
    left_out, differing, buffer = students_of.pop("", []), [], io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, students in students_of.items():
            page = _page_of(students, pages)
            if page is None:
                differing += students
            else:
                archive.writestr(zipfile.ZipInfo(name), page, zipfile.ZIP_DEFLATED)
    return Export({f"feedback-{platform}.zip": buffer.getvalue()}, tuple(left_out), tuple(differing))


def _page_of(students: Sequence[str], pages: Mapping[str, Path]) -> bytes | None:
    """Return the page of one student, or of a group, where a platform shows one file to all; None if theirs differ."""
    contents = {student: pages[student].read_bytes() for student in students}
    if len(students) == 1:
        return contents[students[0]]
    together = _for_whom(", ".join(students))
    alike = {content.replace(_for_whom(student), together) for student, content in contents.items()}
    return alike.pop() if len(alike) == 1 else None


def _for_whom(names: str) -> bytes:
    """Return the line of a page that says whose it is: see `templates/feedback.html`."""
    return f">For {escape(names)}.<".encode()


def _person(roster: Roster, student: str) -> RosterEntry | None:
    try:
        return roster.find(Owner(student, {"student": student}))
    except Nobody:
        return None


def _moodle_name(person: RosterEntry | None, record: Record | None, page: str) -> str:
    """Return the path in Moodle's zip file: folder and number have to be there, the name is for people."""
    number = person.ids.get("moodle", "") if person else ""
    name = person.names[0] if person and person.names else ""
    if record is not None:
        number, name = number or record.way_back.get("participant", ""), name or record.way_back.get("name", "")
    plain = re.sub(r"\.\.+|[\x00-\x1f&<>\"`|':\\/_~*?]", " ", name).strip(" .") or PARTICIPANT
    return f"{plain}_{number}_assignsubmission_file/{page}" if number else ""


def _canvas_name(person: RosterEntry | None, record: Record | None, page: str) -> str:
    """Return the name of a file for Canvas: it has to name an attachment of the last hand-in."""
    back = record.way_back if record else {}
    return f"{back['prefix']}_{back['attachment']}_{page}" if back.get("attachment") else ""


FEEDBACK_PLATFORMS: dict[str, Callable[[RosterEntry | None, Record | None, str], str]] = {
    "moodle": _moodle_name,
    "canvas": _canvas_name,
}
"""Platforms that take feedback as one zip file, and what names a page there; an empty name leaves it out."""
