"""The results of a whole class: those that grading cached, or those that `grade --json` wrote."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.grading.result_store import CachedGrader
from autograder.results import SubmissionResult, from_json


def stored_results(course: Course, assignment: Assignment, folders: Mapping[str, Path]) -> dict[str, SubmissionResult]:
    """Return the cached results of these submissions as they are now; those not graded yet are left out.

    Args:
        course: The course.
        assignment: The assignment.
        folders: Student to submission folder.
    """
    grader = CachedGrader(course, assignment)
    known = ((student, grader.cached(folder, student)) for student, folder in folders.items())
    return {student: result for student, result in known if result is not None}


def read_results(folder: Path, assignment: str) -> dict[str, SubmissionResult]:
    """Return the results that `grade --json` wrote into a folder, by student.

    Raises:
        UsageError: If the folder holds no result of this assignment, or a file that is none.
    """
    found: dict[str, SubmissionResult] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            result = from_json(path.read_bytes())
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            raise UsageError(f"{path} is not a result of grading: {error}.", "Take it out of the folder.") from error
        if result.assignment == assignment:
            found[result.submission.student or path.stem] = result
    if not found:
        raise UsageError(f"No results of {assignment} in {folder}.", f"Run: python -m autograder grade --json {folder}")
    return found
