"""Importing the package leaves nbgrader alone; its plugins, and our own commands, change it once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell
from nbgrader.api import Gradebook
from nbgrader.nbgraderformat import MetadataValidator, ValidationError

from autograder.gradebook.database import transaction
from autograder.gradebook.nbgrader_adaptation import adapt_nbgrader
from autograder.gradebook.nbgrader_steps import course_directory
from autograder.ledger.connections import BUSY_SECONDS
from autograder.ledger.scratch_book import scratch_book
from tests.tiny import TinyCourse

LOOK = """
import json, nbgrader.apps.api, nbgrader.converters.base, nbgrader.utils, sqlalchemy
from nbgrader.api import Gradebook, SubmittedAssignment

def look():
    with sqlalchemy.create_engine("sqlite://").connect() as connection:
        seconds = connection.exec_driver_sql("PRAGMA busy_timeout").scalar() / 1000
    add, wrapped = Gradebook.add_assignment, 0
    while hasattr(add, "__wrapped__"):
        add, wrapped = add.__wrapped__, wrapped + 1
    ours = [
        type(nbgrader.converters.base.glob).__name__ == "SimpleNamespace",
        nbgrader.apps.api.parse_utc.__module__.startswith("autograder"),
        SubmittedAssignment.duedate.fget.__module__.startswith("autograder"),
    ]
    print(json.dumps([ours, wrapped, seconds]))
"""
NBGRADERS_OWN = [[False, False, False], 0, 5.0]
ADAPTED = [[True, True, True], 1, BUSY_SECONDS]


def looks(program: str, *words: str) -> list[object]:
    """What a new process prints of nbgrader, line by line."""
    done = subprocess.run([sys.executable, "-c", LOOK + program, *words], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_our_commands_adapt_nbgrader_when_they_ask_for_its_view_of_a_course(tmp_path: Path) -> None:
    program = """
import sys, pathlib
from autograder.course.course import Course
from autograder.gradebook import autograding, class_marks, nbgrader_steps, recording
from autograder.feedback import exporter
from autograder.marking import desk
look()
for _ in range(2):
    nbgrader_steps.course_directory(Course(pathlib.Path(sys.argv[1])), "tiny")
    look()
"""
    assert looks(program, str(tmp_path)) == [NBGRADERS_OWN, ADAPTED, ADAPTED]


def test_nbgraders_own_commands_get_it_with_the_plugins() -> None:
    assert looks("look()\nimport autograder.nbgrader_plugins\nlook()") == [NBGRADERS_OWN, ADAPTED]


@pytest.mark.parametrize("points", [1, "many"])
def test_metadata_are_checked_as_nbgrader_does(points: object) -> None:
    adapt_nbgrader()
    flags = {"grade_id": "total", "grade": True, "solution": False, "locked": True, "schema_version": 3}
    cell = new_code_cell(metadata={"nbgrader": flags | {"points": points, "cell_type": "code"}})
    if points == 1:
        MetadataValidator().validate_cell(cell)
    else:
        with pytest.raises(ValidationError, match="'many' is not of type 'number'"):
            MetadataValidator().validate_cell(cell)


def test_copies_of_rows_share_compiled_sql_and_nothing_else(released_course: TinyCourse) -> None:
    with transaction(course_directory(released_course.course, "tiny")) as book:
        with scratch_book(book, "tiny", "ada") as first, scratch_book(book, "tiny", "bob") as beside:
            assert first.url != beside.url
            with Gradebook(first.url) as one, Gradebook(first.url) as same, Gradebook(beside.url) as other:
                assert one.engine is same.engine is not other.engine
                one.add_student("ada")
                assert ([student.id for student in same.students], other.students) == (["ada"], [])
        with scratch_book(book, "tiny", "cyd") as later, Gradebook(later.url) as again:
            assert (again.engine in (one.engine, other.engine), again.students) == (True, [])
