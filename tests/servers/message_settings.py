"""Where messages go in tests, and what came."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_django import Settings

from pipekit_site.config.config import Smtp
from runs.models.notification import Notification
from tests.servers.receivers import MailServer

SENDER, ADMIN = "pipekit@example.com", "admin@example.com"


def reached_at(settings: Settings, port: int, **fields: Any) -> None:
    smtp = Smtp(**{"host": "127.0.0.1", "port": port, "sender": SENDER, "to": (ADMIN,), **fields})
    settings.PIPEKIT = replace(settings.PIPEKIT, smtp=smtp)
    settings.DEFAULT_FROM_EMAIL = SENDER


def text(server: MailServer, number: int = -1) -> str:
    return str(server.mails[number].get_content())


def status() -> str:
    return Notification.objects.values_list("status", flat=True).get()
