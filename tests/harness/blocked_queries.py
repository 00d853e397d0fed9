"""Source queries that block until a test releases them, by an advisory lock of PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_LOCK_ID = 7391
# an expression for a query; an empty text once the lock is released
BLOCKING_EXPRESSION = f"pg_advisory_xact_lock_shared({_LOCK_ID})::text"


@contextmanager
def block_queries(url: str) -> Iterator[None]:
    """Block the queries of a database that contain the expression until the end of the block."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [_LOCK_ID])
        yield
