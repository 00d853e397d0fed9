"""PostgreSQL connections for bulk rows: asyncpg, whose COPY hands over blocks instead of rows; its errors as ours."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import asyncpg
import psycopg

from connections.connectors.postgresql.dialect import DIALECT
from connections.connectors.postgresql.driver import SESSION, borne, place, settings
from connections.connectors.postgresql.errors import connection_lost, of_state, translate_connect
from connections.connectors.postgresql.metadata import (
    IS_METADATA,
    SERVER_DATABASE,
    UNIDENTIFIED,
    check_metadata,
    check_server_database,
)
from connections.connectors.postgresql.session import clear_text
from connections.connectors.postgresql.session.backend_status import IDENTITY, Backend
from connections.sdk import errors
from connections.sdk.claim import Claim
from connections.sdk.parameters import ConnectionParameters
from connections.sdk.schema import TableName

_FILES = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 6, "TCP_USER_TIMEOUT": 90_000}
_STATUS = re.compile(r"COPY (\d+)")


async def connect(parameters: ConnectionParameters) -> Any:
    """Open a connection with the same session settings as control SQL has. Raises what `driver.connect` raises."""
    found = settings(parameters)
    extra = parameters.options.get("session") or {}
    session = {key: value for key, value in {**SESSION, **extra}.items() if key != "client_encoding"}
    try:
        connection = await clear_text.connect(
            found,
            parameters,
            dsn="postgresql:///?" + urlencode({key: found[key] for key in _FILES if key in found}),
            host=found.get("host"),
            port=int(found["port"]),
            user=found["user"],
            password=found["password"],
            database=found["dbname"],
            timeout=float(found["connect_timeout"]),
            statement_cache_size=0,
            server_settings={**session, "application_name": found["application_name"]},
        )
    except (TimeoutError, asyncpg.PostgresError, OSError, asyncpg.InterfaceError) as error:
        raise translate_connect(
            psycopg.OperationalError(_as_libpq_says(error)), name=parameters.name, place=place(found)
        ) from None
    _keep_alive(connection)
    try:
        with translated(parameters.name):
            check_metadata(await connection.fetchrow(IS_METADATA), parameters)
            if parameters.protection.databases:
                await _check_server(connection, parameters)
    except BaseException:
        connection.terminate()
        raise
    return connection


async def _check_server(connection: Any, parameters: ConnectionParameters) -> None:
    try:
        found = await connection.fetchrow(SERVER_DATABASE)
    except asyncpg.PostgresError as error:
        failed = of_server(error, name=parameters.name)
        if isinstance(failed, UNIDENTIFIED):
            return
        raise failed from None
    check_server_database(found, parameters)


def _keep_alive(connection: Any) -> None:
    """Hear of a dead machine while nothing is sent, as libpq's keywords have it; asyncpg has no words for that."""
    transport = getattr(connection, "_transport", None)
    wire = transport.get_extra_info("socket") if transport else None
    if wire is None or wire.family == socket.AF_UNIX:
        return
    wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        # not every system has each of them
        if option := getattr(socket, name, None):
            wire.setsockopt(socket.IPPROTO_TCP, option, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What the transaction that writes does first: make sure that it may, and empty the table when asked to."""

    table: TableName
    clear: bool
    claim: Claim | None

    async def __call__(self, connection: Any) -> None:
        """Raises Overtaken when the claim is another's."""
        if self.claim:
            self.claim.check(await connection.fetch(self.claim.sql))
        if self.clear:
            await connection.execute(DIALECT.empty_table(self.table))


async def backend(connection: Any, parameters: ConnectionParameters) -> Backend:
    """Return the server's process behind a connection that is at rest, as far as it can be told."""
    row = None
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        row = await connection.fetchrow(IDENTITY)
    found = tuple(row) if row else None
    return Backend.of(settings(parameters), found, borne=borne(parameters), told=connection.get_server_pid())


def _as_libpq_says(error: BaseException) -> str:
    known: list[tuple[type[BaseException], str]] = [
        (ConnectionRefusedError, "connection refused"),
        (FileNotFoundError, "no such file or directory"),
        (socket.gaierror, "could not translate host name"),
        (TimeoutError, "timeout expired"),
    ]
    word = next((text for kind, text in known if isinstance(error, kind)), "")
    return f"{word}: {error}" if word else str(error)


@contextmanager
def translated(name: str) -> Iterator[None]:
    """Let asyncpg's and the network's errors leave as Pipekit's."""
    try:
        yield
    except asyncpg.PostgresError as error:
        raise of_server(_last_word(error) or error, name=name) from None
    except (asyncpg.InterfaceError, OSError) as error:
        if server := _last_word(error):
            raise of_server(server, name=name) from None
        raise errors.ConnectionLost(
            f"{name or 'PostgreSQL'}: The connection was lost in the middle of the transfer.",
            hint="The network or the server went away; run it again.",
            detail=str(error),
        ) from None


def _last_word(error: BaseException) -> asyncpg.PostgresError | None:
    """Return what the server said when it ended the session: asyncpg's own complaint of the end came after it."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, errors.PipekitError):
        # 08003 is what asyncpg calls it
        if isinstance(found, asyncpg.PostgresError) and found.sqlstate not in (None, "08003"):
            return found
        found = found.__cause__ or found.__context__
    return None


def of_server(error: Any, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for one that the server reported, its context kept as detail."""
    message = str(error.args[0]) if error.args else str(error)
    more = [getattr(error, part, None) for part in ("detail", "hint", "context")]
    if not error.sqlstate:
        return connection_lost(message, name=name)
    return of_state(error.sqlstate, message, name=name, more=more)


def rows_of(status: str) -> int:
    """Return n of the server's ``COPY n``."""
    found = _STATUS.fullmatch(status)
    if found is None:
        raise errors.InternalError(f"The server ended a COPY with “{status}”.")
    return int(found[1])
