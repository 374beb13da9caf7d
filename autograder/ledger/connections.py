"""Connections to the gradebook's database, which wait while it is busy, and how our tables are read and dated."""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import sqlalchemy

BUSY_SECONDS = 30.0
"""How long SQLite waits for another program's transaction; its own 5 s are short for a busy folder on a network."""


class StoredTime(sqlalchemy.types.TypeDecorator[datetime]):
    """A time in one of our tables, in UTC without a zone, as nbgrader's dates; read as None where none stands there.

    A damaged row must end no command by itself: whoever reads it says which one it is.
    """

    impl = sqlalchemy.DateTime
    cache_ok = True

    def result_processor(self, dialect: sqlalchemy.Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """Return what reads a value from the database."""
        read = super().result_processor(dialect, coltype)
        if read is None:  # the driver has read it already, in a database that lets nothing else in
            return None

        def read_or_none(value: object) -> object:
            try:
                return read(value)
            except (ValueError, TypeError):
                return None

        return read_or_none


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


def rows_of(connection: sqlalchemy.Connection, asked: sqlalchemy.Select[Any]) -> list[dict[str, Any]]:
    """Return rows of our tables by column; bytes that are no text come as text with replacement characters."""
    try:
        rows = connection.execute(asked).mappings().all()
    except sqlalchemy.exc.OperationalError:
        driver: object = connection.connection.dbapi_connection
        if not isinstance(driver, sqlite3.Connection):
            raise
        usual, driver.text_factory = driver.text_factory, _as_text
        try:
            rows = connection.execute(asked).mappings().all()
        finally:
            driver.text_factory = usual
    return [
        {name: _as_text(value) if isinstance(value, bytes) else value for name, value in row.items()} for row in rows
    ]


def _as_text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
