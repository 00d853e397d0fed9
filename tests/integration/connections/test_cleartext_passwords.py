"""Neither psycopg, asyncpg nor ADBC sends a password to a server that asks for it in clear text without TLS."""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.copy import bulk
from connections.connectors.postgresql.copy.adbc_rows import AdbcRows
from connections.connectors.postgresql.session.backend_status import Backend
from connections.connectors.postgresql.session.settings import libpq_settings
from connections.sdk.errors import AuthenticationFailed, PipekitError
from connections.sdk.parameters import ConnectionParameters
from tests.servers.cleartext import ClearTextServer, clear_text_server

PASSWORD = "canary-6610"
# asyncpg may leave the transport of a refused connection open, and the end of its loop does not close it
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("refused_connections_collected"),
]


def by_adbc(parameters: ConnectionParameters) -> None:
    with AdbcRows(parameters, "SELECT 1", (), (), batch_bytes=1).opened():
        pass


WAYS: dict[str, Callable[[ConnectionParameters], Any]] = {
    "psycopg": driver.connect,
    "asyncpg": lambda parameters: asyncio.run(bulk.connect(parameters)),
    "adbc": by_adbc,
}


@pytest.fixture
def refused_connections_collected() -> Iterator[None]:
    """Collect the refused connections of a test before the next test starts."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[ClearTextServer]:
    with clear_text_server() as server:
        yield server


def parameters(server: ClearTextServer, query: str = "", **options: Any) -> ConnectionParameters:
    return ConnectionParameters(
        kind="postgresql", url=server.url + query, username="etl", password=PASSWORD, options=options, name="dw"
    )


@pytest.mark.default_cases(8)
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=disable", "?sslmode=allow"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_no_password_is_sent(server: ClearTextServer, way: str, query: str, in_pieces: bool) -> None:
    server.in_pieces = in_pieces
    with pytest.raises(
        AuthenticationFailed, match="in clear text over a connection without TLS; it was not sent"
    ) as error:
        WAYS[way](parameters(server, query))
    assert server.password_requests and server.passwords == []
    assert "allow_cleartext_password" in error.value.hint
    assert PASSWORD not in str(error.value.as_dict())


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_that_requires_tls_does_not_fall_back_to_clear_text(server: ClearTextServer, way: str) -> None:
    with pytest.raises(PipekitError):
        WAYS[way](parameters(server, "?sslmode=require"))
    assert server.passwords == []


@pytest.mark.parametrize("way", WAYS)
def test_a_password_is_sent_in_clear_text_if_the_connection_allows_it(server: ClearTextServer, way: str) -> None:
    with pytest.raises(AuthenticationFailed):
        WAYS[way](parameters(server, allow_cleartext_password=True))
    assert server.passwords == [PASSWORD]


@pytest.mark.parametrize("value", ["true", 1, None, False])
def test_a_connection_allows_clear_text_only_with_true(server: ClearTextServer, value: Any) -> None:
    with pytest.raises(AuthenticationFailed, match="was not sent"):
        driver.connect(parameters(server, allow_cleartext_password=value))
    assert server.passwords == []


def test_the_backend_status_check_sends_no_password(server: ClearTextServer) -> None:
    backend = Backend(libpq_settings(parameters(server)), pid=1)
    backend.is_busy()
    backend.terminate()
    assert server.password_requests and server.passwords == []


@pytest.mark.default_cases(1)
@pytest.mark.parametrize("way", WAYS)
def test_a_password_is_sent_over_tls(server: ClearTextServer, way: str, tmp_path: Path) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("The certificate is made with openssl.")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    subprocess.run([*command, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(AuthenticationFailed, match="refused the username or password"):
        WAYS[way](parameters(server))
    assert server.passwords == [PASSWORD]


def test_scram_authentication_works(guarded_url: str) -> None:
    scram = ConnectionParameters(
        kind="postgresql", url=guarded_url, username="guarded", password="right-pw-7391", name="dw"
    )
    driver.connect(scram).close()
    assert asyncio.run(select_one(scram)) == 1
    with pytest.raises(AuthenticationFailed):
        asyncio.run(select_one(replace(scram, password="wrong")))


async def select_one(parameters: ConnectionParameters) -> Any:
    connection = await bulk.connect(parameters)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        connection.terminate()
