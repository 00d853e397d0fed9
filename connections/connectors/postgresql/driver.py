"""Sessions for control SQL on PostgreSQL, with psycopg."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from connections.connectors.postgresql.errors.connect import from_connect_exception
from connections.connectors.postgresql.errors.statement import from_psycopg
from connections.connectors.postgresql.own_metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.connectors.postgresql.session.no_progress import TimeoutConnection
from connections.connectors.postgresql.session.settings import (
    address,
    libpq_settings,
    no_progress_timeout,
    session_settings,
)
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.final_semicolon import ONE_QUERY

# client_connection_check_interval exists since this version; on some platforms the server refuses to set it
_CHECKS_CLIENTS_SINCE = 140000
# errors for text that is not a single query, or that writes
_NOT_A_QUERY = (
    psycopg.errors.SyntaxError,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidCursorDefinition,
    psycopg.errors.ReadOnlySqlTransaction,
)


class PostgresqlSession:
    """A psycopg connection in autocommit mode.

    After no_progress_timeout the server is asked over another connection whether it is busy with the statement.
    """

    def __init__(self, connection: TimeoutConnection, *, name: str) -> None:
        self.connection = connection
        self.name = name
        self.server_version = connection.info.server_version
        # the process of the server
        self.backend = Backend({})

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._translated():
            return self.connection.execute(cast(Any, sql), parameters or None).rowcount

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self.connection.execute(cast(Any, sql), parameters or None).fetchall()

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        # DECLARE accepts only a single query, and a SELECT cannot end a read-only transaction
        try:
            with self._translated(), self.connection.transaction():
                self.connection.execute("SET TRANSACTION READ ONLY")
                # translated here, because the ROLLBACK resets last_lock_wait
                with self.connection.cursor("pipekit_read_only") as cursor, self._translated():
                    cursor.execute(cast(Any, query))
                    return cursor.fetchone()
        except PipekitError as error:
            if isinstance(error.__cause__, _NOT_A_QUERY):
                error.hint = ONE_QUERY
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._translated(), self.connection.transaction():
            try:
                yield
            except KeyboardInterrupt:
                # a ROLLBACK could wait without limit
                self.connection.abandon()
                raise

    def cancel(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.connection.cancel_safe(timeout=5)

    def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            self.connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            translated = from_psycopg(error, name=self.name)
            if isinstance(translated, LockTimeout) and self.connection.last_lock_wait:
                translated.detail = f"{translated.detail}\nWhile it waited: {self.connection.last_lock_wait}."
            raise translated from error


def connect(parameters: ConnectionParameters) -> PostgresqlSession:
    """Open a session. Raises as `sdk.protocols.Connector.connect`."""
    keywords = libpq_settings(parameters)
    try:
        connection = clear_text.opened(keywords, _connection, psycopg.OperationalError)
    except psycopg.OperationalError as error:
        raise from_connect_exception(error, name=parameters.name, address=address(keywords)) from None
    session = PostgresqlSession(connection, name=parameters.name)
    try:
        _configure(session, parameters)
        if parameters.protection.databases:
            _check_server(session, parameters)
        session.backend = _set_no_progress_timeout(connection, parameters, keywords)
    except BaseException:
        session.close()
        raise
    return session


def _check_server(session: PostgresqlSession, parameters: ConnectionParameters) -> None:
    """Raise Protected for the database of the metadata; `_configure` has checked servers without an identifier."""
    try:
        rows = session.fetch(SERVER_DATABASE)
    except UNIDENTIFIED:
        return
    check_server_database(rows[0], parameters)


def _connection(keywords: dict[str, str]) -> TimeoutConnection:
    return TimeoutConnection.connect(**cast(dict[str, Any], keywords), client_encoding="UTF8", autocommit=True)


def _set_no_progress_timeout(
    connection: TimeoutConnection, parameters: ConnectionParameters, keywords: dict[str, str]
) -> Backend:
    row = None
    with contextlib.suppress(psycopg.Error):
        row = connection.execute(cast(Any, IDENTITY)).fetchone()
    seconds = no_progress_timeout(parameters)
    backend = Backend.of(keywords, row, no_progress_timeout=seconds, reported_pid=connection.info.backend_pid)
    connection.label = parameters.name or connection.label
    connection.is_busy, connection.terminate = backend.is_busy, backend.terminate
    connection.describe_lock_wait = backend.describe_lock_wait
    connection.no_progress_timeout = seconds
    return backend


def _configure(session: PostgresqlSession, parameters: ConnectionParameters) -> None:
    """Set the session settings, which otherwise PGDATESTYLE, PGTZ and other environment variables would determine.

    Raises Protected when the database is Pipekit's metadata, which is checked by its tables.
    """
    pairs = session_settings(parameters)
    calls = ", ".join(["set_config(%s, %s, false)"] * len(pairs))
    # one statement, to save round trips
    rows = session.fetch(f"SELECT ({IS_METADATA}), {calls}", [part for pair in pairs.items() for part in pair])
    check_metadata(rows[0], parameters)
    if session.server_version >= _CHECKS_CLIENTS_SINCE:
        # the server ends the statement of a killed client early, instead of holding its locks to the end
        with contextlib.suppress(PipekitError):
            session.fetch("SELECT set_config('client_connection_check_interval', '2s', false)")
