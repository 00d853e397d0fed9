"""Sessions in which tests execute statements; on PostgreSQL they are kept, since opening one takes longer than most.

A session is kept for a database and a thread until the database is given back. It is named, so that tests that count
sessions can leave it out.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import cast

from connections import registry
from connections.connectors.postgresql.driver import PostgresqlSession
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import Session

APPLICATION_NAME = "tests of Pipekit"
_kept: dict[tuple[int, str], PostgresqlSession] = {}


@contextlib.contextmanager
def session_for(parameters: ConnectionParameters) -> Iterator[Session]:
    """Return a session for the block; it is closed afterwards unless it is kept."""
    if parameters.kind == "postgresql" and not (parameters.options or parameters.username):
        yield _kept_session(parameters)
        return
    session = registry.connector(parameters.kind).connect(parameters)
    try:
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def opened_file(parameters: ConnectionParameters) -> Iterator[None]:
    """Keep a DuckDB file open for writing during the block: opening it again in this process then takes no time."""
    if parameters.kind != "duckdb":
        yield
        return
    with contextlib.closing(registry.connector(parameters.kind).connect(parameters)):
        yield


def close_sessions(url: str) -> None:
    """Close the sessions that are kept for a database."""
    for key in [key for key in _kept if key[1] == url]:
        _kept.pop(key).close()


def _kept_session(parameters: ConnectionParameters) -> PostgresqlSession:
    key = threading.get_ident(), parameters.url
    session = _kept.get(key)
    if session is None or not _is_alive(session):
        _kept[key] = session = cast(PostgresqlSession, registry.connector(parameters.kind).connect(parameters))
        session.execute(f"SET application_name = '{APPLICATION_NAME}'")
        # the plan of a prepared statement would end with an error after the table's columns were changed
        session.connection.prepare_threshold = None
    return session


def _is_alive(session: Session) -> bool:
    try:
        return session.fetch("SELECT 1") == [(1,)]
    except PipekitError:
        session.close()
        return False
