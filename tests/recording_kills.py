"""Kill recording at random moments: `python -m tests.recording_kills --kills 50 [--postgresql]`.

A process records one hand-in of a student after another, by `grade` and by nbgrader's own `autograde` in turn, with
made results, and is killed (-9) at a random moment. Number `n` of these hand-ins has points, a time, a late penalty and
files that say `n`. After a kill the gradebook must be that of one number, whole; on the next start the graded notebook
must be of the same number.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from unittest.mock import patch

import nbformat
from nbgrader.api import Gradebook
from nbgrader.converters import Autograde, GenerateAssignment

from autograder.course.course import read_course
from autograder.course.submission import read_submission
from autograder.gradebook.database import transaction
from autograder.gradebook.graded_notebook import recorded_result
from autograder.gradebook.nbgrader_steps import course_directory, make_step, run_step
from autograder.gradebook.transactions import GradebookWriter
from autograder.grading.result_store import ReadSubmission
from autograder.grading.rules_digest import read_rules
from autograder.ledger.history import last_entry
from autograder.ledger.outside import current_state
from autograder.release.build import build
from autograder.results import SubmissionResult
from tests.postgresql import server
from tests.tiny import TinyCourse, tiny_result, write_tiny_sources

STUDENT = "ada"
WHOSE = ("tiny", STUDENT)
RECORDINGS = 3
"""A kill comes within the time that so many take."""


def make_course(root: Path, url: str | None = None) -> TinyCourse:
    """Write a released course whose late students lose a point."""
    write_tiny_sources(root)
    build(root, "tiny")
    with (root / "course_config.py").open("a") as file:
        file.write('\nc.AssignLatePenalties.plugin_class = "tests.tiny.OnePointOff"\n')
        if url:
            file.write(f"c.CourseDirectory.db_url = {url!r}\n")
    course = read_course(root)
    coursedir = course_directory(course, "tiny")
    run_step(make_step(GenerateAssignment, course, coursedir))
    with Gradebook(coursedir.db_url) as book:
        book.update_or_create_assignment("tiny", duedate="2030-01-01 12:00:00 UTC")
    return TinyCourse(course, course.assignment("tiny"))


def points(number: int) -> tuple[float, float]:
    """Return the points of a hand-in."""
    return float(number % 4), number % 3 / 2


def result(number: int) -> SubmissionResult:
    """Return the made result of a hand-in."""
    double, total = points(number)
    return tiny_result(double=double, total=total, notes=(f"number {number}",))


def hand_in(course: TinyCourse, number: int) -> Path:
    """Hand in a number; odd ones are late."""
    folder = course.hand_in(STUDENT, json.dumps(course.released_notebook()).encode(), f"# {number}")
    hour = 13 if number % 2 else 11
    (folder / "timestamp.txt").write_text(f"2030-01-01 {hour}:{number // 60 % 60:02}:{number % 60:02} UTC")
    return folder


def record(course: TinyCourse, number: int) -> None:
    """Hand in and record a number: every other by nbgrader's own command."""
    folder = hand_in(course, number)
    if number // 2 % 2:
        course.record(STUDENT, folder, result(number))
        return
    rules = read_rules(course.course, course.assignment)

    class Grader:
        """Finds the made result."""

        def look_up(self, folder: Path, student: str) -> ReadSubmission:
            return ReadSubmission(read_submission(folder, "tiny", course.course.settings), result(number))

    grader = Grader()
    grader.rules = rules  # type: ignore[attr-defined]
    with patch("autograder.grading.result_store.grader_for", lambda *args: grader):
        run_step(make_step(Autograde, course.course, course_directory(course.course, "tiny")))


def kill_while_recording(course: TinyCourse, first: int, seconds: float) -> None:
    """Record one number after another in a process of its own, and kill it after so many seconds.

    Raises:
        RuntimeError: If recording failed before.
    """
    child = os.fork()
    if child == 0:
        try:
            for number in count(first):
                record(course, number)
        finally:
            os._exit(1)  # nothing of the parent's may run here
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"Recording ended by itself, before or after number {first}.")


@dataclass(frozen=True)
class Found:
    """What there is after a kill.

    Attributes:
        number: Of the hand-in that the gradebook holds.
        wrong: What is not of this number; empty if all is.
        unfinished: Whether the notebook had to be put in its place on the next start.
    """

    number: int
    wrong: str
    unfinished: bool


def look(course: TinyCourse) -> Found:
    """Compare the gradebook, then start again as the next command would, and compare the graded notebook."""
    writer = GradebookWriter(course.course, course_directory(course.course, "tiny"), "test")
    with transaction(writer.coursedir) as book:
        last = last_entry(book, *WHOSE)
        state = current_state(book, *WHOSE)
    if last is None or state.handed_in is None:
        return Found(-1, "nothing is recorded", unfinished=False)
    number = state.handed_in.minute * 60 + state.handed_in.second
    double, total = points(number)
    penalty = min(1.0, double + total) if number % 2 else None
    marks = {name: state.marks[name].automatic for name in ("double", "total")}
    digest = read_submission(hand_in(course, number), "tiny", course.course.settings).digest
    expected = ({"double": double, "total": total}, penalty, digest, state)
    if (marks, state.penalty, last.submission, last.book) != expected:
        return Found(number, f"gradebook: {marks}, {state.penalty}, {last}", unfinished=False)
    unfinished = any((course.course.state_dir / "unfinished").glob("*"))
    writer.settle()
    return Found(number, _wrong_in_folder(course, number), unfinished)


def _wrong_in_folder(course: TinyCourse, number: int) -> str:
    folder = course.root / "autograded" / STUDENT / "tiny"
    shown = recorded_result(nbformat.read(folder / "tiny.ipynb", as_version=4))
    if shown is None or shown.notes != (f"number {number}",):
        return f"notebook: {shown and shown.notes}"
    module = (folder / "utilities.py").read_text()
    beside = [path.name for path in folder.parent.iterdir()]
    return "" if (module, beside) == (f"# {number}", ["tiny"]) else f"files: {module}, {beside}"


def kill_often(course: TinyCourse, kills: int, seed: int) -> list[Found]:
    """Kill so many times, and return what was there after each."""
    draw = random.Random(seed)  # noqa: S311 - reproducible, not secret
    began = time.monotonic()
    record(course, 0)
    longest = RECORDINGS * (time.monotonic() - began)
    found: list[Found] = []
    for _ in range(kills):
        kill_while_recording(course, (found[-1].number if found else 0) + 1, draw.uniform(0, longest))
        found.append(look(course))
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Kill, look and count; exit status 1 if anything was between."""
    parser = argparse.ArgumentParser(prog="python -m tests.recording_kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgresql", action="store_true")
    options = parser.parse_args(words)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(server()) if options.postgresql else None
        began = time.monotonic()
        found = kill_often(make_course(folder / "course", url), options.kills, options.seed)
    for done in found:
        if done.wrong:
            sys.stdout.write(f"number {done.number}: {done.wrong}\n")
    between, completed = sum(bool(done.wrong) for done in found), sum(done.unfinished for done in found)
    told = f"{len(found)} kills in {time.monotonic() - began:.0f} s, while {found[-1].number} hand-ins were recorded"
    sys.stdout.write(f"{told}: {between} between old and new, {completed} completed on the next start\n")
    return 1 if between else 0


if __name__ == "__main__":
    sys.exit(main())
