"""No password goes to a server that asks for it in clear text without TLS, by none of the three ways to connect."""

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
from connections.connectors.postgresql.copy.reader import PostgresqlBatches
from connections.connectors.postgresql.session.backend_status import Backend
from connections.sdk.errors import AuthenticationFailed, PipekitError
from connections.sdk.parameters import ConnectionParameters
from tests.servers.cleartext import ClearTextServer, clear_text_server

PASSWORD = "canary-6610"
# asyncpg may leave the transport of a refused connection to its loop's end, which does not close it
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.usefixtures("refused_connections_collected"),
]


def by_adbc(parameters: ConnectionParameters) -> None:
    batches = PostgresqlBatches(parameters, "SELECT 1", (), 1)
    with batches._opened():
        pass


WAYS: dict[str, Callable[[ConnectionParameters], Any]] = {
    "psycopg": driver.connect,
    "asyncpg": lambda parameters: asyncio.run(bulk.connect(parameters)),
    "adbc": by_adbc,
}


@pytest.fixture
def refused_connections_collected() -> Iterator[None]:
    """Collect what a test leaves behind while it is over, and not while another one goes on."""
    yield
    gc.collect()


@pytest.fixture
def server() -> Iterator[ClearTextServer]:
    with clear_text_server() as found:
        yield found


def parameters(server: ClearTextServer, query: str = "", **options: Any) -> ConnectionParameters:
    return ConnectionParameters(
        kind="postgresql", url=server.url + query, username="etl", password=PASSWORD, options=options, name="dw"
    )


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("query", ["", "?sslmode=prefer", "?sslmode=disable", "?sslmode=allow"])
@pytest.mark.parametrize("in_pieces", [False, True])
def test_no_password_arrives(server: ClearTextServer, way: str, query: str, in_pieces: bool) -> None:
    server.in_pieces = in_pieces
    with pytest.raises(AuthenticationFailed, match="in clear text over a connection without TLS; it was not sent") as e:
        WAYS[way](parameters(server, query))
    assert server.asked and server.passwords == []
    assert "allow_cleartext_password" in e.value.hint
    assert PASSWORD not in str(e.value.as_dict())


@pytest.mark.parametrize("way", WAYS)
def test_tls_that_is_asked_for_is_not_given_up(server: ClearTextServer, way: str) -> None:
    with pytest.raises(PipekitError):
        WAYS[way](parameters(server, "?sslmode=require"))
    assert server.passwords == []


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_may_allow_it(server: ClearTextServer, way: str) -> None:
    with pytest.raises(AuthenticationFailed):
        WAYS[way](parameters(server, allow_cleartext_password=True))
    assert server.passwords == [PASSWORD]


@pytest.mark.parametrize("given", ["true", 1, None, False])
def test_only_true_allows_it(server: ClearTextServer, given: Any) -> None:
    with pytest.raises(AuthenticationFailed, match="was not sent"):
        driver.connect(parameters(server, allow_cleartext_password=given))
    assert server.passwords == []


def test_what_looks_after_a_session_sends_none_either(server: ClearTextServer) -> None:
    backend = Backend(driver.settings(parameters(server)), pid=1)
    backend.is_busy()
    backend.terminate()
    assert server.asked and server.passwords == []


@pytest.mark.parametrize("way", WAYS)
def test_over_tls_it_is_sent_as_ever(server: ClearTextServer, way: str, tmp_path: Path) -> None:
    if (openssl := shutil.which("openssl")) is None:
        pytest.skip("openssl makes the certificate")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=127.0.0.1", "-days", "1"]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    with pytest.raises(AuthenticationFailed, match="refused the username or password"):
        WAYS[way](parameters(server))
    assert server.passwords == [PASSWORD]


def test_servers_that_ask_for_scram_are_connected_to(guarded_url: str) -> None:
    found = ConnectionParameters(
        kind="postgresql", url=guarded_url, username="guarded", password="right-pw-7391", name="dw"
    )
    driver.connect(found).close()
    assert asyncio.run(one(found)) == 1
    with pytest.raises(AuthenticationFailed):
        asyncio.run(one(replace(found, password="wrong")))


async def one(found: ConnectionParameters) -> Any:
    connection = await bulk.connect(found)
    try:
        return await connection.fetchval("SELECT 1")
    finally:
        connection.terminate()
