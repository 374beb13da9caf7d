"""What markers do: give marks, write notes, move answers, take it back. Each is one transaction, and one action."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass

import msgspec
import sqlalchemy

from autograder.errors import AutograderError, UsageError
from autograder.gradebook.database import transaction
from autograder.ledger.book_marks import BookRow, read_book_rows, write_book_mark
from autograder.ledger.connections import utc_now
from autograder.ledger.entries import Entry, TaskMark
from autograder.ledger.history import append
from autograder.ledger.markings import (
    LONGEST_REMARK,
    Action,
    ActionKind,
    BookMark,
    Marking,
    Means,
    Standing,
    Step,
    action_with,
    actions_of,
    append_action,
    append_steps,
    last_standings,
    make_tables,
    steps_of,
)
from autograder.ledger.outside import current_state, with_outside
from autograder.marking.desk import Desk, Paper, place_of
from autograder.marking.questions import Question
from autograder.marking.views import GivenMark, MarkRequest, MoveRequest, NoteRequest, Seen
from autograder.text import counted

COMMAND = "mark"
"""What the history of marks names as the origin."""
NewStanding = Callable[[Paper], Standing]


class MarksDiffer(AutograderError):
    """What is to be replaced is not what the page showed: nothing was saved.

    Args:
        papers: The answers that differ, as they stand now.
    """

    def __init__(self, papers: Mapping[str, Paper]) -> None:
        super().__init__(f"{len(papers)} of the marks were changed meanwhile.")
        self.papers = papers


@dataclass(frozen=True)
class Marker:
    """A person at the desk, and the question that is on it."""

    desk: Desk
    question: Question
    who: str

    def mark(self, request: MarkRequest) -> list[Step]:
        """Give answers a mark.

        Raises:
            MarksDiffer: If one of them was marked, or handed in again, since the page showed it.
            UsageError: If an answer, an item or a number of points is not the question's.
            RecordingError: If the gradebook cannot be used.
        """
        points = points_for(self.question, request.mark)
        seen = {self._student(name): shown for name, shown in request.seen.items()}
        replaced = {self._student(name) for name in request.replaced}
        marked = self._marked(request.mark, request.means, replaced)
        what = f"{points:g} points to {counted(len(seen), 'answer')}"
        return self._act("mark", what, dict.fromkeys(seen, marked), seen)

    def _marked(self, mark: GivenMark, means: Means, replaced: Container[str] = ()) -> NewStanding:
        points, comment, now = points_for(self.question, mark), mark.comment.strip()[:LONGEST_REMARK], utc_now()

        def marked(paper: Paper) -> Standing:
            if means == "group" and _keeps_its_mark(paper) and paper.student not in replaced:
                return paper.standing
            said = _with_earlier(paper.standing, comment)
            book = msgspec.structs.replace(paper.standing.book, points=points, comment=said, waits=False)
            given = {"items": mark.items, "means": means, "who": self.who, "at": now}
            marking = msgspec.structs.replace(paper.standing.marking, digest=paper.answer.digest, **given)
            return Standing(book, marking)

        return marked

    def note(self, request: NoteRequest) -> list[Step]:
        """Write a private note, or flag answers: no mark changes.

        Raises:
            UsageError: If an answer is not the question's.
            RecordingError: If the gradebook cannot be used.
        """

        def noted(paper: Paper) -> Standing:
            marking = paper.standing.marking
            if request.note is not None:
                marking = msgspec.structs.replace(marking, note=_new_note(marking.note, request.shown, request.note))
            if request.flagged is not None:
                marking = msgspec.structs.replace(marking, flagged=request.flagged)
            return Standing(paper.standing.book, marking)

        students = [self._student(name) for name in request.ids]
        what = "the note on" if request.note is not None else "the flag of"
        return self._act("note", f"{what} {counted(len(students), 'answer')}", {student: noted for student in students})

    def move(self, request: MoveRequest) -> list[Step]:
        """Put answers into another group, where they get its mark if the request says so.

        Raises:
            MarksDiffer: If one of them was marked, or handed in again, since the page showed it.
            UsageError: If an answer or the mark is not the question's.
            RecordingError: If the gradebook cannot be used.
        """
        seen = {self._student(name): shown for name, shown in request.seen.items()}
        key = request.key or next((shown.digest for shown in seen.values()), "")
        marked = self._marked(request.mark, "group") if request.mark else None

        def moved(paper: Paper) -> Standing:
            places = {"group": "", "moved": ""} if request.back else {"group": key, "moved": paper.answer.digest}
            standing = marked(paper) if marked else paper.standing
            return Standing(standing.book, msgspec.structs.replace(standing.marking, **places))

        return self._act("move", f"the moving of {counted(len(seen), 'answer')}", dict.fromkeys(seen, moved), seen)

    def take_back(self, *, redo: bool, force: bool) -> list[Step]:
        """Take back this person's last action on the question, or the last taking back.

        Args:
            redo: Whether the last taking back is meant.
            force: Whether to do so although marks have changed since then.

        Raises:
            MarksDiffer: If marks have changed since then.
            UsageError: If there is nothing to take back.
            RecordingError: If the gradebook cannot be used.
        """
        with transaction(self.desk.coursedir) as connection:
            undo, again = self.undoable(connection)
            action = again if redo else undo
            if action is None:
                raise UsageError("There is nothing to take back." if not redo else "Nothing was taken back.")
            steps = steps_of(connection, action.id)
            taken_back = action_with(connection, action.undoes) if redo and action.undoes else None
        done = {step.student: step for step in steps}

        def restored(paper: Paper) -> Standing:
            return _restored(paper, done[paper.student], force=force)

        said = f"doing again: {taken_back.said}" if taken_back else f"taking back: {action.said}"
        kind: ActionKind = "redo" if redo else "undo"
        return self._act(kind, said, {student: restored for student in done}, undoes=action.id)

    def undoable(self, connection: sqlalchemy.Connection) -> tuple[Action | None, Action | None]:
        """Return this person's last action that counts, and the last taking back that counts if nothing came after."""
        actions = actions_of(connection, self.desk.assignment, self.question.id, self.who)
        gone: set[int | None] = set()
        undo: Action | None = None
        redo: Action | None = None
        for action in actions:  # the last first, so that what takes back is met before what it takes back
            if action.id in gone:
                continue
            if action.kind in ("undo", "redo"):
                gone.add(action.undoes)
                redo = redo or (action if undo is None and action.kind == "undo" else None)
            else:
                undo = undo or action
        return undo, redo

    def _act(
        self,
        kind: ActionKind,
        said: str,
        changes: Mapping[str, NewStanding],
        seen: Mapping[str, Seen] | None = None,
        undoes: int | None = None,
    ) -> list[Step]:
        """Change answers in one transaction: nbgrader's rows, ours, and the history of every mark that changes."""
        desk, name = self.desk, self.question.id
        action = Action(desk.assignment, name, self.who, kind, said, undoes)
        desk.answers.refresh(changes)
        with transaction(desk.coursedir) as connection:
            make_tables(connection)
            # First of all a row is written: from here on SQLite lets nobody else write.
            action = Action(desk.assignment, name, self.who, kind, said, undoes, append_action(connection, action))
            rows = read_book_rows(connection, desk.assignment, question=name, lock=True).get(name, {})
            last = last_standings(connection, desk.assignment, name).get(name, {})
            papers = {
                student: desk.paper_of(name, student, rows[student].mark, last.get(student))
                for student in changes
                if student in rows
            }
            _check_seen(papers, seen or {})
            steps = _steps(papers, changes)
            for step in steps:
                self._write(connection, rows[step.student], step, action)
            append_steps(connection, action, steps)
        return steps

    def _write(self, connection: sqlalchemy.Connection, row: BookRow, step: Step, action: Action) -> None:
        """Write one mark into nbgrader's tables and the student's history, if it changes."""
        if step.before.book == step.after.book:
            return
        key = (self.desk.assignment, step.student)
        last, is_new = with_outside(connection, *key)
        if last is not None and is_new:
            append(connection, *key, last)
        write_book_mark(connection, row, step.after.book)
        book = last.book if last else current_state(connection, *key)
        mark = book.marks.get(self.question.id, TaskMark())
        changed = msgspec.structs.replace(mark, by_hand=step.after.book.points)
        book = msgspec.structs.replace(book, marks=book.marks | {self.question.id: changed})
        entry = Entry(
            at=utc_now(),
            who=self.who,
            command=COMMAND,
            submission=last.submission if last else "",
            rules=last.rules if last else None,
            book=book,
            why={self.question.id: "marked by hand"},
            note=f"Action {action.id}: {action.said}.",
        )
        append(connection, *key, entry)

    def _student(self, name: str) -> str:
        student = self.desk.names.student(name)
        if student is None:
            raise UsageError("The page shows an answer that is not known here.", "Load the page again.")
        return student


