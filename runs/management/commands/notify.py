"""`manage.py notify`: send the notifications that are due, or with --test a test message on every channel."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand, CommandFailed
from connections.management.exit_codes import ExitCode
from runs.models.notification import Notification
from runs.notify.delivery import send_due
from runs.notify.send_test_messages import send_test_messages

_CONFIGURE = (
    "Set smtp in config.yaml and the setting notification_addresses, or the settings webhook_url and webhook_secret."
)


class Command(BaseCommand):
    help = "Send the notifications that are due, as every tick does. With --test, send a test message now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--test", action="store_true", help="a test message on every channel; exit 1 if one fails")

    def handle(self, *, test: bool, **options: Any) -> None:
        if not test:
            sent = send_due()
            pending, undelivered = Notification.objects.pending(), Notification.objects.undelivered()
            self.stdout.write(f"{sent} sent, {pending.count()} waiting, {undelivered.count()} undelivered")
            return
        results = send_test_messages()
        if not results:
            message = "No notification channel is configured."
            raise CommandFailed(message, hint=_CONFIGURE, code="configuration_invalid", returncode=ExitCode.FAILED)
        for result in results:
            self.stdout.write(f"{result.channel}: {'ok' if result.ok else 'failed'}: {result.message}")
            if result.hint:
                self.stderr.write(f"fix:   {result.hint}")
        if not all(result.ok for result in results):
            self.exit_code = ExitCode.FAILED
