"""Connects to PostgreSQL with psycopg, for control SQL. Knows settings and sessions, makes no SQL of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import psycopg

from connections import embedded_postgresql
from connections.connectors.postgresql.errors import translate, translate_connect
from connections.connectors.postgresql.metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.connectors.postgresql.session.idle_timeout import PatientConnection
from connections.sdk.errors import LockTimeout, PipekitError
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.sql.statement import ONE_QUERY
from connections.url import jdbc

# what makes text forms the same whatever the machine's TZ, LC_ALL, PG* variables or the role's defaults say
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
    # off, {NULL} would be an array of the word
    "array_nulls": "on",
    "xmloption": "content",
    "quote_all_identifiers": "off",
    "default_transaction_read_only": "off",
}
# JDBC spellings of libpq's own keywords; others keep their name
_KEYWORDS = {"ssl": "sslmode", "connectTimeout": "connect_timeout", "ApplicationName": "application_name"}
# seconds for which a server may be silent, where the operator has not said it (the option no_progress_timeout)
_PATIENCE = 300
# servers on some systems have the setting and refuse it
_CHECKS_CLIENTS_SINCE = 140000
# what the server says of a text that is not one query, or that writes
_NO_QUERY = (
    psycopg.errors.SyntaxError,
    psycopg.errors.FeatureNotSupported,
    psycopg.errors.InvalidCursorDefinition,
    psycopg.errors.ReadOnlySqlTransaction,
)
# libpq and asyncpg would look for a password in PGPASSWORD and ~/.pgpass, and give it to whatever host is named
_NO_PASSWORD_FILE = "/dev/null/none"
_LIBPQ = frozenset({"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "application_name"})


def settings(parameters: ConnectionParameters) -> dict[str, str]:
    """Return libpq keywords (host, port, dbname, user, password, ...); ``host`` may be a socket directory.

    With the option ``embedded`` (a data directory) the server there is started when it is not running. The password is
    the connection's own, also when that is empty.
    """
    url = jdbc.parse(parameters.url, kind="postgresql")
    found = {
        "host": url.host,
        "port": str(url.port or 5432),
        "dbname": url.database or "postgres",
        "user": parameters.username or url.username or "postgres",
        "connect_timeout": str(parameters.options.get("connect_timeout", 10)),
        "application_name": "pipekit",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "6",
        # milliseconds for which what was sent may stay without an answer of the network
        "tcp_user_timeout": "90000",
    }
    if directory := parameters.options.get("embedded"):
        found["host"] = embedded_postgresql.socket_directory(directory, within=parameters.protection.data_dir or None)
        # connections of earlier versions name the superuser, which is Pipekit's alone
        found["user"] = embedded_postgresql.ROLE if found["user"] == "postgres" else found["user"]
    for key, value in url.properties.items():
        word = _KEYWORDS.get(key, key)
        if word in _LIBPQ:
            found[word] = {"true": "require", "false": "disable"}.get(value, value) if word == "sslmode" else value
    login = {"password": parameters.password, "passfile": _NO_PASSWORD_FILE}
    return {key: value for key, value in found.items() if value} | login | clear_text.keywords(found, parameters)


def borne(parameters: ConnectionParameters) -> float:
    """Return for how many seconds the server may be silent; 0 is for ever."""
    return float(parameters.options.get("no_progress_timeout", _PATIENCE))


def place(found: dict[str, str]) -> str:
    """Return how messages name the server: host and port, never user or password."""
    host = found.get("host", "localhost")
    return host if host.startswith("/") else f"{host}:{found.get('port', '5432')}"


def session_options(parameters: ConnectionParameters) -> str:
    """Return libpq's ``options`` for the fixed session settings and the connection's own ``session`` settings."""
    extra = cast(dict[str, str], parameters.options.get("session") or {})
    pairs = {**{k: v for k, v in SESSION.items() if k != "client_encoding"}, **extra}
    return " ".join(f"-c {key}={_escaped(str(value))}" for key, value in pairs.items())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


class PostgresqlSession:
    """A psycopg connection in autocommit mode.

    No statement waits for ever: of a server that is silent for long another connection asks whether it is at work.
    """

    def __init__(self, connection: PatientConnection, *, name: str) -> None:
        self.connection = connection
        self.name = name
        self.server_version = connection.info.server_version
        # how the server knows it
        self.backend = Backend({})

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        with self._translated():
            return self.connection.execute(cast(Any, sql), parameters or None).rowcount

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._translated():
            return self.connection.execute(cast(Any, sql), parameters or None).fetchall()

    def fetch_read_only(self, query: str) -> tuple[Any, ...] | None:
        # DECLARE takes one query, by the server's own grammar, and no SELECT leaves a read-only transaction
        try:
            with self._translated(), self.connection.transaction():
                self.connection.execute("SET TRANSACTION READ ONLY")
                # translated here, because the ROLLBACK forgets what the query waited for
                with self.connection.cursor("pipekit_read_only") as cursor, self._translated():
                    cursor.execute(cast(Any, query))
                    return cursor.fetchone()
        except PipekitError as error:
            if isinstance(error.__cause__, _NO_QUERY):
                error.hint = ONE_QUERY
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        with self._translated(), self.connection.transaction():
            try:
                yield
            except KeyboardInterrupt:
                # a rollback could wait for ever
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
            found = translate(error, name=self.name)
            if isinstance(found, LockTimeout) and self.connection.waited:
                found.detail = f"{found.detail}\nWhile it waited: {self.connection.waited}."
            raise found from error


def connect(parameters: ConnectionParameters) -> PostgresqlSession:
    """Open a session; see `sdk.protocols.Connector.connect` for what it raises."""
    found = settings(parameters)
    try:
        connection = clear_text.opened(found, _connection, psycopg.OperationalError)
    except psycopg.OperationalError as error:
        raise translate_connect(error, name=parameters.name, place=place(found)) from None
    session = PostgresqlSession(connection, name=parameters.name)
    try:
        _settle(session, parameters)
        if parameters.protection.databases:
            _check_server(session, parameters)
        session.backend = _patient(connection, parameters, found)
    except BaseException:
        session.close()
        raise
    return session


def _check_server(session: PostgresqlSession, parameters: ConnectionParameters) -> None:
    """Raise Protected for the metadata's database; a server that does not say which it is was told by its tables."""
    try:
        found = session.fetch(SERVER_DATABASE)
    except UNIDENTIFIED:
        return
    check_server_database(found[0], parameters)