def points_for(question: Question, mark: GivenMark) -> float:
    """Return what an answer earns: other points that a person chose, or those of the rubric's items.

    Raises:
        UsageError: If an item or a number of points is not the question's.
    """
    known = {item.id: item.points for item in question.items}
    if len(set(mark.items)) < len(mark.items) or not set(mark.items) <= set(known):
        raise UsageError(f"{question.title} has no such item in its rubric.", "Load the page again.")
    total = sum(known[item] for item in mark.items) if mark.points is None else mark.points
    if not 0 <= total <= question.points:  # also refuses what is no number
        raise UsageError(f"{question.title} gives 0 to {question.points:g} points, not {total:g}.")
    return round(total, 2)


def _steps(papers: Mapping[str, Paper], changes: Mapping[str, NewStanding]) -> list[Step]:
    """Return what changes; all answers that differ from what is expected are named at once."""
    steps: list[Step] = []
    differ: dict[str, Paper] = {}
    for student, paper in papers.items():
        try:
            step = Step(student, paper.standing, changes[student](paper))
        except MarksDiffer as error:
            differ |= error.papers
        else:
            steps += [step] if step.before != step.after else []
    if differ:
        raise MarksDiffer(differ)
    return steps


def _check_seen(papers: Mapping[str, Paper], seen: Mapping[str, Seen]) -> None:
    differ = {
        student: paper for student, paper in papers.items() if student in seen and not _is_seen(paper, seen[student])
    }
    if differ:
        raise MarksDiffer(differ)


