"""Mail settings for tests, the texts of received mails, and the status of notifications."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pytest_django import Settings

from pipekit_site.config.config import Smtp
from runs.models.notification import Notification
from tests.servers.receivers import MailServer

SENDER, ADMIN = "pipekit@example.com", "admin@example.com"


def use_mail_server(settings: Settings, port: int, **fields: Any) -> None:
    """Configure the mail server on this port of 127.0.0.1; keywords are further fields."""
    smtp = Smtp(**{"host": "127.0.0.1", "port": port, "sender": SENDER, "to": (ADMIN,), **fields})
    settings.PIPEKIT = replace(settings.PIPEKIT, smtp=smtp)
    settings.DEFAULT_FROM_EMAIL = SENDER


def text(server: MailServer, number: int = -1) -> str:
    """Return the text of a mail that the server has received, by default the last one."""
    return str(server.mails[number].get_content())


def status() -> str:
    """Return the status of the only notification."""
    return Notification.objects.values_list("status", flat=True).get()
