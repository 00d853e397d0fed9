"""PostgreSQL connections for bulk rows, with asyncpg, whose COPY passes blocks of bytes; translates its errors."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any
from urllib.parse import urlencode

import asyncpg

from connections.connectors.postgresql.copy import guarded_connect
from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.errors.connect import from_connect_exception
from connections.connectors.postgresql.errors.statement import connection_lost, from_server, label
from connections.connectors.postgresql.own_metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.connectors.postgresql.session.settings import (
    address,
    libpq_settings,
    no_progress_timeout,
    session_settings,
)
from connections.sdk import errors
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.protocols import WriteTarget

_SSL_KEYWORDS = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 90_000}
_CONNECT_ERRORS = (
    TimeoutError,
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.exceptions.TargetServerAttributeNotMatched,
)
_STATUS = re.compile(r"COPY (\d+)")


async def connect(parameters: ConnectionParameters) -> Any:
    """Open a connection with the same session settings as for control SQL. Raises as `driver.connect`.

    Raises ConfigurationInvalid if the URL requires a protection that asyncpg does not have.
    """
    keywords = libpq_settings(parameters)
    _check_protection(keywords, parameters.name)
    try:
        connection = await guarded_connect.connect(
            keywords,
            parameters,
            dsn="postgresql:///?" + urlencode({key: keywords[key] for key in _SSL_KEYWORDS if key in keywords}),
            host=keywords.get("host"),
            port=int(keywords["port"]),
            user=keywords["user"],
            password=keywords["password"],
            database=keywords["dbname"],
            timeout=float(keywords["connect_timeout"]),
            statement_cache_size=0,
            target_session_attrs=keywords.get("target_session_attrs"),
            server_settings={**session_settings(parameters), "application_name": keywords["application_name"]},
        )
    except _CONNECT_ERRORS as error:
        raise from_connect_exception(error, name=parameters.name, address=address(keywords)) from None
    if keywords.get("keepalives") != "0":
        _set_keepalive(connection)
    try:
        with translated(parameters.name):
            check_metadata(await connection.fetchrow(IS_METADATA), parameters)
            if parameters.protection.databases:
                await _check_server(connection, parameters)
    except BaseException:
        connection.terminate()
        raise
    return connection


def _check_protection(keywords: Mapping[str, str], name: str) -> None:
    if keywords.get("gssencmode") == "require":
        raise errors.ConfigurationInvalid(
            f"{label(name)} The URL has gssEncMode=require, but rows cannot be copied with encryption by GSSAPI.",
            hint="Remove it, and use sslmode=verify-full with sslrootcert.",
        )
    # a verified certificate protects from the same attack: a server that passes the login on to another
    if keywords.get("channel_binding") == "require" and keywords.get("sslmode") != "verify-full":
        raise errors.ConfigurationInvalid(
            f"{label(name)} The URL has channel_binding=require, but rows are copied without channel binding.",
            hint="Add sslmode=verify-full and sslrootcert=/etc/ssl/certs/ca-certificates.crt (or the file with your "
            "authority's certificate), which protects as well, or remove channel_binding.",
        )


async def _check_server(connection: Any, parameters: ConnectionParameters) -> None:
    try:
        row = await connection.fetchrow(SERVER_DATABASE)
    except asyncpg.PostgresError as error:
        translated_error = _of_server(error, name=parameters.name)
        if isinstance(translated_error, UNIDENTIFIED):
            return
        raise translated_error from None
    check_server_database(row, parameters)


def _set_keepalive(connection: Any) -> None:
    """Enable TCP keepalive with the values of the libpq keywords, for which asyncpg has no parameters."""
    transport = getattr(connection, "_transport", None)
    sock = transport.get_extra_info("socket") if transport else None
    if sock is None or sock.family == socket.AF_UNIX:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # not every platform has all of these options
        if option := getattr(socket, name, None):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


async def begin(connection: Any, target: WriteTarget) -> None:
    """Begin a writing transaction: check and lock the claim, and with ``clear`` empty the table.

    Raises Overtaken when another run has the claim.
    """
    if target.claim:
        target.claim.check(await connection.fetch(target.claim.sql))
    if target.clear:
        await connection.execute(DIALECT.empty_table(target.table))


async def backend(connection: Any, parameters: ConnectionParameters) -> Backend:
    """Return the server process of a connection on which no statement is running."""
    row = None
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        row = await connection.fetchrow(IDENTITY)
    return Backend.of(
        libpq_settings(parameters),
        tuple(row) if row else None,
        no_progress_timeout=no_progress_timeout(parameters),
        reported_pid=connection.get_server_pid(),
    )


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Translate errors of asyncpg and of the network to Pipekit's."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise _of_server(_server_error(error) or error, name=name) from None
    except (asyncpg.InterfaceError, OSError) as error:
        if server_error := _server_error(error):
            raise _of_server(server_error, name=name) from None
        raise connection_lost("The connection was lost during the transfer.", name=name, detail=str(error)) from None


def _server_error(error: BaseException) -> asyncpg.PostgresError | None:
    """Return the server's error in the chain of causes, which asyncpg's error about the closed connection hides."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, errors.PipekitError):
        # 08003 is asyncpg's own error for a closed connection
        if isinstance(cause, asyncpg.PostgresError) and cause.sqlstate not in (None, "08003"):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def _of_server(error: asyncpg.PostgresError, *, name: str) -> errors.PipekitError:
    return from_server(error, name=name) or connection_lost(str(error), name=name)


def rows_of(status: str) -> int:
    """Return the number of rows in the command tag ``COPY n``."""
    match = _STATUS.fullmatch(status)
    if match is None:
        raise errors.InternalError(f"The server ended a COPY with the unexpected status “{status}”.")
    return int(match[1])
