"""The desk that markers work at: the answers of a class, how each stands, and the groups that they are in."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import sqlalchemy
from nbgrader.api import Base

from autograder.course.cells import Bundle
from autograder.course.course import Course
from autograder.errors import UsageError
from autograder.gradebook.database import check_registered, has_gradebook, transaction
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.ledger.book_marks import BookRow, read_book_rows
from autograder.ledger.graded_answers import GradedAnswer
from autograder.ledger.markings import BookMark, Standing, is_settled, last_standings, standing_now
from autograder.ledger.second_readings import SecondReading, second_readings
from autograder.marking.class_answers import ClassAnswers
from autograder.marking.groups import THRESHOLD, Distances, Group, Text, distances, grouped, labels_at
from autograder.marking.names import ClassNames, HiddenNames, without_file_names
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
    _shown: dict[tuple[str, str], str] = field(default_factory=dict)
    _names_of: dict[str, Person] = field(default_factory=dict)
    _hider: ClassNames = field(default_factory=lambda: ClassNames(()))

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
        """Read and compare a question's answers, and hide the names in them."""
        papers = self.papers(question)
        self.groups(question, papers, THRESHOLD)
        for paper in papers.values():
            self.answer_row(paper, named=False)

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
        moved = {self.names.hidden(student): place for student, paper in papers.items() if (place := place_of(paper))}
        return grouped(texts, self._labels_at(question, texts, threshold), moved)

    def answer_row(self, paper: Paper, *, named: bool) -> AnswerRow:
        """Return what the page shows of an answer, with the student's name or without."""
        book, marking = paper.standing.book, paper.standing.marking
        person = self.people.get(paper.student, Person(paper.student))
        return AnswerRow(
            id=self.names.hidden(paper.student),
            digest=paper.answer.digest,
            text=self._beginning(paper, person, named=named),
            state=paper.state,
            points=paper.points,
            comment=book.comment,
            items=marking.items if paper.standing.is_ours else None,
            means=marking.means,
            who=marking.who,
            at=f"{marking.at:%Y-%m-%d %H:%M} UTC" if marking.at else "",
            note=marking.note,
            flagged=marking.flagged,
            moved=place_of(paper),
            second=paper.second,
            name=f"{person.name} ({person.id})" if named and person.name != person.id else person.id if named else "",
        )

    def answer_html(self, question: str, student: str, *, named: bool) -> str:
        """Return an answer as the page shows it."""
        answer = self.answers.answer(student, question) or NO_ANSWER
        if named:
            return self._laid_out(answer.text, answer.kind, answer.pictures, answer.digest)
        person = self.people.get(student, Person(student))
        text, pictures = without_file_names(answer.text, answer.pictures)
        shown = self._laid_out(self._class_names.hide(text, person), answer.kind, pictures, answer.digest)
        return self._class_names.hide(shown, person, html=True)

    def _laid_out(self, text: str, kind: str, pictures: dict[str, Bundle], digest: str) -> str:
        key = f"{digest} {hash(text)}"
        if key not in self._html:
            self._html[key] = str(as_html(text, kind, dict(pictures)))
        return self._html[key]

    def _beginning(self, paper: Paper, person: Person, *, named: bool) -> str:
        """Return the first part of an answer's text, to be searched and looked through."""
        text = paper.answer.text[: LONGEST_SEARCHED * 2]
        if named:
            return clean(text)[:LONGEST_SEARCHED]
        key = (paper.student, paper.answer.digest)
        if key not in self._shown:
            plain, _ = without_file_names(html.unescape(text), paper.answer.pictures)  # entities spell names, too
            self._shown[key] = clean(self._class_names.hide(plain, person))[:LONGEST_SEARCHED]
        return self._shown[key]

    @property
    def _class_names(self) -> ClassNames:
        """The names of everybody who is known now."""
        if self._names_of is not self.people:
            self._names_of, self._hider = self.people, ClassNames(self.people.values())
            self._shown.clear()
        return self._hider

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


def place_of(paper: Paper) -> str:
    """Return the key of the group that a person put this very answer into; empty if nobody did."""
    marking = paper.standing.marking
    return marking.group if marking.moved == paper.answer.digest else ""


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