def _connection(found: dict[str, str]) -> PatientConnection:
    return PatientConnection.connect(**cast(dict[str, Any], found), client_encoding="UTF8", autocommit=True)


def _patient(connection: PatientConnection, parameters: ConnectionParameters, found: dict[str, str]) -> Backend:
    row = None
    with contextlib.suppress(psycopg.Error):
        row = connection.execute(cast(Any, IDENTITY)).fetchone()
    backend = Backend.of(found, row, borne=borne(parameters), told=connection.info.backend_pid)
    connection.label = parameters.name or connection.label
    connection.at_work, connection.end, connection.blocked = backend.at_work, backend.end, backend.blocked
    connection.patience = borne(parameters)
    return backend


def _settle(session: PostgresqlSession, parameters: ConnectionParameters) -> None:
    """Set what PGDATESTYLE, PGTZ and their like in the environment would otherwise decide, and the user's own.

    Raises Protected when the database is Pipekit's metadata.
    """
    own = cast(dict[str, Any], parameters.options.get("session") or {})
    pairs = {**{k: v for k, v in SESSION.items() if k != "client_encoding"}, **own}
    calls = ", ".join(["set_config(%s, %s, false)"] * len(pairs))
    # in one statement, for each costs the way to the server and back
    found = session.fetch(f"SELECT ({IS_METADATA}), {calls}", [str(part) for pair in pairs.items() for part in pair])
    check_metadata(found[0], parameters)
    if session.server_version >= _CHECKS_CLIENTS_SINCE:
        # a statement of a killed process ends soon, instead of holding its locks until it is done
        with contextlib.suppress(PipekitError):
            session.fetch("SELECT set_config('client_connection_check_interval', '2s', false)")
