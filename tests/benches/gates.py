"""A gate in a source's query: its rows come when the test opens it, however long whatever waits for that takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

_NUMBER = 7391
# to stand in a query of PostgreSQL; an empty text once the gate is open
GATE = f"pg_advisory_xact_lock_shared({_NUMBER})::text"


@contextmanager
def closed_gate(url: str) -> Iterator[None]:
    """Keep the gate of a database closed for the time of the block."""
    with psycopg.connect(url, autocommit=True) as keeper:
        keeper.execute("SELECT pg_advisory_lock(%s)", [_NUMBER])
        yield
