"""What this package changes in nbgrader and SQLAlchemy, in one explicit call.

nbgrader takes the course's own path for a pattern, reads times in ways of its own, and does not wait for a busy
database. Importing this package changes nothing of that: `autograder.nbgrader_plugins`, which nbgrader's own commands
and formgrader load, calls `adapt_nbgrader`, and so does whatever gives our commands nbgrader's view of a course.
"""

from __future__ import annotations

import functools
import glob
import os
from types import SimpleNamespace
from typing import Any

import nbgrader.api
import nbgrader.apps.api
import nbgrader.converters.base
import nbgrader.nbgraderformat.common
import nbgrader.utils

from autograder.deadlines.late_policy import adapt_penalties
from autograder.deadlines.nbgrader_times import adapt_times
from autograder.ledger.connections import wait_when_busy
from autograder.ledger.scratch_book import engine_for_nbgrader
from autograder.text import one_form

_GLOBBING = (nbgrader.converters.base, nbgrader.apps.api, nbgrader.utils)
"""Modules of nbgrader that look for folders by a pattern."""
_jsonschema = nbgrader.nbgraderformat.common.jsonschema


@functools.cache
def adapt_nbgrader() -> None:
    """Let nbgrader in this process wait for a busy database, and read times, paths and policies rightly, once."""
    wait_when_busy()
    adapt_times()
    adapt_penalties()
    nbgrader.api.create_engine = engine_for_nbgrader
    nbgrader.nbgraderformat.common.jsonschema = SimpleNamespace(validate=validate_metadata)
    for module in _GLOBBING:
        module.glob = SimpleNamespace(glob=literal_glob)


def validate_metadata(metadata: object, schema: dict[str, Any]) -> None:
    """Check a cell's metadata as `jsonschema.validate` does, which checks nbgrader's schema again for every cell.

    Raises:
        jsonschema.ValidationError: If they are not as the schema wants them.
    """
    _jsonschema.validators.validator_for(schema)(schema).validate(metadata)


def literal_glob(pattern: str) -> list[str]:
    """Return the paths that a pattern matches; a beginning that is there as it is written is no pattern.

    A course folder may be called `Kurs [WS 25]`, which as a pattern means something else.
    """
    parts = pattern.split("/")  # as text: nbgrader puts `.` into its patterns and wants it back
    plain = parts.index("*") if "*" in parts else len(parts)  # an asterisk alone always means all
    for number in range(plain, 0, -1):
        start = "/".join(parts[:number])
        start = _as_written(start) if not start.isascii() else start
        if os.path.lexists(start):
            return glob.glob("/".join([glob.escape(start), *parts[number:]]))  # noqa: PTH207
    return glob.glob(pattern)  # noqa: PTH207


def _as_written(path: str) -> str:
    """Return a path as the disk has it, should a part be there in another form of Unicode, as macOS writes it."""
    found = ""
    for part in path.split("/"):
        here = f"{found}{part}"
        if not os.path.lexists(here) and os.path.isdir(found or "."):  # noqa: PTH112
            here = found + next((name for name in os.listdir(found or ".") if one_form(name) == one_form(part)), part)  # noqa: PTH208
        found = f"{here}/"
    return found[:-1]
