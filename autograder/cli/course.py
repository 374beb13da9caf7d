"""From options to the course that they are about."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autograder.cli.arguments import Options
from autograder.cli.output import complain
from autograder.course.course import Course, find_root, read_course
from autograder.suggestions import did_you_mean
from autograder.text import printable

SANDBOXES = ("required", "none")
MOST_NAMED = 20
"""Things in the wrong place, and students whose time is unknown, that are named."""


def sandbox_word(word: str) -> str:
    """Return what `--sandbox` says, if it may."""
    if word not in SANDBOXES:
        raise argparse.ArgumentTypeError(f"no choice {word!r}. {did_you_mean(word, SANDBOXES)}")
    return word


def open_course(options: Options, sandbox: str | None = None) -> tuple[Course, str]:
    """Read the course, once for each command, and return it with the name of the assignment that is meant.

    Args:
        options: Of the command.
        sandbox: What `--sandbox` says; None leaves it to `course_config.py`.

    Raises:
        ConfigError: If there is no course, or its settings are wrong.
    """
    course = read_course(find_root(options.course))
    if sandbox is not None:
        course = replace(course, settings=replace(course.settings, sandbox=sandbox))
    if course.settings.sandbox == "none":
        complain("--sandbox none: student code runs unconfined.")
    return course, options.assignment or course.settings.assignment


def name_misplaced(submitted: Path, assignment: str) -> None:
    """Name what looks like a hand-in and lies where none is looked for."""
    from autograder.batch.misplaced import misplaced

    for number, (_, sentence) in enumerate(misplaced(submitted, assignment)):
        if number == MOST_NAMED:
            complain(f"and more in {submitted} that is no folder <student>/{assignment}/.")
            break
        complain(sentence)


def name_untimed(students: Sequence[str]) -> None:
    """Name the students of whom nobody knows whether they were late: no penalty is taken, and none is ruled out."""
    if students:
        complain(
            f"there is a due date, and nobody knows when they handed in: {shown_names(students)}. Write the time into "
            "timestamp.txt beside their work, or collect with --times FILE, then grade again."
        )


def shown_names(students: Sequence[str]) -> str:
    """Return the students' ids for a sentence, as many as one can read."""
    more = f" and {len(students) - MOST_NAMED} more" if len(students) > MOST_NAMED else ""
    return ", ".join(printable(student) for student in students[:MOST_NAMED]) + more


def submitted_folder(course: Course, named: Path | None) -> Path:
    """Return where submissions are: the folder that `--submitted` names, or nbgrader's own."""
    return named or course.root / "submitted"
