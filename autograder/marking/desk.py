"""The desk that markers work at: the answers of a class, how each stands, and the groups that they are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy
from nbgrader.api import Base

from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.gradebook.database import has_gradebook, transaction
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.gradebook.transactions import check_registered
from autograder.ledger.book_marks import BookRow, read_book_rows
from autograder.ledger.graded_answers import GradedAnswer
from autograder.ledger.markings import BookMark, Standing, is_settled, last_standings, standing_now
from autograder.ledger.second_readings import SecondReading, second_readings
from autograder.marking.class_answers import ClassAnswers
from autograder.marking.groups import THRESHOLD, Distances, Group, Text, distances, grouped, labels_at
from autograder.marking.names import HiddenNames, without_names
from autograder.marking.questions import Question, as_html, read_questions
from autograder.marking.views import AnswerRow, AnswerState, CommentRow, QuestionRow
from autograder.marks import Person
from autograder.text import clean

LONGEST_SEARCHED = 1_500
"""Characters of an answer that the page can search."""
MOST_COMMENTS = 60
NO_ANSWER = GradedAnswer("", "markdown")


@dataclass(frozen=True)
class Paper:
    """One student's answer to one question, and how it stands.

    Attributes:
        second: Points of the last second reading of this very answer; None without one.
    """

    student: str
    answer: GradedAnswer
    standing: Standing
    second: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether it waits for a person."""
        return not is_settled(self.standing, self.answer.digest)

    @property
    def points(self) -> float | None:
        """The points that count."""
        book = self.standing.book
        return book.automatic if book.points is None else book.points

    @property
    def state(self) -> AnswerState:
        """How it stands, in a word."""
        if self.is_open:
            return "unmarked" if self.standing.book.points is None else "changed"
        if self.standing.book.points is None:
            return "untouched"
        return "marked" if self.standing.is_ours else "elsewhere"

    @property
    def differs(self) -> bool:
        """Whether a second person would give other points."""
        return self.second is not None and self.second != self.points


