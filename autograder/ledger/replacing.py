"""Which hand-ins may take the place of marks that are there: not one that is empty, or has its files misnamed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import sqlalchemy

from autograder.course.assignment import MODULE
from autograder.course.submission import Snapshot
from autograder.errors import SubmissionUnreadable
from autograder.ledger.entries import SubmissionKey
from autograder.ledger.history import is_recorded_last
from autograder.ledger.scratch_book import read_book_state
from autograder.text import clean_name

REMEDY = "Rename or complete what was handed in, then grade again."
_MOST_NAMED = 12
_NO_WORK = ("timestamp.txt", "submission_secret.txt")


def check_replaces_marks(book: sqlalchemy.Connection, key: SubmissionKey, snapshot: Snapshot) -> None:
    """Refuse a hand-in without work, or with misnamed work, where an earlier one has marks: those are worth more.

    Args:
        book: The gradebook; it is only read.
        key: The submission.
        snapshot: What was handed in.

    Raises:
        SubmissionUnreadable: If it must not take their place.
    """
    problem = missing_work(snapshot)
    if not problem:
        return
    if is_recorded_last(book, *key, snapshot.digest):
        return
    if any(mark.automatic is not None for mark in read_book_state(book, *key).marks.values()):
        raise SubmissionUnreadable(problem, REMEDY)


def missing_work(snapshot: Snapshot) -> str:
    """Return why a snapshot is perhaps not what a student meant to hand in, as a sentence; empty if it may well be.

    One of module and notebook is enough. An empty file, and one that was left out, counts as missing.
    """
    module, files = f"{MODULE}.py", snapshot.files
    missing = [name for name in (module, snapshot.notebook) if not files.get(name, b"").strip()]
    if len(missing) == 2:
        return f"The hand-in holds neither {module} nor {snapshot.notebook}{_but(files)}."
    for name in missing:
        if name in files:
            return f"{name} is empty."
        if name in snapshot.left_out:
            return snapshot.left_out[name]
        part, ending = (MODULE, ".py") if name == module else ("", ".ipynb")
        near = [other for other in files if part in other.lower() and Path(other).suffix.lower() == ending]
        if near:
            return f"The hand-in holds no {name}{_but(near)}."
    return ""


def _but(names: Iterable[str]) -> str:
    """Return what is there instead, as the end of a sentence."""
    shown = sorted(name for name in names if name not in _NO_WORK)[:_MOST_NAMED]
    return f", but {', '.join(map(clean_name, shown))}" if shown else ""
