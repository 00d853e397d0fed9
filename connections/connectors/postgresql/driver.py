"""Sessions for control SQL on PostgreSQL, with psycopg: connection parameters and session settings."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from connections import embedded_postgresql
from connections.connectors.postgresql.errors.connect import from_connect_exception
from connections.connectors.postgresql.errors.statement import from_psycopg
from connections.connectors.postgresql.metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.connectors.postgresql.session.idle_timeout import IdleTimeoutConnection
from connections.connectors.postgresql.url import search_path
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.final_semicolon import ONE_QUERY
from connections.url import parse

# settings on which text output depends, fixed whatever TZ, LC_ALL, PG* variables or the role's defaults say
SESSION = {
    "TimeZone": "UTC",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    "lc_numeric": "C",
    "lc_monetary": "C",
    # if off, {NULL} is an array with the text NULL
    "array_nulls": "on",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "default_transaction_read_only": "off",
}
# libpq keywords for properties of JDBC URLs; others have the same name
_KEYWORDS = {"ssl": "sslmode", "connectTimeout": "connect_timeout", "ApplicationName": "application_name"}
# seconds for which a server may be idle, if the option no_progress_timeout is not set
_DEFAULT_IDLE_TIMEOUT = 300
# client_connection_check_interval exists since this version; on some platforms the server refuses to set it
_CHECKS_CLIENTS_SINCE = 140000
# errors for text that is not a single query, or that writes
_NOT_A_QUERY = (
    psycopg.errors.SyntaxError,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidCursorDefinition,
    psycopg.errors.ReadOnlySqlTransaction,
)
# keeps libpq and asyncpg from sending the password in PGPASSWORD or ~/.pgpass to the host of a connection
_NO_PASSWORD_FILE = "/dev/null/none"
_LIBPQ = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name"})


def settings(parameters: ConnectionParameters) -> dict[str, str]:
    """Return the libpq keywords for a connection; ``host`` may be a socket directory.

    With the option ``embedded`` (a data directory) the server there is started if it is not running. The password is
    always that of the connection, even if empty.
    """
    url = parse.parse(parameters.url, kind="postgresql")
    keywords = {
        "host": url.host,
        "port": str(url.port or 5432),
        "dbname": url.database or "postgres",
        "user": parameters.username or url.username or "postgres",
        "connect_timeout": str(parameters.options.get("connect_timeout", 10)),
        "application_name": "pipekit",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "6",
        # milliseconds for which sent data may remain unacknowledged
        "tcp_user_timeout": "90000",
    }
    if directory := parameters.options.get("embedded"):
        host = embedded_postgresql.socket_directory(directory, within=parameters.protection.data_dir or None)
        keywords["host"] = host
        # connections of earlier versions name the superuser, as which only Pipekit itself logs in
        keywords["user"] = embedded_postgresql.ROLE if keywords["user"] == "postgres" else keywords["user"]
    for key, value in url.properties.items():
        keyword = _KEYWORDS.get(key, key)
        if keyword in _LIBPQ:
            is_ssl = keyword == "sslmode"
            keywords[keyword] = {"true": "require", "false": "disable"}.get(value, value) if is_ssl else value
    login = {"password": parameters.password, "passfile": _NO_PASSWORD_FILE}
    given = {key: value for key, value in keywords.items() if value}
    return given | login | clear_text.keywords(keywords, parameters)


def idle_timeout(parameters: ConnectionParameters) -> float:
    """Return the seconds for which the server may be idle; 0 means no timeout."""
    return float(parameters.options.get("no_progress_timeout", _DEFAULT_IDLE_TIMEOUT))


def address(keywords: Mapping[str, str]) -> str:
    """Return host and port of the libpq keywords, for messages."""
    host = keywords.get("host", "localhost")
    return host if host.startswith("/") else f"{host}:{keywords.get('port', '5432')}"


def session_settings(parameters: ConnectionParameters) -> dict[str, str]:
    """Return the settings of every session except client_encoding: the fixed ones and those of the connection."""
    path = search_path(parameters)
    extra = cast(dict[str, Any], parameters.options.get("session") or {})
    pairs = {**SESSION, **({"search_path": path} if path else {}), **extra}
    return {key: str(value) for key, value in pairs.items() if key != "client_encoding"}


def session_options(parameters: ConnectionParameters) -> str:
    """Return libpq's ``options`` with the session settings."""
    return " ".join(f"-c {key}={_escaped(value)}" for key, value in session_settings(parameters).items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class PostgresqlSession:
    """A psycopg connection in autocommit mode.

    Every statement has an idle timeout, after which the server is asked over another connection whether it is busy.
    """

    def __init__(self, connection: IdleTimeoutConnection, *, name: str) -> None:
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
    keywords = settings(parameters)
    try:
        connection = clear_text.opened(keywords, _connection, psycopg.OperationalError)
    except psycopg.OperationalError as error:
        raise from_connect_exception(error, name=parameters.name, address=address(keywords)) from None
    session = PostgresqlSession(connection, name=parameters.name)
    try:
        _configure(session, parameters)
        if parameters.protection.databases:
            _check_server(session, parameters)
        session.backend = _set_idle_timeout(connection, parameters, keywords)
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


def _connection(keywords: dict[str, str]) -> IdleTimeoutConnection:
    return IdleTimeoutConnection.connect(**cast(dict[str, Any], keywords), client_encoding="UTF8", autocommit=True)


def _set_idle_timeout(
    connection: IdleTimeoutConnection, parameters: ConnectionParameters, keywords: dict[str, str]
) -> Backend:
    row = None
    with contextlib.suppress(psycopg.Error):
        row = connection.execute(cast(Any, IDENTITY)).fetchone()
    seconds = idle_timeout(parameters)
    backend = Backend.of(keywords, row, idle_timeout=seconds, reported_pid=connection.info.backend_pid)
    connection.label = parameters.name or connection.label
    connection.is_busy, connection.terminate = backend.is_busy, backend.terminate
    connection.describe_lock_wait = backend.describe_lock_wait
    connection.idle_timeout = seconds
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