@dataclass
class Desk:
    """Reads what the page shows; `actions` changes it.

    All of it belongs to one thread: whoever serves the page sees to that.
    """

    course: Course
    assignment: str
    questions: Mapping[str, Question]
    answers: ClassAnswers
    people: dict[str, Person] = field(default_factory=dict)
    names: HiddenNames = field(default_factory=HiddenNames)
    _compared: dict[str, tuple[tuple[str, ...], Distances]] = field(default_factory=dict)
    _labels: dict[tuple[str, float], tuple[Distances, dict[str, int]]] = field(default_factory=dict)
    _html: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Find the gradebook."""
        self.coursedir = course_directory(self.course, self.assignment)

    def question(self, name: str) -> Question:
        """Return a question.

        Raises:
            UsageError: If there is none of this name.
        """
        if name not in self.questions:
            raise UsageError(f"There is no question {name!r}.")
        return self.questions[name]

    def prepare(self, question: str) -> None:
        """Read and compare a question's answers."""
        self.groups(question, self.papers(question), THRESHOLD)

    def rows(self) -> list[QuestionRow]:
        """Return all questions, and how far each is."""
        with transaction(self.coursedir) as connection:
            books = read_book_rows(connection, self.assignment)
            last = last_standings(connection, self.assignment)
            readings = second_readings(connection, self.assignment)
        self.answers.refresh({student for found in books.values() for student in found})
        return [
            self._row(question, self._papers(name, _marks(books.get(name, {})), last.get(name, {}), readings))
            for name, question in self.questions.items()
        ]

    def papers(self, question: str) -> dict[str, Paper]:
        """Return all answers to a question by student, as they stand now."""
        with transaction(self.coursedir) as connection:
            books = read_book_rows(connection, self.assignment, question=question).get(question, {})
            last = last_standings(connection, self.assignment, question).get(question, {})
            readings = second_readings(connection, self.assignment, question)
            if books.keys() - self.people.keys():
                self.people = read_people(connection)
        self.answers.refresh(books)
        return self._papers(question, _marks(books), last, readings)

    def paper_of(self, question: str, student: str, book: BookMark, last: Standing | None) -> Paper:
        """Return one answer, from what a transaction read."""
        answer = self.answers.answer(student, question) or NO_ANSWER
        return Paper(student, answer, standing_now(book, last))

    def groups(self, question: str, papers: Mapping[str, Paper], threshold: float) -> list[Group]:
        """Return the groups of a question's answers at a threshold."""
        given = self.question(question).given
        texts = [_text(self.names.hidden(student), paper.answer, given) for student, paper in papers.items()]
        texts.sort(key=lambda text: text.id)
        moved = {
            self.names.hidden(student): paper.standing.marking.group
            for student, paper in papers.items()
            if is_moved(paper)
        }
        return grouped(texts, self._labels_at(question, texts, threshold), moved)

    def answer_row(self, paper: Paper, *, named: bool) -> AnswerRow:
        """Return what the page shows of an answer, with the student's name or without."""
        book, marking = paper.standing.book, paper.standing.marking
        person = self.people.get(paper.student, Person(paper.student))
        text = paper.answer.text[: LONGEST_SEARCHED * 2]
        return AnswerRow(
            id=self.names.hidden(paper.student),
            digest=paper.answer.digest,
            text=clean(text if named else without_names(text, person))[:LONGEST_SEARCHED],
            state=paper.state,
            points=paper.points,
            comment=book.comment,
            items=marking.items if paper.standing.is_ours else None,
            means=marking.means,
            who=marking.who,
            at=f"{marking.at:%Y-%m-%d %H:%M} UTC" if marking.at else "",
            note=marking.note,
            flagged=marking.flagged,
            moved=is_moved(paper),
            second=paper.second,
            name=f"{person.name} ({person.id})" if named and person.name != person.id else person.id if named else "",
        )

    def answer_html(self, question: str, student: str, *, named: bool) -> str:
        """Return an answer as the page shows it."""
        answer = self.answers.answer(student, question) or NO_ANSWER
        person = self.people.get(student, Person(student))
        text = answer.text if named else without_names(answer.text, person)
        key = f"{answer.digest} {hash(text)}"
        if key not in self._html:
            self._html[key] = str(as_html(text, answer.kind, dict(answer.pictures)))
        return self._html[key]

    def comments(self, papers: Iterable[Paper]) -> tuple[CommentRow, ...]:
        """Return the comments that were given to a question's answers, the commonest first."""
        uses: Counter[str] = Counter()
        items: dict[str, Counter[tuple[str, ...]]] = {}
        for paper in papers:
            comment = paper.standing.book.comment.strip()
            if comment:
                uses[comment] += 1
                if paper.standing.is_ours:
                    items.setdefault(comment, Counter())[paper.standing.marking.items] += 1
        return tuple(
            CommentRow(comment, count, items[comment].most_common(1)[0][0] if comment in items else ())
            for comment, count in uses.most_common(MOST_COMMENTS)
        )

    def _row(self, question: Question, papers: Mapping[str, Paper]) -> QuestionRow:
        known = papers.values()
        return QuestionRow(
            id=question.id,
            title=question.title,
            points=question.points,
            answers=len(papers),
            open=sum(paper.is_open for paper in known),
            flagged=sum(paper.standing.marking.flagged for paper in known),
            differ=sum(paper.differs for paper in known),
        )

    def _papers(
        self,
        question: str,
        books: Mapping[str, BookMark],
        last: Mapping[str, Standing],
        readings: Iterable[SecondReading],
    ) -> dict[str, Paper]:
        papers = {student: self.paper_of(question, student, book, last.get(student)) for student, book in books.items()}
        for reading in readings:
            paper = papers.get(reading.student)
            if paper and reading.question == question and reading.digest == paper.answer.digest:
                papers[reading.student] = Paper(paper.student, paper.answer, paper.standing, reading.points)
        return papers

    def _labels_at(self, question: str, texts: Iterable[Text], threshold: float) -> dict[str, int]:
        """Return the texts' groups, worked out again only where an answer or the threshold changed."""
        known = tuple(sorted(text.digest for text in texts))
        if question not in self._compared or self._compared[question][0] != known:
            self._compared[question] = known, distances(texts)
        compared = self._compared[question][1]
        found = self._labels.get((question, threshold))
        if found is None or found[0] is not compared:
            found = self._labels[question, threshold] = compared, labels_at(compared, threshold)
        return found[1]


def open_desk(course: Course, assignment: str) -> Desk:
    """Return the desk for an assignment whose submissions are graded.

    Raises:
        UsageError: If there is no such assignment, or it has no question that a person marks.
        RecordingError: If the gradebook cannot be used, or does not know the assignment.
    """
    titles = course.assignment(assignment).titles
    questions = {question.id: question for question in read_questions(course.root, assignment, titles)}
    coursedir = course_directory(course, assignment)
    if not has_gradebook(coursedir):
        raise UsageError("There is no gradebook yet.", "Run: python -m autograder grade")
    with transaction(coursedir) as connection:
        check_registered(connection, assignment)
        people = read_people(connection)
    folders = coursedir.format_path(coursedir.autograded_directory, "{student}", assignment)
    return Desk(course, assignment, questions, ClassAnswers(folders, assignment), people)


def is_moved(paper: Paper) -> bool:
    """Return whether a person put this very answer into another group."""
    return bool(paper.standing.marking.group) and paper.standing.marking.moved == paper.answer.digest


def read_people(connection: sqlalchemy.Connection) -> dict[str, Person]:
    """Return all students of the gradebook by id."""
    student = Base.metadata.tables["student"]
    asked = sqlalchemy.select(
        student.c.id, student.c.first_name, student.c.last_name, student.c.email, student.c.lms_user_id
    )
    return {row[0]: Person(str(row[0]), *(str(text or "") for text in row[1:])) for row in connection.execute(asked)}


def _marks(rows: Mapping[str, BookRow]) -> dict[str, BookMark]:
    return {student: row.mark for student, row in rows.items()}


def _text(name: str, answer: GradedAnswer, given: str) -> Text:
    untouched = answer.text.strip() == given and not answer.pictures
    return Text(name, answer.digest, answer.text, untouched)
