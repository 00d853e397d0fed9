"""A server gets the password of the connection's own reference, and no other that libpq would find on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connections.connectors.postgresql import driver
from connections.connectors.postgresql.session.backend_status import Backend
from connections.sdk.errors import AuthenticationFailed
from connections.sdk.parameters import ConnectionParameters
from tests.integration.connections.test_cleartext_passwords import WAYS
from tests.servers.cleartext import ClearTextServer, clear_text_server

CANARY = "canary-8273"


@pytest.fixture
def server() -> Iterator[ClearTextServer]:
    with clear_text_server() as found:
        yield found


@pytest.fixture(params=["PGPASSWORD", "PGPASSFILE", "HOME"])
def left_lying(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password of somebody else's, where libpq looks for one."""
    file = tmp_path / ".pgpass"
    file.write_text(f"*:*:*:*:{CANARY}\n")
    file.chmod(0o600)
    value = {"PGPASSWORD": CANARY, "PGPASSFILE": str(file), "HOME": str(tmp_path)}[request.param]
    monkeypatch.setenv(request.param, value)


def without_password(server: ClearTextServer) -> ConnectionParameters:
    options: dict[str, Any] = {"allow_cleartext_password": True}
    return ConnectionParameters(kind="postgresql", url=server.url, username="etl", options=options, name="dw")


@pytest.mark.parametrize("way", WAYS)
def test_a_connection_without_a_password_sends_none(server: ClearTextServer, way: str, left_lying: None) -> None:
    with pytest.raises(AuthenticationFailed):
        WAYS[way](without_password(server))
    assert server.asked and not any(server.passwords)


def test_what_looks_after_its_session_sends_none_either(server: ClearTextServer, left_lying: None) -> None:
    backend = Backend(driver.settings(without_password(server)), pid=1)
    backend.is_busy()
    backend.terminate()
    assert server.asked and not any(server.passwords)


def test_the_error_says_that_the_connection_has_none(server: ClearTextServer) -> None:
    with pytest.raises(AuthenticationFailed, match="asks for a password, and the connection has none") as refused:
        driver.connect(without_password(server))
    assert "PGPASSWORD and ~/.pgpass are not used" in refused.value.hint
