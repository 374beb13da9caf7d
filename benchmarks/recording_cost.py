"""Measure what recording costs: `python -m benchmarks.recording_cost [STUDENTS] [--in-book N] [--postgresql]`.

Nothing is graded: 64 students (or STUDENTS) get made results of the lab, in a gradebook that holds N others already,
whose rows are copies. `first` records everyone, `again` records other points for the same hand-ins. `prepare` is what
may happen in other processes, `write` is the writer's own part, in the transactions of a batch. `recorded already` is
what each student costs in a run of `grade` that changes nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import sqlalchemy
from nbgrader.api import Base
from nbgrader.converters import GenerateAssignment

from autograder.batch.recording_line import TOGETHER
from autograder.course.assignment import Assignment
from autograder.course.course import Course, read_course
from autograder.course.submission import Snapshot
from autograder.gradebook.database import transaction
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.gradebook.record_stamp import Recording
from autograder.gradebook.recording import Recorder, prepare
from autograder.ledger.scratch_book import Rows, read_registered, read_students
from autograder.results import CheckResult, Environment, Submission, SubmissionResult, TaskResult
from benchmarks.measuring import say, table
from tests.postgresql import server

ROOT = Path(__file__).parents[1]
FOLDERS = ("solutions/vit", "source/vit", "release/vit", "autograder/checks/vit")
FILES = ("course_config.py", "nbgrader_config.py")
CHECKS = 8
AT_ONCE = 500
"""Students whose rows are copied at once."""
Made = TypeVar("Made")
WARM = "warm"
"""Whose rows the others' are copies of."""


def main() -> None:
    """Print milliseconds for each student."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recording_cost", description=__doc__)
    parser.add_argument("students", nargs="?", type=int, default=64)
    parser.add_argument("--in-book", type=int, default=0, metavar="N", help="students that are in the gradebook before")
    parser.add_argument("--postgresql", action="store_true", help="in a private PostgreSQL server, in place of SQLite")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        course, assignment = make_course(folder / "course", stack.enter_context(server()) if options.postgresql else "")
        took, recorder = spent(lambda: Recorder(course, assignment))
        say(f"one run: {took[0]:.0f} ms to read the rules")
        work = [(f"new-{number:04}", handed_in(assignment, number)) for number in range(options.students)]
        recorder.record(WARM, work[0][1], made_result(assignment, work[0][1], share=1.0))
        fill(course, options.in_book)
        rows: list[tuple[str, ...]] = []
        for name, share in (("first", 1.0), ("again", 0.5)):
            rows += measure(recorder, assignment, work, name, share)
        again = [(student, snapshot, made_result(assignment, snapshot, share=0.5)) for student, snapshot in work]
        took, known = spent(lambda: [recorder.new(*submission) for submission in again])
        rows.append(row("recorded already", took, len(work)))
        if any(known):
            raise SystemExit("Something is not recorded.")
    say(f"load {os.getloadavg()[0]:.1f}")
    say(table(("ms for each student", "wall", "cpu"), rows))


def measure(
    recorder: Recorder, assignment: Assignment, work: list[tuple[str, Snapshot]], name: str, share: float
) -> Iterator[tuple[str, ...]]:
    """Record everyone, and yield what it took."""
    new = [
        recorder.new(student, snapshot, made_result(assignment, snapshot, share=share)) for student, snapshot in work
    ]
    recordings: list[Recording] = [recording for recording in new if recording is not None]
    took, made = spent(lambda: [prepare(recording) for recording in recordings])
    yield row(f"{name}: prepare", took, len(work))
    prepared = list(zip(recordings, made, strict=True))
    parts = [prepared[start : start + TOGETHER] for start in range(0, len(prepared), TOGETHER)]
    took, outcomes = spent(lambda: [outcome for part in parts for outcome in recorder.write(part)])
    yield row(f"{name}: write", took, len(work))
    for outcome in outcomes:
        if isinstance(outcome, Exception):
            raise outcome


def spent(make: Callable[[], Made]) -> tuple[tuple[float, float], Made]:
    """Return milliseconds of wall-clock and of cpu time, and what was made."""
    began = time.perf_counter(), time.process_time()
    made = make()
    return (1000 * (time.perf_counter() - began[0]), 1000 * (time.process_time() - began[1])), made


def row(name: str, took: tuple[float, float], students: int) -> tuple[str, ...]:
    """Return a line of the table."""
    return name, *(f"{each / students:.1f}" for each in took)


def fill(course: Course, students: int) -> None:
    """Add copies of a recorded student's rows, history included, to the gradebook."""
    with transaction(course_directory(course, "vit")) as book:
        original = read_students(book, read_registered(book, "vit"), [WARM])[WARM]
        history = sqlalchemy.Table("autograder_history", sqlalchemy.MetaData(), autoload_with=book)
        told = [{name: row[name] for name in row if name != "id"} for row in book.execute(history.select()).mappings()]
        for start in range(0, students, AT_ONCE):
            names = [f"old-{number:05}" for number in range(start, min(start + AT_ONCE, students))]
            copies = [copied(original, student) for student in names]
            for name in original:
                rows = [row for copy in copies for row in copy[name]]
                if rows:
                    book.execute(Base.metadata.tables[name].insert(), rows)
            book.execute(history.insert(), [entry | {"student": student} for student in names for entry in told])


def copied(original: Rows, student: str) -> Rows:
    """Return a student's rows under another student's name, with ids of their own."""
    ids: dict[object, object] = {WARM: student}
    for rows in original.values():
        ids |= {row["id"]: uuid4().hex for row in rows if row["id"] not in ids}
    return {
        name: [{column: ids.get(value, value) for column, value in row.items()} for row in rows]
        for name, rows in original.items()
    }


def make_course(root: Path, url: str) -> tuple[Course, Assignment]:
    """Copy the lab and register it in a new gradebook, at this address if there is one."""
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder)
    for file in FILES:
        shutil.copy(ROOT / file, root / file)
    if url:
        with (root / "course_config.py").open("a") as config:
            config.write(f"\nc.CourseDirectory.db_url = {url!r}\n")
    course = read_course(root)
    run_step(make_step(GenerateAssignment, course, course_directory(course, "vit")))
    return course, course.assignment("vit")


def handed_in(assignment: Assignment, number: int) -> Snapshot:
    """Return a submission that nobody else has."""
    notebook = assignment.release_dir / f"{assignment.name}.ipynb"
    module = f"{(assignment.source_dir / 'utilities.py').read_text()}\n# {number}\n"
    return Snapshot({notebook.name: notebook.read_bytes(), "utilities.py": module.encode()}, notebook.name)


def made_result(assignment: Assignment, snapshot: Snapshot, *, share: float) -> SubmissionResult:
    """Return a result with this share of the points in each task."""
    tasks = tuple(
        TaskResult(
            id=task.id,
            score=task.points * share,
            max_score=task.points,
            checks=tuple(
                CheckResult(
                    id=f"{task.id}::check_{number}",
                    sentence="Something is so.",
                    outcome="passed" if number < CHECKS * share else "failed",
                    weight=1,
                    message="" if number < CHECKS * share else "Expected (2, 9, 48), got (2, 48, 9).",
                )
                for number in range(CHECKS)
            ),
        )
        for task in assignment.tasks
    )
    return SubmissionResult(
        assignment=assignment.name,
        submission=Submission(digest=snapshot.digest),
        score=sum(task.score for task in tasks),
        max_score=assignment.max_score,
        environment=Environment(tensorflow="2.21", device="cpu", sandbox=()),
        tasks=tasks,
    )


if __name__ == "__main__":
    main()
