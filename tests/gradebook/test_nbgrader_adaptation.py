"""Importing the package leaves nbgrader alone; its plugins, and our own commands, change it once."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from autograder.ledger.connections import BUSY_SECONDS

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
