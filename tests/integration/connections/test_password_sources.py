"""Passwords that libpq would find in the environment or in ~/.pgpass are not used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.session.backend_status import Backend
from connections.connectors.postgresql.session.settings import libpq_settings
from connections.sdk.errors import AuthenticationFailed
from connections.sdk.parameters import ConnectionParameters
from tests.integration.connections.test_cleartext_passwords import WAYS
from tests.servers.cleartext import ClearTextServer, clear_text_server

CANARY = "canary-8273"


@pytest.fixture
def server() -> Iterator[ClearTextServer]:
    with clear_text_server() as server:
        yield server


@pytest.fixture(params=["PGPASSWORD", "PGPASSFILE", "HOME"])
def libpq_password(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put another password where libpq looks for one."""
    file = tmp_path / ".pgpass"
    file.write_text(f"*:*:*:*:{CANARY}\n")
    file.chmod(0o600)
    value = {"PGPASSWORD": CANARY, "PGPASSFILE": str(file), "HOME": str(tmp_path)}[request.param]
    monkeypatch.setenv(request.param, value)


def without_password(server: ClearTextServer) -> ConnectionParameters:
    options: dict[str, Any] = {"allow_cleartext_password": True}
    return ConnectionParameters(kind="postgresql", url=server.url, username="etl", options=options, name="dw")


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_without_a_password_sends_no_password(
    server: ClearTextServer, way: str, libpq_password: None
) -> None:
    with pytest.raises(AuthenticationFailed):
        WAYS[way](without_password(server))
    assert server.password_requests and not any(server.passwords)


def test_the_backend_status_check_sends_no_password(server: ClearTextServer, libpq_password: None) -> None:
    backend = Backend(libpq_settings(without_password(server)), pid=1)
    backend.is_busy()
    backend.terminate()
    assert server.password_requests and not any(server.passwords)


def test_the_error_says_that_the_connection_has_no_password(server: ClearTextServer) -> None:
    with pytest.raises(AuthenticationFailed, match="asks for a password, and the connection has none") as refused:
        driver.connect(without_password(server))
    assert "PGPASSWORD and ~/.pgpass are not used" in refused.value.hint