def _is_seen(paper: Paper, seen: Seen) -> bool:
    book = BookMark(paper.points, paper.standing.book.comment)
    is_same = paper.answer.digest == seen.digest and place_of(paper) == seen.moved
    return is_same and book.says_as(BookMark(seen.points, seen.comment))


def _restored(paper: Paper, step: Step, *, force: bool) -> Standing:
    """Return an answer with what one step changed put back; all else stays as it is now.

    Raises:
        MarksDiffer: If what the step changed has been changed again since then.
    """
    now, old, new = paper.standing, step.before, step.after
    fields = [name for name in Marking.__struct_fields__ if getattr(old.marking, name) != getattr(new.marking, name)]
    is_marked = old.book != new.book
    stays = all(getattr(now.marking, name) == getattr(new.marking, name) for name in fields)
    if not force and not (stays and (not is_marked or now.book.says_as(new.book))):
        raise MarksDiffer({paper.student: paper})
    marking = msgspec.structs.replace(now.marking, **{name: getattr(old.marking, name) for name in fields})
    if not is_marked:
        return Standing(now.book, marking)
    is_other = bool(new.marking.digest) and new.marking.digest != paper.answer.digest
    waits = old.book.waits or is_other  # a mark that comes back may be for an answer that is gone
    return Standing(msgspec.structs.replace(old.book, automatic=now.book.automatic, waits=waits), marking)


def _with_earlier(standing: Standing, comment: str) -> str:
    """Return a comment after the one that somebody wrote elsewhere to an answer that nobody marked."""
    earlier = standing.book.comment.strip()
    if not earlier or earlier == comment or standing.book.points is not None or standing.is_ours:
        return comment
    return "\n".join(filter(None, (earlier, comment)))


def _new_note(old: str, shown: str, written: str) -> str:
    """Return the note that was written, below the answer's own where the page did not show that."""
    kept = "" if old == shown else old
    return "\n".join(filter(None, (kept, written.strip())))[:LONGEST_REMARK]


def _keeps_its_mark(paper: Paper) -> bool:
    """Return whether a group's mark leaves an answer alone: it has one of its own, or one from elsewhere."""
    return not paper.is_open and (paper.standing.marking.means == "one" or paper.state == "elsewhere")
