"""PostgreSQL connections for bulk rows: asyncpg, whose COPY hands over blocks instead of rows; its errors as ours."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import asyncpg
import psycopg

from connections.connectors.postgresql.driver import SESSION, place, settings
from connections.connectors.postgresql.errors import translate, translate_connect
from connections.sdk import errors
from connections.sdk.parameters import ConnectionParameters

_FILES = ("sslmode", "sslrootcert", "sslcert", "sslkey")
_STATUS = re.compile(r"COPY (\d+)")


async def connect(parameters: ConnectionParameters) -> Any:
    """Open a connection with the same session settings as control SQL has. Raises what `driver.connect` raises."""
    found = settings(parameters)
    extra = parameters.options.get("session") or {}
    session = {key: value for key, value in {**SESSION, **extra}.items() if key != "client_encoding"}
    try:
        return await asyncpg.connect(
            "postgresql:///?" + urlencode({key: found[key] for key in _FILES if key in found}),
            host=found.get("host"),
            port=int(found["port"]),
            user=found["user"],
            password=found.get("password"),
            database=found["dbname"],
            timeout=float(found["connect_timeout"]),
            statement_cache_size=0,
            server_settings={**session, "application_name": found["application_name"]},
        )
    except (TimeoutError, asyncpg.PostgresError, OSError, asyncpg.InterfaceError) as error:
        raise translate_connect(
            psycopg.OperationalError(_as_libpq_says(error)), name=parameters.name, place=place(found)
        ) from None


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
        raise of_server(error, name=name) from None
    except (asyncpg.InterfaceError, OSError) as error:
        raise errors.ConnectionLost(
            f"{name or 'PostgreSQL'}: The connection was lost in the middle of the transfer.",
            hint="The network or the server went away; run it again.",
            detail=str(error),
        ) from None


def of_server(error: Any, *, name: str) -> errors.PipekitError:
    """Return Pipekit's error for one that the server reported, its context kept as detail."""
    state = error.sqlstate or ""
    try:
        kind = psycopg.errors.lookup(state)
    except KeyError:
        kind = psycopg.OperationalError
    found = translate(kind(str(error.args[0]) if error.args else str(error)), name=name)
    more = (getattr(error, part, None) for part in ("detail", "hint", "context"))
    found.detail = "\n".join([*(part for part in more if part), f"SQLSTATE {state}"])
    return found


def rows_of(status: str) -> int:
    """Return n of the server's ``COPY n``."""
    found = _STATUS.fullmatch(status)
    if found is None:
        raise errors.InternalError(f"The server ended a COPY with “{status}”.")
    return int(found[1])
