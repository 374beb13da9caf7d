"""nbgrader's export of marks as CSV, made safe for spreadsheets."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from nbgrader.api import Assignment, Gradebook, MissingEntry, Student
from nbgrader.plugins import ExportPlugin

from autograder.batch.penalties import note_penalties
from autograder.course.assignment import is_plain
from autograder.course.course import course_from
from autograder.deadlines.extensions import granted_times, seconds_late
from autograder.deadlines.late_policy import LatePolicy, late_policy
from autograder.files import write_whole
from autograder.rendering.safe_csv import NBGRADER_COLUMNS, Value, csv_bytes


class QuotedCsvExport(ExportPlugin):  # type: ignore[misc]
    """nbgrader's CSV with its columns, quoted, safe for spreadsheets, written whole, late penalties of today.

    In course_config.py: `c.ExportApp.plugin_class = "autograder.nbgrader_plugins.QuotedCsvExport"`; then
    `nbgrader export`.
    """

    def export(self, gradebook: Gradebook) -> None:
        """Write the marks of all assignments and students, or of those asked for."""
        policy = late_policy(self.config)
        self._note_penalties(gradebook)
        rows: list[list[Value]] = []
        for assignment in gradebook.assignments:
            if not self.assignment or assignment.name in map(str, self.assignment):
                granted = granted_times(gradebook.db.connection(), str(assignment.name))
                rows += [
                    _book_row(gradebook, assignment, student, policy, granted.get(str(student.id)))
                    for student in gradebook.students
                    if not self.student or student.id in map(str, self.student)
                ]
        write_whole(Path(self.to or "grades.csv"), csv_bytes([NBGRADER_COLUMNS, *rows]))

    def _note_penalties(self, gradebook: Gradebook) -> None:
        """Have the history tell of late penalties that are others by now, before they are handed out."""
        root = self.config.CourseDirectory.get("root")
        if root is None:
            return
        course = course_from(Path(root), self.config)
        for assignment in gradebook.assignments:
            if not is_plain(course.root, str(assignment.name)):
                note_penalties(course, str(assignment.name), "nbgrader export")


def _book_row(
    gradebook: Gradebook, assignment: Assignment, student: Student, policy: LatePolicy, until: datetime | None
) -> list[Value]:
    known: list[Value] = [student.id, student.last_name, student.first_name, student.email]
    due = str(assignment.duedate or "")
    try:
        submission = gradebook.find_submission(assignment.name, student.id)
    except MissingEntry:
        return [assignment.name, due, "", *known, 0.0, 0.0, 0.0, assignment.max_score]
    penalty = policy.penalty(submission, seconds_late(submission, until))
    scores: list[Value] = [submission.score, penalty, max(0.0, submission.score - penalty), assignment.max_score]
    return [assignment.name, due, str(submission.timestamp or ""), *known, *scores]
