"""Connections to the gradebook's database, which wait while it is busy, and the time that is written there."""

from __future__ import annotations

import functools
import sqlite3
from datetime import UTC, datetime
from urllib.parse import quote

import sqlalchemy

BUSY_SECONDS = 30.0
"""How long SQLite waits for another program's transaction; its own 5 s are short for a busy folder on a network."""


@functools.cache
def engine_of(url: str) -> sqlalchemy.Engine:
    """Return this process's engine: it keeps compiled statements, which a `Gradebook` would not, and no connection.

    A gradebook in a file is opened, never made: SQLite would leave an empty one where there is none.
    """
    address = sqlalchemy.make_url(url)
    file = address.database or ""
    if address.get_backend_name() == "sqlite" and file not in ("", ":memory:") and not file.startswith("file:"):
        address = address.set(database=f"file:{quote(file)}").update_query_dict({"mode": "rw", "uri": "true"})
    engine = sqlalchemy.create_engine(address, poolclass=sqlalchemy.NullPool)
    sqlalchemy.event.listen(engine, "connect", _set_patience)
    return engine


@functools.cache
def wait_when_busy() -> None:
    """Let every connection to SQLite that this process makes from now on wait, those of nbgrader's gradebook too."""
    sqlalchemy.event.listen(sqlalchemy.Engine, "connect", _set_patience)


def _set_patience(connection: object, record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute(f"PRAGMA busy_timeout = {BUSY_SECONDS * 1000:.0f}")


def utc_now() -> datetime:
    """Return the time in UTC without a zone, as nbgrader's dates."""
    return datetime.now(UTC).replace(tzinfo=None)


def has_table(connection: sqlalchemy.Connection, name: str) -> bool:
    """Return whether one of our tables is there; asked once for each connection, for it takes as long as a query."""
    known: set[str] = connection.info.setdefault("autograder_tables", set())
    if name not in known and sqlalchemy.inspect(connection).has_table(name):
        known.add(name)
    return name in known
