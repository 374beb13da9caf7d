"""What a course knows of its class: marks and late penalties from the gradebook, results of the checks beside them.

nbgrader fixes a late penalty when it grades. Here it is counted anew from today's score and due date, so that marks
given by hand and extensions granted since then are in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec
import sqlalchemy
from nbgrader.api import Assignment as BookAssignment
from nbgrader.api import BaseCell, Gradebook, MissingEntry, SubmittedAssignment, SubmittedNotebook
from nbgrader.api import Student as BookStudent
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import AssignLatePenalties
from traitlets.config import Config

from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.gradebook.database import open_book
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.grading.result_store import CachedGrader
from autograder.results import SubmissionResult, from_json
from autograder.text import Titles


@dataclass(frozen=True)
class Person:
    """A student as nbgrader's gradebook knows one; everything but the id may be empty."""

    id: str
    first_name: str = ""
    last_name: str = ""
    email: str = ""
    lms_user_id: str = ""

    @property
    def name(self) -> str:
        """`Last, First` as far as it is known; otherwise the id."""
        return ", ".join(part for part in (self.last_name, self.first_name) if part) or self.id


@dataclass(frozen=True)
class Standing:
    """One student's marks for one assignment.

    Attributes:
        scores: Points by grade_id, a mark by hand in place of an automatic one.
        penalty: Points taken for lateness, counted from today's score and due date.
        seconds_late: Past the due date, extensions included; 0 if in time.
        waiting: grade_ids that a person has to look at.
        unmarked: Those of them that have no mark by hand; of an automatic task, one whose checks ended in an error.
        submitted: Whether the gradebook holds a submission, or there is a result.
        result: What the checks found; None where nothing is kept.
    """

    person: Person
    scores: Mapping[str, float] = field(default_factory=dict)
    penalty: float = 0.0
    seconds_late: float = 0.0
    handed_in: datetime | None = None
    due: datetime | None = None
    waiting: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    submitted: bool = False
    result: SubmissionResult | None = None

    @property
    def raw(self) -> float:
        """Points before the late penalty."""
        return round(sum(self.scores.values()), 2)

    @property
    def total(self) -> float:
        """Points that count; never below 0."""
        return round(max(0.0, self.raw - self.penalty), 2)


@dataclass(frozen=True)
class ClassMarks:
    """A whole class.

    Attributes:
        points: Greatest score by grade_id, automatic tasks first.
        automatic: grade_ids of the tasks that checks grade.
        recorded: Whether the gradebook knows the assignment; otherwise only automatic tasks are here.
        titles: What people read in place of a task's grade_id.
    """

    assignment: str
    points: Mapping[str, float]
    automatic: tuple[str, ...]
    students: tuple[Standing, ...]
    recorded: bool
    titles: Titles = field(default_factory=dict)

    @property
    def max_score(self) -> float:
        """Points of the whole assignment."""
        return sum(self.points.values())


def class_marks(
    course: Course, assignment: Assignment, results: Mapping[str, SubmissionResult] | None = None
) -> ClassMarks:
    """Return everyone's marks: all students of the gradebook, and those who only have a result.

    Args:
        course: The course.
        assignment: The assignment.
        results: What the checks found, by student.

    Raises:
        RecordingError: If the gradebook cannot be used.
    """
    results = results or {}
    coursedir = course_directory(course, assignment.name)
    points = {task.id: task.points for task in assignment.tasks}
    standings: dict[str, Standing] = {}
    recorded = False
    if _exists(coursedir):
        with open_book(coursedir) as book:
            try:
                registered = book.find_assignment(assignment.name)
                points |= {cell.name: float(cell.max_score) for cell in _graded_cells(registered)}
                standings = _standings(book, registered, late_policy(course.nbgrader))
                recorded = True
            except MissingEntry:
                pass
    students = [
        _with_result(standings.get(name, Standing(Person(name))), results.get(name), recorded)
        for name in sorted({*standings, *results})
    ]
    automatic = tuple(task.id for task in assignment.tasks)
    return ClassMarks(assignment.name, points, automatic, tuple(students), recorded, assignment.titles)


