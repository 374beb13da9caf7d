"""The answers of a whole class, read from the graded notebooks and read again when one of them changes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from autograder.ledger.graded_answers import GradedAnswer, read_answers

_Stamp = tuple[int, int, int]
_UNREAD: _Stamp = (-1, -1, -1)


class ClassAnswers:
    """Answers by student and question."""

    def __init__(self, folders: str, assignment: str) -> None:
        """Look for graded notebooks.

        Args:
            folders: Where one student's folder is, with `{student}` in the student's place.
            assignment: Name of the assignment.
        """
        self._folders = folders
        self._assignment = assignment
        self._known: dict[str, tuple[_Stamp, Mapping[str, GradedAnswer]]] = {}

    def refresh(self, students: Iterable[str]) -> None:
        """Read the notebooks of these students that are new or changed."""
        for student in students:
            notebook = Path(self._folders.replace("{student}", student), f"{self._assignment}.ipynb")
            stamp: _Stamp = (0, 0, 0)
            with suppress(OSError):
                found = os.stat(notebook)  # noqa: PTH116 - a third of the time, for thousands of files
                stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if student not in self._known or self._known[student][0] != stamp:
                self._known[student] = _UNREAD, {}
                with suppress(OSError):  # one file that cannot be opened costs nobody the page, and is tried again
                    self._known[student] = stamp, read_answers(notebook)

    def answer(self, student: str, question: str) -> GradedAnswer | None:
        """Return what a student answered; None if there is no such answer."""
        known = self._known.get(student)
        return known[1].get(question) if known else None
