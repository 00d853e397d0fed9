"""Fixtures of the tests of secrets: a secrets file and a store that reads it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connections.secrets import references
from connections.secrets.references import SecretStore


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "secrets.env"


@pytest.fixture
def store(file: Path) -> SecretStore:
    return SecretStore(path=file)


@pytest.fixture
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Remove the configured path of the secrets file."""
    monkeypatch.setattr(references, "_path", None)
    monkeypatch.delenv("PIPEKIT_SECRETS", raising=False)
    monkeypatch.delenv("PIPEKIT_SECRETS_FILE", raising=False)
    yield
