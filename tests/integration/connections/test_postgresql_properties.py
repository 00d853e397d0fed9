"""Properties of PostgreSQL URLs that are honoured on every connection to a server, whatever the driver."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.adbc_rows import AdbcRows
from connections.sdk.errors import PipekitError
from connections.sdk.parameters import ConnectionParameters


def by_psycopg(parameters: ConnectionParameters) -> None:
    driver.connect(parameters).close()


def by_asyncpg(parameters: ConnectionParameters) -> None:
    async def connect() -> None:
        await (await bulk.connect(parameters)).close()

    asyncio.run(connect())


def by_adbc(parameters: ConnectionParameters) -> None:
    with AdbcRows(parameters, "SELECT 1", (), (), batch_bytes=1).opened():
        pass


WAYS: list[Callable[[ConnectionParameters], Any]] = [by_psycopg, by_asyncpg, by_adbc]


def parameters(url: str, query: str) -> ConnectionParameters:
    separator = "&" if "?" in url else "?"
    return ConnectionParameters(kind="postgresql", url=f"{url}{separator}{query}", name="dw")


@pytest.mark.parametrize("connect", WAYS)
@pytest.mark.parametrize("query", ["target_session_attrs=standby", "targetServerType=secondary"])
def test_a_server_of_another_type_is_refused(
    database_url: str, connect: Callable[[ConnectionParameters], Any], query: str
) -> None:
    with pytest.raises(PipekitError, match="No connection to"):
        connect(parameters(database_url, query))


@pytest.mark.parametrize("connect", WAYS)
@pytest.mark.parametrize("query", ["target_session_attrs=read-write", "targetServerType=preferSecondary"])
def test_a_server_of_the_type_is_accepted(
    database_url: str, connect: Callable[[ConnectionParameters], Any], query: str
) -> None:
    connect(parameters(database_url, query))


def test_a_read_only_connection_writes_nothing(database_url: str) -> None:
    session = driver.connect(parameters(database_url, "readOnly=true"))
    try:
        with pytest.raises(PipekitError, match="read-only"):
            session.execute("CREATE TABLE t (n int)")
    finally:
        session.close()
