"""`manage.py notify`: send what is due, or with --test a message on every channel, and say what came of it."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from connections.management.base import BaseCommand
from runs import notify
from runs.models.notification import Notification
from runs.notify.delivery import send_tests

_NOBODY = (
    "Nobody is told of anything. Set smtp in config.yaml and the setting notification_addresses, or the settings"
    " webhook_url and webhook_secret."
)


class Command(BaseCommand):
    help = "Send the notifications that are due; the tick does it by itself. With --test, send a test message now."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--test", action="store_true", help="a test message on every channel; exit 1 if one fails")

    def handle(self, *, test: bool, **options: Any) -> None:
        if not test:
            sent = notify.send_due()
            waiting, lost = Notification.objects.pending(), Notification.objects.undelivered()
            self.stdout.write(f"{sent} sent, {waiting.count()} waiting, {lost.count()} undelivered")
            return
        tried = send_tests()
        for result in tried:
            self.stdout.write(f"{result.channel}: {'ok' if result.ok else 'failed'}: {result.message}")
            if result.hint:
                self.stderr.write(f"fix:   {result.hint}")
        if not tried:
            self.stderr.write(_NOBODY)
        if not tried or not all(result.ok for result in tried):
            sys.exit(1)
