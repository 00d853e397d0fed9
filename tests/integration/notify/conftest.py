"""Fixtures of the notification tests: local mail and webhook servers that the settings point to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pytest_django import Settings

from connections.secrets import references
from tests.factories import change_settings
from tests.servers.message_settings import use_mail_server
from tests.servers.receivers import MailServer, WebhookServer, mail_server, webhook_server


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture
def recipient(db: None) -> None:
    """Have mails sent to one address."""
    change_settings(notification_addresses=["etl@example.com"])


@pytest.fixture
def secrets_file(tmp_path: Path) -> Iterator[Path]:
    previous = references.store().path
    references.configure(tmp_path / "secrets.env")
    yield tmp_path / "secrets.env"
    references.configure(previous)


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server() as running:
        use_mail_server(settings, running.port)
        yield running


@pytest.fixture
def private_webhooks(settings: Settings) -> None:
    """Allow webhooks to private addresses, as the servers of the tests have."""
    settings.PIPEKIT = replace(settings.PIPEKIT, webhook_private=True)


@pytest.fixture
def hook(private_webhooks: None) -> Iterator[WebhookServer]:
    with webhook_server() as running:
        references.store().set("HOOK_SECRET", "shared-5518")
        change_settings(webhook_url=running.url, webhook_secret="$HOOK_SECRET")
        yield running
