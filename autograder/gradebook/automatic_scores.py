"""The automatic scores of one submission in an open gradebook: enter, write and take back."""

from __future__ import annotations

from contextlib import suppress

from nbformat import NotebookNode
from nbgrader import utils
from nbgrader.api import Grade, Gradebook, MissingEntry, SubmittedNotebook

from autograder.errors import RecordingError
from autograder.gradebook.open_marks import write_ungraded
from autograder.gradebook.student_marks import cells_marked_by_hand
from autograder.results import SubmissionResult

REGISTER = "Run: python -m autograder release"
"""What to do where gradebook and assignment do not fit together."""


def check_registered(book: Gradebook, assignment: str) -> None:
    """Refuse an assignment that the gradebook does not know.

    Raises:
        RecordingError: If it does not.
    """
    try:
        book.find_notebook(assignment, assignment)
    except MissingEntry as error:
        raise RecordingError(f"The gradebook does not know the assignment {assignment}.", REGISTER) from error


def enter_submission(book: Gradebook, assignment: str, student: str) -> None:
    """Enter student and submission now, under the lock: nbgrader would fail where another process does so, too."""
    with suppress(MissingEntry):  # nbgrader itself says that the assignment is not there
        book.find_assignment(assignment)
        book.update_or_create_student(student)
        book.update_or_create_submission(assignment, student)


def flag_ungraded(book: Gradebook, assignment: str, student: str, why: str) -> bool:
    """Flag a student's automatic scores as those of an earlier hand-in, since the last one could not be graded.

    The scores themselves stay: no mark goes before a better one is there.

    Returns:
        Whether there are such scores.
    """
    try:
        submitted = book.find_submission_notebook(assignment, assignment, student)
    except MissingEntry:
        return False
    grades = _automatic_grades(submitted)
    for grade in grades:
        grade.needs_manual_grade = True
    has_score = {str(grade.name): grade.auto_score is not None for grade in grades}
    write_ungraded(book, assignment, student, has_score, why)
    book.db.commit()
    return any(has_score.values())


def clear_scores(book: Gradebook, assignment: str, student: str) -> None:
    """Take back a student's automatic scores: until there are new ones, the student is shown as needing grading."""
    try:
        submitted = book.find_submission_notebook(assignment, assignment, student)
    except MissingEntry:
        return
    for grade in _automatic_grades(submitted):
        grade.auto_score = None
        grade.needs_manual_grade = True
    submitted.late_submission_penalty = None
    book.db.commit()


def write_scores(submitted: SubmittedNotebook, nb: NotebookNode, result: SubmissionResult) -> None:
    """Set every score of a submission, an explicit 0 too, and what nbgrader says to unanswered questions.

    Scores go by the gradebook's own list of grades, never by what the notebook holds.

    Args:
        submitted: From the gradebook; its changes are not committed here.
        nb: The submitted notebook, with the release's cells put back.
        result: What the checks found.

    Raises:
        RecordingError: If the gradebook's tasks or points are not those of the result.
    """
    _check_tasks(submitted, result)
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in nb.cells if "nbgrader" in cell.metadata}
    for grade in submitted.grades:
        task = result.task(grade.name)
        if task is not None:
            grade.auto_score = task.score
        elif utils.is_grade(cells[grade.name]):
            grade.auto_score = utils.determine_grade(cells[grade.name])[0]  # 0 for an untouched answer
        reviewed = grade.manual_score is not None  # nbgrader asks for another look; the mark itself stays
        grade.needs_manual_grade = grade.auto_score is None or reviewed or (task is not None and bool(task.held))
    for comment in submitted.comments:
        cell = cells[comment.name]
        untouched = not utils.is_task(cell) and cell.metadata.nbgrader.get("checksum") == utils.compute_checksum(cell)
        comment.auto_comment = "No response." if untouched else None


def _check_tasks(submitted: SubmittedNotebook, result: SubmissionResult) -> None:
    known = {(grade.name, grade.max_score) for grade in _automatic_grades(submitted)}
    graded = {(task.id, task.max_score) for task in result.tasks}
    if known != graded:
        names = ", ".join(sorted({name for name, _ in known ^ graded}))
        raise RecordingError(f"The gradebook has other tasks or points than the checks: {names}.", REGISTER)


def _automatic_grades(submitted: SubmittedNotebook) -> list[Grade]:
    """Return the grades that no person gives: those of test cells."""
    manual = cells_marked_by_hand(submitted)
    return [grade for grade in submitted.grades if grade.name not in manual]
