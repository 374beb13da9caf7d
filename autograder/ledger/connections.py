"""How our tables in the gradebook are reached, and the time that is written there."""

from __future__ import annotations

import functools
from datetime import UTC, datetime

import sqlalchemy


@functools.cache
def engine_of(url: str) -> sqlalchemy.Engine:
    """Return this process's engine: it keeps compiled statements, which a `Gradebook` would not, and no connection."""
    return sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)


def utc_now() -> datetime:
    """Return the time in UTC without a zone, as nbgrader's dates."""
    return datetime.now(UTC).replace(tzinfo=None)
