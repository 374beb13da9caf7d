"""The second reading: a sample of the marked answers, for a person who neither gave nor sees the marks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping

from autograder.errors import UsageError
from autograder.gradebook.database import transaction
from autograder.ledger.second_readings import SecondReading, append_reading, second_readings
from autograder.marking.actions import points_for
from autograder.marking.desk import Desk, Paper
from autograder.marking.questions import Question
from autograder.marking.views import SecondPage, SecondRequest

SHARE = 0.1
"""Of all answers to a question that were marked by hand."""


def next_to_read(desk: Desk, question: Question, who: str, *, named: bool) -> SecondPage:
    """Return the next answer of the sample that a person has neither marked nor read.

    Args:
        desk: The desk.
        question: The question.
        who: The second person.
        named: Whether names are shown.
    """
    papers = desk.papers(question.id)
    done = _read_by(desk, question, who, papers)
    left = [
        paper
        for paper in sample(question.id, papers.values())
        if not _is_same(_marker_of(paper), who) and paper.student not in done
    ]
    if not left:
        return SecondPage("", "", "", len(done), 0)
    first = left[0]
    html = desk.answer_html(question.id, first.student, named=named)
    return SecondPage(desk.names.hidden(first.student), first.answer.digest, html, len(done), len(left))


def read_second(desk: Desk, question: Question, who: str, request: SecondRequest) -> None:
    """Write down what a second person would give; the mark stays.

    Raises:
        UsageError: If the answer is not as the page showed it, or the person gave its mark.
        RecordingError: If the gradebook cannot be used.
    """
    points = points_for(question, request.mark)
    paper = desk.papers(question.id).get(desk.names.student(request.id) or "")
    if paper is None or paper.answer.digest != request.digest or paper.standing.book.points is None:
        raise UsageError("This answer was handed in again, or its mark was taken back.", "Go on with the next one.")
    if _is_same(_marker_of(paper), who):
        raise UsageError("You marked this answer yourself.", "Go on with the next one.")
    reading = SecondReading(
        question=question.id,
        student=paper.student,
        digest=paper.answer.digest,
        who=who,
        first_who=_marker_of(paper),
        first_points=paper.standing.book.points,
        points=points,
        items=request.mark.items,
    )
    with transaction(desk.coursedir) as connection:
        append_reading(connection, desk.assignment, reading)


def sample(question: str, papers: Iterable[Paper]) -> list[Paper]:
    """Return a tenth of the answers that a person marked, the same ones at every call, in an order of chance."""
    marked = [paper for paper in papers if paper.standing.book.points is not None and not paper.is_open]
    marked.sort(key=lambda paper: hashlib.sha256(f"{question}\n{paper.student}".encode("utf-8", "replace")).digest())
    return marked[: math.ceil(len(marked) * SHARE)]


def _read_by(desk: Desk, question: Question, who: str, papers: Mapping[str, Paper]) -> set[str]:
    """Return the students whose answers, as they are now, a person has read."""
    with transaction(desk.coursedir) as connection:
        readings = second_readings(connection, desk.assignment, question.id)
    read = {(reading.student, reading.digest) for reading in readings if _is_same(reading.who, who)}
    return {student for student, paper in papers.items() if (student, paper.answer.digest) in read}


def _is_same(name: str, who: str) -> bool:
    """Return whether two names are one person's, who may have typed it otherwise in another browser."""
    return name.casefold() == who.casefold()


def _marker_of(paper: Paper) -> str:
    """Return who gave the mark that nbgrader holds; empty if it was given elsewhere."""
    return paper.standing.marking.who
