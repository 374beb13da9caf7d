"""The marks of a whole class: the gradebook's, with the results of the checks beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from nbgrader.api import Assignment as BookAssignment
from nbgrader.api import BaseCell, Gradebook, MissingEntry

from autograder.course.assignment import Assignment
from autograder.course.course import Course
from autograder.deadlines.extensions import granted_times
from autograder.deadlines.late_policy import LatePolicy, late_policy
from autograder.gradebook.database import has_gradebook, open_book
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.gradebook.student_marks import marks_of, person_of
from autograder.ledger.open_marks import read_open_marks
from autograder.ledger.second_readings import second_readings
from autograder.marks import ClassMarks, Mark, OpenMark, Person, SecondMark, StudentMarks
from autograder.results import SubmissionResult, TaskResult
from autograder.text import one_form


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
    students: dict[str, StudentMarks] = {}
    recorded, due = False, None
    second: tuple[SecondMark, ...] = ()
    if has_gradebook(coursedir):
        with open_book(coursedir) as book, suppress(MissingEntry):
            registered = book.find_assignment(assignment.name)
            points |= {cell.name: float(cell.max_score) for cell in _graded_cells(registered)}
            students = _recorded_marks(book, registered, late_policy(course.nbgrader))
            recorded, due = True, registered.duedate
            second = _second_marks(book, assignment.name)
    for name, result in results.items():
        students[name] = _with_result(students.get(name, StudentMarks(Person(name))), result, due)
    return ClassMarks(
        assignment=assignment.name,
        points=points,
        automatic=tuple(task.id for task in assignment.tasks),
        students=tuple(marks for _, marks in sorted(students.items())),
        recorded=recorded,
        titles=assignment.titles,
        heading=assignment.title,
        second=second,
    )


def known_names(course: Course, assignment: str, students: Iterable[str]) -> dict[str, str]:
    """Return each student's id as the gradebook has it already, in whatever form of Unicode; else in the usual one.

    Raises:
        RecordingError: If the gradebook cannot be used.
    """
    names = {student: one_form(student) for student in students}
    coursedir = course_directory(course, assignment)
    if all(student.isascii() for student in names) or not has_gradebook(coursedir):
        return names
    with open_book(coursedir) as book:
        ids = {str(student.id) for student in book.students}
    known = {one_form(name): name for name in sorted(ids, key=lambda name: name == one_form(name))}  # the usual wins
    return {student: known.get(name, name) for student, name in names.items()}


def _graded_cells(assignment: BookAssignment) -> Iterator[BaseCell]:
    for notebook in assignment.notebooks:
        yield from (*notebook.grade_cells, *notebook.task_cells)


def _recorded_marks(book: Gradebook, assignment: BookAssignment, policy: LatePolicy) -> dict[str, StudentMarks]:
    students = {str(student.id): StudentMarks(person_of(student)) for student in book.students}
    connection, name = book.db.connection(), str(assignment.name)
    known, granted = read_open_marks(connection, name), granted_times(connection, name)
    for submission in assignment.submissions:
        student = str(submission.student.id)
        students[student] = marks_of(submission, policy, known.get(student, {}), granted.get(student))
    return students


def _second_marks(book: Gradebook, assignment: str) -> tuple[SecondMark, ...]:
    readings = second_readings(book.db.connection(), assignment)
    return tuple(SecondMark(reading.question, reading.first_points, reading.points) for reading in readings)


def _with_result(student: StudentMarks, result: SubmissionResult, due: datetime | None) -> StudentMarks:
    """Add a result; its points count only where the gradebook holds no submission, and so no time of a hand-in."""
    if student.submitted:
        return replace(student, result=result)
    tasks = {task.id: _mark_of(task) for task in result.tasks}
    return replace(student, tasks=tasks, submitted=True, result=result, due=due)


def _mark_of(task: TaskResult) -> Mark:
    held = OpenMark("held") if task.held else None
    return Mark(task.id, task.max_score, task.score, waiting=held is not None, open=held)