def stored_results(course: Course, assignment: Assignment, folders: Mapping[str, Path]) -> dict[str, SubmissionResult]:
    """Return what grading kept of these submissions as they are now; those not graded yet are left out.

    Args:
        course: The course.
        assignment: The assignment.
        folders: Student to submission folder.
    """
    grader = CachedGrader(course, assignment)
    known = ((student, grader.known(folder, student)) for student, folder in folders.items())
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


class LatePolicy:
    """The course's own policy, asked anew: `c.AssignLatePenalties.plugin_class` in course_config.py."""

    def __init__(self, policy: AssignLatePenalties | None) -> None:
        self._policy = policy

    def penalty(self, submission: SubmittedAssignment) -> float:
        """Return the points that lateness takes from a submission today: never below 0 nor above its score."""
        seconds = submission.total_seconds_late
        if self._policy is None or seconds <= 0:
            return 0.0
        return sum(self._of_notebook(one, submission.student.id, seconds) for one in submission.notebooks)

    def _of_notebook(self, notebook: SubmittedNotebook, student: str, seconds: float) -> float:
        asked = self._policy.plugin_inst.late_submission_penalty(student, notebook.score, seconds)  # type: ignore[union-attr]
        return 0.0 if asked is None else min(max(0.0, float(asked)), max(0.0, float(notebook.score)))


def late_policy(settings: Config) -> LatePolicy:
    """Return the late policy of a course; one that takes nothing where grading applies none.

    Args:
        settings: The whole of course_config.py.
    """
    steps = settings.get("Autograde", Config()).get("autograde_preprocessors")
    if isinstance(steps, list) and not any("AssignLatePenalties" in str(step) for step in steps):
        return LatePolicy(None)
    policy = AssignLatePenalties(config=settings, log=logging.Logger("late policy", logging.CRITICAL))
    policy.init_plugin()
    return LatePolicy(policy)


def person_of(student: BookStudent) -> Person:
    """Return what the gradebook says of a student."""
    texts = (student.first_name, student.last_name, student.email, student.lms_user_id)
    return Person(str(student.id), *(str(text or "") for text in texts))


def _exists(coursedir: CourseDirectory) -> bool:
    """Whether there is a gradebook: opening one makes it, and a look at a class must not."""
    url = sqlalchemy.engine.make_url(coursedir.db_url)
    return url.get_backend_name() != "sqlite" or bool(url.database and Path(url.database).is_file())


def _graded_cells(assignment: BookAssignment) -> Iterator[BaseCell]:
    for notebook in assignment.notebooks:
        yield from (*notebook.grade_cells, *notebook.task_cells)


def _standings(book: Gradebook, assignment: BookAssignment, policy: LatePolicy) -> dict[str, Standing]:
    standings = {str(student.id): Standing(person_of(student)) for student in book.students}
    for submission in assignment.submissions:
        standings[str(submission.student.id)] = _standing(submission, policy)
    return standings


def _standing(submission: SubmittedAssignment, policy: LatePolicy) -> Standing:
    grades = [grade for notebook in submission.notebooks for grade in notebook.grades]
    return Standing(
        person=person_of(submission.student),
        scores={grade.name: float(grade.score or 0.0) for grade in grades},
        penalty=round(policy.penalty(submission), 2),
        seconds_late=float(submission.total_seconds_late),
        handed_in=submission.timestamp,
        due=submission.duedate if submission.assignment.duedate is not None else None,
        waiting=tuple(grade.name for grade in grades if grade.needs_manual_grade),
        unmarked=tuple(grade.name for grade in grades if grade.needs_manual_grade and grade.manual_score is None),
        submitted=True,
    )


def _with_result(standing: Standing, result: SubmissionResult | None, recorded: bool) -> Standing:
    if result is None:
        return standing
    scores = standing.scores if recorded and standing.submitted else {task.id: task.score for task in result.tasks}
    return replace(standing, scores=scores, submitted=True, result=result)
